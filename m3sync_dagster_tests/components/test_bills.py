"""Bills: the fifth entity, carried once they are settled."""

from collections.abc import Callable, Iterator
from decimal import Decimal

import dagster as dg
import pytest

from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.conftest import INTEGRATION, DefsFolder, Sandbox, sync

Run = Callable[[], dict[str, int]]


@pytest.fixture
def run(environment: Sandbox, defs_folder: DefsFolder) -> Iterator[Run]:
    """Syncs accounts and bills, and gives the counts of bills."""
    defs_folder.write("acme", only("bill: {}"))
    with dg.DagsterInstance.ephemeral() as instance:

        def execute() -> dict[str, int]:
            result = sync(instance, "account", "bill")
            assert result.success
            (made,) = result.asset_materializations_for_node("acme__salesforce_bill")
            return {
                name: entry.value
                for name, entry in made.metadata.items()
                if isinstance(entry.value, int) and entry.value
            }

        yield execute


def only(bill: str) -> str:
    return f"{INTEGRATION[: INTEGRATION.index('    account:')]}    account: {{}}\n    {bill}\n"


def settled(organization: Organization) -> list[str]:
    bills = {one: organization.get("bills", one) for one in organization.ids("bills")}
    return [
        one for one, bill in bills.items() if bill["status"] == "APPROVED" or bill["locked"] is True
    ]


def test_only_settled_bills_are_carried_with_their_total(run: Run, environment: Sandbox) -> None:
    organization = environment.organization
    wanted = settled(organization)
    assert 0 < len(wanted) < organization.count("bills")
    got = run()
    assert got["read"] == got["created"] == len(wanted)
    held = environment.records("m3ter_Bill__c")
    accounts = {r["Id"]: one for one, r in environment.records("m3ter_Account__c").items()}
    assert set(held) == set(wanted)
    for one, record in held.items():
        bill = organization.get("bills", one)
        assert record["Bill_Total__c"] == Decimal(str(bill["billTotal"]))
        assert accounts[str(record["m3ter_Account__c"])] == bill["accountId"]
        assert not any("line" in name.lower() for name in record)


def test_m3ter_is_asked_for_headers_with_totals(run: Run, environment: Sandbox) -> None:
    run()
    asked = [c for c in environment.m3ter.get("/sandbox/calls").json() if "bills" in c["path"]]
    assert asked
    for call in asked:
        assert call["query"]["excludeLineItems"] == ["true"]
        assert call["query"]["includeBillTotal"] == ["true"]


def test_a_bill_comes_once_it_is_approved_or_locked(run: Run, environment: Sandbox) -> None:
    organization = environment.organization
    pending = sorted(set(organization.ids("bills")) - set(settled(organization)))
    run()
    organization.change("bills", pending[0], status="APPROVED", billTotal=Decimal("12.340"))
    organization.change("bills", pending[1], locked=True)
    organization.change("bills", pending[2], billTotal=Decimal(1))
    assert run()["created"] == 2
    held = environment.records("m3ter_Bill__c")
    assert held[pending[0]]["Bill_Total__c"] == Decimal("12.340")
    assert pending[1] in held
    assert pending[2] not in held


def test_all_bills_are_carried_with_include_unsettled(
    run: Run, environment: Sandbox, defs_folder: DefsFolder
) -> None:
    defs_folder.write("acme", only("bill: {include_unsettled: true}"))
    assert run()["created"] == environment.organization.count("bills")


def test_a_bill_that_is_opened_again_is_followed(run: Run, environment: Sandbox) -> None:
    organization = environment.organization
    bill = next(i for i in settled(organization) if not organization.get("bills", i)["locked"])
    run()
    organization.change("bills", bill, status="PENDING", billTotal=Decimal("0.10"))
    assert run() == {"read": len(settled(organization)) + 1} | {
        "updated": 1,
        "unchanged": len(settled(organization)),
        "salesforce_api_calls": 2,  # a describe and an upsert; the login counts for accounts
        "dagster/row_count": len(settled(organization)) + 1,
    }
    shown = environment.records("m3ter_Bill__c")[bill]
    assert (shown["Status__c"], shown["Bill_Total__c"]) == ("PENDING", Decimal("0.10"))
    # An unknown status is no approval: it brings no bill, and is shown on one.
    organization.change("bills", bill, status="WITHDRAWN")
    pending = next(i for i in organization.ids("bills") if i not in settled(organization))
    organization.change("bills", pending, status="WITHDRAWN", locked=False)
    run()
    held = environment.records("m3ter_Bill__c")
    assert held[bill]["Status__c"] == "WITHDRAWN"
    assert (pending in held) is (pending == bill)
