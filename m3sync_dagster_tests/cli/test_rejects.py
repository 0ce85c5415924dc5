import csv
import io

import pytest

from m3sync_dagster_tests.cli.conftest import Stage

pytestmark = pytest.mark.slow

ACCOUNTS = "m3ter_Account__c"


def refuse(stage: Stage, m3ter_id: str) -> None:
    rows = {"object": ACCOUNTS, "external_ids": [m3ter_id], "code": "DUPLICATE_VALUE"}
    stage.salesforce("faults", {"rows": rows | {"message": "held by another"}, "times": None})


def run(stage: Stage) -> dict[str, int]:
    counts: dict[str, int] = stage.run("run", "acme", "--entity", "account", "--json").json[
        "entities"
    ]["account"]
    return {fate: number for fate, number in counts.items() if number}


@pytest.fixture
def leaf(stage: Stage) -> str:
    """An account that is no other's parent."""
    organization = stage.sandbox.organization
    ids = organization.ids("accounts")
    parents = {organization.get("accounts", m3ter_id).get("parentAccountId") for m3ter_id in ids}
    return next(m3ter_id for m3ter_id in ids if m3ter_id not in parents)


def test_a_paused_reject_is_sent_again_after_retry(stage: Stage, leaf: str) -> None:
    refuse(stage, leaf)
    for _ in range(3):
        assert run(stage)["salesforce_api_calls"] > 1
    only_the_login = {"read": 6, "unchanged": 5, "rejected": 1, "salesforce_api_calls": 1}
    assert run(stage) == only_the_login
    assert stage.run("rejects", "--json").json[0]["attempts"] == 3

    shown = " ".join(stage.run("rejects", "acme").out.split())
    assert "remedy" in shown

    answer = stage.run("rejects", "retry", "acme")
    assert (answer.code, answer.out) == (0, "")
    assert "sends its 1 rejected rows again" in answer.err
    assert run(stage)["salesforce_api_calls"] > 1
    assert stage.run("rejects", "--json").json[0]["attempts"] == 4


def test_an_integration_that_is_not_there_has_nothing_to_retry(stage: Stage) -> None:
    answer = stage.run("rejects", "retry", "nix")
    assert answer.code == 2
    assert "no integration of the name nix" in answer.err


@pytest.fixture
def rejected(stage: Stage, leaf: str) -> str:
    """An account that is in Salesforce, and whose change Salesforce refuses."""
    organization = stage.sandbox.organization
    run(stage)
    organization.change("accounts", leaf, name="Ada, Inc", code="ada-1", emailAddress="ada@x.org")
    rows = {"object": ACCOUNTS, "external_ids": [leaf], "code": "INVALID_EMAIL_ADDRESS"}
    rows |= {"message": "no such domain", "fields": ["Email_Address__c"]}
    stage.salesforce("faults", {"rows": rows, "times": None})
    run(stage)
    return leaf


def test_an_invalid_email_address_is_a_reject_with_a_remedy(stage: Stage, leaf: str) -> None:
    email = {"object": ACCOUNTS, "field": "Email_Address__c", "set": {"type": "Email"}}
    stage.salesforce("schema", email)
    stage.sandbox.organization.change("accounts", leaf, emailAddress=".ada@x.org")
    run(stage)
    (row,) = stage.run("rejects", "--json").json
    assert (row["m3ter_id"], row["code"]) == (leaf, "INVALID_EMAIL_ADDRESS")
    assert row["fields"] == ["Email_Address__c"]
    assert "invalid email address: .ada@x.org" in row["message"]
    shown = stage.run("rejects").out
    assert "Correct the value in m3ter" in " ".join(shown.split())


def test_a_reject_shows_its_record_the_refused_value_and_the_link(
    stage: Stage, rejected: str
) -> None:
    (row,) = stage.run("rejects", "--json").json
    held = {one["m3ter_Id__c"]: one["Id"] for one in stage.records(ACCOUNTS)}
    assert row["record_name"] == "Ada, Inc"
    assert row["record_code"] == "ada-1"
    assert row["refused"] == {"Email_Address__c": "ada@x.org"}
    assert row["salesforce_id"] == held[rejected]
    assert row["salesforce_url"] == (
        f"{stage.sandbox.salesforce_url}/lightning/r/{ACCOUNTS}/{held[rejected]}/view"
    )
    shown = stage.run("rejects", "acme").out
    for words in ("Ada, Inc (ada-1)", "Email_Address__c: 'ada@x.org'", row["salesforce_url"]):
        assert words in shown


def test_a_row_that_is_not_sent_shows_its_record_too(stage: Stage, leaf: str) -> None:
    stage.sandbox.organization.change(
        "accounts", leaf, name="Ada", code="ada-1", purchaseOrderNumber="7" * 300
    )
    other = next(key for key in stage.sandbox.organization.ids("accounts") if key != leaf)
    stage.sandbox.organization.merge("accounts", other, {"daysBeforeBillDue": "soon"})
    run(stage)
    rows = {row["m3ter_id"]: row for row in stage.run("rejects", "--json").json}
    assert (rows[leaf]["record_name"], rows[leaf]["record_code"]) == ("Ada", "ada-1")
    assert rows[leaf]["refused"] == {"Purchase_Order_Number__c": "7" * 300}
    assert rows[leaf]["salesforce_url"] is None
    name = stage.sandbox.organization.get("accounts", other)["name"]
    assert rows[other]["record_name"] == name


def test_rejects_are_filtered_and_written_as_csv(stage: Stage, rejected: str) -> None:
    stage.run("run", "acme", "--entity", "balance")
    everything = stage.run("rejects", "--json").json
    assert len(everything) > 2
    (one,) = stage.run("rejects", "--entity", "account", "--json").json
    assert one["m3ter_id"] == rejected
    assert stage.run("rejects", "--code", "INVALID_EMAIL_ADDRESS", "--json").json == [one]
    assert len(stage.run("rejects", "--limit", "2", "--json").json) == 2
    answer = stage.run("rejects", "--entity", "account", "--csv")
    (row,) = csv.DictReader(io.StringIO(answer.out))
    assert row["record_name"] == "Ada, Inc"
    assert row["refused"] == "Email_Address__c: 'ada@x.org'"
    assert row["salesforce_url"] == one["salesforce_url"]
    assert row["remedy"]
    assert stage.run("rejects", "--csv", "--json").code == 2
