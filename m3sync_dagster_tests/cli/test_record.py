"""One record in both systems, as ``m3sync record`` shows it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from m3sync_dagster_tests.cli.admin import ACCOUNT, INTEGRATION, Admin
from m3sync_dagster_tests.cli.conftest import Stage, write
from m3sync_dagster_tests.cli.test_rejects import refuse

pytestmark = pytest.mark.slow

UNKNOWN = "00000000-0000-4000-8000-000000000000"


def shown(stage: Stage, m3ter_id: str, entity: str = "account") -> tuple[int, dict[str, Any]]:
    """The exit code and the JSON of a record."""
    answer = stage.run("record", "acme", entity, m3ter_id, "--json")
    return answer.code, answer.json


def leaves(stage: Stage) -> list[str]:
    """The accounts that are no other's parents."""
    organization = stage.sandbox.organization
    ids = organization.ids("accounts")
    parents = {organization.get("accounts", m3ter_id).get("parentAccountId") for m3ter_id in ids}
    return [m3ter_id for m3ter_id in ids if m3ter_id not in parents]


def test_a_synced_record_is_shown_with_its_run_and_links(
    stage: Stage, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M3SYNC_WEBSERVER_URL", "https://user:hush@dagster.example.com")
    run_id = stage.run("run", "acme", "--json").json["run_id"]
    balance = stage.sandbox.organization.ids("balances")[0]
    code, found = shown(stage, balance, "balance")
    assert (code, found["state"], found["differences"]) == (0, "equal", {})
    salesforce_id = admin.id_of("m3ter_Balance__c", balance)
    page = f"{stage.sandbox.salesforce_url}/lightning/r/m3ter_Balance__c/{salesforce_id}/view"
    assert found["salesforce"]["salesforce_url"] == page
    assert balance in httpx.get(page).text
    acknowledged = found["acknowledged"]
    assert (acknowledged["run_id"], acknowledged["current"]) == (run_id, True)
    assert acknowledged["run_url"] == f"https://dagster.example.com/runs/{run_id}"
    assert (found["reject"], found["removed"]) == (None, None)
    organization = stage.sandbox.organization
    amount = organization.get("balances", balance)["amount"]
    values = found["m3ter"]["values"], found["salesforce"]["values"]
    assert [float(one["Amount__c"]) for one in values] == [float(str(amount))] * 2
    assert found["m3ter"]["fields"]["Amount__c"] == "amount"
    account = organization.get("balances", balance)["accountId"]
    assert {one["m3ter_Account__c"] for one in values} == {account}
    table = stage.run("record", "acme", "balance", balance)
    assert (table.code, table.err) == (0, "Nothing to do.\n")
    for words in (page, run_id, "Amount__c", "Salesforce's record equals m3ter's"):
        assert words in table.out


def test_each_difference_has_its_cause_and_its_exit_code(stage: Stage, admin: Admin) -> None:
    organization = stage.sandbox.organization
    names = ("edited", "renamed", "deleted", "removed", "broken", "rekeyed", "rejected", "again")
    ids = {name: organization.add("accounts", name=name, code=name) for name in names}
    stage.run("run", "acme")
    organization.change("accounts", ids["rejected"], code="taken")
    organization.change("accounts", ids["again"], code="taken too")
    refuse(stage, ids["rejected"])
    refuse(stage, ids["again"])
    assert stage.run("run", "acme", "--entity", "account").code == 1
    admin.edit(ACCOUNT, ids["edited"], Code__c="[bold]by hand")
    organization.change("accounts", ids["renamed"], name="Renamed")
    admin.delete(ACCOUNT, ids["deleted"])
    organization.remove("accounts", ids["removed"])
    organization.change("accounts", ids["again"], code="free")
    organization.merge("accounts", ids["broken"], {"daysBeforeBillDue": "soon"})
    admin.edit(ACCOUNT, ids["rekeyed"], m3ter_Id__c="another-id")
    expected = {
        "edited": ("changed", "was changed in Salesforce after the last sync", "--repair"),
        "renamed": ("changed", "no run has sent what m3ter has now", "m3sync run acme"),
        "deleted": ("missing", "was deleted in Salesforce after the last sync", "--repair"),
        "removed": ("extra", "m3ter has none with this id", "when_gone"),
        "broken": ("invalid", "daysBeforeBillDue", "Correct the record in m3ter"),
        "rekeyed": ("changed", "was changed in Salesforce after the last sync", "--repair"),
        "rejected": ("changed", "was rejected (DUPLICATE_VALUE: held by another)", "."),
        "again": ("changed", "no run has sent what m3ter has now", "m3sync run acme"),
    }
    found = {name: shown(stage, ids[name]) for name in names}
    assert {code for code, _ in found.values()} == {1}
    for name, (state, message, remedy) in expected.items():
        record = found[name][1]
        assert record["state"] == state, name
        assert message in record["message"]
        assert remedy in record["remedy"]
    records = {name: record for name, (_, record) in found.items()}
    assert records["edited"]["differences"] == {"Code__c": ["edited", "[bold]by hand"]}
    assert set(records["renamed"]["differences"]) > {"Name", "Account_Name__c"}
    assert records["rekeyed"]["differences"] == {"m3ter_Id__c": [ids["rekeyed"], "another-id"]}
    assert records["deleted"]["salesforce"] is None
    assert records["removed"]["m3ter"] is None
    assert records["removed"]["salesforce"]["values"]["Code__c"] == "removed"
    assert records["broken"]["m3ter"]["values"] is None
    assert records["broken"]["acknowledged"]["current"] is False
    assert records["rejected"]["reject"]["code"] == "DUPLICATE_VALUE"
    table = stage.run("record", "acme", "account", ids["edited"])
    assert (table.code, "--repair" in table.err) == (1, True)
    (line,) = [line for line in table.out.splitlines() if line.startswith("Code__c")]
    assert line.split() == ["Code__c", "edited", "[bold]by", "hand", "yes"]


def test_a_record_that_waits_names_the_one_that_it_waits_for(stage: Stage) -> None:
    balance = stage.sandbox.organization.ids("balances")[0]
    stage.run("run", "acme", "--entity", "balance")
    code, found = shown(stage, balance, "balance")
    assert (code, found["state"], found["acknowledged"]) == (1, "missing", None)
    assert "waits for a record" in found["message"]
    assert found["reject"]["class"] == "dependency"


def test_a_record_that_was_deleted_in_both_systems_shows_when(
    stage: Stage, integration: Callable[..., None]
) -> None:
    integration(account="{when_gone: delete}")
    organization = stage.sandbox.organization
    account = organization.add("accounts", name="Short-lived", code="SHORT")
    stage.run("run", "acme")
    organization.remove("accounts", account)
    assert stage.run("verify", "acme", "--repair", "--yes", "--entity", "account").code == 0
    code, found = shown(stage, account)
    assert (code, found["state"], found["removed"]["action"]) == (0, "absent", "delete")
    assert found["removed"]["run_url"].endswith(f"/runs/{found['removed']['run_id']}")
    assert "deleted" in stage.run("record", "acme", "account", account).out


def test_a_record_that_is_not_to_be_in_salesforce_is_no_failure(stage: Stage, defs: Path) -> None:
    organization = stage.sandbox.organization
    account, other = organization.ids("accounts")[:2]
    bill = organization.add("bills", accountId=other, status="PENDING", locked=False)
    scope = f"restricted_account_ids: [{account}]"
    write(defs, "acme", INTEGRATION.format(scope=scope, account="{}", balance="{}\n    bill: {}"))
    code, found = shown(stage, account)
    assert (code, found["state"], found["salesforce"]) == (0, "out_of_scope", None)
    code, found = shown(stage, bill, "bill")
    assert (code, found["state"]) == (0, "not_final")


def test_what_cannot_be_looked_up_has_a_message_and_a_remedy(
    stage: Stage, integration: Callable[..., None], defs: Path
) -> None:
    account = stage.sandbox.organization.ids("accounts")[0]
    integration()
    cases = {
        ("record", "acme", "account", UNKNOWN): (2, f"has a record {UNKNOWN}", "Check the id"),
        ("record", "nix", "account", account): (2, "no integration of the name nix", "acme"),
        ("record", "acme", "invoice", account): (2, "there is no entity 'invoice'", "account"),
        ("record", "acme", "commitment", account): (2, "carries no entity", "Use one of"),
    }
    for arguments, (code, cause, remedy) in cases.items():
        answer = stage.run(*arguments, "--json")
        said = " ".join(answer.err.replace("│", "").split())
        assert (answer.code, answer.out, cause in said, remedy in said) == (code, "", True, True)
    stage.salesforce("faults", {"path": "/query.*", "status": 400, "body": [], "times": 9})
    answer = stage.run("record", "acme", "account", account, "--json")
    assert (answer.code, answer.out, "/query" in answer.err) == (1, "", True)
    httpx.delete(f"{stage.sandbox.salesforce_url}/sandbox/faults").raise_for_status()
    calls = stage.calls()
    text = (defs / "acme" / "defs.yaml").read_text()
    lines = [line for line in text.splitlines() if "salesforce_credential" not in line]
    write(defs, "acme", "\n".join(lines))
    answer = stage.run("record", "acme", "account", account)
    assert (answer.code, "m3sync connect acme CREDENTIAL" in answer.err) == (2, True)
    assert stage.calls() == calls
