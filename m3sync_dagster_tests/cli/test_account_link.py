"""Accounts that are linked to the CRM's own Accounts, against the sandbox."""

from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import pytest

from m3sync_dagster.entities import DEFAULT_ENTITIES
from m3sync_dagster.salesforce.metadata_package import sfdx_files
from m3sync_dagster_tests.cli.admin import ACCOUNT, DATA, INTEGRATION, Admin, verified
from m3sync_dagster_tests.cli.conftest import Stage, write

pytestmark = pytest.mark.slow

LINK = "{{link: {{field: Salesforce_Account__c, by: {by}}}}}"
LOOKUP = "Salesforce_Account__c"
EVENT = "integration.missingaccountmapping.error"


def define(defs: Path, by: str = "external_mapping") -> None:
    text = INTEGRATION.format(scope="", account=LINK.format(by=by), balance="{}")
    write(defs, "acme", text[: text.index("    contract:")])


def deploy(stage: Stage) -> None:
    answer = stage.run("salesforce", "deploy", "acme")
    assert (answer.code, "m3sync_account_link" in answer.err) == (0, True)
    for name in ("m3sync", "m3sync_account_link"):
        stage.salesforce("setup", {"assign": name})


def components() -> int:
    """The components of a deploy without the lookup: files of objects, fields and rights."""
    return sum(path.endswith("-meta.xml") for path in sfdx_files(DEFAULT_ENTITIES))


@pytest.fixture
def linked(stage: Stage, defs: Path) -> Stage:
    """An integration with a link, in an org with the lookup."""
    define(defs)
    deploy(stage)
    return stage


def crm_account(admin: Admin, **fields: object) -> str:
    """Create an Account in the CRM, and return its Id."""
    body = {"Name": "A customer", **fields}
    return str(admin.http.post(f"{DATA}/sobjects/Account", json=body).json()["id"])


def map_to(stage: Stage, account: str, external_id: str, **fields: object) -> str:
    mapping = {
        "m3terEntity": "Account",
        "m3terId": account,
        "externalSystem": "Salesforce",
        "externalTable": "Account",
        "externalId": external_id,
    }
    return stage.sandbox.organization.add("externalmappings", **(mapping | fields))


def ran(stage: Stage) -> dict[str, Any]:
    answer = stage.run("run", "acme", "--json")
    assert answer.code == 0, answer.err
    found: dict[str, Any] = answer.json["entities"]["account"]
    return found


def links(stage: Stage) -> dict[str, str | None]:
    return {str(one["m3ter_Id__c"]): one[LOOKUP] for one in stage.records(ACCOUNT)}


def events(stage: Stage) -> list[dict[str, Any]]:
    found = stage.run("events", "acme", "--json").json
    return [one for one in found if one["name"] == EVENT]


def requests_for_mappings(stage: Stage) -> list[dict[str, list[str]]]:
    url = f"{stage.sandbox.environment['M3TER_BASE_URL']}/sandbox/calls"
    calls = httpx.get(url).json()
    return [call["query"] for call in calls if call["path"].endswith("/externalmappings")]


def test_external_mappings_link_accounts_and_move_links(linked: Stage, admin: Admin) -> None:
    stage, organization = linked, linked.sandbox.organization
    first, second, third, fourth, fifth, _ = organization.ids("accounts")
    crm = [crm_account(admin) for _ in range(3)]
    moved = map_to(stage, first, crm[0])
    map_to(stage, second, crm[1][:15], externalSystem="SALESFORCE", externalTable="any")
    map_to(stage, second, crm[1])
    map_to(stage, third, crm[0])
    ambiguous = map_to(stage, third, crm[2])
    map_to(stage, fourth, "a00000000000001AAA")
    map_to(stage, fifth, crm[0], externalSystem="NetSuite")
    map_to(stage, fifth, crm[0], m3terEntity="Contract")
    for _ in range(200):
        map_to(stage, organization.new_id(), crm[0])

    planned = stage.run("plan", "acme", "--json").json["entities"]["account"]
    assert planned["links"] == {"matched": 2, "none": 2, "ambiguous": 1, "malformed": 1}
    shown = " ".join(stage.run("plan", "acme").out.split())
    assert "Links to Account entity matched none ambiguous malformed" in shown
    assert "account 2 2 1 1" in shown
    assert ran(stage)["created"] == 6
    expected = dict.fromkeys(organization.ids("accounts")) | {first: crm[0], second: crm[1]}
    assert links(stage) == expected
    assert verified(stage)[0] == 0
    (event,) = events(stage)
    assert "4 of 6 accounts have no link" in event["message"]
    assert "external mappings to several records (1)" in event["message"]
    assert all(one in event["message"] for one in (third, fourth, fifth))
    assert "External Mapping" in event["remedy"]
    assert len(requests_for_mappings(stage)) == 4 * 2, "each command read both pages"

    # An hour without changes costs the login, and still knows what has no link.
    calls = stage.calls()
    counted = ran(stage)
    assert (counted["unchanged"], stage.calls() - calls) == (6, 1)
    assert {one["message"] for one in events(stage)} == {event["message"]}

    organization.merge("externalmappings", moved, {"externalId": crm[2]})
    organization.remove("externalmappings", ambiguous)
    assert stage.run("plan", "acme", "--json").json["entities"]["account"]["update"] == 2
    calls = stage.calls()
    assert ran(stage)["updated"] == 2
    assert stage.calls() - calls == 3, "the login, the describe and the rows"
    assert links(stage) == expected | {first: crm[2], third: crm[0]}
    organization.remove("externalmappings", moved)
    assert ran(stage)["updated"] == 1
    assert links(stage) == expected | {first: None, third: crm[0]}

    record = stage.run("record", "acme", "account", third, "--json")
    assert (record.code, record.json["state"]) == (0, "equal")
    assert requests_for_mappings(stage)[-1]["m3terIds"] == [third]
    organization.remove("accounts", first)
    for account in (fourth, fifth, organization.ids("accounts")[-1]):
        map_to(stage, account, crm[0])
    assert ran(stage)["updated"] == 3
    assert events(stage) == [], "every account has a link, so the event is closed"


def test_a_list_that_cannot_be_read_to_its_end_moves_no_link(linked: Stage, admin: Admin) -> None:
    organization = linked.sandbox.organization
    account, target = organization.ids("accounts")[0], crm_account(admin)
    map_to(linked, account, target)
    ran(linked)
    fault = {
        "path": "*/externalmappings",
        "times": None,
        "action": {"kind": "respond", "status": 400},
    }
    url = f"{linked.sandbox.environment['M3TER_BASE_URL']}/sandbox/faults"
    httpx.post(url, json=fault).raise_for_status()
    organization.change_some(1.0, "accounts")
    answer = linked.run("run", "acme", "--json")
    assert (answer.code, links(linked)[account]) == (1, target)


def test_records_that_people_create_get_links_and_their_children_wait_with_them(
    stage: Stage, defs: Path, admin: Admin
) -> None:
    organization = stage.sandbox.organization
    owned, other, *waiting = organization.ids("accounts")
    accounts = [owned, other, *waiting, waiting[0]]
    organization.remove("contracts", organization.ids("contracts")[-1])
    for number, contract in enumerate(organization.ids("contracts")):
        organization.change("contracts", contract, accountId=accounts[number])
    for account in organization.ids("accounts"):
        organization.change("accounts", account, parentAccountId=None)
    account = "{match: update_only, link: {field: Salesforce_Account__c}}"
    text = INTEGRATION.format(scope="", account=account, balance="{}")
    write(defs, "acme", text[: text.index("    balance:")])
    deploy(stage)
    for one in (owned, other):
        admin.add(ACCOUNT, one)
    crm = [crm_account(admin) for _ in range(2)]
    mapping = map_to(stage, owned, crm[0])
    map_to(stage, waiting[0], crm[1])

    planned = stage.run("plan", "acme", "--json").json["entities"]["account"]
    assert (planned["update"], planned["waiting"], planned["create"]) == (2, len(waiting), 0)
    assert planned["links"] == {"matched": 2, "none": 4, "ambiguous": 0, "malformed": 0}
    counts = ran_both(stage)
    assert counts["account"] == {"read": 6, "updated": 2, "waiting": 4, "without_link": 4}
    assert counts["contract"] == {"read": 4, "created": 2, "waiting": 2}
    assert links(stage) == {owned: crm[0], other: None}
    codes = Counter(row["code"] for row in stage.run("rejects", "acme", "--json").json)
    assert codes == {"M3SYNC_NO_RECORD": 4, "M3SYNC_NO_PARENT_RECORD": 2}
    planned = stage.run("plan", "acme", "--json").json["entities"]["contract"]
    assert (planned["waiting"], planned["create"]) == (2, 0)

    # Two more runs look for the records, and from then on an hour costs the login.
    for _ in range(2):
        ran_both(stage)
    calls = stage.calls()
    assert ran_both(stage)["contract"] == {"read": 4, "unchanged": 2, "waiting": 2}
    assert stage.calls() - calls == 1

    admin.add(ACCOUNT, waiting[0])
    organization.merge("externalmappings", mapping, {"externalId": crm[1]})
    stage.run("rejects", "retry", "acme")
    counts = ran_both(stage)
    assert (counts["account"]["updated"], counts["account"]["waiting"]) == (2, 3)
    assert counts["contract"] == {"read": 4, "created": 1, "unchanged": 2, "waiting": 1}
    assert links(stage) == {owned: crm[1], other: None, waiting[0]: crm[1]}


def ran_both(stage: Stage) -> dict[str, dict[str, int]]:
    """The counts that are not zero, of accounts and contracts; without calls."""
    entities = stage.run("run", "acme", "--json").json["entities"]
    return {
        entity: {k: n for k, n in counts.items() if n and k != "salesforce_api_calls"}
        for entity, counts in entities.items()
    }


def test_a_custom_field_links_accounts(stage: Stage, defs: Path, admin: Admin) -> None:
    organization = stage.sandbox.organization
    define(defs, "{custom_field: sfdcId}")
    deploy(stage)
    target = crm_account(admin)
    given = [target, target[:15], target[:17] + "B", None, 5, "003000000000001AAA"]
    ids = organization.ids("accounts")
    for account, value in zip(ids, given, strict=True):
        organization.merge("accounts", account, {"customFields": {"sfdcId": value}})
    planned = stage.run("plan", "acme", "--json").json["entities"]["account"]["links"]
    assert planned == {"matched": 2, "none": 1, "ambiguous": 0, "malformed": 3}
    assert ran(stage)["created"] == 6
    assert links(stage) == dict.fromkeys(ids) | {ids[0]: target, ids[1]: target}
    assert requests_for_mappings(stage) == []
    before = queries(stage)
    organization.merge("accounts", ids[3], {"customFields": {"sfdcId": target}})
    assert ran(stage)["updated"] == 1
    assert queries(stage) == before
    assert links(stage)[ids[3]] == target


def queries(stage: Stage) -> int:
    counts = httpx.get(f"{stage.sandbox.salesforce_url}/sandbox/calls").json()["counts"]
    return sum(number for path, number in counts.items() if path.endswith("/query"))


def test_a_code_links_accounts_that_changed(stage: Stage, defs: Path, admin: Admin) -> None:
    organization = stage.sandbox.organization
    define(defs, "{code: AccountNumber}")
    deploy(stage)
    ids = organization.ids("accounts")
    codes = ["C-1", 'O\'Neil \\ "co"', "twice", "c-2", None, "only m3ter"]
    for account, code in zip(ids, codes, strict=True):
        organization.merge("accounts", account, {"code": code})
    first = crm_account(admin, AccountNumber="C-1")
    second = crm_account(admin, AccountNumber=codes[1])
    for number in ("twice", "twice", "C-2"):
        crm_account(admin, AccountNumber=number)
    planned = stage.run("plan", "acme", "--json").json["entities"]["account"]["links"]
    assert planned == {"matched": 2, "none": 3, "ambiguous": 1, "malformed": 0}
    before = queries(stage)
    assert ran(stage)["created"] == 6
    assert queries(stage) - before == 2, "one for all codes, and one for the name of the org"
    expected = dict.fromkeys(ids) | {ids[0]: first, ids[1]: second}
    assert links(stage) == expected
    (event,) = events(stage)
    assert "4 of 6 accounts that were looked up" in event["message"]
    assert verified(stage)[0] == 0

    # Only what has changed is looked up, and a link moves with its account or with --full.
    after, calls = queries(stage), stage.calls()
    assert ran(stage)["unchanged"] == 6
    assert (queries(stage), stage.calls() - calls) == (after, 1)
    third = crm_account(admin, AccountNumber="only m3ter")
    assert ran(stage)["unchanged"] == 6
    organization.change("accounts", ids[5], purchaseOrderNumber="changed")
    assert ran(stage)["updated"] == 1
    assert (links(stage), queries(stage)) == (expected | {ids[5]: third}, after + 1)
    assert stage.run("run", "acme", "--full", "--json").code == 0
    assert len(events(stage)) >= 1, "an account that is not looked up may still have no link"


def test_a_row_with_a_refused_link_says_which(linked: Stage, admin: Admin) -> None:
    account = linked.sandbox.organization.ids("accounts")[0]
    target = crm_account(admin)
    map_to(linked, account, target)
    ran(linked)
    unknown = "0015e00000ZZZZZ"
    for mapping in linked.sandbox.organization.ids("externalmappings"):
        linked.sandbox.organization.merge("externalmappings", mapping, {"externalId": unknown})
    answer = linked.run("run", "acme", "--json")
    assert (answer.code, answer.json["entities"]["account"]["rejected"]) == (1, 1)
    (reject,) = linked.run("rejects", "acme", "--json").json
    assert f"{LOOKUP} points to the Account {unknown}" in reject["message"]
    assert "m3sync_account_link" in linked.run("rejects", "acme").out.replace("\n", "")


def test_a_lookup_that_is_missing_is_found_before_a_row_is_sent(stage: Stage, defs: Path) -> None:
    define(defs)
    lines = (defs / "acme" / "defs.yaml").read_text().splitlines()
    number = next(n for n, text in enumerate(lines, 1) if "link" in text)
    answer = stage.run("check", "acme", "--json")
    (problem,) = [one for one in answer.json if one["check"] == "account"]
    assert (answer.code, problem["ok"]) == (2, False)
    assert "has no field Salesforce_Account__c" in problem["message"]
    assert f"defs.yaml:{number}" in problem["message"]
    assert "m3sync salesforce deploy NAME --account-link" in problem["remedy"]
    assert stage.run("run", "acme").code == 2
    assert stage.records(ACCOUNT) == []
    for options in ([], ["--account-link"]):
        command = ["salesforce", "deploy", "salesforce_sandbox", "--check-only", "--json", *options]
        answer = stage.run(*command)
        added = 2 if options else 0
        assert (answer.code, answer.json["components"]) == (0, components() + added)
    deploy(stage)
    assert stage.run("check", "acme").code == 0
    define(defs, "{code: Acount_Number__c}")
    answer = stage.run("check", "acme", "--json")
    (problem,) = [one for one in answer.json if one["check"] == "account"]
    assert (answer.code, "Account has no field Acount_Number__c" in problem["message"]) == (2, True)
    assert stage.run("run", "acme").code == 2
