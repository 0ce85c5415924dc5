"""The three namespaces in unknown orgs: check, paste, run, and verify."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from m3sync_dagster_tests import independent_org as independent
from m3sync_dagster_tests.cli.check_paste_run import (
    entities_of,
    pasted,
    propose,
    run,
    sent,
    serving,
    written,
)
from m3sync_dagster_tests.cli.conftest import Stage, write
from m3sync_dagster_tests.cli.defs_folder import DEFS
from m3sync_dagster_tests.independent_org.org import Org
from m3sync_dagster_tests.independent_org.schema import API, CONSOLE, OTHER, TRAPS, field_of

pytestmark = pytest.mark.slow


CARRIED = {
    "account": "accounts",
    "contract": "contracts",
    "commitment": "commitments",
    "balance": "balances",
}


CONSTANT = "constants: {{{p}__lastSystemToUpdate__c: m3ter}}"


LOOKED_AT = {
    CONSOLE: {
        "account": {
            "name": "Full_Name__c",
            "code": "Account_Code__c",
            "version": "Record_Version__c",
        },
        "contract": {"endDate": "Ends__c", "purchaseOrderNumber": "PO_Number__c"},
        "commitment": {"amount": "Prepayment_Amount__c", "amountSpent": "Spent__c"},
        "balance": {
            "amount": "Value__c",
            "rolloverAmount": "Rollover__c",
            "code": "Balance_Code__c",
        },
    },
    API: {
        "account": {"name": "name__c", "billEpoch": "billEpoch__c"},
        "contract": {"startDate": "startDate__c", "code": "code__c"},
        "commitment": {"amountPrePaid": "amountPrePaid__c", "currency": "currency__c"},
        "balance": {"amount": "amount__c", "overageSurchargePercent": "overageSurchargePercent__c"},
    },
}
"""Fields of which each record is compared here, without m3sync's code."""


@dataclass
class Case:
    """An org, and the package that is to be found in it."""

    package: str
    prefix: str
    make: Callable[[Org], None]
    namespace: str = "m3ter_connector"
    origin: str = ""
    goes_on: bool = False


def both(org: Org) -> None:
    org.install(API, "m3ter", "m3ter Connector")
    org.install(API, "m3tertest", "m3ter Connector (Testing)")


def closed(org: Org) -> None:
    both(org)
    org.tooling = "disabled"


def trapped(org: Org) -> None:
    org.install(OTHER, "acme", "Acme Accounts")
    org.install(TRAPS, "m3x")
    org.install(CONSOLE, "m3x", "m3ter Connector")
    org.rows.objects["m3x__Accounts__c"].more = {"customSetting": True}


def shut(tooling: str, package: str, prefix: str) -> Callable[[Org], None]:
    def make(org: Org) -> None:
        org.install(package, prefix)
        org.tooling = tooling
        org.limit_info = True

    return make


CASES = {
    "one package": Case(
        CONSOLE,
        "m3x",
        lambda org: org.install(CONSOLE, "m3x", "m3ter Connector"),
        origin="the installed package m3ter Connector",
        goes_on=True,
    ),
    "no right to list packages": Case(
        CONSOLE, "pkg", shut("forbidden", CONSOLE, "pkg"), origin="labels"
    ),
    "no such thing to ask": Case(API, "m3ter", shut("unsupported", API, "m3ter"), origin="labels"),
    "the list is empty": Case(CONSOLE, "acme", shut("empty", CONSOLE, "acme"), origin="labels"),
    "two packages and traps": Case(CONSOLE, "m3x", trapped),
    "production and testing": Case(API, "m3ter", both),
    "testing and production": Case(API, "m3tertest", both, "m3ter_connector_testing"),
    "both by their labels": Case(
        API, "m3tertest", closed, "m3ter_connector_testing", "labels", goes_on=True
    ),
}


def test_the_org_is_independent() -> None:
    for file in Path(independent.__file__).parent.glob("*.py"):
        assert not re.search(r"m3sync_dagster\b", file.read_text()), file


def in_m3ter(stage: Stage, entity: str) -> dict[str, dict[str, Any]]:
    organization = stage.sandbox.organization
    return {
        one: json.loads(organization.raw(CARRIED[entity], one), parse_float=Decimal)
        for one in organization.ids(CARRIED[entity])
    }


def in_salesforce(org: Org, object_name: str, key: str) -> dict[str, dict[str, Any]]:
    return {one[key]: one for one in org.rows.objects[object_name].records.values()}


def same(held: object, value: object) -> bool:
    if isinstance(value, str):
        value = value.strip() or None
    return held == value


def compare(stage: Stage, org: Org, case: Case, mapped: dict[str, Any]) -> None:
    """Every record is there once, under its id, with its parent and with these values."""
    for entity, fields in LOOKED_AT[case.package].items():
        here = in_m3ter(stage, entity)
        block = mapped[entity]
        there = in_salesforce(org, block["object"], block["external_id_field"])
        assert there.keys() == here.keys()
        for m3ter_id, record in here.items():
            held = there[m3ter_id]
            for source, bare in fields.items():
                assert same(held.get(f"{case.prefix}__{bare}"), record.get(source)), source
            if entity != "account":
                parent = mapped["account"]
                accounts = in_salesforce(org, parent["object"], parent["external_id_field"])
                owner = accounts[record["accountId"]]["Id"]
                assert held[block["fields"]["accountId"]] == owner


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_the_proposal_is_complete_and_the_sync_runs_with_it(
    stage: Stage, defs: Path, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    constant = CONSTANT.format(p=case.prefix)
    own = dict.fromkeys(CARRIED, f"{{{constant}}}") if case.package == API else {}
    text = written(case.namespace, **own)
    write(defs, "acme", text)
    org = Org()
    case.make(org)
    with serving(org, monkeypatch):
        proposal = propose(stage)
        assert "null" not in proposal.split("entities:")[1]
        assert yaml.safe_load(proposal)["namespace_prefix"] == case.prefix
        assert case.origin in proposal
        write(defs, "acme", pasted(text, proposal))
        checked = stage.run("check", "acme")
        assert checked.code == 0, checked.out
        first = run(stage)
        for entity, plural in CARRIED.items():
            assert first[entity]["created"] == stage.sandbox.organization.count(plural) > 0
        compare(stage, org, case, entities_of(proposal))
        assert sent(org) > 0
        if case.goes_on:
            it_goes_on(stage, org, case, entities_of(proposal))


def it_goes_on(stage: Stage, org: Org, case: Case, mapped: dict[str, Any]) -> None:
    """Only changed records are sent, and verifying finds no difference."""
    again = run(stage)
    assert all(one["unchanged"] == one["read"] for one in again.values())
    assert sent(org) == 0
    changed(stage)
    third = run(stage)
    updated = {name: one["updated"] for name, one in third.items()}
    assert updated == dict.fromkeys(CARRIED, 0) | {"account": 1, "balance": 1}
    compare(stage, org, case, mapped)
    verified = stage.run("verify", "acme", "--json")
    assert verified.code == 0, verified.out


def changed(stage: Stage) -> None:
    organization = stage.sandbox.organization
    organization.change("accounts", organization.ids("accounts")[2], name='"Neu", & <Söhne>')
    organization.transact(organization.ids("balances")[1], Decimal("-12.345678"))


def test_a_field_that_the_package_requires_gets_a_constant(
    stage: Stage, defs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = written("m3ter_connector")
    write(defs, "acme", text)
    org = Org()
    org.install(API, "m3ter", "m3ter Connector")
    with serving(org, monkeypatch):
        text = pasted(text, propose(stage))
        write(defs, "acme", text)
        checked = stage.run("check", "acme", "--json")
        assert checked.code == 2
        bad = {one["check"]: one for one in checked.json if not one["ok"]}
        assert set(CARRIED) <= set(bad)
        assert "requires m3ter__lastSystemToUpdate__c" in bad["account"]["message"]
        assert "constants" in bad["account"]["remedy"]
        constant = f"      {CONSTANT.format(p='m3ter')}\n"
        write(defs, "acme", re.sub(r"(?m)^(      object: .*\n)", rf"\1{constant}", text))
        assert stage.run("check", "acme").code == 0
        run(stage)
        for one in org.rows.objects["m3ter__m3Balance__c"].records.values():
            assert one["m3ter__lastSystemToUpdate__c"] == "m3ter"
        write(
            defs, "acme", (defs / "acme" / "defs.yaml").read_text().replace(": m3ter}", ": SFDC}")
        )
        assert run(stage)["balance"]["updated"] == stage.sandbox.organization.count("balances")


def test_balances_alone_find_the_accounts_that_another_integration_carries(
    stage: Stage, defs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One entity type an integration, as in m3ter's own Console."""
    org = Org()
    org.install(CONSOLE, "m3x", "m3ter Connector")
    case = CASES["one package"]
    text = written("m3ter_connector")
    with serving(org, monkeypatch):
        write(defs, "acme", text)
        whole = propose(stage)
        write(defs, "acme", pasted(text, whole))
        run(stage)
        own = re.sub(r"(?m)^    (account|contract|commitment): .*\n", "", text)
        write(defs, "acme", own)
        proposal = propose(stage)
        fields = entities_of(proposal)["balance"]["fields"]
        assert fields["accountId"] == "m3x__Account__r.m3x__m3ter_Id__c"
        assert fields["contractId"] == "m3x__Contract__r.m3x__m3ter_Id__c"
        write(defs, "acme", pasted(own, proposal))
        assert stage.run("check", "acme").code == 0
        organization = stage.sandbox.organization
        organization.transact(organization.ids("balances")[1], Decimal("-12.345678"))
        (counts,) = run(stage).values()
        assert counts["updated"] == 1
        assert counts["unchanged"] == counts["read"] - 1
        compare(stage, org, case, entities_of(whole))
        assert stage.run("verify", "acme").code == 0


STANDARD_ACCOUNT = """{
      object: Account, external_id_field: m3ter_Id__c, constants: {Tier__c: gold},
      custom_field_mappings: {region: Region__c},
      fields: {title: Name, code: AccountNumber, parentAccountId: ParentId,
        address.locality: BillingCity, %s}}"""


LEFT_OUT = """name, emailAddress, currency, purchaseOrderNumber, daysBeforeBillDue, billEpoch,
    address.addressLine1, address.addressLine2, address.addressLine3, address.addressLine4,
    address.region, address.postCode, address.country, statementDefinitionId,
    autoGenerateStatementMode, creditApplicationOrder, version, dtCreated, dtLastModified,
    createdBy, lastModifiedBy"""


@pytest.mark.parametrize("number", [12, 2_300])
def test_accounts_go_into_the_standard_object(
    stage: Stage, defs: Path, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    mapping = STANDARD_ACCOUNT % re.sub(r"([\w.]+)", r"\1: null", LEFT_OUT)
    text = written("custom_objects", account=mapping)
    write(defs, "acme", text[: text.index("    contract:")])
    for _ in range(number - stage.sandbox.organization.count("accounts")):
        stage.sandbox.organization.add("accounts", name="More", code="C")
    org = Org()
    with serving(org, monkeypatch):
        org.rows.objects["Account"].fields["Region__c"] = field_of("Region__c string(80) Region")
        checked = stage.run("check", "acme")
        assert checked.code == 0, checked.out
        assert run(stage)["account"]["created"] == number
        assert any("batches" in call for call in org.calls) == (number > 2_000)
        assert run(stage)["account"]["unchanged"] == number
        verified = stage.run("verify", "acme", "--json")
        assert verified.code == 0, verified.out
    here, there = in_m3ter(stage, "account"), in_salesforce(org, "Account", "m3ter_Id__c")
    assert there.keys() == here.keys()
    for m3ter_id, record in here.items():
        held, parent = there[m3ter_id], record.get("parentAccountId")
        assert held["Tier__c"] == "gold"
        assert held["Name"] == " ".join(record["name"].split())[:80].strip()
        assert held["ParentId"] == (there[parent]["Id"] if parent else None)
        assert held["Region__c"] == (record.get("customFields") or {}).get("region")


LINKS = {
    "external_mapping": "external_mapping",
    "custom_field": "{custom_field: sfdcId}",
    "code": "{code: AccountNumber}",
}
LOOKUP = "Salesforce_Account__c"


@pytest.mark.parametrize("by", LINKS)
def test_accounts_are_linked_to_the_standard_object(
    stage: Stage, defs: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    organization, org = stage.sandbox.organization, Org()
    org.install(CONSOLE, "m3x", "m3ter Connector")
    write(defs, "acme", written("m3ter_connector"))
    first, second, third, *_ = ids = organization.ids("accounts")
    with serving(org, monkeypatch):
        line = f"{LOOKUP} reference(Account) Salesforce Account"
        org.rows.objects["m3x__Account__c"].fields[LOOKUP] = field_of(line)
        crm = [
            org.rows.upsert(
                "Account", "m3ter_Id__c", {"m3ter_Id__c": f"crm {n}", "Name": "A"} | more
            )[0]
            for n, more in enumerate([{"AccountNumber": "A'1"}, {"AccountNumber": "a'1"}, {}])
        ]
        text = pasted(written("m3ter_connector"), propose(stage))
        link = f"    account:\n      link: {{field: {LOOKUP}, by: {LINKS[by]}}}\n"
        write(defs, "acme", text.replace("    account:\n", link, 1))
        link_in_m3ter(stage, by, first, crm[0], "A'1")
        link_in_m3ter(stage, by, second, "0019999999999AA", "a'1 other")
        if by != "code":
            rejected = stage.run("run", "acme", "--json")
            assert rejected.code == 1
            rejects = stage.run("rejects", "acme", "--json").json
            (reject,) = [one for one in rejects if one["m3ter_id"] == second]
            assert reject["code"] == "INVALID_CROSS_REFERENCE_KEY"
            assert f"{LOOKUP} points to the Account 0019999999999AA" in reject["message"]
        link_in_m3ter(stage, by, second, crm[1], "a'1")
        run(stage)
        assert stage.run("verify", "acme").code == 0
    there = in_salesforce(org, "m3x__Account__c", "m3x__m3ter_Id__c")
    assert {one: there[one].get(LOOKUP) for one in ids} == dict.fromkeys(ids) | {
        first: crm[0],
        second: crm[1],
    }
    assert third in there


def link_in_m3ter(stage: Stage, by: str, account: str, salesforce_id: str, code: str) -> None:
    organization = stage.sandbox.organization
    if by == "code":
        organization.merge("accounts", account, {"code": code})
    elif by == "custom_field":
        organization.merge("accounts", account, {"customFields": {"sfdcId": salesforce_id}})
    else:
        for one in organization.ids("externalmappings"):
            if organization.get("externalmappings", one)["m3terId"] == account:
                organization.remove("externalmappings", one)
        organization.add(
            "externalmappings",
            m3terEntity="Account",
            m3terId=account,
            externalSystem="Salesforce",
            externalTable="Account",
            externalId=salesforce_id,
        )


def test_the_key_of_a_user_opens_the_org(
    stage: Stage, defs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(defs, "acme", written("m3ter_connector"))
    text = (DEFS / "credentials" / "defs.yaml").read_text().rstrip()
    flow = "  username_env: SALESFORCE_USERNAME\n  private_key_file_env: SALESFORCE_KEY_FILE\n"
    write(defs, "credentials", f"{text}\n{flow}")
    pair = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    file = tmp_path / "key.pem"
    file.write_bytes(
        pair.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    )
    monkeypatch.setenv("SALESFORCE_USERNAME", "integration@acme.invalid")
    monkeypatch.setenv("SALESFORCE_KEY_FILE", str(file))
    monkeypatch.delenv("SALESFORCE_CLIENT_SECRET")
    org = Org()
    org.install(CONSOLE, "m3x", "m3ter Connector")
    public = pair.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    org.public_key = public.decode()
    with serving(org, monkeypatch):
        assert yaml.safe_load(propose(stage))["namespace_prefix"] == "m3x"
        org.public_key = None
        refused = stage.run("check", "acme", "--json")
    (bad,) = [one for one in refused.json if one["check"] == "salesforce"]
    assert (refused.code, bad["ok"]) == (1, False)
    assert "invalid_grant" in bad["message"]
