"""Each type of a Salesforce field: the values that it accepts, converts and refuses."""

import sys
from dataclasses import replace
from decimal import Decimal
from types import FrameType

import pytest

from m3sync_dagster.sync.convert_by_field_type import one_step, rule_of
from m3sync_dagster.sync.converters import (
    ConversionError,
    any_value,
    boolean,
    calendar_date,
    date_time,
    integer,
    lookup,
    number,
    text,
)
from m3sync_dagster.sync.record_fields import Convert, no_conversion
from m3sync_dagster.sync.row_types import Value
from m3sync_dagster.sync.salesforce_schema import SalesforceField

TEXT = SalesforceField("F__c", "string", length=5)
CHOICE = SalesforceField("F__c", "picklist", length=9, picklist=("A", "B"), restricted=True)
OPEN_CHOICE = SalesforceField("F__c", "picklist", length=9, picklist=("A", "B"))
CHOICES = SalesforceField("F__c", "multipicklist", length=9, picklist=("A", "B"), restricted=True)
NUMBER = SalesforceField("F__c", "double", precision=5, scale=2)
FRACTION = SalesforceField("F__c", "percent", precision=18, scale=18)
ANY_NUMBER = SalesforceField("F__c", "currency")
LONG_TEXT = SalesforceField("F__c", "textarea")
INT = SalesforceField("F__c", "int")
LONG = SalesforceField("F__c", "long")
CHECKBOX = SalesforceField("F__c", "boolean")
DATE = SalesforceField("F__c", "date")
DATETIME = SalesforceField("F__c", "datetime")
TIME = SalesforceField("F__c", "time")
LOOKUP = SalesforceField("F__c", "reference")
UNKNOWN = SalesforceField("F__c", "a type of the future")

ACCEPTED: list[tuple[SalesforceField, Value, Value]] = [
    (TEXT, "abcde", "abcde"),
    (TEXT, " abcde ", " abcde "),  # blanks at the ends do not count
    (TEXT, "   ", None),
    (TEXT, "\1\2\3\4\5\6", None),
    (TEXT, "", None),
    (LONG_TEXT, "x", "x"),
    (TEXT, None, None),
    (TEXT, True, "true"),
    (TEXT, Decimal("1.50"), "1.50"),
    (CHOICE, "A", "A"),
    (CHOICE, "\1A ", "\1A "),
    (CHOICE, " ", None),
    (CHOICE, None, None),
    (OPEN_CHOICE, "C", "C"),
    (CHOICES, "B; A\1;B;;", "B;A"),
    (CHOICES, None, None),
    (replace(CHOICES, restricted=False), "C;A", "C;A"),
    (NUMBER, Decimal("999.123456"), Decimal("999.123456")),
    (NUMBER, 0, Decimal(0)),
    (NUMBER, None, None),
    (FRACTION, 0, Decimal(0)),
    (FRACTION, Decimal("0.05"), Decimal("0.05")),
    (ANY_NUMBER, 10**300, Decimal(10**300)),
    (ANY_NUMBER, 1234567890123456780, Decimal(1234567890123456780)),
    (ANY_NUMBER, Decimal("0.100000000000000001000"), Decimal("0.100000000000000001")),
    (INT, 2**31 - 1, Decimal(2**31 - 1)),
    (INT, -(2**31), Decimal(-(2**31))),
    (INT, None, None),
    (LONG, 2**63 - 1, Decimal(2**63 - 1)),
    (LONG, -(2**63), Decimal(-(2**63))),
    (CHECKBOX, True, True),
    (CHECKBOX, False, False),
    (CHECKBOX, None, False),
    (DATE, "1700-01-01", "1700-01-01"),
    (DATE, "4000-12-31", "4000-12-31"),
    (DATE, None, None),
    (DATETIME, "2026-01-31T12:00:00+01:00", "2026-01-31T11:00:00.000Z"),
    (DATETIME, "4000-12-31T23:59:59.999Z", "4000-12-31T23:59:59.999Z"),
    (DATETIME, None, None),
    (TIME, "10:20:30", "10:20:30.000Z"),
    (TIME, None, None),
    (LOOKUP, None, None),
    (LOOKUP, "001000000000001", "001000000000001"),
    (LOOKUP, "001000000000001AAA", "001000000000001AAA"),
    (UNKNOWN, "anything", "anything"),
]
REFUSED: list[tuple[SalesforceField, Value, str]] = [
    (TEXT, "abcdef", "'abcdef' is 6 characters long, the field holds 5"),
    (TEXT, " abcdef ", "' abcdef ' is 6 characters long, the field holds 5"),
    (
        TEXT,
        "🎉🎉🎉",
        "'🎉🎉🎉' is 6 characters long, the field holds 5, and an emoji counts as two",
    ),
    (CHOICE, "C", "'C' is not a value of this restricted picklist"),
    (CHOICES, "A;D;C", "'C' is not a value of this restricted picklist"),
    (NUMBER, 1000, "'1000' has 4 digits before the decimal point, the field holds 3"),
    (FRACTION, 1, "'1' has 1 digits before the decimal point, the field holds 0"),
    (
        ANY_NUMBER,
        Decimal("0.1234567890123456789"),
        "'0.1234567890123456789' has more than the 18 digits that a number can have",
    ),
    (ANY_NUMBER, Decimal("1E+309"), "'1E+309' is too large or too small for any number field"),
    (ANY_NUMBER, Decimal("-1E-400"), "'-1E-400' is too large or too small for any number field"),
    (INT, 2**31, "'2147483648' is not a whole number of 32 bits"),
    (INT, -(2**31) - 1, "'-2147483649' is not a whole number of 32 bits"),
    (INT, Decimal("1.5"), "'1.5' is not a whole number"),
    (LONG, 2**63, "'9223372036854775808' is not a whole number of 64 bits"),
    (LONG, -(2**63) - 1, "'-9223372036854775809' is not a whole number of 64 bits"),
    (LONG, Decimal("1E+99999"), "'1E+99999' is not a whole number of 64 bits"),
    (CHECKBOX, "yes", "'yes' is neither true nor false"),
    (DATE, "1699-12-31", "'1699-12-31' is not between 1700-01-01 and 4000-12-31"),
    (DATE, "4001-01-01", "'4001-01-01' is not between 1700-01-01 and 4000-12-31"),
    (DATETIME, "today", "'today' is not a date-time in ISO 8601"),
    (TIME, "25:00", "'25:00' is not a time of the day"),
    (LOOKUP, "some-m3ter-id", "'some-m3ter-id' is not a Salesforce Id of 15 or 18 characters"),
    (LOOKUP, 1, "'1' is not a Salesforce Id of 15 or 18 characters"),
]


@pytest.mark.parametrize(("field", "value", "sent"), ACCEPTED)
def test_accepted_values(field: SalesforceField, value: Value, sent: Value) -> None:
    assert rule_of(field)(value, field) == sent


@pytest.mark.parametrize(("field", "value", "reason"), REFUSED)
def test_refused_values(field: SalesforceField, value: Value, reason: str) -> None:
    with pytest.raises(ConversionError) as refused:
        rule_of(field)(value, field)
    assert str(refused.value) == reason


def test_a_lookup_by_external_id_accepts_a_m3ter_id() -> None:
    assert rule_of(LOOKUP, by_external_id=True)("some-m3ter-id", LOOKUP) == "some-m3ter-id"


@pytest.mark.parametrize(
    ("nillable", "defaulted", "required"),
    [(False, False, True), (False, True, False), (False, None, False), (True, False, False)],
)
def test_a_field_without_default_that_may_not_be_empty_needs_a_value(
    nillable: bool,
    defaulted: bool | None,
    required: bool,
) -> None:
    field = SalesforceField("F__c", "string", nillable=nillable, defaulted=defaulted)
    if required:
        with pytest.raises(ConversionError, match="the org requires one"):
            rule_of(field)(None, field)
    else:
        assert rule_of(field)(None, field) is None
    assert rule_of(field)("x", field) == "x"


def functions_called(convert: Convert, field: SalesforceField, value: object) -> int:
    """How many of our functions convert a value: one if there is nothing to convert."""
    step = one_step(convert, rule_of(field), field)
    called: list[str] = []

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_globals["__name__"].startswith("m3sync_dagster."):
            called.append(frame.f_code.co_name)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        step(value)
    finally:
        sys.setprofile(before)
    return len(called)


ORDINARY: list[tuple[Convert, SalesforceField, object]] = [
    *((convert, TEXT, "abcde") for convert in (text, any_value, no_conversion)),
    *((text, TEXT, value) for value in ("éé", "!", None)),
    (text, replace(TEXT, length=6), "ééé"),
    (text, LONG_TEXT, "é" * 1_000),
    *((convert, NUMBER, 999) for convert in (number, integer, any_value)),
    *((number, NUMBER, value) for value in (-999, Decimal("999.99"), Decimal("-0.1"))),
    (integer, NUMBER, Decimal(5)),
    (number, FRACTION, Decimal("0.5")),
    (number, replace(NUMBER, precision=3), 9),
    *((number, ANY_NUMBER, sign * (10**15 - 1)) for sign in (1, -1)),
    *((number, ANY_NUMBER, Decimal(one)) for one in ("0.123456789012345", "123456789012345")),
]
"""What nearly every record has."""
OTHER: list[tuple[Convert, SalesforceField, object, Value]] = [
    (text, TEXT, "ééé", "ééé"),
    (text, TEXT, " abcd", " abcd"),
    (text, TEXT, "", None),
    (text, TEXT, "a\r\nb", "a\nb"),
    (any_value, TEXT, ["a"], '["a"]'),
    (any_value, TEXT, 5, "5"),
    (text, CHOICES, "B;A;B", "B;A"),
    (lookup, replace(TEXT, type="string"), "", None),
    (number, NUMBER, "12.5", Decimal("12.5")),
    (number, NUMBER, Decimal("1E+1"), Decimal("1E+1")),
    (integer, NUMBER, Decimal("5.0"), Decimal("5.0")),
    (number, ANY_NUMBER, 10**15, Decimal(10**15)),
    (number, ANY_NUMBER, -(10**15), Decimal(-(10**15))),
    (number, ANY_NUMBER, Decimal("1E-16"), Decimal("1E-16")),
    (number, ANY_NUMBER, Decimal("1234567890.123456"), Decimal("1234567890.123456")),
    (number, FRACTION, 0, Decimal(0)),
    (number, NUMBER, None, None),
    (number, TEXT, 5, "5"),
    (boolean, CHECKBOX, None, False),
    (boolean, CHECKBOX, True, True),
    (calendar_date, DATE, "2026-01-31", "2026-01-31"),
    (date_time, DATETIME, "2026-01-31T12:00:00+01:00", "2026-01-31T11:00:00.000Z"),
    (calendar_date, TEXT, None, None),
]


@pytest.mark.parametrize(("convert", "field", "value"), ORDINARY)
def test_an_ordinary_value_is_sent_as_it_is_by_one_function(
    convert: Convert, field: SalesforceField, value: object
) -> None:
    assert one_step(convert, rule_of(field), field)(value) == value
    assert functions_called(convert, field, value) == 1


@pytest.mark.parametrize(("convert", "field", "value", "sent"), OTHER)
def test_any_other_value_is_converted(
    convert: Convert, field: SalesforceField, value: object, sent: Value
) -> None:
    found = one_step(convert, rule_of(field), field)(value)
    assert (found, type(found), str(found)) == (sent, type(sent), str(sent))
    assert functions_called(convert, field, value) > 1


@pytest.mark.parametrize(
    ("convert", "field", "value"),
    [
        (text, TEXT, "abcdef"),
        (text, TEXT, "🎉🎉🎉"),
        (text, TEXT, "a\0"),
        (text, CHOICE, "C"),
        (number, NUMBER, 1000),
        (number, NUMBER, -1000),
        (number, NUMBER, Decimal("1000.1")),
        (number, NUMBER, True),
        (integer, NUMBER, Decimal("1.5")),
        (number, FRACTION, 1),
        (number, FRACTION, Decimal("1.5")),
        (number, replace(NUMBER, precision=2, scale=3), Decimal("0.01")),
        (number, INT, Decimal("1.5")),
        (boolean, CHECKBOX, "true"),
        (calendar_date, DATE, "1699-12-31"),
        (date_time, DATETIME, "1699-12-31T00:00:00Z"),
    ],
)
def test_what_does_not_fit_is_refused_in_one_step_too(
    convert: Convert, field: SalesforceField, value: object
) -> None:
    with pytest.raises(ConversionError):
        one_step(convert, rule_of(field), field)(value)


def test_what_a_rule_begins_with_is_not_done_twice() -> None:
    """A date is checked by its rule, which calls the converter."""
    checked = functions_called(calendar_date, DATE, "2026-01-31")
    assert functions_called(text, DATE, "2026-01-31") > checked
