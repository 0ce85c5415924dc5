"""Drift that an admin makes by hand, found by ``verify`` and mended by ``--repair``."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from m3sync_dagster.sandbox.salesforce import values
from m3sync_dagster.state import IntegrationLock, connect
from m3sync_dagster.sync import verify
from m3sync_dagster_tests.cli.conftest import Stage, write

pytestmark = pytest.mark.slow

DATA = "/services/data/v67.0"
ACCOUNT, BALANCE, CONTRACT = "m3ter_Account__c", "m3ter_Balance__c", "m3ter_Contract__c"
INTEGRATION = """\
type: m3sync_dagster.SalesforceSync
attributes:
  name: acme
  m3ter_credential: m3ter_sandbox
  salesforce_credential: salesforce_sandbox
  namespace: custom_objects
  start: 2026-01-01-00:00
  {scope}
  entities:
    account: {account}
    contract: {{}}
    balance: {balance}
"""


@dataclass
class Admin:
    """Somebody who works in Salesforce by hand."""

    http: httpx.Client
    stage: Stage

    def id_of(self, name: str, m3ter_id: str) -> str:
        found = (r["Id"] for r in self.stage.records(name) if r["m3ter_Id__c"] == m3ter_id)
        return str(next(found))

    def edit(self, name: str, m3ter_id: str, **values: object) -> None:
        path = f"{DATA}/sobjects/{name}/{self.id_of(name, m3ter_id)}"
        self.http.patch(path, json=values).raise_for_status()

    def delete(self, name: str, m3ter_id: str) -> None:
        path = f"{DATA}/sobjects/{name}/{self.id_of(name, m3ter_id)}"
        self.http.delete(path).raise_for_status()

    def add(self, name: str, m3ter_id: str, **values: object) -> None:
        body = {"m3ter_Id__c": m3ter_id, "Name": "by hand", **values}
        self.http.post(f"{DATA}/sobjects/{name}", json=body).raise_for_status()


@pytest.fixture
def admin(stage: Stage) -> Iterator[Admin]:
    opens = stage.sandbox.environment
    with httpx.Client(base_url=stage.sandbox.salesforce_url) as http:
        token = http.post(
            "/services/oauth2/token",
            data={
                "grant_type": "client_credentials",
                "client_id": opens["SALESFORCE_CLIENT_ID"],
                "client_secret": opens["SALESFORCE_CLIENT_SECRET"],
            },
        ).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield Admin(http, stage)


def counts(entity: dict[str, Any]) -> dict[str, int]:
    """What was found that is not nought, without what is equal and how it was found."""
    left_out = ("equal", "salesforce_api_calls", "examples")
    return {name: value for name, value in entity.items() if value and name not in left_out}


def content(stage: Stage, name: str) -> dict[str, dict[str, Any]]:
    """Records by m3ter id, without what Salesforce itself notes of each."""
    own = {"Id", "CreatedDate", "LastModifiedDate", "SystemModstamp"}
    return {
        record["m3ter_Id__c"]: {k: v for k, v in record.items() if k not in own}
        for record in stage.records(name)
    }


def verified(stage: Stage, *options: str) -> tuple[int, dict[str, Any]]:
    answer = stage.run("verify", "acme", "--json", *options)
    return answer.code, answer.json


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


def test_drift_of_each_kind_is_found_and_mended(stage: Stage, admin: Admin) -> None:
    stage.run("run", "acme")
    organization = stage.sandbox.organization
    accounts, balances = organization.ids("accounts"), organization.ids("balances")
    original = content(stage, BALANCE)
    admin.edit(BALANCE, balances[0], Amount__c=1.5, Description__c="by hand")
    admin.edit(BALANCE, balances[1], m3ter_Account__c=None)
    admin.delete(BALANCE, balances[2])
    admin.add(ACCOUNT, "not-of-m3ter", Account_Name__c="by hand")
    admin.edit(ACCOUNT, accounts[0], Code__c="by hand")

    code, told = verified(stage)
    account, balance = told["entities"]["account"], told["entities"]["balance"]
    assert (code, told["matches"]) == (1, False)
    assert (counts(account), counts(balance)) == (
        {"changed": 1, "extra": 1},
        {"missing": 1, "changed": 2},
    )
    examples = {e["m3ter_id"]: e for e in balance["examples"] + account["examples"]}
    assert examples[balances[0]]["fields"]["Amount__c"][1] == 1.5
    assert examples[balances[0]]["fields"]["Description__c"][1] == "by hand"
    assert set(examples[balances[0]]["fields"]) == {"Amount__c", "Description__c"}
    assert examples[balances[1]]["fields"] == {
        "m3ter_Account__c": [organization.get("balances", balances[1])["accountId"], None]
    }
    assert examples[balances[2]]["kind"] == "missing"
    assert examples["not-of-m3ter"]["kind"] == "extra"
    assert examples["not-of-m3ter"]["salesforce_id"] == admin.id_of(ACCOUNT, "not-of-m3ter")

    code, told = verified(stage, "--repair")
    # The extra record is reported, and left alone.
    assert (code, told["matches"]) == (1, False)
    repair = told["repair"]
    assert repair["run"]["status"] == "COMPLETE"
    assert repair["run"]["entities"]["balance"]["updated"] == 2
    assert repair["run"]["entities"]["balance"]["created"] == 1
    assert repair["run"]["entities"]["balance"]["salesforce_api_calls"] <= 4
    # One page of SOQL each to see that it is so: login and describe are known by now.
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
    code, told = verified(stage, "--repair")
    assert (code, told["matches"]) == (0, True)
    assert [entity["missing"] for entity in told["entities"].values()] == [6, 5, 4, 7]
    assert [entity["sent"] for entity in told["repair"]["entities"].values()] == [6, 5, 4, 7]
    assert verified(stage)[0] == 0


def test_what_the_next_run_sends_anyway_is_told_apart(stage: Stage) -> None:
    stage.run("run", "acme")
    organization = stage.sandbox.organization
    organization.change("accounts", organization.ids("accounts")[0], name="Renamed in m3ter")
    organization.merge("balances", organization.ids("balances")[0], {"startDate": "no date"})
    code, told = verified(stage)
    assert code == 1
    assert counts(told["entities"]["account"]) == {"changed": 1, "pending": 1}
    assert counts(told["entities"]["balance"]) == {"invalid": 1}
    # Salesforce does not hold what m3ter holds, and nothing that is sent can change that.
    code, told = verified(stage, "--repair")
    assert (code, told["repair"]["entities"]["account"]["left"]) == (1, 0)
    assert told["repair"]["entities"]["balance"]["left"] == 1
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
    code, told = verified(stage, "--entity", "account")
    account = told["entities"]["account"]
    assert (code, account["equal"], counts(account)) == (1, 2_005, {"missing": 1, "changed": 1})
    # A login, a describe, a page, and of a query job: its creation, a few polls, the result.
    assert account["salesforce_api_calls"] <= 9
    calls = httpx.get(f"{stage.sandbox.salesforce_url}/sandbox/calls").json()
    assert calls["total"] - before == account["salesforce_api_calls"]
    assert any(name.startswith("POST") and "/jobs/query" in name for name in calls["counts"])
    assert verified(stage, "--entity", "account", "--repair")[0] == 0
    assert verified(stage, "--entity", "account")[0] == 0


def test_what_the_org_changes_each_time_is_not_called_mended(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.run("run", "acme")
    organization = stage.sandbox.organization
    # As a trigger would: the org cuts an X off the end of every text that it saves.
    monkeypatch.setattr(values, "_BLANK", values._BLANK + "X")
    organization.change("accounts", organization.ids("accounts")[0], code="CODE-X")
    stage.run("run", "acme")
    code, told = verified(stage, "--repair")
    assert (code, counts(told["entities"]["account"])) == (1, {"changed": 1})
    repaired = told["repair"]["entities"]["account"]
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
    code, told = verified(stage, "--repair")
    repaired = told["repair"]["entities"]["account"]
    assert (code, repaired["sent"], repaired["left"]) == (1, 0, 1)


def test_one_entity_alone(stage: Stage, admin: Admin) -> None:
    stage.run("run", "acme")
    admin.edit(ACCOUNT, stage.sandbox.organization.ids("accounts")[0], Code__c="by hand")
    code, told = verified(stage, "--entity", "balance")
    assert (code, list(told["entities"])) == (0, ["balance"])
    code, told = verified(stage, "--entity", "account", "--repair")
    assert (code, list(told["repair"]["run"]["entities"])) == (0, ["account"])


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


def test_nothing_is_mended_while_another_run_writes(
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


@pytest.fixture
def integration(defs: Path) -> Callable[..., None]:
    """Writes an integration with options."""

    def write_it(*, scope: str = "", account: str = "{}", balance: str = "{}") -> None:
        text = INTEGRATION.format(scope=scope, account=account, balance=balance)
        write(defs, "acme", text)

    return write_it


def gone_account(stage: Stage) -> str:
    """Remove an account from m3ter that nothing there points to."""
    organization = stage.sandbox.organization
    m3ter_id = organization.add("accounts", name="Short-lived", code="SHORT")
    stage.run("run", "acme")
    organization.remove("accounts", m3ter_id)
    return m3ter_id


def account_of(stage: Stage, m3ter_id: str) -> dict[str, Any] | None:
    return next((r for r in stage.records(ACCOUNT) if r["m3ter_Id__c"] == m3ter_id), None)


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
    code, told = verified(stage)
    assert (code, counts(told["entities"]["account"]), counts(told["entities"]["balance"])) == (
        0,
        {},
        {},
    )
    # A record that was moved out of the accounts by hand is changed, not missing.
    other = next(i for i in organization.ids("accounts") if i != account)
    admin.edit(BALANCE, balance, m3ter_Account__c=admin.id_of(ACCOUNT, other))
    # One that m3ter does not know is extra where its account is carried.
    admin.add(BALANCE, "in-scope", m3ter_Account__c=admin.id_of(ACCOUNT, account))
    admin.add(BALANCE, "out-of-scope", m3ter_Account__c=admin.id_of(ACCOUNT, other))
    _, told = verified(stage, "--repair", "--yes")
    assert counts(told["entities"]["balance"]) == {"changed": 1, "extra": 1}
    assert len(stage.records(ACCOUNT)) == 6
    integration(scope=f"restricted_account_ids: [{account}]")
    _, told = verified(stage, "--entity", "balance")
    assert counts(told["entities"]["balance"]).get("extra") == 1


def test_a_gone_record_is_kept_and_reported(
    stage: Stage, integration: Callable[..., None], admin: Admin
) -> None:
    integration()
    gone = gone_account(stage)
    code, told = verified(stage, "--repair", "--yes")
    assert (code, counts(told["entities"]["account"])) == (1, {"extra": 1, "gone": 1})
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
    code, told = verified(stage, "--repair")
    assert (code, counts(told["entities"]["account"])) == (0, {"extra": 1, "gone": 1})
    assert told["repair"]["entities"]["account"]["flagged"] == 1
    held = account_of(stage, account)
    assert held
    assert held["Gone__c"] not in (None, False)
    assert held["Account_Name__c"] == "Short-lived"
    with psycopg.connect(migrated_url) as connection:
        found = connection.execute("SELECT m3ter_id, action FROM m3sync.removed_record").fetchall()
    assert found == [(account, "flag")]

    code, told = verified(stage, "--repair")
    assert (code, counts(told["entities"]["account"])) == (0, {"flagged": 1})
    organization.put_raw("accounts", account, raw)
    stage.run("run", "acme")
    held = account_of(stage, account)
    assert held
    assert held["Gone__c"] in (None, False)
    assert counts(verified(stage)[1]["entities"]["account"]) == {}


def test_a_gone_record_is_deleted_once_somebody_has_agreed(
    stage: Stage, integration: Callable[..., None]
) -> None:
    integration(account="{when_gone: delete}")
    gone = gone_account(stage)
    code, told = verified(stage)
    assert (code, counts(told["entities"]["account"])) == (1, {"extra": 1, "gone": 1})
    answer = stage.run("verify", "acme", "--repair", "--json")
    assert answer.code == 1
    assert "--yes" in answer.err
    assert account_of(stage, gone)
    code, told = verified(stage, "--repair", "--yes")
    assert (code, told["repair"]["entities"]["account"]["deleted"]) == (0, 1)
    assert account_of(stage, gone) is None
    assert len(stage.records(ACCOUNT)) == 6
    assert verified(stage)[0] == 0
    # From now on it goes without asking.
    gone = gone_account(stage)
    assert verified(stage, "--repair")[0] == 0
    assert account_of(stage, gone) is None


def passes_over(stage: Stage) -> None:
    """Have m3ter's next list of accounts pass over the newest of them."""
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
    # It is compared all the same.
    admin.edit(ACCOUNT, account, Code__c="by hand")
    passes_over(stage)
    code, told = verified(stage, "--entity", "account", "--repair", "--yes")
    assert (code, counts(told["entities"]["account"])) == (0, {"changed": 1})
    held = account_of(stage, account)
    assert held
    assert held["Code__c"] == "P"


def test_what_m3ter_has_outside_of_the_scope_is_not_gone(
    stage: Stage, integration: Callable[..., None], admin: Admin, defs: Path
) -> None:
    organization = stage.sandbox.organization
    integration()
    stage.run("run", "acme")
    balances = organization.ids("balances")
    account = organization.get("balances", balances[0])["accountId"]
    others = [i for i in balances if organization.get("balances", i)["accountId"] != account]
    # Somebody moves a record, in Salesforce alone, to an account that is carried.
    integration(scope=f"account_ids: [{account}]", balance="{when_gone: delete}")
    admin.edit(BALANCE, others[0], m3ter_Account__c=admin.id_of(ACCOUNT, account))
    code, told = verified(stage, "--repair", "--yes", "--entity", "balance")
    assert (code, counts(told["entities"]["balance"])) == (0, {})
    # Where the account is not carried, nobody can tell from Salesforce whose a record is.
    unmapped = "{when_gone: delete, fields: {accountId: null}}"
    integration(scope=f"restricted_account_ids: [{account}]", balance=unmapped)
    stage.run("run", "acme", "--entity", "balance")
    code, told = verified(stage, "--repair", "--yes", "--entity", "balance")
    assert (code, counts(told["entities"]["balance"])) == (0, {})
    assert len(stage.records(BALANCE)) == len(balances)


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
    _, told = verified(stage, "--entity", "balance")
    assert counts(told["entities"]["balance"])["gone"] == 1
    # The account was deleted by hand, and so the record is under none.
    organization.put_raw("balances", balance, raw)
    integration(scope=f"account_ids: [{account}]")
    stage.run("run", "acme", "--entity", "balance")
    organization.remove("balances", balance)
    admin.delete(ACCOUNT, account)
    _, told = verified(stage, "--entity", "balance")
    assert counts(told["entities"]["balance"])["gone"] == 1


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
    code, told = verified(stage)
    assert code == 1
    found = told["entities"]
    assert [found[name]["missing"] + found[name]["extra"] for name in found] == [0] * 4
    (example,) = [e for e in found["contract"]["examples"] if e["m3ter_id"] == contract]
    assert example["fields"]["m3ter_Id__c"] == [contract, None]
    # Beside the login, the describe and a page: one query by Id for what has no external ID.
    assert [found[name]["salesforce_api_calls"] for name in found] == [3, 3, 2, 2]
    code, told = verified(stage, "--repair")
    assert (code, told["matches"], told["repair"]["problems"]) == (0, True, [])
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
    code, told = verified(stage, "--entity", "balance", "--repair")
    found = told["entities"]["balance"]
    assert (code, counts(found)) == (0, {"missing": 1, "changed": 6})
    assert found["salesforce_api_calls"] == 4
    assert told["repair"]["entities"]["balance"]["sent"] == 7
    assert {k: v for k, v in content(stage, BALANCE).items() if k} == original
    assert len(stage.records(BALANCE)) == 8


def test_an_external_id_that_cannot_be_put_back_is_told_and_makes_no_second_record(
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
    assert "did not give their external IDs back to 1 records" in answer.err
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
    _, told = verified(stage, "--repair")
    assert counts(told["entities"]["balance"]) == {"missing": 1, "changed": 1}
    assert content(stage, BALANCE) == original
    assert admin.id_of(BALANCE, two) == first


def test_a_bill_that_is_open_is_nobodys_until_it_was_carried(
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
    code, told = verified(stage, "--entity", "bill", "--repair", "--yes")
    assert (code, counts(told["entities"]["bill"])) == (0, {"changed": 1, "pending": 1})
    (held,) = stage.records("m3ter_Bill__c")
    assert (held["Status__c"], held["Bill_Total__c"]) == ("PENDING", 12)


def test_no_more_is_deleted_than_a_share(stage: Stage, integration: Callable[..., None]) -> None:
    integration(account="{when_gone: delete}")
    organization = stage.sandbox.organization
    many = [organization.add("accounts", name=f"Short-lived {n}", code=f"S{n}") for n in range(11)]
    stage.run("run", "acme")
    raws = {m3ter_id: organization.remove("accounts", m3ter_id) for m3ter_id in many}
    answer = stage.run("verify", "acme", "--repair", "--yes", "--json")
    assert answer.code == 1
    assert "11 of 17 account records are gone" in answer.err
    assert len(stage.records(ACCOUNT)) == 17
    # Nine are few, but too many where they are half of all.
    for m3ter_id in many[:2]:
        organization.put_raw("accounts", m3ter_id, raws[m3ter_id])
    answer = stage.run("verify", "acme", "--repair", "--yes", "--json")
    assert (answer.code, len(stage.records(ACCOUNT))) == (1, 17)
    assert "9 of 17 account records are gone" in answer.err
    # Eight are few enough, although they are more than a tenth.
    organization.put_raw("accounts", many[2], raws[many[2]])
    code, told = verified(stage, "--repair", "--yes")
    assert (code, told["repair"]["entities"]["account"]["deleted"]) == (0, 8)


def test_more_is_deleted_if_somebody_says_how_many(
    stage: Stage, integration: Callable[..., None]
) -> None:
    integration(account="{when_gone: delete}")
    organization = stage.sandbox.organization
    many = [organization.add("accounts", name=f"Short-lived {n}", code=f"S{n}") for n in range(11)]
    stage.run("run", "acme")
    for m3ter_id in many:
        organization.remove("accounts", m3ter_id)
    answer = stage.run("verify", "acme", "--repair", "--yes", "--delete-up-to", "10", "--json")
    assert answer.code == 1
    assert "--delete-up-to 11" in answer.err
    code, told = verified(stage, "--repair", "--yes", "--delete-up-to", "11")
    assert (code, told["repair"]["entities"]["account"]["deleted"]) == (0, 11)
    assert len(stage.records(ACCOUNT)) == 6


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
