import time
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from m3sync_dagster.sandbox.salesforce.field_values import double_text
from m3sync_dagster.sync.canonical_values import canonical, field_types
from m3sync_dagster.sync.row_types import Column, Target
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject

LONG_ID = "a0B5f000001AbCdEAK"


@pytest.mark.parametrize(
    ("kind", "sent", "given_back"),
    [
        ("string", "Acme", "Acme"),
        ("string", " Acme\t\n", "Acme"),
        ("string", "\x00\x1f Acme", "Acme"),
        ("string", "", None),
        ("string", "   ", None),
        ("string", None, ""),
        ("textarea", "one\r\ntwo\rthree", "one\ntwo\nthree"),
        ("string", "漢字 “Ünïcode”", "漢字 “Ünïcode”"),
        ("double", Decimal(912260031), "9.12260031E8"),
        ("double", Decimal(3), 3.0),
        ("double", 3, "3.0"),
        ("double", Decimal("1234567890.12345678"), 1234567890.12345678),
        ("currency", Decimal("0.10"), Decimal("0.1")),
        ("percent", Decimal("1E-7"), "1.0E-7"),
        ("int", 7, "7"),
        ("double", Decimal(0), Decimal("-0.0")),
        ("double", None, ""),
        ("boolean", None, False),
        ("boolean", None, "false"),
        ("boolean", True, "true"),
        ("date", "2026-01-31", "2026-01-31"),
        ("date", None, ""),
        ("datetime", "2026-01-31T10:20:30.987Z", "2026-01-31T10:20:30.000+0000"),
        ("datetime", "2026-01-31T10:20:30.000Z", "2026-01-31T12:20:30.000+02:00"),
        ("datetime", "2026-01-31T10:20:30.000Z", "2026-01-31T10:20:30.000Z"),
        ("datetime", None, ""),
        ("multipicklist", "b;a", "a;b"),
        ("picklist", "One ", "One"),
        ("reference", LONG_ID[:15], LONG_ID),
        ("email", " Ada.Lovelace@Example.ORG", "ada.lovelace@example.org"),
        ("email", "", None),
    ],
)
def test_a_returned_value_is_equal_to_the_sent_one(
    kind: str, sent: object, given_back: object
) -> None:
    assert repr(canonical(sent, kind)) == repr(canonical(given_back, kind))


@pytest.mark.parametrize(
    ("kind", "sent", "given_back"),
    [
        ("string", "Acme", "acme"),
        ("string", "a b", "a  b"),
        ("string", "\u00a0Acme", "Acme"),
        ("string", "false", None),
        ("double", Decimal("0.1"), 0.2),
        ("double", Decimal(0), None),
        ("double", Decimal("1.5"), "by hand"),
        # Close to zero too, where adding a number would hide the difference.
        ("double", Decimal("1E-30"), "2E-30"),
        ("boolean", True, False),
        ("date", "2026-01-31", "2026-02-01"),
        ("datetime", "2026-01-31T10:20:30.000Z", "2026-01-31T10:20:31.000+0000"),
        ("datetime", "2026-01-31T10:20:30.000Z", None),
        ("multipicklist", "a;b", "a"),
        ("multipicklist", "b;\u00a0a", "b;a"),
        ("datetime", "by hand", "2026-01-31T10:20:30Z"),
        ("datetime", "by hand", "by someone"),
        ("reference", LONG_ID, LONG_ID.lower()),
        # Only Ids have characters that are computed from the others.
        ("reference", f"{LONG_ID[:15]}-AK", f"{LONG_ID[:15]}-AL"),
        ("reference", LONG_ID[:16], LONG_ID[:15]),
        ("email", "ada@example.org", "ada@example.com"),
    ],
)
def test_a_changed_value_is_not_equal_to_the_sent_one(
    kind: str, sent: object, given_back: object
) -> None:
    assert canonical(sent, kind) != canonical(given_back, kind)


@pytest.mark.parametrize(
    ("kind", "value", "form"),
    [
        ("string", "\x00Acme ", "Acme"),
        ("string", 1.5, "1.5"),
        ("string", False, "false"),
        ("double", "1.50", 1.5),
        ("double", "by hand", "by hand"),
        ("boolean", "TRUE", True),
        ("datetime", "2026-01-31T10:20:30.987+02:00", "2026-01-31T08:20:30Z"),
        ("datetime", "2026-07-31T10:20:30.987", "2026-07-31T10:20:30Z"),
        ("datetime", "by hand", "by hand"),
        ("multipicklist", "b;\x00a", "a;b"),
        ("reference", LONG_ID, LONG_ID[:15]),
    ],
)
def test_the_canonical_form(
    monkeypatch: pytest.MonkeyPatch, kind: str, value: object, form: object
) -> None:
    """It is the same in each time zone that a machine may have."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "America/New_York")
        time.tzset()
        found = canonical(value, kind)
    time.tzset()
    assert found == form


def test_a_lookup_is_compared_as_text_and_other_columns_by_their_types() -> None:
    fields = {
        name: SalesforceField(name, kind) for name, kind in (("N", "int"), ("P", "reference"))
    }
    described = SalesforceObject("Thing__c", "Thing", fields)
    columns = (Column("P", "P__r", "Key__c"), Column("N"), Column("P"))
    target = Target("Thing__c", "Key__c", columns)
    assert field_types(target, described) == ["string", "int", "reference"]


@given(
    st.decimals(
        allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12
    )
)
def test_every_number_is_equal_after_the_conversion_to_a_java_double(number: Decimal) -> None:
    assert canonical(number, "double") == canonical(double_text(number), "double")
    assert canonical(number, "double") == canonical(float(number), "double")
