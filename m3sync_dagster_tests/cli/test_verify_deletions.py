"""Records that m3ter no longer has: kept, flagged or deleted by ``verify --repair``."""

from collections.abc import Callable

import httpx
import psycopg
import pytest

from m3sync_dagster_tests.cli.admin import (
    ACCOUNT,
    Admin,
    account_of,
    content,
    counts,
    verified,
)
from m3sync_dagster_tests.cli.conftest import Stage

pytestmark = pytest.mark.slow


def gone_account(stage: Stage) -> str:
    """Remove an account from m3ter that nothing there points to."""
    organization = stage.sandbox.organization
    m3ter_id = organization.add("accounts", name="Short-lived", code="SHORT")
    stage.run("run", "acme")
    organization.remove("accounts", m3ter_id)
    return m3ter_id


def test_a_gone_record_is_kept_and_reported(
    stage: Stage, integration: Callable[..., None], admin: Admin
) -> None:
    integration()
    gone = gone_account(stage)
    code, result = verified(stage, "--repair", "--yes")
    assert (code, counts(result["entities"]["account"])) == (1, {"extra": 1, "gone": 1})
    assert account_of(stage, gone)


@pytest.mark.parametrize("kind", ["Checkbox", "Date", "DateTime"])
def test_a_gone_record_is_flagged_and_loses_the_flag_when_it_is_back(
    stage: Stage, integration: Callable[..., None], kind: str, migrated_url: str
) -> None:
    field = {"object": ACCOUNT, "field": "Gone__c", "set": {"label": "Gone", "type": kind}}
    stage.salesforce("schema", field)
    integration(account="{when_gone: flag, gone_field: Gone__c}")
    organization = stage.sandbox.organization
    account = organization.add("accounts", name="Short-lived", code="SHORT")
    stage.run("run", "acme")
    raw = organization.remove("accounts", account)
    code, result = verified(stage, "--repair")
    assert (code, counts(result["entities"]["account"])) == (0, {"extra": 1, "gone": 1})
    assert result["repair"]["entities"]["account"]["flagged"] == 1
    held = account_of(stage, account)
    assert held
    assert held["Gone__c"] not in (None, False)
    assert held["Account_Name__c"] == "Short-lived"
    with psycopg.connect(migrated_url) as connection:
        found = connection.execute("SELECT m3ter_id, action FROM m3sync.removed_record").fetchall()
    assert found == [(account, "flag")]

    code, result = verified(stage, "--repair")
    assert (code, counts(result["entities"]["account"])) == (0, {"flagged": 1})
    organization.put_raw("accounts", account, raw)
    stage.run("run", "acme")
    held = account_of(stage, account)
    assert held
    assert held["Gone__c"] in (None, False)
    assert counts(verified(stage)[1]["entities"]["account"]) == {}


def test_a_gone_record_is_deleted_after_consent(
    stage: Stage, integration: Callable[..., None]
) -> None:
    integration(account="{when_gone: delete}")
    gone = gone_account(stage)
    code, result = verified(stage)
    assert (code, counts(result["entities"]["account"])) == (1, {"extra": 1, "gone": 1})
    answer = stage.run("verify", "acme", "--repair", "--json")
    assert answer.code == 1
    assert "--yes" in answer.err
    assert account_of(stage, gone)
    code, result = verified(stage, "--repair", "--yes")
    assert (code, result["repair"]["entities"]["account"]["deleted"]) == (0, 1)
    assert account_of(stage, gone) is None
    assert len(stage.records(ACCOUNT)) == 6
    assert verified(stage)[0] == 0
    # Later deletions need no consent.
    gone = gone_account(stage)
    assert verified(stage, "--repair")[0] == 0
    assert account_of(stage, gone) is None


def test_gone_records_are_found_without_their_account(
    stage: Stage, integration: Callable[..., None], admin: Admin
) -> None:
    organization = stage.sandbox.organization
    balance = organization.ids("balances")[0]
    account = organization.get("balances", balance)["accountId"]
    integration()
    stage.run("run", "acme")
    raw = organization.remove("balances", balance)
    integration(scope=f"account_ids: [{account}]", balance="{fields: {accountId: null}}")
    _, result = verified(stage, "--entity", "balance")
    assert counts(result["entities"]["balance"])["gone"] == 1
    # The account was deleted by hand, and so the record is under none.
    organization.put_raw("balances", balance, raw)
    integration(scope=f"account_ids: [{account}]")
    stage.run("run", "acme", "--entity", "balance")
    organization.remove("balances", balance)
    admin.delete(ACCOUNT, account)
    _, result = verified(stage, "--entity", "balance")
    assert counts(result["entities"]["balance"])["gone"] == 1


def test_no_more_is_deleted_than_a_share(stage: Stage, integration: Callable[..., None]) -> None:
    integration(account="{when_gone: delete}")
    organization = stage.sandbox.organization
    many = [organization.add("accounts", name=f"Short-lived {n}", code=f"S{n}") for n in range(11)]
    stage.run("run", "acme")
    raws = {m3ter_id: organization.remove("accounts", m3ter_id) for m3ter_id in many}
    answer = stage.run("verify", "acme", "--repair", "--yes", "--json")
    assert answer.code == 1
    assert "11 of 17 account records were deleted" in answer.err
    assert len(stage.records(ACCOUNT)) == 17
    # Nine are few, but too many where they are half of all.
    for m3ter_id in many[:2]:
        organization.put_raw("accounts", m3ter_id, raws[m3ter_id])
    answer = stage.run("verify", "acme", "--repair", "--yes", "--json")
    assert (answer.code, len(stage.records(ACCOUNT))) == (1, 17)
    assert "9 of 17 account records were deleted" in answer.err
    # Eight are few enough, although they are more than a tenth.
    organization.put_raw("accounts", many[2], raws[many[2]])
    code, result = verified(stage, "--repair", "--yes")
    assert (code, result["repair"]["entities"]["account"]["deleted"]) == (0, 8)


def test_more_is_deleted_with_delete_up_to(stage: Stage, integration: Callable[..., None]) -> None:
    integration(account="{when_gone: delete}")
    organization = stage.sandbox.organization
    many = [organization.add("accounts", name=f"Short-lived {n}", code=f"S{n}") for n in range(11)]
    stage.run("run", "acme")
    for m3ter_id in many:
        organization.remove("accounts", m3ter_id)
    answer = stage.run("verify", "acme", "--repair", "--yes", "--delete-up-to", "10", "--json")
    assert answer.code == 1
    assert "--delete-up-to 11" in answer.err
    code, result = verified(stage, "--repair", "--yes", "--delete-up-to", "11")
    assert (code, result["repair"]["entities"]["account"]["deleted"]) == (0, 11)
    assert len(stage.records(ACCOUNT)) == 6


def asked_by_id(stage: Stage) -> list[str]:
    """The ids of accounts that m3ter was asked for."""
    calls = httpx.get(f"{stage.sandbox.m3ter_url}/sandbox/calls").json()
    paths = (call["path"].split("/") for call in calls)
    return [path[-1] for path in paths if path[-2] == "accounts"]


def fault(stage: Stage, path: str, times: int, **action: object) -> None:
    body = {"path": path, "times": times, "action": action}
    httpx.post(f"{stage.sandbox.m3ter_url}/sandbox/faults", json=body).raise_for_status()


@pytest.mark.parametrize("when_gone", ["delete", "flag, gone_field: Gone__c"])
def test_a_record_that_two_lists_lack_is_asked_for_by_its_id_first(
    stage: Stage, integration: Callable[..., None], when_gone: str
) -> None:
    field = {"object": ACCOUNT, "field": "Gone__c", "set": {"label": "Gone", "type": "Checkbox"}}
    stage.salesforce("schema", field)
    integration(account=f"{{when_gone: {when_gone}}}")
    gone = gone_account(stage)
    live = stage.sandbox.organization.add("accounts", name="Passed over", code="P")
    stage.run("run", "acme")
    before = account_of(stage, live)
    # The newest record is missing from both lists of a verification.
    fault(stage, "*/accounts", 2, kind="shift", records=-1)
    answer = stage.run("verify", "acme", "--entity", "account", "--repair", "--yes", "--json")
    result = answer.json
    assert counts(result["entities"]["account"]) == {"extra": 2, "gone": 2}
    assert sorted(asked_by_id(stage)) == sorted([gone, live])
    action = "deleted" if when_gone == "delete" else "flagged"
    assert (result["repair"]["entities"]["account"][action], account_of(stage, live)) == (1, before)
    assert answer.code == 1
    assert "lacks 1 records that m3ter still has" in answer.err
    assert live in answer.err
    (problem,) = result["repair"]["problems"]
    assert live in problem
    assert counts(verified(stage, "--entity", "account")[1]["entities"]["account"]) == (
        {} if when_gone == "delete" else {"flagged": 1}
    )


def test_nothing_is_deleted_where_m3ter_does_not_say_whether_it_exists(
    stage: Stage, integration: Callable[..., None]
) -> None:
    integration(account="{when_gone: delete}")
    gone = gone_account(stage)
    fault(stage, f"*/accounts/{gone}", 1, kind="respond", status=403, body={"message": "no"})
    answer = stage.run("verify", "acme", "--entity", "account", "--repair", "--yes", "--json")
    assert answer.code == 1
    assert f"m3ter answered accounts/{gone} with 403" in answer.err
    assert account_of(stage, gone)


@pytest.mark.parametrize("others", [0, 3])
@pytest.mark.parametrize("when_gone", ["delete", "flag, gone_field: Gone__c"])
def test_when_m3ter_lists_nothing_that_salesforce_holds_nothing_is_done(
    stage: Stage, integration: Callable[..., None], others: int, when_gone: str
) -> None:
    field = {"object": ACCOUNT, "field": "Gone__c", "set": {"label": "Gone", "type": "Checkbox"}}
    stage.salesforce("schema", field)
    integration(account=f"{{when_gone: {when_gone}}}")
    stage.run("run", "acme", "--entity", "account")
    before = content(stage, ACCOUNT)
    organization = stage.sandbox.organization
    for m3ter_id in organization.ids("accounts"):
        organization.remove("accounts", m3ter_id)
    # Another organization's: the credential has been changed by mistake.
    for number in range(others):
        organization.add("accounts", name=f"Stranger {number}", code=f"X{number}")
    options = ("--repair", "--yes", "--delete-up-to", "99")
    answer = stage.run("verify", "acme", "--entity", "account", *options, "--json")
    assert answer.code == 1
    assert "m3ter lists none of the 6 account records" in answer.err
    after = content(stage, ACCOUNT)
    assert {m3ter_id: after[m3ter_id] for m3ter_id in before} == before


@pytest.mark.parametrize(
    ("account", "words"),
    [
        ("{when_gone: flag}", "gone_field"),
        ("{gone_field: Gone__c}", "when_gone"),
        ("{when_gone: flag, gone_field: Gone__c, constants: {Gone__c: true}}", "constant"),
        ("{when_gone: burn}", "when_gone"),
        ("{when_gone: flag, gone_field: Code__c}", "Code__c"),
    ],
)
def test_a_wrong_when_gone_is_refused_with_its_place(
    stage: Stage, integration: Callable[..., None], account: str, words: str
) -> None:
    integration(account=account)
    answer = stage.run("verify", "acme")
    assert answer.code == 2
    assert words in answer.err
    assert "defs.yaml:" in answer.err


def test_a_field_that_cannot_mark_is_refused(
    stage: Stage, integration: Callable[..., None]
) -> None:
    field = {"label": "Gone", "type": "Text", "length": 20}
    stage.salesforce("schema", {"object": ACCOUNT, "field": "Gone__c", "set": field})
    integration(account="{when_gone: flag, gone_field: Gone__c}")
    gone = gone_account(stage)
    answer = stage.run("verify", "acme", "--repair", "--json")
    assert answer.code == 1
    assert "checkbox" in answer.err
    held = account_of(stage, gone)
    assert held
    assert held["Gone__c"] is None
