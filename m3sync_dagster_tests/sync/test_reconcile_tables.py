"""A verification on PostgreSQL's tables, between an m3ter and a Salesforce that are lists."""

from collections.abc import Callable, Iterator, Sequence

import psycopg
import pytest

from m3sync_dagster.state import PostgresReconciliation
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.entity_options import EntityOptions, WhenGone
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.reconcile import Progress, Reconciler
from m3sync_dagster.sync.reconcile_types import (
    DiffCounts,
    DifferenceKind,
)
from m3sync_dagster.sync.record_comparison import ComparedRecord, RecordComparison, State
from m3sync_dagster_tests.sync.conftest import Listed, Record, account, mapping, prepared
from m3sync_dagster_tests.sync.readable_org import ReadableOrg, SalesforceRow

Change = Callable[[dict[str, Record], ReadableOrg], object]


def synced(
    connection: psycopg.Connection, built: FieldMapping, *ids: str
) -> tuple[dict[str, Record], ReadableOrg]:
    """Records that a run has synced: as in m3ter, and the org."""
    records, org = {one: account(one) for one in ids}, ReadableOrg()
    for _ in prepared(connection, Listed(list(records.values())), org, built).run():
        pass
    org.take_over()
    return records, org


def reconciler(
    connection: psycopg.Connection,
    built: FieldMapping,
    records: dict[str, Record],
    org: ReadableOrg,
    gone_field: str | None = None,
) -> tuple[Reconciler, list[Progress]]:
    tables = PostgresReconciliation(connection, "acme", "account")
    found = Reconciler(built, Listed(list(records.values())), org, tables, gone_field)
    return found, list(found.run())


def compared(
    built: FieldMapping, records: dict[str, Record], org: ReadableOrg, m3ter_id: str = "a"
) -> ComparedRecord:
    """A record that is compared alone."""
    comparison = RecordComparison(built, Listed(list(records.values())), org, lambda: None)
    return comparison.compare(m3ter_id, org.ids.get(m3ter_id))


def key_of(org: ReadableOrg, m3ter_id: str) -> str:
    return org.ids[m3ter_id]


def rename(new: str | None) -> Change:
    def change(_records: dict[str, Record], org: ReadableOrg) -> None:
        org.rows[key_of(org, "a")].external_id = new

    return change


def add_row(external_id: str | None) -> Change:
    return lambda _, org: org.rows.update(
        a0X000000000099=SalesforceRow(external_id, {"Account_Name__c": "x"})
    )


CHANGES: dict[str, tuple[Change, DiffCounts, DifferenceKind | None]] = {
    "nothing": (lambda *_: None, DiffCounts(equal=3), None),
    "a value edited in Salesforce": (
        lambda _, org: org.rows[key_of(org, "a")].values.update(Code__c="edited"),
        DiffCounts(equal=2, changed=1),
        "changed",
    ),
    "a record deleted in Salesforce": (
        lambda _, org: org.rows.pop(key_of(org, "a")),
        DiffCounts(equal=2, missing=1),
        "missing",
    ),
    "a record deleted in m3ter": (
        lambda records, _: records.pop("a"),
        DiffCounts(equal=2, extra=1, gone=1),
        "extra",
    ),
    "a record that was never synced": (add_row("x"), DiffCounts(equal=3, extra=1), "extra"),
    "a record without external ID": (add_row(None), DiffCounts(equal=3), None),
    "an edited external ID": (rename("edited"), DiffCounts(equal=2, changed=1), "changed"),
    "an emptied external ID": (rename(None), DiffCounts(equal=2, changed=1), "changed"),
    "an external ID edited to another record's": (
        lambda records, org: (records.update(d=account("d")), rename("d")(records, org)),
        DiffCounts(equal=2, missing=1, changed=1, pending=1),
        None,
    ),
    "a record changed in m3ter since the run": (
        lambda records, _: records.update(a=account("a", code="new")),
        DiffCounts(equal=2, changed=1, pending=1),
        "changed",
    ),
    "a new record in m3ter": (
        lambda records, _: records.update(d=account("d")),
        DiffCounts(equal=3, missing=1, pending=1),
        "missing",
    ),
    "an invalid record in m3ter": (
        lambda records, _: records.update(a=account("a", code=[])),
        DiffCounts(equal=2, invalid=1),
        "invalid",
    ),
}


STATES: dict[str, State] = {
    "nothing": "equal",
    "a value edited in Salesforce": "changed",
    "a record deleted in Salesforce": "missing",
    "a record deleted in m3ter": "extra",
    "an edited external ID": "changed",
    "an emptied external ID": "changed",
    "an external ID edited to another record's": "missing",
    "a record changed in m3ter since the run": "changed",
    "an invalid record in m3ter": "invalid",
}
"""The state of the record ``a`` after a change, when it is compared alone."""


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found_by_a_verification_and_by_a_comparison_of_the_record(
    connection: psycopg.Connection, name: str
) -> None:
    change, counts, kind = CHANGES[name]
    built = mapping()
    records, org = synced(connection, built, "a", "b", "c")
    change(records, org)
    found, progress = reconciler(connection, built, records, org)
    assert found.counts == counts
    if kind:
        assert [example.kind for example in found.examples] == [kind]
    assert progress[-1].salesforce == len([r for r in org.rows.values() if r.external_id])
    assert found.calls >= 2
    if name in STATES:
        alone = compared(built, records, org)
        assert alone.state == STATES[name]
        assert kind in (None, alone.state)
        assert bool(alone.differences) is (alone.state == "changed")


def test_an_example_shows_the_differing_fields(connection: psycopg.Connection) -> None:
    built = mapping()
    records, org = synced(connection, built, "a", "b")
    org.rows[key_of(org, "a")].values["Code__c"] = "edited"
    (example,) = reconciler(connection, built, records, org)[0].examples
    assert (example.m3ter_id, example.salesforce_id) == ("a", key_of(org, "a"))
    assert example.fields == {"Code__c": (None, "edited")}


def test_a_deleted_record_that_is_marked_is_flagged(connection: psycopg.Connection) -> None:
    built = mapping(options=EntityOptions(when_gone=WhenGone.FLAG, gone_field="Deleted__c"))
    records, org = synced(connection, built, "a", "b")
    del records["a"]
    org.rows[key_of(org, "a")].values["Deleted__c"] = True
    found, _ = reconciler(connection, built, records, org, "Deleted__c")
    assert found.counts == DiffCounts(equal=1, flagged=1)
    assert (found.counts.matches, found.counts.in_salesforce, found.counts.in_both) == (True, 2, 1)


def test_only_the_accounts_in_scope_are_read(connection: psycopg.Connection) -> None:
    built = mapping(options=EntityOptions(scope=AccountFilter(allowed=frozenset({"a"}))))
    records, org = synced(connection, built, "a")
    add_row("out of scope")(records, org)
    found, _ = reconciler(connection, built, records, org)
    assert found.counts == DiffCounts(equal=1)
    assert org.selections[0]
    assert (org.selections[0].column.field, org.selections[0].ids) == ("m3ter_Id__c", ["a"])


class SkippingList(Listed):
    """A list that skips a record the first time it is read."""

    def records(self, *args: object) -> Iterator[Sequence[bytes]]:
        pages = list(super().records(*args))  # type: ignore[arg-type] # passed through
        return iter(pages if len(self.asked) > 1 else [page[1:] for page in pages])


def test_a_record_that_the_first_list_skips_is_not_extra(connection: psycopg.Connection) -> None:
    built = mapping()
    records, org = synced(connection, built, "a", "b")
    source = SkippingList(list(records.values()))
    tables = PostgresReconciliation(connection, "acme", "account")
    found = Reconciler(built, source, org, tables)
    list(found.run())
    assert (found.counts, len(source.asked)) == (DiffCounts(equal=2), 2)
