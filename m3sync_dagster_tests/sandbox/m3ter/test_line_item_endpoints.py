"""The line items of bills: of the whole organization, and of one bill."""

import httpx
import m3ter
import pytest
from m3ter.pagination import SyncCursor
from m3ter.types.bills import LineItemResponse

from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.sandbox.m3ter.conftest import HOME


def test_those_of_the_organization_come_in_pages_newest_first(
    http: httpx.Client, organization: Organization
) -> None:
    found: list[str] = []
    query: dict[str, str] = {"pageSize": "70"}
    while True:
        page = http.get(f"{HOME}/lineitems", params=query).json()
        found += [one["id"] for one in page["data"]]
        if not page.get("nextToken"):
            break
        query["nextToken"] = page["nextToken"]
    assert found == organization.ids("lineitems")[::-1]
    assert len(found) > 140
    assert http.get(f"{HOME}/lineitems?pageSize=101").status_code == 400


def test_m3ters_sdk_reads_each_strictly_and_each_belongs_to_its_bill(
    sdk: m3ter.M3ter, organization: Organization
) -> None:
    for bill in organization.ids("bills"):
        embedded = {one["id"] for one in organization.get("bills", bill)["lineItems"]}
        listed: SyncCursor[LineItemResponse] = sdk.bills.line_items.list(bill)
        found = {one.id: one.bill_id for one in listed}
        assert found == dict.fromkeys(embedded, bill)
    one = organization.ids("lineitems")[0]
    bill = organization.get("lineitems", one)["billId"]
    assert sdk.bills.line_items.retrieve(one, bill_id=bill).id == one


@pytest.mark.parametrize(
    ("name", "field"),
    [("billId", "billId"), ("commitmentId", "commitmentId"), ("lineItemType", "lineItemType")],
)
def test_the_documented_filters(
    http: httpx.Client, organization: Organization, name: str, field: str
) -> None:
    items = [organization.get("lineitems", one) for one in organization.ids("lineitems")]
    value = next(item[field] for item in items if item.get(field))
    found = http.get(f"{HOME}/lineitems", params={name: value}).json()["data"]
    assert {one["id"] for one in found} == {i["id"] for i in items if i.get(field) == value}


def test_no_other_filter_is_known(http: httpx.Client, organization: Organization) -> None:
    account = organization.ids("accounts")[0]
    everything = http.get(f"{HOME}/lineitems").json()
    assert http.get(f"{HOME}/lineitems?accountId={account}&status=APPROVED").json() == everything


def test_one_is_read_only_under_its_own_bill(
    http: httpx.Client, organization: Organization
) -> None:
    one = organization.ids("lineitems")[0]
    bill = organization.get("lineitems", one)["billId"]
    other = next(i for i in organization.ids("bills") if i != bill)
    assert http.get(f"{HOME}/bills/{bill}/lineitems/{one}").json()["id"] == one
    for path in (
        f"bills/{other}/lineitems/{one}",
        f"bills/unknown/lineitems/{one}",
        f"bills/{bill}/lineitems/unknown",
        "bills/unknown/lineitems",
        f"lineitems/{one}",
    ):
        assert http.get(f"{HOME}/{path}").status_code == 404, path
    assert http.delete(f"{HOME}/lineitems/{one}").status_code == 405


def test_a_bill_is_deleted_with_its_line_items(organization: Organization) -> None:
    one = organization.ids("lineitems")[0]
    bill = organization.get("lineitems", one)["billId"]
    before = organization.count("lineitems")
    items = len(organization.get("bills", bill)["lineItems"])
    organization.remove("bills", bill)
    assert organization.count("lineitems") == before - items
