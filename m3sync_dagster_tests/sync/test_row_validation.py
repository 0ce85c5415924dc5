from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

import pytest

from m3sync_dagster.entities import ENTITIES, Field, FieldKind
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.mapped_records import Mapped
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.row_results import ErrorClass, RefusedRecord, Rejected
from m3sync_dagster.sync.row_types import Column, Row, Target, Value
from m3sync_dagster.sync.row_validation import RowValidator
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject


def mapping_of(
    *fields: Field,
    constants: Mapping[str, Value] | None = None,
    truncated: frozenset[str] = frozenset(),
) -> FieldMapping:
    return FieldMapping(
        entity=ENTITIES["contract"],
        object_name="X__c",
        external_id_field="Ext__c",
        fields=fields,
        constants=constants or {},
        parent_external_ids={"account": "Parent_Ext__c"},
        scope=AccountFilter(),
        truncated=truncated,
    )


def described(**lengths: int) -> SalesforceObject:
    fields = {name: SalesforceField(name, "string", length=most) for name, most in lengths.items()}
    return SalesforceObject("X__c", "X", {"Ext__c": SalesforceField("Ext__c", "string")} | fields)


def validator(
    field: SalesforceField, kind: FieldKind = FieldKind.ANY, refers_to: str | None = None
) -> RowValidator:
    mapping = mapping_of(Field("source", field.name, kind, refers_to=refers_to))
    fields = {"Ext__c": SalesforceField("Ext__c", "string"), field.name: field}
    return RowValidator(mapping, SalesforceObject("X__c", "X", fields))


def fit(field: SalesforceField, value: Value) -> Row | Rejected:
    return validator(field).validate(Mapped("r1", [value]))


TEXT = SalesforceField("F__c", "string", length=5)
NUMBER = SalesforceField("F__c", "double", precision=6, scale=2)
SEVERAL = SalesforceField("F__c", "multipicklist", picklist=("A", "B"), restricted=True)
INT = SalesforceField("F__c", "int")
PICKLIST = SalesforceField("F__c", "picklist", length=255, picklist=("A", "B"), restricted=True)
CHECKBOX = SalesforceField("F__c", "boolean", nillable=False)

ID = "001000000000001AAA"
NO_LIMITS = SalesforceField("F__c", "double")
SECRET = SalesforceField("F__c", "encryptedstring", length=5)

FITS: list[tuple[SalesforceField, Value, Value]] = [
    (TEXT, "12345", "12345"),
    (TEXT, None, None),
    (TEXT, Decimal("1.50"), "1.50"),
    (TEXT, True, "true"),
    (SalesforceField("F__c", "string"), "x" * 999, "x" * 999),
    (NUMBER, Decimal("9999.99"), Decimal("9999.99")),
    (NUMBER, Decimal("-9999.99"), Decimal("-9999.99")),
    (NUMBER, Decimal("1.5000"), Decimal("1.5000")),
    (NUMBER, Decimal("1E+3"), Decimal("1E+3")),
    (NUMBER, 0, Decimal(0)),
    (NUMBER, "12.5", Decimal("12.5")),
    (NUMBER, Decimal("1.00512345"), Decimal("1.00512345")),
    (NUMBER, None, None),
    (SalesforceField("F__c", "double"), Decimal("1.23456789"), Decimal("1.23456789")),
    (PICKLIST, "A", "A"),
    (PICKLIST, None, None),
    (SalesforceField("F__c", "picklist", picklist=("A",)), "new", "new"),
    (TEXT, " \t12345\n", " \t12345\n"),
    (TEXT, " \n ", None),
    (SEVERAL, "B;A", "B;A"),
    (SEVERAL, None, None),
    (SEVERAL, " A ;B;;A", "A;B"),
    (SEVERAL, ";", None),
    (SECRET, "12345", "12345"),
    (NO_LIMITS, Decimal("1234567890.12345678"), Decimal("1234567890.12345678")),
    (NO_LIMITS, Decimal("0.1000000000000000000000"), Decimal("0.1000000000000000000000")),
    (NO_LIMITS, 10**22, Decimal(10**22)),
    (NO_LIMITS, Decimal("-0.0"), Decimal("-0.0")),
    (SalesforceField("F__c", "time"), "10:20", "10:20:00.000Z"),
    (SalesforceField("F__c", "time"), "23:59:59.5Z", "23:59:59.500Z"),
    (SalesforceField("F__c", "time"), None, None),
    (SalesforceField("F__c", "reference"), ID, ID),
    (SalesforceField("F__c", "reference"), ID[:15], ID[:15]),
    (SalesforceField("F__c", "reference"), None, None),
    (INT, Decimal("7.0"), Decimal("7.0")),
    (INT, -(2**31), Decimal(-(2**31))),
    (SalesforceField("F__c", "long"), 2**40, Decimal(2**40)),
    (SalesforceField("F__c", "date"), "1700-01-01", "1700-01-01"),
    (SalesforceField("Name", "string", nillable=False, defaulted=True), None, None),
    (SalesforceField("Name", "string", nillable=False), None, None),
    (CHECKBOX, True, True),
    (CHECKBOX, None, False),
    (SalesforceField("F__c", "date"), "2026-01-31", "2026-01-31"),
    (SalesforceField("F__c", "datetime"), "2026-01-31", "2026-01-31T00:00:00.000Z"),
    (SalesforceField("F__c", "a type of the future"), "x", "x"),
]


@pytest.mark.parametrize(("field", "value", "sent"), FITS)
def test_what_fits_the_field_is_sent(field: SalesforceField, value: Value, sent: Value) -> None:
    fitted = fit(field, value)
    assert fitted == Row("r1", [sent])
    assert type(fitted.values[0]) is type(sent)


MISFITS: list[tuple[SalesforceField, Value, str]] = [
    (TEXT, "123456", "is 6 characters long, the field holds 5"),
    (TEXT, "🧾🧾🧾", "is 6 characters long, the field holds 5, and an emoji counts as two"),
    (TEXT, "é中\u00fc\u00fc\u00fcx", "is 6 characters long, the field holds 5"),
    (NUMBER, Decimal(10000), "has 5 digits before the decimal point, the field holds 4"),
    (NUMBER, Decimal("1E+999999999"), "digits before the decimal point"),
    (NUMBER, "gold", "is not a number"),
    (NUMBER, True, "is not a number"),
    (PICKLIST, "C", "is not a value of this restricted picklist"),
    (SEVERAL, "A;C", "'C' is not a value of this restricted picklist"),
    (INT, Decimal("1.5"), "is not a whole number"),
    (INT, 2**31, "is not a whole number of 32 bits"),
    (INT, Decimal("1E+400"), "is not a whole number of 32 bits"),
    (SalesforceField("F__c", "long"), 2**63, "is not a whole number of 64 bits"),
    (SalesforceField("F__c", "date"), "1699-12-31", "is not between"),
    (SalesforceField("F__c", "datetime"), "4001-01-01T00:00:00Z", "is not between"),
    (SalesforceField("F__c", "string", nillable=False, defaulted=False), None, "requires one"),
    (SalesforceField("F__c", "string", nillable=False, defaulted=False), " ", "requires one"),
    (SECRET, "123456", "the field holds 5"),
    (NO_LIMITS, Decimal("1234567890.123456789"), "more than the 18 digits"),
    (NO_LIMITS, 10**18 + 1, "more than the 18 digits"),
    (NO_LIMITS, Decimal("1E+400"), "too large or too small"),
    (NO_LIMITS, Decimal("1E-9999"), "too large or too small"),
    (NUMBER, "NaN", "is not a number"),
    (SalesforceField("F__c", "time"), "25:00:00", "is not a time of the day"),
    (SalesforceField("F__c", "time"), "10:20:30.1234567", "is not a time of the form"),
    (SalesforceField("F__c", "time"), Decimal(10), "is not a time of the form"),
    (SalesforceField("F__c", "reference"), "acme", "is not a Salesforce Id"),
    (SalesforceField("F__c", "reference"), True, "is not a Salesforce Id"),
    (CHECKBOX, "yes", "neither true nor false"),
    (SalesforceField("F__c", "date"), "2026-01-31T00:00:00.000Z", "is not a date"),
    (SalesforceField("F__c", "datetime"), "soon", "is not a date-time"),
]


@pytest.mark.parametrize(("field", "value", "reason"), MISFITS)
def test_what_does_not_fit_is_an_invalid_row(
    field: SalesforceField, value: Value, reason: str
) -> None:
    refused = fit(field, value)
    assert isinstance(refused, Rejected), refused
    assert (refused.m3ter_id, refused.error_class) == ("r1", ErrorClass.INVALID)
    assert refused.fields == ("F__c",)
    assert f"F__c: {refused.message.removeprefix('F__c: ')}" == refused.message
    assert reason in refused.message


def test_a_lookup_is_set_by_external_id_where_the_field_is_one() -> None:
    reference = SalesforceField("P__c", "reference", relationship="P__r")
    linked = validator(reference, FieldKind.LOOKUP, "account")
    columns = (Column("P__c", "P__r", "Parent_Ext__c"),)
    assert linked.target == Target("X__c", "Ext__c", columns)
    assert linked.validate(Mapped("r1", ["any id"])) == Row("r1", ["any id"])
    plain = validator(
        SalesforceField("P__c", "string", length=64), FieldKind.LOOKUP, "account"
    ).target
    assert plain.columns == (Column("P__c"),)


def test_all_missing_fields_are_named_at_once() -> None:
    mapping = mapping_of(Field("a", "A__c"), Field("b", "B__c"), constants={"C__c": "c"})
    org = SalesforceObject("X__c", "X", {"B__c": SalesforceField("B__c", "string")})
    with pytest.raises(ConfigurationError, match="shows no field Ext__c, A__c, C__c"):
        RowValidator(mapping, org)


def test_a_text_is_cut_only_where_the_mapping_asks() -> None:
    def mapping(truncated: frozenset[str]) -> FieldMapping:
        fields = (Field("long", "Long__c"), Field("other", "Other__c"))
        return mapping_of(*fields, truncated=truncated)

    org = described(Long__c=5, Other__c=5)
    row = Mapped("r1", ["  1234 6789", "12345"])
    cut = RowValidator(mapping(frozenset({"long"})), org).validate(row)
    assert cut == Row("r1", ["1234", "12345"], cut=True)
    uncut = RowValidator(mapping(frozenset({"other"})), org).validate(row)
    assert isinstance(uncut, Rejected)
    assert uncut.fields == ("Long__c",)
    assert uncut.record == RefusedRecord(refused={"Long__c": "  1234 6789"})
    assert mapping(frozenset()).seed != mapping(frozenset({"long"})).seed


def test_what_is_cut_fits_also_where_an_emoji_counts_as_two() -> None:
    title = SalesforceField("Name", "string", length=5)
    fitted = validator(title, FieldKind.TITLE).validate(Mapped("r1", ["🧾🧾🧾🧾"]))
    assert fitted == Row("r1", ["🧾🧾"], cut=True)


def test_only_what_salesforce_strips_is_left_out_before_a_text_is_cut() -> None:
    title = SalesforceField("Name", "string", length=5)
    fitted = validator(title, FieldKind.TITLE).validate(Mapped("r1", ["\x1f \u3000123\u3000 "]))
    assert fitted == Row("r1", ["\u3000123\u3000"])


def test_a_title_that_the_field_can_hold_is_sent_as_it_is() -> None:
    title = SalesforceField("Name", "string", length=Field("source", "Name").length)
    fitted = validator(title, FieldKind.TITLE).validate(Mapped("r1", [" 1 "]))
    assert fitted == Row("r1", [" 1 "])


def test_a_row_of_another_mapping_is_refused() -> None:
    for values in ([], ["a", "b"]):
        with pytest.raises(ValueError, match="zip"):
            validator(TEXT).validate(Mapped("r1", [*values]))
        with pytest.raises(ValueError, match="zip"):
            validator(TEXT).values_as_before(Mapped("r1", [*values]))


def test_the_values_before_a_field_was_changed_are_converted_where_they_still_fit() -> None:
    day = Field("day", "Day__c", FieldKind.DATE)
    mapping = mapping_of(
        Field("text", "Text__c"), day, Field("cut", "Cut__c"), truncated=frozenset({"cut"})
    )
    org = described(Text__c=3, Cut__c=3)
    org.fields["Day__c"] = SalesforceField("Day__c", "datetime")
    built = RowValidator(mapping, org)
    row = Mapped("r1", ["too long", "2026-01-31", "12345"])
    assert built.values_as_before(row) == ["too long", "2026-01-31T00:00:00.000Z", "123"]
    assert isinstance(built.validate(row), Rejected)


def test_the_reader_of_a_mapping_is_made_once() -> None:
    mapping = mapping_of(Field("a", "A__c"))
    built = RowValidator(mapping, described(A__c=5))
    reader = built.reader(mapping)
    assert reader.mapping is mapping
    assert built.reader(mapping) is reader
    other = replace(mapping)
    assert built.reader(other).mapping is other


def test_the_reader_strips_and_cuts_only_what_the_mapping_asks() -> None:
    mapping = mapping_of(Field("a", "A__c"), Field("b", "B__c"), truncated=frozenset({"a"}))
    reader = RowValidator(mapping, described(A__c=5, B__c=5)).reader(mapping)
    assert reader.values({"a": " 1 ", "b": " 1 "}) == ["1", " 1 "]
    assert reader.values({"a": "123456", "b": "1"}) is None, "it is to be cut"


def test_the_target_says_that_records_are_only_updated() -> None:
    mapping = replace(mapping_of(Field("a", "A__c")), update_only=True)
    target = RowValidator(mapping, described(A__c=255)).target
    assert target == Target("X__c", "Ext__c", (Column("A__c"),), update_only=True)
