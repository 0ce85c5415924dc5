"""External IDs that were edited by hand, restored by ``verify --repair``."""

import pytest

from m3sync_dagster.sync import reconcile as verify
from m3sync_dagster_tests.cli.admin import (
    ACCOUNT,
    BALANCE,
    CONTRACT,
    DATA,
    Admin,
    content,
    counts,
    verified,
)
from m3sync_dagster_tests.cli.conftest import Stage

pytestmark = pytest.mark.slow


def test_an_external_id_that_was_edited_is_put_back(stage: Stage, admin: Admin) -> None:
    stage.run("run", "acme")
    organization = stage.sandbox.organization
    original = {name: content(stage, name) for name in (ACCOUNT, CONTRACT, BALANCE)}
    ids = {name: {r["Id"] for r in stage.records(name)} for name in original}
    account = organization.ids("accounts")[0]
    contract, balance = organization.ids("contracts")[0], organization.ids("balances")[0]
    admin.edit(ACCOUNT, account, m3ter_Id__c=account.upper())
    admin.edit(CONTRACT, contract, m3ter_Id__c=None)
    admin.edit(BALANCE, balance, m3ter_Id__c="by hand", Amount__c=1)
    code, result = verified(stage)
    assert code == 1
    found = result["entities"]
    assert [found[name]["missing"] + found[name]["extra"] for name in found] == [0] * 4
    (example,) = [e for e in found["contract"]["examples"] if e["m3ter_id"] == contract]
    assert example["fields"]["m3ter_Id__c"] == [contract, None]
    # Besides the login, the describe and a page: one query by Id for what has no external ID.
    assert [found[name]["salesforce_api_calls"] for name in found] == [3, 3, 2, 2]
    code, result = verified(stage, "--repair")
    assert (code, result["matches"], result["repair"]["problems"]) == (0, True, [])
    # No second record was made, and the others point where they did.
    assert {name: content(stage, name) for name in original} == original
    assert {name: {r["Id"] for r in stage.records(name)} for name in original} == ids
    assert verified(stage)[0] == 0


@pytest.mark.parametrize("few", [10, 0])
def test_external_ids_that_were_cleared_are_found_one_by_one_or_all_at_once(
    stage: Stage, admin: Admin, monkeypatch: pytest.MonkeyPatch, few: int
) -> None:
    monkeypatch.setattr(verify, "FEW_QUERIES", few)
    stage.run("run", "acme")
    original = content(stage, BALANCE)
    admin.http.post(f"{DATA}/sobjects/{BALANCE}", json={"Name": "nobody's"}).raise_for_status()
    admin.delete(BALANCE, stage.sandbox.organization.ids("balances")[0])
    for m3ter_id in stage.sandbox.organization.ids("balances")[1:]:
        admin.edit(BALANCE, m3ter_id, m3ter_Id__c=None)
    code, result = verified(stage, "--entity", "balance", "--repair")
    found = result["entities"]["balance"]
    assert (code, counts(found)) == (0, {"missing": 1, "changed": 6})
    assert found["salesforce_api_calls"] == 4
    assert result["repair"]["entities"]["balance"]["sent"] == 7
    assert {k: v for k, v in content(stage, BALANCE).items() if k} == original
    assert len(stage.records(BALANCE)) == 8


def test_an_external_id_that_cannot_be_put_back_is_result_and_makes_no_second_record(
    stage: Stage, admin: Admin
) -> None:
    stage.run("run", "acme")
    balance = stage.sandbox.organization.ids("balances")[0]
    salesforce_id = admin.id_of(BALANCE, balance)
    admin.edit(BALANCE, balance, m3ter_Id__c="by hand")
    rows = {"object": BALANCE, "external_ids": [salesforce_id], "code": "FIELD_INTEGRITY_EXCEPTION"}
    stage.salesforce("faults", {"rows": rows | {"message": "No"}, "times": 9})
    answer = stage.run("verify", "acme", "--repair", "--json")
    assert answer.code == 1
    assert "did not restore the external IDs of 1 records" in answer.err
    assert answer.json["repair"]["entities"]["balance"]["left"] == 1
    assert len(stage.records(BALANCE)) == 7


def test_two_records_that_have_changed_their_external_ids_are_taken_as_they_are(
    stage: Stage, admin: Admin
) -> None:
    stage.run("run", "acme")
    one, two = stage.sandbox.organization.ids("balances")[:2]
    original = content(stage, BALANCE)
    first = admin.id_of(BALANCE, one)
    admin.delete(BALANCE, two)
    path = f"{DATA}/sobjects/{BALANCE}/{first}"
    admin.http.patch(path, json={"m3ter_Id__c": two}).raise_for_status()
    _, result = verified(stage, "--repair")
    assert counts(result["entities"]["balance"]) == {"missing": 1, "changed": 1}
    assert content(stage, BALANCE) == original
    assert admin.id_of(BALANCE, two) == first
