"""Drift after edits by hand, found by ``verify`` and repaired by ``--repair``."""

from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from m3sync_dagster.sandbox.salesforce import field_values as values
from m3sync_dagster.state import IntegrationLock, connect
from m3sync_dagster_tests.cli.admin import (
    ACCOUNT,
    BALANCE,
    INTEGRATION,
    Admin,
    account_of,
    content,
    counts,
    verified,
)
from m3sync_dagster_tests.cli.conftest import Stage, write

pytestmark = pytest.mark.slow


def test_what_was_synced_is_equal_whatever_salesforce_makes_of_the_values(
    stage: Stage, admin: Admin
) -> None:
    organization = stage.sandbox.organization
    balance, other = organization.ids("balances")[:2]
    organization.merge(
        "balances", balance, {"amount": 912260031.12345678, "description": " a \r\n"}
    )
    organization.merge("balances", other, {"startDate": "2026-03-01T10:20:30.987+02:00"})
    stage.run("run", "acme")
    answer = stage.run("verify", "acme", "--json")
    assert (answer.code, answer.err) == (0, "")
    entities = answer.json["entities"]
    assert answer.json["matches"] is True
    assert {name: counts(entity) for name, entity in entities.items()} == {
        "account": {},
        "contract": {},
        "commitment": {},
        "balance": {},
    }
    assert [entity["equal"] for entity in entities.values()] == [6, 5, 4, 7]
    # A login for all, and for each a describe and one page of SOQL.
    calls = [entity["salesforce_api_calls"] for entity in entities.values()]
    assert calls == [3, 2, 2, 2]


def test_drift_of_each_kind_is_found_and_repaired(stage: Stage, admin: Admin) -> None:
    stage.run("run", "acme")
    organization = stage.sandbox.organization
    accounts, balances = organization.ids("accounts"), organization.ids("balances")
    original = content(stage, BALANCE)
    admin.edit(BALANCE, balances[0], Amount__c=1.5, Description__c="by hand")
    admin.edit(BALANCE, balances[1], m3ter_Account__c=None)
    admin.delete(BALANCE, balances[2])
    admin.add(ACCOUNT, "not-of-m3ter", Account_Name__c="by hand")
    admin.edit(ACCOUNT, accounts[0], Code__c="by hand")

    code, result = verified(stage)
    account, balance = result["entities"]["account"], result["entities"]["balance"]
    assert (code, result["matches"]) == (1, False)
    assert counts(account) == {"changed": 1, "extra": 1}
    assert counts(balance) == {"missing": 1, "changed": 2}
    examples = {e["m3ter_id"]: e for e in balance["examples"] + account["examples"]}
    assert examples[balances[0]]["fields"]["Amount__c"][1] == 1.5
    assert examples[balances[0]]["fields"]["Description__c"][1] == "by hand"
    assert set(examples[balances[0]]["fields"]) == {"Amount__c", "Description__c"}
    assert examples[balances[1]]["fields"] == {
        "m3ter_Account__c": [organization.get("balances", balances[1])["accountId"], None]
    }
    assert examples[balances[2]]["kind"] == "missing"
    assert examples[balances[2]]["salesforce_url"] is None
    pages = f"{stage.sandbox.salesforce_url}/lightning/r/{ACCOUNT}"
    page = f"{pages}/{admin.id_of(ACCOUNT, accounts[0])}/view"
    assert examples[accounts[0]]["salesforce_url"] == page
    assert examples["not-of-m3ter"]["kind"] == "extra"
    assert examples["not-of-m3ter"]["salesforce_id"] == admin.id_of(ACCOUNT, "not-of-m3ter")

    code, result = verified(stage, "--repair")
    # The extra record is reported and not changed.
    assert (code, result["matches"]) == (1, False)
    repair = result["repair"]
    assert repair["run"]["status"] == "COMPLETE"
    assert repair["run"]["entities"]["balance"]["updated"] == 2
    assert repair["run"]["entities"]["balance"]["created"] == 1
    assert repair["run"]["entities"]["balance"]["salesforce_api_calls"] <= 4
    # One page of SOQL to count what is left: login and describe are cached.
    seen = {"flagged": 0, "deleted": 0, "salesforce_api_calls": 1}
    assert repair["entities"]["balance"] == {"sent": 3, "left": 0, **seen}
    assert repair["entities"]["account"] == {"sent": 1, "left": 1, **seen}
    assert content(stage, BALANCE) == original
    assert any(r["m3ter_Id__c"] == "not-of-m3ter" for r in stage.records(ACCOUNT))

    admin.delete(ACCOUNT, "not-of-m3ter")
    assert verified(stage)[0] == 0


def test_an_emptied_org_is_filled_again(stage: Stage) -> None:
    stage.run("run", "acme")
    url = f"{stage.sandbox.salesforce_url}/sandbox/records"
    httpx.delete(url).raise_for_status()
    code, result = verified(stage, "--repair")
    assert (code, result["matches"]) == (0, True)
    assert [entity["missing"] for entity in result["entities"].values()] == [6, 5, 4, 7]
    assert [entity["sent"] for entity in result["repair"]["entities"].values()] == [6, 5, 4, 7]
    assert verified(stage)[0] == 0


def test_what_the_next_run_sends_anyway_is_result_apart(stage: Stage) -> None:
    stage.run("run", "acme")
    organization = stage.sandbox.organization
    organization.change("accounts", organization.ids("accounts")[0], name="Renamed in m3ter")
    organization.merge("balances", organization.ids("balances")[0], {"startDate": "no date"})
    code, result = verified(stage)
    assert code == 1
    assert counts(result["entities"]["account"]) == {"changed": 1, "pending": 1}
    assert counts(result["entities"]["balance"]) == {"invalid": 1}
    # Salesforce differs from m3ter, and no sync can change that.
    code, result = verified(stage, "--repair")
    assert (code, result["repair"]["entities"]["account"]["left"]) == (1, 0)
    assert result["repair"]["entities"]["balance"]["left"] == 1
    assert verified(stage, "--entity", "balance")[0] == 1


def test_more_than_a_page_is_read_back_by_a_query_job(
    stage: Stage, integration: Callable[..., None], admin: Admin
) -> None:
    integration()
    organization = stage.sandbox.organization
    many = [organization.add("accounts", name=f"Many {n}", code=f"M{n}") for n in range(2_001)]
    stage.run("run", "acme", "--entity", "account")
    admin.edit(ACCOUNT, many[1_999], Code__c="by hand")
    admin.delete(ACCOUNT, many[2_000])
    before = stage.calls()
    code, result = verified(stage, "--entity", "account")
    account = result["entities"]["account"]
    assert (code, account["equal"], counts(account)) == (1, 2_005, {"missing": 1, "changed": 1})
    # A login, a describe, a page, and of a query job: its creation, a few polls, the result.
    assert account["salesforce_api_calls"] <= 9
    calls = httpx.get(f"{stage.sandbox.salesforce_url}/sandbox/calls").json()
    assert calls["total"] - before == account["salesforce_api_calls"]
    assert any(name.startswith("POST") and "/jobs/query" in name for name in calls["counts"])
    assert verified(stage, "--entity", "account", "--repair")[0] == 0
    assert verified(stage, "--entity", "account")[0] == 0


def test_what_the_org_changes_each_time_does_not_count_as_repaired(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.run("run", "acme")
    organization = stage.sandbox.organization
    # As a trigger would: the org cuts an X off the end of every text that it saves.
    monkeypatch.setattr(values, "_BLANK", values._BLANK + "X")
    organization.change("accounts", organization.ids("accounts")[0], code="CODE-X")
    stage.run("run", "acme")
    code, result = verified(stage, "--repair")
    assert (code, counts(result["entities"]["account"])) == (1, {"changed": 1})
    repaired = result["repair"]["entities"]["account"]
    assert (repaired["sent"], repaired["left"]) == (1, 1)


def test_what_salesforce_refuses_is_left(stage: Stage, admin: Admin) -> None:
    stage.run("run", "acme")
    account = stage.sandbox.organization.ids("accounts")[0]
    admin.edit(ACCOUNT, account, Code__c="by hand")
    rows = {
        "object": ACCOUNT,
        "external_ids": [account],
        "code": "FIELD_CUSTOM_VALIDATION_EXCEPTION",
    }
    stage.salesforce("faults", {"rows": rows | {"message": "No"}, "times": 9})
    code, result = verified(stage, "--repair")
    repaired = result["repair"]["entities"]["account"]
    assert (code, repaired["sent"], repaired["left"]) == (1, 0, 1)


def test_one_entity_alone(stage: Stage, admin: Admin) -> None:
    stage.run("run", "acme")
    admin.edit(ACCOUNT, stage.sandbox.organization.ids("accounts")[0], Code__c="by hand")
    code, result = verified(stage, "--entity", "balance")
    assert (code, list(result["entities"])) == (0, ["balance"])
    code, result = verified(stage, "--entity", "account", "--repair")
    assert (code, list(result["repair"]["run"]["entities"])) == (0, ["account"])


def test_the_tables_say_the_same(stage: Stage, admin: Admin) -> None:
    stage.run("run", "acme")
    admin.edit(ACCOUNT, stage.sandbox.organization.ids("accounts")[0], Code__c="[bold]by hand")
    answer = stage.run("verify", "acme")
    assert answer.code == 1
    assert "[bold]by hand" in answer.out
    assert "m3sync verify acme --repair" in answer.err
    answer = stage.run("verify", "acme", "--repair")
    assert (answer.code, answer.err) == (0, "")
    assert "acme: repaired" in answer.out


def test_nothing_is_repaired_while_another_run_writes(
    stage: Stage, admin: Admin, migrated_url: str
) -> None:
    stage.run("run", "acme")
    admin.edit(ACCOUNT, stage.sandbox.organization.ids("accounts")[0], Code__c="by hand")
    with connect(migrated_url) as connection, IntegrationLock(connection, "acme"):
        assert verified(stage)[0] == 1
        answer = stage.run("verify", "acme", "--repair", "--json")
    assert (answer.code, answer.out) == (1, "")
    assert "another run is writing" in answer.err
    assert verified(stage, "--repair")[0] == 0


def test_an_org_that_cannot_be_reached_is_a_failure(stage: Stage) -> None:
    stage.run("run", "acme")
    stage.salesforce("faults", {"path": "/query.*", "status": 400, "body": [], "times": 9})
    answer = stage.run("verify", "acme", "--json")
    assert (answer.code, answer.out) == (1, "")
    assert "/query" in answer.err


def test_a_narrowed_integration_calls_no_record_of_others_extra(
    stage: Stage, integration: Callable[..., None], admin: Admin
) -> None:
    organization = stage.sandbox.organization
    integration()
    stage.run("run", "acme")
    balance = organization.ids("balances")[0]
    account = organization.get("balances", balance)["accountId"]
    integration(scope=f"account_ids: [{account}]", account="{when_gone: delete}")
    stage.run("run", "acme")
    code, result = verified(stage)
    assert (code, counts(result["entities"]["account"]), counts(result["entities"]["balance"])) == (
        0,
        {},
        {},
    )
    # A record that was moved out of the accounts by hand is changed, not missing.
    other = next(i for i in organization.ids("accounts") if i != account)
    admin.edit(BALANCE, balance, m3ter_Account__c=admin.id_of(ACCOUNT, other))
    # A record that m3ter does not have is extra if its account is carried.
    admin.add(BALANCE, "in-scope", m3ter_Account__c=admin.id_of(ACCOUNT, account))
    admin.add(BALANCE, "out-of-scope", m3ter_Account__c=admin.id_of(ACCOUNT, other))
    _, result = verified(stage, "--repair", "--yes")
    assert counts(result["entities"]["balance"]) == {"changed": 1, "extra": 1}
    assert len(stage.records(ACCOUNT)) == 6
    integration(scope=f"restricted_account_ids: [{account}]")
    _, result = verified(stage, "--entity", "balance")
    assert counts(result["entities"]["balance"]).get("extra") == 1


def passes_over(stage: Stage) -> None:
    """Let m3ter's next list of accounts lack the newest one."""
    fault = {"path": "*/accounts", "action": {"kind": "shift", "records": -1}}
    url = stage.sandbox.environment["M3TER_BASE_URL"]
    httpx.post(f"{url}/sandbox/faults", json=fault).raise_for_status()


def test_a_record_that_a_list_passes_over_is_neither_extra_nor_deleted(
    stage: Stage, integration: Callable[..., None], admin: Admin
) -> None:
    integration(account="{when_gone: delete}")
    account = stage.sandbox.organization.add("accounts", name="Passed over", code="P")
    stage.run("run", "acme")
    passes_over(stage)
    assert verified(stage, "--entity", "account")[0] == 0
    # It is compared nevertheless.
    admin.edit(ACCOUNT, account, Code__c="by hand")
    passes_over(stage)
    code, result = verified(stage, "--entity", "account", "--repair", "--yes")
    assert (code, counts(result["entities"]["account"])) == (0, {"changed": 1})
    held = account_of(stage, account)
    assert held
    assert held["Code__c"] == "P"


@pytest.mark.parametrize("passed_over", [False, True])
def test_a_record_with_a_text_that_cannot_be_read_is_not_gone(
    stage: Stage, integration: Callable[..., None], passed_over: bool
) -> None:
    integration(account="{when_gone: delete}")
    organization = stage.sandbox.organization
    account = organization.add("accounts", name="Was readable", code="P")
    stage.run("run", "acme")
    raw = organization.raw("accounts", account).replace(b"Was readable", b"\\ud83d")
    organization.put_raw("accounts", account, raw)
    if passed_over:
        passes_over(stage)
    _, result = verified(stage, "--entity", "account", "--repair", "--yes")
    assert "extra" not in counts(result["entities"]["account"])
    assert account_of(stage, account)


def test_what_m3ter_has_outside_of_the_scope_is_not_gone(
    stage: Stage, integration: Callable[..., None], admin: Admin, defs: Path
) -> None:
    organization = stage.sandbox.organization
    integration()
    stage.run("run", "acme")
    balances = organization.ids("balances")
    account = organization.get("balances", balances[0])["accountId"]
    others = [i for i in balances if organization.get("balances", i)["accountId"] != account]
    # A user moves a record, only in Salesforce, to an account that is carried.
    integration(scope=f"account_ids: [{account}]", balance="{when_gone: delete}")
    admin.edit(BALANCE, others[0], m3ter_Account__c=admin.id_of(ACCOUNT, account))
    code, result = verified(stage, "--repair", "--yes", "--entity", "balance")
    assert (code, counts(result["entities"]["balance"])) == (0, {})
    # If the account is not carried, Salesforce does not show which integration a record is of.
    unmapped = "{when_gone: delete, fields: {accountId: null}}"
    integration(scope=f"restricted_account_ids: [{account}]", balance=unmapped)
    stage.run("run", "acme", "--entity", "balance")
    code, result = verified(stage, "--repair", "--yes", "--entity", "balance")
    assert (code, counts(result["entities"]["balance"])) == (0, {})
    assert len(stage.records(BALANCE)) == len(balances)


def test_an_open_bill_does_not_count_until_it_was_carried(
    stage: Stage, defs: Path, admin: Admin
) -> None:
    organization = stage.sandbox.organization
    account = organization.ids("accounts")[0]
    fields = {"accountId": account, "billTotal": 10, "locked": False}
    bill = organization.add("bills", status="APPROVED", **fields)
    organization.add("bills", status="PENDING", **fields)
    text = INTEGRATION.format(scope="", account="{}", balance="{}\n    bill: {when_gone: delete}")
    write(defs, "acme", text)
    stage.run("run", "acme")
    organization.change("bills", bill, status="PENDING", billTotal=12)
    code, result = verified(stage, "--entity", "bill", "--repair", "--yes")
    assert (code, counts(result["entities"]["bill"])) == (0, {"changed": 1, "pending": 1})
    (held,) = stage.records("m3ter_Bill__c")
    assert (held["Status__c"], held["Bill_Total__c"]) == ("PENDING", 12)
