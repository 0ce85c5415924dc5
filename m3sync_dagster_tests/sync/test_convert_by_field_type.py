"""Each type of a Salesforce field: the values that it accepts, converts and refuses."""

from decimal import Decimal

import pytest

from m3sync_dagster.sync.convert_by_field_type import rule_of
from m3sync_dagster.sync.converters import ConversionError
from m3sync_dagster.sync.row_types import Value
from m3sync_dagster.sync.salesforce_schema import SalesforceField

TEXT = SalesforceField("F__c", "string", length=5)
CHOICE = SalesforceField("F__c", "picklist", length=9, picklist=("A", "B"), restricted=True)
OPEN_CHOICE = SalesforceField("F__c", "picklist", length=9, picklist=("A", "B"))
CHOICES = SalesforceField("F__c", "multipicklist", length=9, picklist=("A", "B"), restricted=True)
NUMBER = SalesforceField("F__c", "double", precision=5, scale=2)
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
    (TEXT, None, None),
    (TEXT, True, "true"),
    (TEXT, Decimal("1.50"), "1.50"),
    (CHOICE, "A", "A"),
    (CHOICE, None, None),
    (OPEN_CHOICE, "C", "C"),
    (CHOICES, "B; A;B;;", "B;A"),
    (CHOICES, None, None),
    (NUMBER, Decimal("999.123456"), Decimal("999.123456")),
    (NUMBER, 0, Decimal(0)),
    (NUMBER, None, None),
    (INT, 2**31 - 1, Decimal(2**31 - 1)),
    (LONG, -(2**63), Decimal(-(2**63))),
    (CHECKBOX, True, True),
    (CHECKBOX, None, False),
    (DATE, "4000-12-31", "4000-12-31"),
    (DATETIME, "2026-01-31T12:00:00+01:00", "2026-01-31T11:00:00.000Z"),
    (TIME, "10:20:30", "10:20:30.000Z"),
    (LOOKUP, "001000000000001", "001000000000001"),
    (LOOKUP, "001000000000001AAA", "001000000000001AAA"),
    (UNKNOWN, "anything", "anything"),
]
REFUSED: list[tuple[SalesforceField, Value, str]] = [
    (TEXT, "abcdef", "6 characters long, the field holds 5"),
    (TEXT, "🎉🎉🎉", "an emoji counts as two"),
    (CHOICE, "C", "not a value of this restricted picklist"),
    (CHOICES, "A;C", "'C' is not a value of this restricted picklist"),
    (NUMBER, 1000, "has 4 digits before the decimal point, the field holds 3"),
    (NUMBER, Decimal("0.1234567890123456789"), "more than the 18 digits"),
    (INT, 2**31, "not a whole number of 32 bits"),
    (INT, Decimal("1.5"), "not a whole number"),
    (LONG, 2**63, "not a whole number of 64 bits"),
    (CHECKBOX, "yes", "neither true nor false"),
    (DATE, "1699-12-31", "not between 1700-01-01 and 4000-12-31"),
    (DATETIME, "today", "not a date-time"),
    (TIME, "25:00", "not a time of the day"),
    (LOOKUP, "some-m3ter-id", "not a Salesforce Id"),
]


@pytest.mark.parametrize(("field", "value", "sent"), ACCEPTED)
def test_accepted_values(field: SalesforceField, value: Value, sent: Value) -> None:
    assert rule_of(field)(value, field) == sent


@pytest.mark.parametrize(("field", "value", "reason"), REFUSED)
def test_refused_values(field: SalesforceField, value: Value, reason: str) -> None:
    with pytest.raises(ConversionError, match=reason):
        rule_of(field)(value, field)


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
