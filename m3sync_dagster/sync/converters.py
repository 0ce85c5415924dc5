"""Converting m3ter's JSON values to exact Salesforce values, by the kind of their field.

Each converter takes a decoded JSON value that is not ``None`` and returns a value to send, or
``None`` if it is empty. It raises ``ConversionError`` with the reason otherwise.

Numbers are ``int`` or ``Decimal`` from m3ter's JSON to Salesforce's: no binary floating point.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation

import msgspec

from m3sync_dagster.entities import FieldKind
from m3sync_dagster.sync.row_types import Value


class ConversionError(ValueError):
    """A value that cannot be converted to what its field needs; the text says why."""


class Undecodable:
    """A placeholder for a value of m3ter's JSON that no field can use.

    In a field that is not mapped it has no effect. It is not a dataclass, because msgspec would
    encode one as JSON.

    Args:
        reason: why, for messages.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __repr__(self) -> str:
        return f"<{self.reason}>"


BLANK = "".join(map(chr, range(0x21)))
"""What Salesforce strips from both ends of a text: spaces and control characters."""
LONGEST_ID = 255
"""Characters of an external ID. Source: Salesforce Help, "Custom Field Types", ``Text``."""
_GOOD_ID = re.compile(r"[^\x00-\x20](?:[^\x00-\x1f]*[^\x00-\x20])?")
_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\dT(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d\.\d{3}Z", re.ASCII)
"""The form in which a date-time is sent."""
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_NEWLINES = re.compile(r"\r\n?")


def shown(value: object) -> str:
    """A short form of any value for a message.

    Raises:
        ConversionError: it could not be decoded; the reason is the message.
    """
    if isinstance(value, Undecodable):
        raise ConversionError(value.reason)
    text = str(value)
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


_COMPACT = msgspec.json.Encoder(decimal_format="number", order="deterministic", enc_hook=shown)


def plain(number: int | Decimal) -> str:
    """Decimal digits without an exponent, as for CSV files and text fields.

    Raises:
        ConversionError: the number would take thousands of digits.
    """
    if isinstance(number, Decimal) and abs(number.adjusted()) > 1000:
        raise ConversionError(f"{shown(number)} is too large or too small to be written out")
    return format(number, "f") if isinstance(number, Decimal) else str(number)


def text(value: object) -> Value:
    """A string with line feeds as line ends; an empty one is no value, as in Salesforce."""
    if isinstance(value, str):
        if "\0" in value:
            raise ConversionError(f"{shown(value)} holds the character NUL, which no text may have")
        return (_NEWLINES.sub("\n", value) if "\r" in value else value) or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return plain(value)
    raise ConversionError(f"{shown(value)} is not a text")


def length(words: str) -> int:
    """The length of a text, as Salesforce may count it: in UTF-16 code units.

    A character outside the Basic Multilingual Plane, such as most emoji, counts as two.
    Source: Salesforce Help 005166849, for formulas and Apex strings. How a field's length is
    counted is not documented; no other count is longer.
    """
    return len(words) if words.isascii() else len(words.encode("utf-16-le", "surrogatepass")) // 2


def shortened(words: str, most: int) -> str:
    """A text cut to a length, but not in the middle of a character."""
    if 2 * len(words) <= most:
        return words.rstrip(BLANK)
    units = words.encode("utf-16-le")[: 2 * most]
    return units.decode("utf-16-le", errors="ignore").rstrip(BLANK)


def record_id(value: object) -> Value:
    """A m3ter id without blanks at its ends: Salesforce would strip them, which changes the id."""
    if not isinstance(value, str) or not _GOOD_ID.fullmatch(value):
        raise ConversionError(f"{shown(value)} is not the id of a record")
    if length(value) > LONGEST_ID:
        raise ConversionError(f"{shown(value)} is longer than an id of {LONGEST_ID} characters")
    return value


def lookup(value: object) -> Value:
    """The id of another record; an empty text is no value."""
    return None if value == "" else record_id(value)


def decimal(digits: str) -> Decimal:
    """The number with these digits.

    Raises:
        ConversionError: its exponent is too large for ``Decimal``.
    """
    try:
        return Decimal(digits)
    except InvalidOperation:
        raise ConversionError(
            f"{shown(digits)} is too large or too small for any number field"
        ) from None


def number(value: object) -> Value:
    """An exact number; a string of digits is converted."""
    if isinstance(value, bool):
        raise ConversionError(f"{shown(value)} is not a number")
    if isinstance(value, int | Decimal):
        return value
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return decimal(value)
    raise ConversionError(f"{shown(value)} is not a number")


def integer(value: object) -> Value:
    """A whole number."""
    exact = number(value)
    if isinstance(exact, Decimal) and exact != exact.to_integral_value():
        raise ConversionError(f"{shown(value)} is not a whole number")
    return exact


def boolean(value: object) -> Value:
    """``true`` or ``false``."""
    if isinstance(value, bool):
        return value
    raise ConversionError(f"{shown(value)} is neither true nor false")


def calendar_date(value: object) -> Value:
    """A calendar date, unchanged: no time zone is applied."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ConversionError(f"{shown(value)} is not a date of the form 2026-01-31")
    try:
        date.fromisoformat(value)
    except ValueError:
        raise ConversionError(f"{shown(value)} is not a day of the calendar") from None
    return value


def date_time(value: object) -> Value:
    """A date-time in UTC, to the millisecond; without an offset it is UTC.

    Salesforce stores whole seconds.
    Source: Salesforce SOAP API Developer Guide, "Primitive Data Types", ``dateTime``.
    """
    try:
        moment = datetime.fromisoformat(value)  # type: ignore[arg-type] # TypeError says it is not text
        if isinstance(value, str) and _DATE_TIME.fullmatch(value):
            return value
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        raise ConversionError(f"{shown(value)} is not a date-time in ISO 8601") from None
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def clock_time(value: object) -> Value:
    """A time of day in Salesforce's form: in UTC, to the millisecond."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ConversionError(f"{shown(value)} is not a time of the form 10:20:30")
    try:
        parsed = time.fromisoformat(value.removesuffix("Z"))
    except ValueError:
        raise ConversionError(f"{shown(value)} is not a time of the day") from None
    return parsed.isoformat("milliseconds") + "Z"


def joined(value: object) -> Value:
    """An array of plain values as one text, joined with ``;``."""
    if not isinstance(value, list):
        raise ConversionError(f"{shown(value)} is not an array")
    parts = [str(text(part) or "") for part in value if part is not None]
    if any(";" in part for part in parts):
        raise ConversionError(
            f"{shown(value)} has an element with a semicolon, which joins the elements"
        )
    return ";".join(parts) or None


def json_text(value: object) -> Value:
    """Compact JSON with sorted keys; an empty array, object or text is no value."""
    try:
        return None if value in ([], {}, "") else _COMPACT.encode(value).decode()
    except UnicodeEncodeError:
        raise ConversionError("a key in it is not a text that UTF-8 can write") from None


def any_value(value: object) -> Value:
    """A value unchanged; arrays and objects as JSON."""
    if isinstance(value, list | dict):
        return json_text(value)
    return value if isinstance(value, bool | int | Decimal) else text(value)


CONVERTERS: dict[FieldKind, Callable[[object], Value]] = {
    FieldKind.TEXT: text,
    FieldKind.NUMBER: number,
    FieldKind.INTEGER: integer,
    FieldKind.BOOLEAN: boolean,
    FieldKind.DATE: calendar_date,
    FieldKind.DATETIME: date_time,
    FieldKind.LIST: joined,
    FieldKind.JSON: json_text,
    FieldKind.LOOKUP: lookup,
    FieldKind.ANY: any_value,
}
"""One converter for each kind of a single field; a ``TITLE`` is made of several."""
