"""A row that is read in one step is the one that mapping and validation make in two."""

import json
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import example, given, reject, settings
from hypothesis import strategies as st

from m3sync_dagster.entities import ENTITIES, Field, FieldKind
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.convert_by_field_type import rule_of
from m3sync_dagster.sync.converters import Undecodable
from m3sync_dagster.sync.entity_options import EntityOptions, build_mapping
from m3sync_dagster.sync.mapped_records import Decoded, Mapped
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.row_reader import RowReader
from m3sync_dagster.sync.row_types import Row, Value
from m3sync_dagster.sync.row_validation import RowValidator
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject
from m3sync_dagster.sync.schema_findings import SchemaMismatchError
from m3sync_dagster_tests.sync.fitting_object import fitting

FIELDS = {
    "short text": SalesforceField("F__c", "string", length=6),
    "long text": SalesforceField("F__c", "textarea"),
    "required text": SalesforceField("F__c", "string", 255, nillable=False, defaulted=False),
    "number": SalesforceField("F__c", "double", precision=6, scale=2),
    "fraction": SalesforceField("F__c", "currency", precision=18, scale=18),
    "any number": SalesforceField("F__c", "percent"),
    "whole number": SalesforceField("F__c", "int"),
    "checkbox": SalesforceField("F__c", "boolean"),
    "date": SalesforceField("F__c", "date"),
    "date-time": SalesforceField("F__c", "datetime"),
    "time": SalesforceField("F__c", "time"),
    "picklist": SalesforceField("F__c", "picklist", picklist=("A", "1"), restricted=True),
    "choices": SalesforceField("F__c", "multipicklist", picklist=("A", "1"), restricted=True),
    "lookup": SalesforceField("F__c", "reference", relationship="F__r"),
}
KINDS = [kind for kind in FieldKind if kind is not FieldKind.LINK]
TEXTS = st.one_of(
    st.text(st.sampled_from("Aé🧾1 \t\r\n\0\x1f\x7f\xa0;\u2028"), max_size=8),
    st.datetimes().map(lambda moment: f"{moment.isoformat(timespec='milliseconds')}Z"),
    st.datetimes().map(lambda moment: moment.isoformat()),
    st.dates().map(str),
    st.sampled_from(["2026-01-01T24:00:00.000Z", "2026-02-30T00:00:00.000Z", "12.50", "-0"]),
)
NUMBERS = st.one_of(
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.sampled_from([0, 9_999, -9_999, 10_000, 10**15, 10**15 - 1, 10**22]),
    st.sampled_from(["9999.99", "10000.0", "1E+3", "-0.0", "5.0", "5.5", "0.00"]).map(Decimal),
)
SIMPLE = st.one_of(
    st.none(), st.booleans(), TEXTS, NUMBERS, st.builds(Undecodable, st.just("it is odd"))
)
VALUES = SIMPLE | st.lists(SIMPLE, max_size=2) | st.dictionaries(TEXTS, SIMPLE, max_size=2)


def built(kind: FieldKind, path: str, *, cut: bool) -> FieldMapping:
    field = Field(
        path,
        "F__c",
        kind,
        length=8,
        refers_to="account" if kind is FieldKind.LOOKUP else None,
        sources=("value", "other") if kind is FieldKind.TITLE else (),
    )
    return FieldMapping(
        entity=ENTITIES["contract"],
        object_name="X__c",
        external_id_field="Ext__c",
        fields=(field,),
        constants={"Constant__c": "always"},
        parent_external_ids={"account": "Parent_Ext__c"},
        scope=AccountFilter(),
        truncated=frozenset({path}) if cut else frozenset(),
    )


def object_with(field: SalesforceField) -> SalesforceObject:
    others = [SalesforceField("Ext__c", "string"), SalesforceField("Constant__c", "string")]
    return SalesforceObject("X__c", "X", {one.name: one for one in [*others, field]})


def in_two_steps(mapping: FieldMapping, validator: RowValidator, decoded: Decoded) -> Row | None:
    mapped = mapping.map_decoded(decoded)
    valid = validator.validate(mapped) if isinstance(mapped, Mapped) else None
    return valid if isinstance(valid, Row) else None


@settings(max_examples=300)
@given(
    st.sampled_from(KINDS),
    st.sampled_from(list(FIELDS)),
    st.sampled_from(["value", "outer.value"]),
    st.booleans(),
    st.lists(VALUES, min_size=1, max_size=10),
)
@example(
    FieldKind.TEXT, "short text", "value", False, ["éééé", "ééé", "🧾🧾🧾", "🧾🧾🧾🧾", " A", ""]
)
@example(FieldKind.TEXT, "short text", "value", True, ["1234567", " 123456 ", " ", 1234567])
@example(FieldKind.TITLE, "short text", "value", False, ["1234567", "12345 ", "\x1f1\x01"])
@example(
    FieldKind.INTEGER, "number", "value", False, [Decimal("5.5"), Decimal("5.0"), 10_000, True]
)
@example(FieldKind.NUMBER, "fraction", "value", False, [0, 1, Decimal("0.5"), Decimal("0.0")])
@example(FieldKind.DATETIME, "date-time", "value", False, ["1699-12-31T23:00:00.000Z"])
@example(FieldKind.TEXT, "long text", "outer.value", False, [None, "A"])
@example(FieldKind.TEXT, "long text", "value", False, ["A\0", "A\r\nB", "A\rB", "\x1f", "A\x1f"])
def test_both_ways_give_the_same_row(
    kind: FieldKind, to: str, path: str, cut: bool, values: list[object]
) -> None:
    mapping = built(kind, path, cut=cut)
    try:
        validator = RowValidator(mapping, object_with(FIELDS[to]))
    except SchemaMismatchError:
        reject()  # Such a mapping is refused as a whole.
    for value in values:
        record = {"value": value, "outer": {"value": value}, "other": "Another"}
        row = in_two_steps(mapping, validator, Decoded("r", record, True))
        read = validator.reader(mapping).values(record)
        if row is None or row.cut:
            assert read is None
        else:
            assert repr(read) == repr(row.values)  # to each digit of a number


@pytest.mark.parametrize("outer", ["text", 5, ["list"]])
def test_a_value_in_something_that_is_no_object_is_not_read(outer: object) -> None:
    mapping = built(FieldKind.TEXT, "outer.value", cut=False)
    validator = RowValidator(mapping, object_with(FIELDS["long text"]))
    assert validator.reader(mapping).values({"outer": outer}) is None


def test_another_mapping_gets_another_reader() -> None:
    mapping = built(FieldKind.TEXT, "value", cut=False)
    validator = RowValidator(mapping, object_with(FIELDS["long text"]))
    reader = validator.reader(mapping)
    assert validator.reader(mapping) is reader
    assert validator.reader(built(FieldKind.TEXT, "value", cut=False)) is not reader


def test_an_ordinary_account_is_read_in_one_step() -> None:
    mapping = build_mapping(ENTITIES["account"], {"account": EntityOptions()}, "")
    validator = RowValidator(mapping, fitting(mapping))
    record = {
        "id": "a",
        "name": "Société A",
        "parentAccountId": "b",
        "daysBeforeBillDue": 30,
        "billEpoch": "2026-01-01",
        "address": {"country": "CH"},
        "creditApplicationOrder": ["PREPAYMENT", "BALANCE"],
        "dtCreated": "2026-01-01T10:00:00.000Z",
    }
    decoded = mapping.decode(json.dumps(record).encode())
    assert isinstance(decoded, Decoded)
    values = validator.reader(mapping).values(decoded.record)
    assert values is not None
    assert dict(zip(mapping.columns, values, strict=True)) == dict.fromkeys(mapping.columns) | {
        "Name": "Société A",
        "Account_Name__c": "Société A",
        "Parent_Account__c": "b",
        "Days_Before_Bill_Due__c": 30,
        "Bill_Epoch__c": "2026-01-01",
        "Country__c": "CH",
        "Credit_Application_Order__c": "PREPAYMENT;BALANCE",
        "Created_In_m3ter__c": "2026-01-01T10:00:00.000Z",
    }


@pytest.mark.parametrize(("record", "is_read"), [({"billId": "b"}, True), ({}, False)])
def test_a_record_that_needs_a_parent_is_read_only_with_one(
    record: dict[str, object], is_read: bool
) -> None:
    mapping = build_mapping(
        ENTITIES["bill_line_item"], {"bill": EntityOptions(), "bill_line_item": EntityOptions()}, ""
    )
    values = RowValidator(mapping, fitting(mapping)).reader(mapping).values({"id": "i", **record})
    assert (values is not None) is is_read


@pytest.mark.parametrize(
    ("constants", "count"), [({}, 0), ({}, 2), ({"C__c": 1}, 1), ({"C__c": 1}, 3)]
)
def test_each_column_needs_a_target(constants: dict[str, Value], count: int) -> None:
    field = FIELDS["long text"]
    mapping = replace(built(FieldKind.TEXT, "value", cut=False), constants=constants)
    with pytest.raises(ValueError, match="zip"):
        RowReader(mapping, [(field, rule_of(field), False)] * count)


@pytest.mark.parametrize(
    ("to", "value", "sent"),
    [
        ("short text", " \x01123456\x02", "123456"),
        ("short text", "🧾🧾🧾", "🧾🧾🧾"),
        ("short text", "1234567", None),
        ("short text", "🧾🧾🧾🧾", None),
        ("long text", " 1234567", " 1234567"),
        ("required text", " x ", "x"),
    ],
)
def test_a_text_that_may_be_cut_is_read_without_the_blanks_if_it_fits(
    to: str, value: str, sent: str | None
) -> None:
    mapping = built(FieldKind.TEXT, "value", cut=True)
    validator = RowValidator(mapping, object_with(FIELDS[to]))
    read = validator.reader(mapping).values({"value": value})
    assert read == (None if sent is None else [sent, "always"])
    assert validator.reader(mapping).values({}) == (
        None if to == "required text" else [None, "always"]
    )
