"""Orgs with encrypted texts, or with several currencies."""

from collections.abc import Callable

import pytest

from m3sync_dagster_tests.cli.admin import ACCOUNT, BALANCE, CONTRACT, Admin, counts, verified
from m3sync_dagster_tests.cli.conftest import Stage

pytestmark = pytest.mark.slow

CURRENCIES = ["EUR", "GBP", "JPY", "USD"]


def change(stage: Stage, name: str, field: str, **properties: object) -> None:
    stage.salesforce("schema", {"object": name, "field": field, "set": properties})


def findings(stage: Stage, entity: str) -> list[dict[str, str]]:
    found = stage.run("check", "acme", "--json").json
    return [one for one in found if one["check"] == entity]


@pytest.fixture
def several_currencies(stage: Stage) -> None:
    """As Salesforce does when an admin activates several currencies."""
    for name in (ACCOUNT, BALANCE, CONTRACT):
        picklist = {"type": "Picklist", "picklist": CURRENCIES, "restricted": True, "length": 3}
        change(stage, name, "CurrencyIsoCode", **picklist)
    change(stage, BALANCE, "Amount__c", type="Currency", precision=18, scale=2)


@pytest.mark.usefixtures("several_currencies")
def test_amounts_without_their_currency_are_a_warning(
    stage: Stage, integration: Callable[..., None]
) -> None:
    integration()
    (found,) = findings(stage, "balance")
    assert found["ok"]
    assert "this org has several currencies, and Amount__c" in found["message"]
    assert "Map currency to CurrencyIsoCode under fields" in found["message"]
    assert stage.run("run", "acme").code == 0


@pytest.mark.usefixtures("several_currencies")
def test_the_currency_of_a_record_is_sent_where_it_is_mapped(
    stage: Stage, integration: Callable[..., None]
) -> None:
    organization = stage.sandbox.organization
    sent, unknown = organization.ids("balances")[:2]
    organization.merge("balances", sent, {"currency": "JPY"})
    organization.merge("balances", unknown, {"currency": "CHF"})
    integration(balance="{fields: {currency: CurrencyIsoCode}}")
    (found,) = findings(stage, "balance")
    assert "has all" in found["message"]
    answer = stage.run("run", "acme", "--json")
    assert (answer.code, answer.json["entities"]["balance"]["invalid"]) == (1, 1)
    held = {record["m3ter_Id__c"]: record["CurrencyIsoCode"] for record in stage.records(BALANCE)}
    assert held[sent] == "JPY"
    assert unknown not in held
    (reject,) = stage.run("rejects", "acme", "--json").json
    assert (reject["m3ter_id"], reject["fields"]) == (unknown, ["CurrencyIsoCode"])
    assert "'CHF' is not a value of this restricted picklist" in reject["message"]
    assert verified(stage)[1]["entities"]["balance"]["changed"] == 0


def test_an_encrypted_external_id_is_refused_before_anything_is_sent(
    stage: Stage, integration: Callable[..., None]
) -> None:
    integration()
    change(stage, CONTRACT, "m3ter_Id__c", type="EncryptedText", length=64)
    (found,) = findings(stage, "contract")
    assert not found["ok"]
    assert "m3ter_Contract__c.m3ter_Id__c is encrypted" in found["message"]
    answer = stage.run("run", "acme")
    assert answer.code == 2
    assert "Name a text field that is not encrypted as external_id_field" in answer.err
    assert stage.records(ACCOUNT) == []


def test_verify_says_that_encrypted_values_may_only_be_masked(
    stage: Stage, admin: Admin, integration: Callable[..., None]
) -> None:
    integration()
    change(stage, ACCOUNT, "Code__c", type="EncryptedText", length=175)
    warnings = findings(stage, "account")
    assert all(found["ok"] for found in warnings)
    assert any("View Encrypted Data" in found["message"] for found in warnings)
    assert stage.run("run", "acme").code == 0
    assert verified(stage, "--entity", "account")[0] == 0
    for m3ter_id in stage.sandbox.organization.ids("accounts"):
        admin.edit(ACCOUNT, m3ter_id, Code__c="********")  # as a user without the permission reads
    code, masked = verified(stage, "--entity", "account")
    assert (code, masked["entities"]["account"]["encrypted"]) == (1, ["Code__c"])
    assert counts(masked["entities"]["account"]) == {"changed": 6, "encrypted": ["Code__c"]}
    answer = stage.run("verify", "acme", "--entity", "account")
    assert "the values may be equal" in " ".join(answer.err.split())


def test_an_account_that_cannot_be_filtered_by_is_read_with_all_others(
    stage: Stage, integration: Callable[..., None]
) -> None:
    """Salesforce Shield's probabilistic encryption makes a text field so."""
    account = stage.sandbox.organization.ids("accounts")[0]
    integration(scope=f"account_ids: [{account}]")
    change(stage, BALANCE, "m3ter_Account__c", type="LongTextArea", length=1000, refers_to=None)
    assert stage.run("run", "acme").code == 0
    code, found = verified(stage, "--entity", "balance")
    assert (code, counts(found["entities"]["balance"])) == (0, {})
