"""What is stored as acknowledged equals what Salesforce has: tested with the command."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import httpx
import psycopg
import pytest

from m3sync_dagster.sandbox import salesforce
from m3sync_dagster.sandbox.server import running
from m3sync_dagster_tests.cli.admin import ACCOUNT, CONTRACT, Admin
from m3sync_dagster_tests.cli.conftest import Stage, Write

pytestmark = pytest.mark.slow

SIZES = {"account": 6, "contract": 5, "commitment": 4, "balance": 7}


def run(stage: Stage, *options: str) -> dict[str, Any]:
    return dict(stage.run("run", "acme", "--json", *options).json["entities"])


def fates(stage: Stage, *options: str) -> dict[str, dict[str, int]]:
    """Each entity's counts that are not zero."""
    left_out = ("read", "salesforce_api_calls")
    return {
        entity: {name: n for name, n in counts.items() if n and name not in left_out}
        for entity, counts in run(stage, *options).items()
    }


def all_of(count: str) -> dict[str, dict[str, int]]:
    return {entity: {count: size} for entity, size in SIZES.items()}


def events(stage: Stage) -> list[str]:
    return [event["message"] for event in stage.run("events", "acme", "--json").json]


@pytest.fixture
def other_org(stage: Stage) -> Iterator[str]:
    """The address of a second org that takes the same client id and secret."""
    app = salesforce.create_app(credentials=salesforce.Credentials())
    with running(app) as url:
        yield url


def held_by(url: str, name: str) -> dict[str, Any]:
    found = httpx.get(f"{url}/sandbox/records/{name}").json()
    return {record["m3ter_Id__c"]: record for record in found}


def test_an_unchanged_hour_makes_one_call(stage: Stage) -> None:
    run(stage)
    before = stage.calls()
    assert fates(stage) == all_of("unchanged")
    assert stage.calls() - before == 1


def test_a_revoked_secret_shows_also_where_nothing_has_changed(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(stage)
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", "revoked")
    answer = stage.run("run", "acme", "--json")
    assert (answer.code, answer.json["status"]) == (1, "AUTH_FAILED")


def test_two_orgs_in_turn_end_right(
    stage: Stage, other_org: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_org = stage.sandbox.salesforce_url
    assert fates(stage) == all_of("created")
    monkeypatch.setenv("SALESFORCE_LOGIN_URL", other_org)
    assert fates(stage) == all_of("created")
    assert len(held_by(other_org, ACCOUNT)) == 6
    (message,) = {text for text in events(stage) if "every record is compared anew" in text}
    assert message.startswith("the org behind salesforce_sandbox is 00D")
    assert "until now it was 00D" in message
    assert fates(stage) == all_of("unchanged")
    account = stage.sandbox.organization.ids("accounts")[0]
    stage.sandbox.organization.change("accounts", account, code="CHANGED")
    monkeypatch.setenv("SALESFORCE_LOGIN_URL", first_org)
    assert fates(stage) == all_of("updated")
    assert held_by(first_org, ACCOUNT)[account]["Code__c"] == "CHANGED"


def test_a_refreshed_sandbox_gets_every_record(stage: Stage) -> None:
    run(stage)
    stage.salesforce("setup", {"refresh": True})
    assert fates(stage) == all_of("created")


def test_another_m3ter_organization_is_compared_again(stage: Stage, migrated_url: str) -> None:
    run(stage)
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute("UPDATE m3sync.fingerprint_basis SET m3ter_org_id = 'another'")
    assert fates(stage) == all_of("updated")
    assert any("the m3ter organization is" in message for message in events(stage))


def test_rows_that_a_full_run_cannot_send_stay_to_be_sent(stage: Stage, admin: Admin) -> None:
    run(stage)
    accounts = stage.sandbox.organization.ids("accounts")
    for m3ter_id in accounts[:3]:
        admin.delete(ACCOUNT, m3ter_id)
    code = "FIELD_CUSTOM_VALIDATION_EXCEPTION"
    rejected = {"object": ACCOUNT, "external_ids": accounts[:2], "code": code}
    stage.salesforce("faults", {"rows": {**rejected, "message": "busy"}, "times": None})
    first = run(stage, "--full")["account"]
    assert first["rejected"] == 2
    rejects = stage.run("rejects", "acme", "--json").json
    assert {r["m3ter_id"] for r in rejects if r["code"] == code} == set(accounts[:2])
    httpx.delete(f"{stage.sandbox.salesforce_url}/sandbox/faults").raise_for_status()
    fates(stage)
    assert len(stage.records(ACCOUNT)) == 6
    assert fates(stage) == all_of("unchanged")


@pytest.mark.parametrize("drop", ["before", "after"])
def test_an_answer_is_lost_and_the_value_returns(stage: Stage, drop: str) -> None:
    run(stage)
    organization = stage.sandbox.organization
    account = organization.ids("accounts")[0]
    original = organization.get("accounts", account).get("code")
    organization.change("accounts", account, code="BETWEEN")
    fault = {"method": "PATCH", "path": "/composite/sobjects/", "drop": drop, "times": None}
    stage.salesforce("faults", fault)
    stage.run("run", "acme", "--entity", "account")
    httpx.delete(f"{stage.sandbox.salesforce_url}/sandbox/faults").raise_for_status()
    organization.change("accounts", account, code=original)
    run(stage)
    assert held_by(stage.sandbox.salesforce_url, ACCOUNT)[account]["Code__c"] == original


def test_a_mapping_is_changed_and_changed_back(stage: Stage, integration: Write) -> None:
    integration()
    run(stage)
    before = stage.records(ACCOUNT)
    fault = {"method": "PATCH", "path": "/composite/sobjects/", "drop": "after", "times": None}
    stage.salesforce("faults", fault)
    integration(account="{fields: {code: null, currency: Code__c}}")
    stage.run("run", "acme", "--entity", "account")
    httpx.delete(f"{stage.sandbox.salesforce_url}/sandbox/faults").raise_for_status()
    assert [r["Code__c"] for r in stage.records(ACCOUNT)] != [r["Code__c"] for r in before]
    integration()
    run(stage)
    assert [r["Code__c"] for r in stage.records(ACCOUNT)] == [r["Code__c"] for r in before]


def test_an_account_that_an_admin_deleted_returns_with_all_that_points_to_it(
    stage: Stage, admin: Admin
) -> None:
    organization = stage.sandbox.organization
    contract = organization.ids("contracts")[0]
    account = organization.get("contracts", contract)["accountId"]
    run(stage)
    name = held_by(stage.sandbox.salesforce_url, ACCOUNT)[account]["Name"]
    admin.delete(ACCOUNT, account)
    new = organization.add(
        "contracts", accountId=account, name="New", startDate="2026-01-01", endDate="2026-12-31"
    )
    first = run(stage)
    assert first["contract"]["created"] == 1
    assert first["contract"]["waiting"] == 0
    again = account_id(stage, account)
    assert lookup(stage, CONTRACT, new) == again
    assert any(
        message.startswith("1 account records were no longer in Salesforce")
        and f"{name} ({account})" in message
        for message in events(stage)
    )
    run(stage)
    assert lookup(stage, CONTRACT, contract) == again
    code = stage.run("verify", "acme").code
    assert code == 0


def account_id(stage: Stage, m3ter_id: str) -> str:
    return str(held_by(stage.sandbox.salesforce_url, ACCOUNT)[m3ter_id]["Id"])


def lookup(stage: Stage, name: str, m3ter_id: str) -> str | None:
    found: str | None = held_by(stage.sandbox.salesforce_url, name)[m3ter_id]["m3ter_Account__c"]
    return found


KEY = {"type": "Text", "length": 64, "external_id": True, "unique": True, "case_sensitive": True}


def test_another_external_id_field_doubles_nothing(stage: Stage, integration: Write) -> None:
    integration()
    run(stage)
    stage.salesforce("schema", {"object": ACCOUNT, "field": "Other_Id__c", "set": KEY})
    integration(account="{external_id_field: Other_Id__c}")
    first = fates(stage)
    assert first["account"] == {"updated": 6}
    records = stage.records(ACCOUNT)
    assert len(records) == 6
    assert all(record["Other_Id__c"] == record["m3ter_Id__c"] for record in records)
    assert stage.run("verify", "acme").code == 0
    assert fates(stage)["account"] == {"unchanged": 6}


def test_a_hierarchy_goes_in_one_run_under_a_new_key(stage: Stage, integration: Write) -> None:
    organization = stage.sandbox.organization
    chain = organization.ids("accounts")[:4]
    for child, parent in pairwise(chain):
        organization.change("accounts", child, parentAccountId=parent)
    integration()
    run(stage)
    stage.salesforce("schema", {"object": ACCOUNT, "field": "Other_Id__c", "set": KEY})
    for record in stage.records(ACCOUNT):
        assert record["m3ter_Id__c"]
    integration(account="{external_id_field: Other_Id__c}")
    first = run(stage)["account"]
    assert (first["waiting"], first["rejected"], first["updated"]) == (0, 0, 6)


def test_a_field_that_is_made_longer_gets_the_whole_text(stage: Stage, integration: Write) -> None:
    stage.salesforce("schema", {"object": ACCOUNT, "field": "Code__c", "set": {"length": 3}})
    integration(account="{truncate: [code]}")
    organization = stage.sandbox.organization
    account = organization.ids("accounts")[0]
    organization.change("accounts", account, code="LONGER THAN THREE")
    run(stage)
    assert held_by(stage.sandbox.salesforce_url, ACCOUNT)[account]["Code__c"] == "LON"
    stage.salesforce("schema", {"object": ACCOUNT, "field": "Code__c", "set": {"length": 80}})
    run(stage)
    held = held_by(stage.sandbox.salesforce_url, ACCOUNT)[account]["Code__c"]
    assert held == "LONGER THAN THREE"
