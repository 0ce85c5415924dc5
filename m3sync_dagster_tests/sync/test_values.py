from decimal import Decimal

import pytest

from m3sync_dagster.entities import Kind
from m3sync_dagster.sync.outcome import Value
from m3sync_dagster.sync.values import CONVERTERS, Unfit, plain

FITTING: list[tuple[Kind, object, Value]] = [
    (Kind.TEXT, "plain", "plain"),
    (Kind.TEXT, "", None),
    (Kind.TEXT, "a\r\nb\rc\nd", "a\nb\nc\nd"),
    (Kind.TEXT, "Ünïcode 漢字 🎉 \"quoted\", 'too'", "Ünïcode 漢字 🎉 \"quoted\", 'too'"),
    (Kind.TEXT, 12, "12"),
    (Kind.TEXT, Decimal("1.50"), "1.50"),
    (Kind.TEXT, Decimal("1E+2"), "100"),
    (Kind.TEXT, True, "true"),
    (Kind.NUMBER, 12, 12),
    (Kind.NUMBER, Decimal("-0.10"), Decimal("-0.10")),
    (Kind.NUMBER, Decimal("1234567.12345678"), Decimal("1234567.12345678")),
    (Kind.NUMBER, "12.50", Decimal("12.50")),
    (Kind.INTEGER, 3, 3),
    (Kind.INTEGER, Decimal("3.0"), Decimal("3.0")),
    (Kind.INTEGER, 9_223_372_036_854_775_807, 9_223_372_036_854_775_807),
    (Kind.BOOLEAN, False, False),
    (Kind.DATE, "2024-02-29", "2024-02-29"),
    (Kind.DATETIME, "2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678Z"),
    (Kind.DATETIME, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
    (Kind.DATETIME, "2026-01-02T03:04:05.678901+02:00", "2026-01-02T01:04:05.678Z"),
    (Kind.DATETIME, "2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00.000Z"),
    (Kind.DATETIME, "2026-01-02T03:04:05", "2026-01-02T03:04:05.000Z"),
    (Kind.DATETIME, "2026-01-02", "2026-01-02T00:00:00.000Z"),
    (Kind.LIST, ["PREPAYMENT", "BALANCE"], "PREPAYMENT;BALANCE"),
    (Kind.LIST, [], None),
    (Kind.LIST, ["A NEW ENUM VALUE", None, 3], "A NEW ENUM VALUE;3"),
    (Kind.JSON, [{"b": Decimal("1.10"), "a": "é\n"}], '[{"a":"é\\n","b":1.10}]'),
    (Kind.JSON, [], None),
    (Kind.JSON, {}, None),
    (Kind.JSON, False, "false"),
    (Kind.JSON, 0, "0"),
    (Kind.LOOKUP, "6f6e", "6f6e"),
    (Kind.LOOKUP, "", None),
    (Kind.ANY, "x", "x"),
    (Kind.ANY, Decimal("7.5"), Decimal("7.5")),
    (Kind.ANY, True, True),
    (Kind.ANY, ["a"], '["a"]'),
]


@pytest.mark.parametrize(("kind", "given", "sent"), FITTING)
def test_what_fits_is_sent_exactly(kind: Kind, given: object, sent: Value) -> None:
    converted = CONVERTERS[kind](given)
    assert (converted, type(converted), str(converted)) == (sent, type(sent), str(sent))


UNFIT: list[tuple[Kind, object, str]] = [
    (Kind.TEXT, ["a"], "is not a text"),
    (Kind.TEXT, Decimal("1E+999999"), "too large or too small"),
    (Kind.TEXT, "a\0b", "NUL"),
    (Kind.LOOKUP, "\0", "is not the id"),
    (Kind.LOOKUP, " a", "is not the id"),
    (Kind.LOOKUP, " ", "is not the id"),
    (Kind.LIST, ["\0"], "NUL"),
    (Kind.NUMBER, "1e99999999999999999999", "too large or too small"),
    (Kind.NUMBER, "twelve", "is not a number"),
    (Kind.NUMBER, "NaN", "is not a number"),
    (Kind.NUMBER, "١٢", "is not a number"),
    (Kind.NUMBER, True, "is not a number"),
    (Kind.NUMBER, {}, "is not a number"),
    (Kind.INTEGER, Decimal("1.5"), "is not a whole number"),
    (Kind.BOOLEAN, "true", "neither true nor false"),
    (Kind.BOOLEAN, 1, "neither true nor false"),
    (Kind.DATE, "2026-02-30", "is not a day of the calendar"),
    (Kind.DATE, "01/02/2026", "is not a date of the form"),
    (Kind.DATE, "2026-01-01T00:00:00Z", "is not a date of the form"),
    (Kind.DATE, 20260101, "is not a date of the form"),
    (Kind.DATETIME, "yesterday", "is not a date-time"),
    (Kind.DATETIME, 1767225600, "is not a date-time"),
    (Kind.DATETIME, "0001-01-01T00:00:00+14:00", "is not a date-time"),
    (Kind.LIST, "PREPAYMENT", "is not an array"),
    (Kind.LIST, ["a;b"], "has an element with a semicolon"),
    (Kind.LIST, [["a"]], "is not a text"),
    (Kind.LOOKUP, {"id": "x"}, "is not the id"),
]


@pytest.mark.parametrize(("kind", "given", "reason"), UNFIT)
def test_what_does_not_fit_says_why(kind: Kind, given: object, reason: str) -> None:
    with pytest.raises(Unfit, match=reason):
        CONVERTERS[kind](given)


def test_a_long_value_is_shown_in_short() -> None:
    with pytest.raises(Unfit) as caught:
        CONVERTERS[Kind.DATE]("x" * 5_000)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    ("given", "digits"), [(Decimal("1E-8"), "0.00000001"), (Decimal("1.5E+3"), "1500"), (-7, "-7")]
)
def test_numbers_are_written_without_exponents(given: int | Decimal, digits: str) -> None:
    assert plain(given) == digits
