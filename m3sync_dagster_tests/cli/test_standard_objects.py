"""Accounts that people own: ``match`` and ``overwrite``, in the sandbox and in another org."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from m3sync_dagster_tests.cli.admin import Admin, verified
from m3sync_dagster_tests.cli.check_paste_run import serving, written
from m3sync_dagster_tests.cli.conftest import Stage, write
from m3sync_dagster_tests.independent_org.org import Org

pytestmark = pytest.mark.slow

FIELDS = {"title": "Name", "code": "AccountNumber", "address.locality": "BillingCity"}
OPTIONS = (
    "{object: Account, external_id_field: m3ter_Id__c, match: update_only, "
    "overwrite: {AccountNumber: if_empty, BillingCity: if_empty}, fields: {%s}}"
)


@dataclass
class Crm:
    """The accounts of an org, as its people see and edit them.

    Args:
        create: creates an account with this m3ter id and these values.
        edit: changes values of the account with this m3ter id.
        read: all accounts by their m3ter ids.
    """

    create: Callable[[str, Mapping[str, object]], None]
    edit: Callable[[str, Mapping[str, object]], None]
    read: Callable[[], dict[str, Mapping[str, Any]]]


@contextmanager
def in_the_sandbox(stage: Stage, admin: Admin, _patch: pytest.MonkeyPatch) -> Iterator[Crm]:
    yield Crm(
        lambda m3ter_id, values: admin.add("Account", m3ter_id, **values),
        lambda m3ter_id, values: admin.edit("Account", m3ter_id, **values),
        lambda: {row["m3ter_Id__c"]: row for row in stage.records("Account")},
    )


@contextmanager
def in_another_org(_stage: Stage, _admin: Admin, patch: pytest.MonkeyPatch) -> Iterator[Crm]:
    org = Org()
    org.limit_info = True

    def read() -> dict[str, Mapping[str, Any]]:
        return {row["m3ter_Id__c"]: row for row in org.rows.objects["Account"].records.values()}

    def create(m3ter_id: str, values: Mapping[str, object]) -> None:
        row = {"Name": "by hand", **values, "m3ter_Id__c": m3ter_id}
        org.rows.upsert("Account", "m3ter_Id__c", row)

    with serving(org, patch):
        yield Crm(create, lambda m3ter_id, values: read()[m3ter_id].update(values), read)  # type: ignore[attr-defined]


@pytest.fixture(params=[in_the_sandbox, in_another_org], ids=["sandbox", "another org"])
def crm(
    request: pytest.FixtureRequest, stage: Stage, admin: Admin, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Crm]:
    with request.param(stage, admin, monkeypatch) as found:
        yield found


def carry_accounts(stage: Stage, defs: Path) -> None:
    """Write the integration as ``check`` proposes it, with the fields that are wanted."""
    wanted = ", ".join(f"{source}: {target}" for source, target in FIELDS.items())
    text = written("custom_objects", account=OPTIONS % wanted)
    write(defs, "acme", text[: text.index("    contract:")])
    stage.run("check", "acme", "--write", "--yes")


def ran(stage: Stage) -> dict[str, int]:
    answer = stage.run("run", "acme", "--json")
    assert answer.json["status"] == "COMPLETE", answer.err
    found: dict[str, int] = answer.json["entities"]["account"]
    return {name: count for name, count in found.items() if count}


def test_records_of_people_are_updated_and_never_created(
    stage: Stage, defs: Path, crm: Crm
) -> None:
    organization = stage.sandbox.organization
    first, second, *others = organization.ids("accounts")
    organization.change("accounts", first, code="OURS-1")
    organization.change("accounts", second, code="OURS-2")
    crm.create(first, {"AccountNumber": "THEIRS"})
    crm.create(second, {})
    carry_accounts(stage, defs)
    planned = stage.run("plan", "acme", "--json").json["entities"]["account"]
    assert (planned["update"], planned["waiting"], planned["create"]) == (2, len(others), 0)
    (kept,) = (row["kept"] for row in planned["sample"] if row["m3ter_id"] == first)
    assert kept["AccountNumber"] == ["THEIRS", "OURS-1"]

    counts = ran(stage)
    assert (counts["updated"], counts["waiting"]) == (2, len(others))
    held = crm.read()
    assert held.keys() == {first, second}
    assert held[first]["Name"] != "by hand"
    assert [held[one]["AccountNumber"] for one in (first, second)] == ["THEIRS", "OURS-2"]
    rejects = stage.run("rejects", "acme", "--json").json
    assert {row["m3ter_id"] for row in rejects} == set(others)
    assert {row["code"] for row in rejects} == {"M3SYNC_NO_RECORD"}
    assert "set match: upsert" in stage.run("rejects", "acme", "--csv").out
    events = stage.run("events", "acme", "--json").json
    (event,) = (one for one in events if "update_only" in one["message"])
    assert event["name"] == "integration.missingaccountmapping.error"
    shown = stage.run("record", "acme", "account", others[0])
    assert "its row waits for a record (M3SYNC_NO_RECORD" in shown.out

    crm.create(others[0], {})
    crm.edit(first, {"AccountNumber": None})
    counts = ran(stage)
    assert (counts["updated"], counts["unchanged"], counts["waiting"]) == (1, 2, len(others) - 1)
    _, found = verified(stage)
    assert found["entities"]["account"]["missing"] == len(others) - 1
    (changed,) = (e for e in found["entities"]["account"]["examples"] if e["kind"] == "changed")
    assert changed["fields"] == {"AccountNumber": ["OURS-1", None]}
    verified(stage, "--repair")
    held = crm.read()
    assert held.keys() == {first, second, others[0]}
    assert held[first]["AccountNumber"] == "OURS-1"


def test_thousands_are_updated_by_a_job(stage: Stage, defs: Path, crm: Crm) -> None:
    organization = stage.sandbox.organization
    for number in range(2_300):
        organization.add("accounts", name=f"Account {number}", code=f"C-{number}")
    ids = organization.ids("accounts")
    for number, one in enumerate(ids[:2_200]):
        crm.create(one, {"AccountNumber": "THEIRS"} if number % 2 else {})
    carry_accounts(stage, defs)
    counts = ran(stage)
    assert (counts["updated"], counts["waiting"]) == (2_200, len(ids) - 2_200)
    held = crm.read()
    assert held.keys() == set(ids[:2_200])
    numbers = [held[one]["AccountNumber"] for one in ids[:2_200]]
    assert set(numbers[1::2]) == {"THEIRS"}
    assert "THEIRS" not in numbers[0::2]
    for _ in range(2):
        ran(stage)
    unchanged = ran(stage)
    assert (unchanged["waiting"], unchanged["salesforce_api_calls"]) == (len(ids) - 2_200, 1)
    for one in ids[100:1_100]:  # without parents, which would be sent first
        organization.change("accounts", one, name="Renamed")
    changed = ran(stage)
    assert (changed["updated"], changed["salesforce_api_calls"]) == (1_000, 8)
