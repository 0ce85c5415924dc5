"""What was sent for a record, as ``m3sync record`` shows it, and the ids by which it is found."""

from collections.abc import Callable
from typing import Any

import pytest

from m3sync_dagster_tests.cli.admin import ACCOUNT, BALANCE, Admin
from m3sync_dagster_tests.cli.conftest import Stage
from m3sync_dagster_tests.cli.test_rejects import refuse

pytestmark = pytest.mark.slow

MASK = "{mask: [Email_Address__c]}"


def shown(stage: Stage, given: str, entity: str = "account") -> dict[str, Any]:
    answer = stage.run("record", "acme", entity, given, "--json")
    assert answer.code in {0, 1}, answer.err
    found: dict[str, Any] = answer.json
    return found


def run(stage: Stage) -> str:
    answer = stage.run("run", "acme", "--entity", "account", "--json")
    return str(answer.json["run_id"])


def test_the_history_of_a_record(
    stage: Stage, integration: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M3SYNC_WEBSERVER_URL", "https://dagster.example.com")
    integration(account=MASK)
    organization = stage.sandbox.organization
    account = organization.add(
        "accounts", name="Müller & Söhne", code="M-1", emailAddress="hush-1@example.com"
    )
    runs = [run(stage)]
    organization.change("accounts", account, name="Müller 'AG'", emailAddress="hush-2@example.com")
    runs.append(run(stage))
    organization.change("accounts", account, purchaseOrderNumber="7")
    runs.append(run(stage))
    organization.change("accounts", account, purchaseOrderNumber=None)
    runs.append(run(stage))
    refuse(stage, account)
    organization.change("accounts", account, code="M-2")
    runs.append(run(stage))
    found = shown(stage, account)
    history = found["history"][::-1]
    assert [one["run_id"] for one in history] == runs
    assert [one["action"] for one in history] == ["created", *["updated"] * 3, "rejected"]
    assert [one["accepted"] for one in history] == [True] * 4 + [False]
    assert history[-1]["code"] == "DUPLICATE_VALUE"
    assert {one["salesforce_id"] for one in history} == {found["salesforce"]["salesforce_id"]}
    assert history[0]["run_url"] == f"https://dagster.example.com/runs/{runs[0]}"
    changes = [without_audit_fields(one["changes"]) for one in history[1:]]
    names = {"before": "Müller & Söhne", "after": "Müller 'AG'"}
    assert changes == [
        {"Name": names, "Account_Name__c": names},
        {"Purchase_Order_Number__c": {"before": None, "after": "7"}},
        {"Purchase_Order_Number__c": {"before": "7", "after": None}},
        {"Code__c": {"before": "M-1", "after": "M-2"}},
    ]
    assert history[0]["changes"] is None
    assert [one["masked"] for one in history] == [[], *[["Email_Address__c"]] * 4]
    assert "hush" not in str(found["history"])
    table = stage.run("record", "acme", "account", account).out
    for words in (
        "What was sent",
        "values not stored",
        "Name: Müller & Söhne -> Müller 'AG'",
        "Purchase_Order_Number__c: 7 -> (empty)",
        "Email_Address__c: masked",
        f"https://dagster.example.com/runs/{runs[4]}",
    ):
        assert words in table


def without_audit_fields(changes: dict[str, Any]) -> dict[str, Any]:
    audit = ("Version__c", "Modified_In_m3ter__c")
    return {name: values for name, values in changes.items() if name not in audit}


def test_a_record_is_found_by_each_of_its_ids(stage: Stage, admin: Admin) -> None:
    organization = stage.sandbox.organization
    account = organization.add("accounts", name="New", code="NEW 'quoted'")
    fifteen = organization.add("accounts", name="Fifteen", code="ACMECORPORATION")
    # Before the first run, only m3ter has them.
    assert shown(stage, "NEW 'quoted'")["m3ter_id"] == account
    assert shown(stage, "ACMECORPORATION")["m3ter_id"] == fifteen
    run(stage)
    stage.run("run", "acme")
    salesforce_id = admin.id_of(ACCOUNT, account)
    balance = organization.ids("balances")[0]
    code = organization.get("balances", balance)["code"]
    cases = [
        ("account", account, account),
        ("account", "NEW 'quoted'", account),
        ("account", salesforce_id, account),
        ("account", salesforce_id[:15], account),
        ("balance", admin.id_of(BALANCE, balance), balance),
        ("balance", str(code), balance),
    ]
    for entity, given, m3ter_id in cases:
        found = shown(stage, given, entity)
        assert (found["m3ter_id"], found["state"]) == (m3ter_id, "equal"), given
        assert found["history"]
    # A record that m3sync has not sent is found in Salesforce itself.
    other = organization.add("accounts", name="By hand", code="HAND")
    admin.add(ACCOUNT, other, Code__c="HAND")
    by_hand = admin.id_of(ACCOUNT, other)
    assert {shown(stage, one)["m3ter_id"] for one in (by_hand, by_hand[:15])} == {other}
    admin.edit(ACCOUNT, other, m3ter_Id__c=None)
    answer = stage.run("record", "acme", "account", by_hand)
    assert (answer.code, answer.out) == (2, "")
    assert f"{by_hand} has no m3ter id" in " ".join(answer.err.split())


def test_a_code_of_two_records_names_both(stage: Stage) -> None:
    organization = stage.sandbox.organization
    both = [organization.add("accounts", name=name, code="SAME") for name in ("One", "Two")]
    answer = stage.run("record", "acme", "account", "SAME", "--json")
    said = " ".join(answer.err.split())
    assert (answer.code, answer.out) == (2, "")
    assert f"SAME is the code of 2 account records: {', '.join(sorted(both))}" in said
    assert "Give the m3ter id of one of them." in said
    assert shown(stage, both[0])["m3ter_id"] == both[0]


@pytest.mark.parametrize("given", ["NOBODY", "a005g00000AbCdE", "a005g00000AbCdEAAV", "ümläut/?&"])
def test_an_id_that_no_record_has_is_refused(stage: Stage, given: str) -> None:
    answer = stage.run("record", "acme", "account", given, "--json")
    said = " ".join(answer.err.split())
    assert (answer.code, answer.out) == (2, "")
    assert f"neither m3ter nor Salesforce has a record {given}" in said
    assert "the record's code in m3ter, or its Id in Salesforce" in said
