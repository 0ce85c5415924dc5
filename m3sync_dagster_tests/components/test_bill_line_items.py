"""Bill line items: carried where they are asked for, as their bills decide."""

from collections.abc import Callable, Iterator
from decimal import Decimal

import dagster as dg
import pytest

from m3sync_dagster.sandbox.organization import Entry, Organization, Query
from m3sync_dagster_tests.components.test_bills import only, settled
from m3sync_dagster_tests.conftest import INTEGRATION, DefsFolder, Sandbox, sync

OBJECT = "m3ter_Bill_Line_Item__c"
BOTH = "bill: {}\n    bill_line_item: {}"
NAME = "name: acme\n"
Run = Callable[[], dict[str, int]]


@pytest.fixture
def run(environment: Sandbox, defs_folder: DefsFolder) -> Iterator[Run]:
    """Syncs accounts, bills and line items, and gives the counts of line items."""
    defs_folder.write("acme", only(BOTH))
    with dg.DagsterInstance.ephemeral() as instance:

        def execute() -> dict[str, int]:
            environment.m3ter.delete("/sandbox/calls")
            environment.salesforce_calls()
            result = sync(instance, "account", "bill", "bill_line_item")
            assert result.success
            (made,) = result.asset_materializations_for_node("acme__salesforce_bill_line_item")
            return {
                name: entry.value
                for name, entry in made.metadata.items()
                if isinstance(entry.value, int) and entry.value and "/" not in name
            }

        yield execute


def of_bills(organization: Organization, bills: list[str]) -> set[str]:
    """The ids of the line items of these bills."""
    items = (organization.get("lineitems", one) for one in organization.ids("lineitems"))
    return {item["id"] for item in items if item.get("billId") in bills}


def paths(environment: Sandbox) -> list[str]:
    calls = environment.m3ter.get("/sandbox/calls").json()
    return [call["path"].rpartition("/")[2] for call in calls]


def a_bill(organization: Organization, status: str, *, several: bool = True) -> str:
    """A bill in this status, with line items; it is not locked."""
    found = {one: organization.get("bills", one) for one in organization.ids("bills")}
    return next(
        one
        for one, bill in found.items()
        if (bill["status"], bill["locked"]) == (status, False)
        and len(bill["lineItems"]) > int(several)
    )


def test_line_items_of_settled_bills_hang_on_their_bill(run: Run, environment: Sandbox) -> None:
    organization = environment.organization
    wanted = of_bills(organization, settled(organization))
    assert 0 < len(wanted) < organization.count("lineitems")
    got = run()
    assert got["read"] == got["created"] == len(wanted)
    held = environment.records(OBJECT)
    bills = {r["Id"]: one for one, r in environment.records("m3ter_Bill__c").items()}
    assert held.keys() == wanted
    for one, record in held.items():
        item = organization.get("lineitems", one)
        assert bills[str(record["m3ter_Bill__c"])] == item["billId"]
        assert record["Subtotal__c"] == Decimal(str(item["subtotal"]))
        assert record["Average_Unit_Price__c"] == Decimal(str(item["averageUnitPrice"]))


def test_an_unchanged_hour_costs_salesforce_one_login(run: Run, environment: Sandbox) -> None:
    run()
    got = run()
    assert got == {"read": got["read"], "unchanged": got["read"]}
    assert environment.salesforce_calls() == 1
    asked = paths(environment)
    pages = -(-environment.organization.count("lineitems") // 100)
    assert asked.count("lineitems") == pages
    # Line items are listed after the bills that decide on them, which are listed once more.
    bill_pages = -(-environment.organization.count("bills") // 100)
    assert asked.count("bills") == 2 * bill_pages
    assert asked.index("lineitems") > max(at for at, one in enumerate(asked) if one == "bills")


def test_without_being_asked_for_m3ter_is_not_asked_and_nothing_comes(
    environment: Sandbox, defs_folder: DefsFolder
) -> None:
    defs_folder.write("acme", only("bill: {}"))
    with dg.DagsterInstance.ephemeral() as instance:
        assert sync(instance, "account", "bill").success
    assert "lineitems" not in paths(environment)
    assert not environment.records(OBJECT)


def test_line_items_come_once_their_bill_is_settled(run: Run, environment: Sandbox) -> None:
    organization = environment.organization
    bill = a_bill(organization, "PENDING")
    items = of_bills(organization, [bill])
    run()
    assert not items & environment.records(OBJECT).keys()
    organization.change("bills", bill, status="WITHDRAWN")  # an unknown status is no approval
    assert "created" not in run()
    organization.change("bills", bill, status="APPROVED")
    assert run()["created"] == len(items)
    assert items <= environment.records(OBJECT).keys()


def test_line_items_of_a_bill_that_is_opened_again_are_followed(
    run: Run, environment: Sandbox
) -> None:
    organization = environment.organization
    bill = a_bill(organization, "APPROVED")
    first, second, *_ = sorted(of_bills(organization, [bill]))
    run()
    organization.change("bills", bill, status="PENDING")
    organization.change("lineitems", first, subtotal=Decimal("0.10"))
    organization.remove("lineitems", second)
    new = organization.add("lineitems", billId=bill, subtotal=Decimal(7), description="new")
    assert run()["updated"] == 1
    held = environment.records(OBJECT)
    assert held[first]["Subtotal__c"] == Decimal("0.10")
    assert second in held
    assert new not in held


def test_a_bill_that_is_approved_while_line_items_are_read_waits_for_the_next_run(
    run: Run, environment: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its line items could still be those of before."""
    organization = environment.organization
    bill = a_bill(organization, "PENDING")
    items = of_bills(organization, [bill])
    page = organization.page

    def approve_first(entity: str, query: Query) -> tuple[list[Entry], bool]:
        if entity == "lineitems":
            organization.merge("bills", bill, {"status": "APPROVED"})
        return page(entity, query)

    monkeypatch.setattr(organization, "page", approve_first)
    assert "waiting" not in run()  # not even sent
    assert organization.get("bills", bill)["status"] == "APPROVED"
    assert not items & environment.records(OBJECT).keys()
    assert run()["created"] == len(items)


@pytest.mark.parametrize("records", [30, -30])
def test_a_list_of_bills_that_moves_while_it_is_read_is_made_up_for(
    run: Run, environment: Sandbox, records: int
) -> None:
    wanted = of_bills(environment.organization, settled(environment.organization))
    fault = {"action": {"kind": "shift", "records": records}, "path": "*/bills", "after": 3}
    environment.m3ter.post("/sandbox/faults", json=fault).raise_for_status()
    run()
    held = environment.records(OBJECT).keys()
    assert held == wanted if records > 0 else held < wanted
    run()
    assert environment.records(OBJECT).keys() == wanted


def test_all_line_items_come_where_bills_include_unsettled(
    run: Run, environment: Sandbox, defs_folder: DefsFolder
) -> None:
    bills = "bill: {include_unsettled: true}\n    bill_line_item: {}"
    defs_folder.write("acme", only(bills))
    assert run()["created"] == environment.organization.count("lineitems")


@pytest.mark.parametrize("chosen", ["account_ids", "restricted_account_ids", "account_filter"])
def test_line_items_follow_the_account_of_their_bill(
    run: Run, environment: Sandbox, defs_folder: DefsFolder, chosen: str
) -> None:
    organization = environment.organization
    bills = {one: organization.get("bills", one) for one in settled(organization)}
    account = next(bill["accountId"] for bill in bills.values() if bill["lineItems"])
    name = organization.get("accounts", account)["code"]
    organization.change("accounts", account, parentAccountId=None)
    written = {
        "account_ids": f"account_ids: [{account}]",
        "restricted_account_ids": f"restricted_account_ids: [{account}]",
        "account_filter": f"account_filter: code == '{name}'",
    }[chosen]
    assert NAME in INTEGRATION
    defs_folder.write("acme", only(BOTH).replace(NAME, f"{NAME}  {written}\n"))
    inside = chosen != "restricted_account_ids"
    wanted = [one for one, bill in bills.items() if (bill["accountId"] == account) is inside]
    run()
    assert environment.records(OBJECT).keys() == of_bills(organization, wanted)
    assert environment.records("m3ter_Bill__c").keys() == set(wanted)


def test_nulls_unknown_values_and_large_numbers(run: Run, environment: Sandbox) -> None:
    organization = environment.organization
    bill = settled(organization)[0]
    given: dict[str, dict[str, object]] = {
        "bare": {},
        "null": {"description": None, "lineItemType": None, "subtotal": None, "segment": None},
        "odd": {"lineItemType": "SOMETHING_NEW", "unknownField": [1], "quantity": 0},
        "exact": {"subtotal": Decimal("0.1234567890123"), "units": Decimal(9999999999999999)},
        "large": {"units": Decimal(10**16), "quantity": Decimal("1E+30")},
    }
    for name, fields in given.items():
        organization.add("lineitems", id=name, billId=bill, **fields)
    organization.add("lineitems", id="no bill", subtotal=1)
    organization.add("lineitems", id="null bill", billId=None)
    organization.add("lineitems", id="unknown bill", billId="00000000-0000-4000-8000-000000000000")
    assert run()["invalid"] == 3
    held = environment.records(OBJECT)
    assert held.keys() & {*given, "no bill", "null bill", "unknown bill"} == {*given} - {"large"}
    assert held["bare"]["Name"] == "bare"
    assert held["odd"]["Line_Item_Type__c"] == "SOMETHING_NEW"
    assert held["exact"]["Subtotal__c"] == Decimal("0.1234567890123")
    assert held["exact"]["Units__c"] == 9999999999999999
