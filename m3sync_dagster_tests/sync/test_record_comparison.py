"""One record compared, between an m3ter and a Salesforce that are lists."""

import psycopg
import pytest

from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.entity_options import EntityOptions, WhenGone
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.record_comparison import ComparedRecord, RecordComparison, State
from m3sync_dagster_tests.sync.conftest import Listed, Record, mapping
from m3sync_dagster_tests.sync.test_reconcile import CHANGES, ReadableOrg, key_of, synced

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
"""The state of the record ``a`` after each change: the same as a verification finds."""


def compared(
    built: FieldMapping,
    records: dict[str, Record],
    org: ReadableOrg,
    m3ter_id: str = "a",
    gone_field: str | None = None,
) -> ComparedRecord:
    source = Listed(list(records.values()))
    comparison = RecordComparison(built, source, org, lambda: None, gone_field)
    return comparison.compare(m3ter_id, org.ids.get(m3ter_id))


@pytest.mark.parametrize("name", STATES)
def test_the_state_is_the_one_that_a_verification_finds(
    connection: psycopg.Connection, name: str
) -> None:
    change, _, kind = CHANGES[name]
    built = mapping()
    records, org = synced(connection, built, "a", "b", "c")
    change(records, org)
    found = compared(built, records, org)
    assert found.state == STATES[name]
    assert kind in (None, found.state)
    assert bool(found.differences) is (found.state == "changed")


def test_the_fields_have_the_values_of_both_sides(connection: psycopg.Connection) -> None:
    built = mapping(
        options=EntityOptions(constants={"Currency__c": "EUR"}, fields={"currency": None})
    )
    records, org = synced(connection, built, "a")
    org.rows[key_of(org, "a")].values["Code__c"] = "edited"
    found = compared(built, records, org)
    fields = {one.field: (one.source, one.m3ter, one.salesforce) for one in found.fields}
    assert list(fields) == ["m3ter_Id__c", *built.columns]
    assert fields["m3ter_Id__c"] == ("id", "a", "a")
    assert fields["Account_Name__c"] == ("name", "Account a", "Account a")
    assert fields["Currency__c"] == (None, "EUR", "EUR")
    assert [(one.field, one.m3ter, one.salesforce) for one in found.differences] == [
        ("Code__c", None, "edited")
    ]


def test_a_record_of_another_account_is_out_of_scope(connection: psycopg.Connection) -> None:
    built = mapping()
    records, org = synced(connection, built, "a", "b")
    narrowed = mapping(options=EntityOptions(scope=AccountFilter(restricted=frozenset({"a"}))))
    assert compared(narrowed, records, org).state == "out_of_scope"
    assert compared(narrowed, records, org, "b").state == "equal"


def test_a_record_that_neither_side_has_is_absent(connection: psycopg.Connection) -> None:
    built = mapping()
    records, org = synced(connection, built, "a")
    assert compared(built, records, org, "x").state == "absent"


@pytest.mark.parametrize(("flag", "state"), [(True, "flagged"), (False, "extra"), (None, "extra")])
def test_a_record_that_is_marked_as_deleted_is_flagged(
    connection: psycopg.Connection, flag: bool | None, state: State
) -> None:
    built = mapping(options=EntityOptions(when_gone=WhenGone.FLAG, gone_field="Deleted__c"))
    records, org = synced(connection, built, "a")
    del records["a"]
    org.rows[key_of(org, "a")].values["Deleted__c"] = flag
    assert compared(built, records, org, gone_field="Deleted__c").state == state
