from decimal import Decimal

import pytest

from m3sync_dagster.entities import FieldKind
from m3sync_dagster.sync.converters import (
    CONVERTERS,
    ConversionError,
    Undecodable,
    clock_time,
    length,
    plain,
    shortened,
    shown,
)
from m3sync_dagster.sync.row_types import Value

FITTING: list[tuple[FieldKind, object, Value]] = [
    (FieldKind.TEXT, "plain", "plain"),
    (FieldKind.TEXT, "", None),
    (FieldKind.TEXT, "a\r\nb\rc\nd", "a\nb\nc\nd"),
    (FieldKind.TEXT, "Ünïcode 漢字 🎉 \"quoted\", 'too'", "Ünïcode 漢字 🎉 \"quoted\", 'too'"),
    (FieldKind.TEXT, 12, "12"),
    (FieldKind.TEXT, Decimal("1.50"), "1.50"),
    (FieldKind.TEXT, Decimal("1E+2"), "100"),
    (FieldKind.TEXT, True, "true"),
    (FieldKind.TEXT, False, "false"),
    (FieldKind.NUMBER, 12, 12),
    (FieldKind.NUMBER, Decimal("-0.10"), Decimal("-0.10")),
    (FieldKind.NUMBER, Decimal("1234567.12345678"), Decimal("1234567.12345678")),
    (FieldKind.NUMBER, "12.50", Decimal("12.50")),
    (FieldKind.INTEGER, 3, 3),
    (FieldKind.INTEGER, Decimal("3.0"), Decimal("3.0")),
    (FieldKind.INTEGER, 9_223_372_036_854_775_807, 9_223_372_036_854_775_807),
    (FieldKind.BOOLEAN, False, False),
    (FieldKind.DATE, "2024-02-29", "2024-02-29"),
    (FieldKind.DATETIME, "2026-01-02T03:04:05.678Z", "2026-01-02T03:04:05.678Z"),
    (FieldKind.DATETIME, "2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000Z"),
    (FieldKind.DATETIME, "2026-01-02T03:04:05.678901+02:00", "2026-01-02T01:04:05.678Z"),
    (FieldKind.DATETIME, "2026-01-01T00:30:00+01:00", "2025-12-31T23:30:00.000Z"),
    (FieldKind.DATETIME, "2026-01-02T03:04:05", "2026-01-02T03:04:05.000Z"),
    (FieldKind.DATETIME, "2026-01-02", "2026-01-02T00:00:00.000Z"),
    (FieldKind.LIST, ["PREPAYMENT", "BALANCE"], "PREPAYMENT;BALANCE"),
    (FieldKind.LIST, [], None),
    (FieldKind.LIST, ["", "a"], ";a"),
    (FieldKind.LIST, ["A NEW ENUM VALUE", None, 3], "A NEW ENUM VALUE;3"),
    (FieldKind.JSON, [{"b": Decimal("1.10"), "a": "é\n"}], '[{"a":"é\\n","b":1.10}]'),
    (FieldKind.JSON, [], None),
    (FieldKind.JSON, {}, None),
    (FieldKind.JSON, "", None),
    (FieldKind.JSON, False, "false"),
    (FieldKind.JSON, 0, "0"),
    (FieldKind.LOOKUP, "6f6e", "6f6e"),
    (FieldKind.LOOKUP, "x" * 255, "x" * 255),
    (FieldKind.LOOKUP, "", None),
    (FieldKind.ANY, "x", "x"),
    (FieldKind.ANY, Decimal("7.5"), Decimal("7.5")),
    (FieldKind.ANY, True, True),
    (FieldKind.ANY, ["a"], '["a"]'),
]


@pytest.mark.parametrize(("kind", "given", "sent"), FITTING)
def test_what_fits_is_sent_exactly(kind: FieldKind, given: object, sent: Value) -> None:
    converted = CONVERTERS[kind](given)
    assert (converted, type(converted), str(converted)) == (sent, type(sent), str(sent))


UNFIT: list[tuple[FieldKind, object, str]] = [
    (FieldKind.TEXT, ["a"], "is not a text"),
    (FieldKind.TEXT, Decimal("1E+999999"), "too large or too small"),
    (FieldKind.TEXT, "a\0b", "NUL"),
    (FieldKind.LOOKUP, "x" * 256, "is longer than an id of 255 characters"),
    (FieldKind.LOOKUP, "\0", "is not the id"),
    (FieldKind.LOOKUP, " a", "is not the id"),
    (FieldKind.LOOKUP, " ", "is not the id"),
    (FieldKind.LIST, ["\0"], "NUL"),
    (FieldKind.NUMBER, "1e99999999999999999999", "too large or too small"),
    (FieldKind.NUMBER, "twelve", "is not a number"),
    (FieldKind.NUMBER, "NaN", "is not a number"),
    (FieldKind.NUMBER, "١٢", "is not a number"),
    (FieldKind.NUMBER, True, "is not a number"),
    (FieldKind.NUMBER, {}, "is not a number"),
    (FieldKind.INTEGER, Decimal("1.5"), "is not a whole number"),
    (FieldKind.BOOLEAN, "true", "neither true nor false"),
    (FieldKind.BOOLEAN, 1, "neither true nor false"),
    (FieldKind.DATE, "2026-02-30", "is not a day of the calendar"),
    (FieldKind.DATE, "01/02/2026", "is not a date of the form"),
    (FieldKind.DATE, "2026-01-01T00:00:00Z", "is not a date of the form"),
    (FieldKind.DATE, 20260101, "is not a date of the form"),
    (FieldKind.DATETIME, "yesterday", "is not a date-time"),
    (FieldKind.DATETIME, 1767225600, "is not a date-time"),
    (FieldKind.DATETIME, "0001-01-01T00:00:00+14:00", "is not a date-time"),
    (FieldKind.LIST, "PREPAYMENT", "is not an array"),
    (FieldKind.LIST, ["a;b"], "has an element with a semicolon"),
    (FieldKind.LIST, [["a"]], "is not a text"),
    (FieldKind.LOOKUP, {"id": "x"}, "is not the id"),
]


@pytest.mark.parametrize(("kind", "given", "reason"), UNFIT)
def test_what_does_not_fit_says_why(kind: FieldKind, given: object, reason: str) -> None:
    with pytest.raises(ConversionError, match=reason) as problem:
        CONVERTERS[kind](given)
    values = [given, *given] if isinstance(given, list) else [given]
    assert str(problem.value).startswith(tuple(map(shown, values)))


def test_a_key_that_cannot_be_written_says_why() -> None:
    with pytest.raises(ConversionError, match="a key in it is not a text that UTF-8 can write"):
        CONVERTERS[FieldKind.JSON]({"\ud83d": 1})


@pytest.mark.parametrize("kind", CONVERTERS)
@pytest.mark.parametrize("wrapped", [False, True])
def test_a_value_that_could_not_be_decoded_says_why(kind: FieldKind, wrapped: bool) -> None:
    value: object = Undecodable("half a text")
    if wrapped and kind in {FieldKind.LIST, FieldKind.JSON, FieldKind.ANY}:
        value = [value]
    with pytest.raises(ConversionError, match="half a text"):
        CONVERTERS[kind](value)


@pytest.mark.parametrize(
    ("words", "units"), [("", 0), ("abc", 3), ("é中", 2), ("\U0001f600", 2), ("a\U0001f600b", 4)]
)
def test_a_length_is_that_in_utf_16(words: str, units: int) -> None:
    assert length(words) == units


@pytest.mark.parametrize("most", range(7))
def test_a_text_is_never_cut_in_the_middle_of_a_character(most: int) -> None:
    words = "a\U0001f600\U0001f600b"
    cut = shortened(words, most)
    assert words.startswith(cut)
    cut.encode()  # raises where a half pair is left
    assert max(0, most - 1) <= length(cut) <= most


@pytest.mark.parametrize(
    ("words", "cut"),
    [("ab\0 cd", "ab"), (" ab", " ab"), ("ab\u00a0cd", "ab\u00a0c"), ("abcde", "abcd")],
)
def test_a_cut_text_has_no_blanks_at_its_end(words: str, cut: str) -> None:
    assert shortened(words, 4) == cut


def test_a_long_value_is_shown_in_short() -> None:
    assert shown("x" * 60) == repr("x" * 60)
    assert shown("x" * 61) == repr("x" * 60 + "…")
    with pytest.raises(ConversionError) as caught:
        CONVERTERS[FieldKind.DATE]("x" * 5_000)
    assert len(str(caught.value)) < 150


@pytest.mark.parametrize(
    ("given", "digits"), [(Decimal("1E-8"), "0.00000001"), (Decimal("1.5E+3"), "1500"), (-7, "-7")]
)
def test_numbers_are_written_without_exponents(given: int | Decimal, digits: str) -> None:
    assert plain(given) == digits


@pytest.mark.parametrize("sign", ["", "-"])
def test_a_number_of_more_than_1000_digits_is_not_written_out(sign: str) -> None:
    assert len(plain(Decimal("1E+1000"))) == 1001
    assert len(plain(Decimal("1E-1000"))) == 1002
    for digits in (f"{sign}1E+1001", f"{sign}1E-1001"):
        with pytest.raises(ConversionError, match="too large or too small to be written out"):
            plain(Decimal(digits))


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("10:20", "10:20:00.000Z"),
        ("10:20:30", "10:20:30.000Z"),
        ("10:20:30.5", "10:20:30.500Z"),
        ("23:59:59.999Z", "23:59:59.999Z"),
    ],
)
def test_a_time_of_day(given: str, sent: str) -> None:
    assert clock_time(given) == sent


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("Z10:20:30", "'Z10:20:30' is not a time of the form 10:20:30"),
        ("10:20:30+01:00", "'10:20:30+01:00' is not a time of the form 10:20:30"),
        (1020, "'1020' is not a time of the form 10:20:30"),
        ("24:00:00", "'24:00:00' is not a time of the day"),
    ],
)
def test_what_is_no_time_of_day_says_why(given: object, reason: str) -> None:
    with pytest.raises(ConversionError) as problem:
        clock_time(given)
    assert str(problem.value) == reason
