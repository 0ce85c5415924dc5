"""Bill line items from outside: in another org, verified, deleted, and one by one."""

from decimal import Decimal
from pathlib import Path

import pytest
import yaml

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster_tests.cli.admin import Admin, verified
from m3sync_dagster_tests.cli.check_paste_run import serving
from m3sync_dagster_tests.cli.conftest import Stage, write
from m3sync_dagster_tests.cli.test_record import shown
from m3sync_dagster_tests.independent_org.org import Org

pytestmark = pytest.mark.slow

OBJECT, BILL = "m3ter_Bill_Line_Item__c", "m3ter_Bill__c"
INVOICES = """\
Invoice__c Invoice
  Key__c key m3ter Id
  Name string(80) Invoice Number
  State__c string(40) State
Invoice_Line__c Invoice Line
  Key__c key m3ter Id
  Name string(80) Invoice Line
  Invoice__c reference(Invoice__c) Invoice
  Amount__c double(12,6) Amount
  Kind__c string(80) Kind
"""
FIELDS = {
    "bill": {"title": "Name", "status": "State__c"},
    "bill_line_item": {
        "title": "Name",
        "billId": "Invoice__c",
        "subtotal": "Amount__c",
        "lineItemType": "Kind__c",
    },
}


def carry(defs: Path, **entities: object) -> None:
    """Write an integration with these entities."""
    attributes = {
        "name": "acme",
        "m3ter_credential": "m3ter_sandbox",
        "salesforce_credential": "salesforce_sandbox",
        "namespace": "custom_objects",
        "entities": entities,
    }
    text = yaml.safe_dump({"type": "m3sync_dagster.SalesforceSync", "attributes": attributes})
    write(defs, "acme", text)


def mapped(name: str, object_name: str) -> dict[str, object]:
    """An entity that goes to an object of the org's people, with a few fields."""
    fields = {field.source: None for field in ENTITIES[name].fields} | FIELDS[name]
    return {"object": object_name, "external_id_field": "Key__c", "fields": fields}


def add_bill(stage: Stage, status: str, items: int) -> tuple[str, list[str]]:
    """A bill with line items."""
    organization = stage.sandbox.organization
    account = organization.ids("accounts")[0]
    bill = organization.add("bills", accountId=account, status=status, locked=False)
    amount = Decimal("0.10")
    return bill, [
        organization.add("lineitems", billId=bill, subtotal=amount + n, lineItemType="USAGE")
        for n in range(items)
    ]


def ran(stage: Stage) -> dict[str, int]:
    answer = stage.run("run", "acme", "--json")
    assert answer.code == 0, answer.err
    found: dict[str, int] = answer.json["entities"]["bill_line_item"]
    return {name: count for name, count in found.items() if count}


def test_line_items_go_to_the_invoices_of_another_org(
    stage: Stage, defs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bill, items = add_bill(stage, "APPROVED", 2_100)  # more than one call takes: an ingest job
    _, left_out = add_bill(stage, "PENDING", 3)
    org = Org()
    org.limit_info = True
    org.install(INVOICES)
    carry(
        defs,
        bill=mapped("bill", "Invoice__c"),
        bill_line_item=mapped("bill_line_item", "Invoice_Line__c"),
    )
    organization = stage.sandbox.organization
    with serving(org, monkeypatch):
        assert ran(stage)["created"] == len(items)
        (invoice,) = org.rows.objects["Invoice__c"].records.values()
        held = {row["Key__c"]: row for row in org.rows.objects["Invoice_Line__c"].records.values()}
        assert invoice["Key__c"] == bill
        assert held.keys() == set(items)
        assert not held.keys() & set(left_out)
        assert {row["Invoice__c"] for row in held.values()} == {invoice["Id"]}
        for one in items:
            assert (
                Decimal(str(held[one]["Amount__c"]))
                == organization.get("lineitems", one)["subtotal"]
            )
        for _ in range(2):
            unchanged = ran(stage)
        # One login for both entities, which counts for the first.
        assert unchanged == {"read": len(items), "unchanged": len(items)}
        organization.change("lineitems", items[0], subtotal=Decimal("-7.5"))
        assert ran(stage)["updated"] == 1
        code, found = verified(stage)
        assert (code, found["entities"]["bill_line_item"]["equal"]) == (0, len(items))


def test_a_deploy_includes_the_object_where_line_items_are_carried(
    stage: Stage, defs: Path
) -> None:
    def deployed() -> int:
        answer = stage.run("salesforce", "deploy", "acme", "--check-only", "--json")
        return int(answer.json["components"])

    carry(defs, account={}, bill={})
    without = deployed()
    carry(defs, account={}, bill={}, bill_line_item={})
    fields = sum(field.salesforce != "Name" for field in ENTITIES["bill_line_item"].fields)
    assert deployed() == without + fields + 2  # the object, and its external ID


def test_line_items_that_m3ter_deletes_follow_when_gone(
    stage: Stage, defs: Path, admin: Admin
) -> None:
    organization = stage.sandbox.organization
    kept, items = add_bill(stage, "APPROVED", 8)
    gone, of_gone = add_bill(stage, "APPROVED", 2)
    others = [add_bill(stage, "APPROVED", 0)[0] for _ in range(2)]
    deletes = {"when_gone": "delete"}
    carry(defs, account={}, bill=deletes, bill_line_item=deletes)
    ran(stage)
    # A bill that is calculated again has new line items; a deleted one has none.
    organization.change("bills", kept, status="PENDING")
    organization.remove("lineitems", items[0])
    organization.remove("bills", gone)
    admin.edit(OBJECT, items[1], Subtotal__c=99)
    code, found = verified(stage)
    counts = found["entities"]["bill_line_item"]
    assert (code, counts["equal"], counts["changed"], counts["extra"]) == (1, 6, 1, 3)
    stage.run("verify", "acme", "--repair", "--yes")
    held = {row["m3ter_Id__c"]: row for row in stage.records(OBJECT)}
    assert held.keys() == set(items[1:])
    assert held[items[1]]["Subtotal__c"] == pytest.approx(1.1)
    assert {row["m3ter_Id__c"] for row in stage.records(BILL)} == {kept, *others}
    code, record = shown(stage, of_gone[0], "bill_line_item")
    assert (code, record["state"], record["removed"]["action"]) == (0, "absent", "delete")


def test_a_line_item_that_the_list_lacks_is_not_deleted(
    stage: Stage, defs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """m3ter is asked for it by its bill and its id before it is deleted."""
    bill, items = add_bill(stage, "APPROVED", 8)
    carry(defs, account={}, bill={}, bill_line_item={"when_gone": "delete"})
    ran(stage)
    organization = stage.sandbox.organization
    page = organization.page
    monkeypatch.setattr(
        organization,
        "page",
        lambda entity, query: (
            [one for one in page(entity, query)[0] if one.id != items[0]],
            page(entity, query)[1],
        ),
    )
    code, found = verified(stage, "--repair", "--yes")
    assert code == 1
    assert "m3ter's list lacks 1 records that m3ter still has" in str(found["repair"]["problems"])
    assert len(stage.records(OBJECT)) == len(items)
    assert bill in [row["m3ter_Id__c"] for row in stage.records(BILL)]


def test_one_line_item_is_looked_up(stage: Stage, defs: Path, admin: Admin) -> None:
    organization = stage.sandbox.organization
    _, (first, second) = add_bill(stage, "APPROVED", 2)
    open_bill, (later, _) = add_bill(stage, "PENDING", 2)
    other = organization.ids("accounts")[1]
    foreign = organization.add("bills", accountId=other, status="APPROVED", locked=False)
    outside = organization.add("lineitems", billId=foreign, subtotal=1)
    carry(
        defs,
        account={},
        bill={"restricted_account_ids": [other]},
        bill_line_item={"restricted_account_ids": [other]},
    )
    ran(stage)
    admin.edit(OBJECT, second, Subtotal__c=99)
    states = {
        one: shown(stage, one, "bill_line_item")[1]["state"]
        for one in (first, second, later, outside)
    }
    assert list(states.values()) == ["equal", "changed", "not_final", "out_of_scope"]
    planned = stage.run("plan", "acme", "--entity", "bill_line_item", "--json").json
    counts = planned["entities"]["bill_line_item"]
    assert (counts["create"], counts["unchanged"]) == (0, 2)
    organization.change("bills", open_bill, status="APPROVED")
    planned = stage.run(
        "plan", "acme", "--entity", "bill_line_item", "--record", later, "--json"
    ).json
    assert planned["entities"]["bill_line_item"]["create"] == 1
    # The bill was edited away by hand: m3ter's whole list is searched.
    admin.edit(OBJECT, first, m3ter_Bill__c=None)
    assert shown(stage, first, "bill_line_item")[1]["state"] == "changed"
