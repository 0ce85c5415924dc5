from decimal import Decimal
from typing import Any

import psycopg
import pytest

from m3sync_dagster_tests.cli.admin import identity_of
from m3sync_dagster_tests.cli.conftest import Stage

pytestmark = pytest.mark.slow


def test_a_plan_of_a_first_run_creates_everything_and_sends_nothing(
    stage: Stage, migrated_url: str
) -> None:
    answer = stage.run("plan", "acme", "--json")
    assert (answer.code, answer.err) == (0, "")
    assert list(answer.json) == ["integration", "entities", "salesforce_org"]
    assert answer.json["salesforce_org"] == identity_of(stage)
    assert list(answer.json["entities"]) == ["account", "contract", "commitment", "balance"]
    account = answer.json["entities"]["account"]
    assert {key: account[key] for key in ("create", "update", "unchanged", "invalid")} == {
        "create": 6,
        "update": 0,
        "unchanged": 0,
        "invalid": 0,
    }
    assert {sample["action"] for sample in account["sample"]} == {"create"}
    assert {sample["salesforce_url"] for sample in account["sample"]} == {None}
    before, after = account["sample"][0]["changes"]["Code__c"]
    assert before is None
    assert after
    assert stage.records("m3ter_Account__c") == []
    with psycopg.connect(migrated_url) as connection:
        for table in ("synced_record", "outgoing_record", "rejected_record"):
            assert connection.execute(f"SELECT count(*) FROM m3sync.{table}").fetchone() == (0,)  # noqa: S608


def test_a_plan_shows_what_has_changed_field_by_field(stage: Stage) -> None:
    stage.run("run", "acme")
    organization = stage.sandbox.organization
    balance, other = organization.ids("balances")[:2]
    organization.merge("balances", balance, {"amount": Decimal("12345678.12345678")})
    organization.merge("balances", other, {"startDate": "no date"})
    account = organization.ids("accounts")[0]
    organization.change("accounts", account, name='Ø "Corp" [bold]')

    entities = stage.run("plan", "acme", "--json").json["entities"]
    assert entities["contract"] == {
        "create": 0,
        "update": 0,
        "unchanged": 5,
        "invalid": 0,
        "sample": [],
    }
    assert (entities["balance"]["update"], entities["balance"]["invalid"]) == (1, 1)
    (sample,) = entities["balance"]["sample"]
    assert (sample["m3ter_id"], sample["action"]) == (balance, "update")
    assert set(sample["changes"]) == {"Amount__c"}
    held = next(one for one in stage.records("m3ter_Balance__c") if one["m3ter_Id__c"] == balance)
    page = f"{stage.sandbox.salesforce_url}/lightning/r/m3ter_Balance__c/{held['Id']}/view"
    assert (sample["salesforce_id"], sample["salesforce_url"]) == (held["Id"], page)
    (renamed,) = entities["account"]["sample"]
    assert renamed["changes"]["Account_Name__c"][1] == 'Ø "Corp" [bold]'
    assert renamed["m3ter_id"] == account


def test_decimals_keep_their_digits(stage: Stage) -> None:
    stage.run("run", "acme")
    balance = stage.sandbox.organization.ids("balances")[0]
    stage.sandbox.organization.merge(
        "balances", balance, {"amount": Decimal("1234567890.12345678")}
    )
    answer = stage.run("plan", "acme", "--entity", "balance", "--json")
    assert "1234567890.12345678" in answer.out
    assert "[bold" not in stage.run("plan", "acme").err


def plan(stage: Stage) -> dict[str, Any]:
    """What is planned for the accounts."""
    answer = stage.run("plan", "acme", "--entity", "account", "--json")
    return dict(answer.json["entities"]["account"])


def test_a_row_that_rests_is_not_among_what_would_be_sent(stage: Stage) -> None:
    organization = stage.sandbox.organization
    ids = organization.ids("accounts")
    parents = {organization.get("accounts", key).get("parentAccountId") for key in ids}
    bad, other = [key for key in ids if key not in parents][:2]
    fault = {"rows": {"external_ids": [bad], "code": "DUPLICATE_VALUE", "message": "no"}}
    stage.salesforce("faults", fault | {"times": None})
    for _ in range(3):
        assert plan(stage)["create"]
        stage.run("run", "acme", "--entity", "account")
    organization.change("accounts", other, name="Another name")
    account = plan(stage)
    assert [row["m3ter_id"] for row in account.pop("sample")] == [other]
    assert account == {"create": 0, "update": 1, "unchanged": 4, "invalid": 0, "paused": 1}
    organization.change("accounts", bad, name="Now it is another row")
    account = plan(stage)
    assert (account["create"], "paused" in account) == (1, False)


def test_a_mapping_that_does_not_fit_the_org_is_a_failure(stage: Stage) -> None:
    change = {"object": "m3ter_Account__c", "field": "Code__c", "remove": True}
    stage.salesforce("schema", change)
    answer = stage.run("plan", "acme", "--json")
    assert (answer.code, answer.out) == (2, "")
    assert "Code__c" in answer.err


def test_a_plan_without_a_variable_sends_no_request(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SALESFORCE_CLIENT_ID")
    answer = stage.run("plan", "acme")
    assert answer.code == 2
    assert "defs.yaml:7, attributes.client_id_env" in answer.err
    assert stage.calls() == 0


def test_a_table_shows_the_counts_and_the_changes(stage: Stage) -> None:
    answer = stage.run("plan", "acme", "--entity", "account")
    org = identity_of(stage)
    title = f"acme: what a run would do in m3sync sandbox ({org['id']}, sandbox)"
    assert title in " ".join(answer.out.split())
    # The first records, each on a line, with the fields and without their values.
    shown = [line for line in answer.out.splitlines() if " create Name" in line]
    assert len(shown) == 5
    assert all("Code__c" in line and " more" in line for line in shown)
    organization = stage.sandbox.organization
    names = [str(organization.get("accounts", key)["name"]) for key in organization.ids("accounts")]
    assert not any(name in answer.out for name in names)
    assert "--fields" in answer.err
    two = stage.run("plan", "acme", "--entity", "account", "--sample", "2", "--fields")
    assert len({name for name in names if name in two.out}) == 2
    assert stage.run("plan", "acme", "--sample", "-1").code == 2


def test_one_record_is_planned_alone(stage: Stage) -> None:
    organization = stage.sandbox.organization
    contract = organization.ids("contracts")[3]
    answer = stage.run("plan", "acme", "--record", contract, "--json")
    assert answer.code == 0
    assert list(answer.json["entities"]) == ["contract"]
    planned = answer.json["entities"]["contract"]
    assert [row["m3ter_id"] for row in planned.pop("sample")] == [contract]
    assert planned == {"create": 1, "update": 0, "unchanged": 0, "invalid": 0}
    table = stage.run("plan", "acme", "--record", contract).out
    assert str(organization.get("contracts", contract)["name"]) in table
    unknown = stage.run("plan", "acme", "--record", "4711")
    assert unknown.code == 2
    assert "m3ter has no record 4711" in unknown.err
