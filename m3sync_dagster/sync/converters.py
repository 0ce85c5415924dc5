"""m3ter's JSON values, turned into exact Salesforce values by the kind of their field.

Each converter takes a decoded JSON value that is not ``None`` and gives a value to send, or
``None`` where nothing is left to send. It raises ``ConversionError`` with the reason otherwise.

Numbers are ``int`` or ``Decimal`` from m3ter's JSON to Salesforce's: no binary floating point.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation

import msgspec

from m3sync_dagster.entities import FieldKind
from m3sync_dagster.sync.results import Value


class ConversionError(ValueError):
    """A value that cannot be what its field asks for; the text says why."""


class Undecodable:
    """Stands for a value of m3ter's JSON that cannot be used, whatever its field asks for.

    In a field that is not carried it harms nothing. It is no dataclass, for msgspec would write
    one out as JSON.

    Args:
        reason: why, in words to show.
    """

    __slots__ = ("reason",)

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __repr__(self) -> str:
        return f"<{self.reason}>"


BLANK = "".join(map(chr, range(0x21)))
"""What Salesforce takes off both ends of a text: spaces and control characters."""
LONGEST_ID = 255
"""Characters of an external ID. Source: Salesforce Help, "Custom Field Types", ``Text``."""
_GOOD_ID = re.compile(r"[^\x00-\x20](?:[^\x00-\x1f]*[^\x00-\x20])?")
_TIME = re.compile(r"\d\d:\d\d(:\d\d(\.\d{1,3})?)?Z?", re.ASCII)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?", re.ASCII)
_NEWLINES = re.compile(r"\r\n?")


def shown(value: object) -> str:
    """A short form of any value for a message.

    Raises:
        ConversionError: it could not even be decoded, and that is what there is to say.
    """
    if isinstance(value, Undecodable):
        raise ConversionError(value.reason)
    text = str(value)
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


_COMPACT = msgspec.json.Encoder(decimal_format="number", order="deterministic", enc_hook=shown)


def plain(number: int | Decimal) -> str:
    """Decimal digits without an exponent, as CSV files and text fields want them.

    Raises:
        ConversionError: the number would take thousands of digits.
    """
    if isinstance(number, Decimal) and abs(number.adjusted()) > 1000:
        raise ConversionError(f"{shown(number)} is too large or too small to be written out")
    return format(number, "f") if isinstance(number, Decimal) else str(number)


def text(value: object) -> Value:
    """A string whose line ends are line feeds; empty is no value, as it is to Salesforce."""
    if isinstance(value, str):
        if "\0" in value:
            raise ConversionError(
                f"{shown(value)} holds the character NUL, which is none of a text"
            )
        return (_NEWLINES.sub("\n", value) if "\r" in value else value) or None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        return plain(value)
    raise ConversionError(f"{shown(value)} is not a text")


def length(words: str) -> int:
    """How long a text is, as Salesforce may count it: in UTF-16 code units.

    A character outside the Basic Multilingual Plane, such as most emoji, counts as two.
    Source: Salesforce Help 005166849, for formulas and Apex strings. How a field's length is
    counted is documented nowhere, and no other count is longer.
    """
    return len(words) if words.isascii() else len(words.encode("utf-16-le", "surrogatepass")) // 2


def shortened(words: str, most: int) -> str:
    """A text cut to a length, and never in the middle of a character."""
    units = words.encode("utf-16-le")[: 2 * most]
    return units.decode("utf-16-le", errors="ignore").rstrip(BLANK)


def record_id(value: object) -> Value:
    """A m3ter id. Salesforce would take blanks off its ends, and then know another record by it."""
    if not isinstance(value, str) or not _GOOD_ID.fullmatch(value):
        raise ConversionError(f"{shown(value)} is not the id of a record")
    if length(value) > LONGEST_ID:
        raise ConversionError(f"{shown(value)} is longer than an id of {LONGEST_ID} characters")
    return value


def lookup(value: object) -> Value:
    """The id of another record; empty is none."""
    return None if value == "" else record_id(value)


def decimal(digits: str) -> Decimal:
    """The number that these digits write.

    Raises:
        ConversionError: its exponent is so large that not even a decimal number can have it.
    """
    try:
        return Decimal(digits)
    except InvalidOperation:
        raise ConversionError(
            f"{shown(digits)} is too large or too small for any number field"
        ) from None


def number(value: object) -> Value:
    """Exact decimal digits; digits in a string are taken as the number they write."""
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
    """A calendar date, unchanged: no time zone ever moves it."""
    if not isinstance(value, str) or not _DATE.fullmatch(value):
        raise ConversionError(f"{shown(value)} is not a date of the form 2026-01-31")
    try:
        date.fromisoformat(value)
    except ValueError:
        raise ConversionError(f"{shown(value)} is not a day of the calendar") from None
    return value


def date_time(value: object) -> Value:
    """A moment as UTC, to the millisecond; without an offset it is taken as UTC already.

    Of what is sent, Salesforce keeps whole seconds.
    Source: Salesforce SOAP API Developer Guide, "Primitive Data Types", ``dateTime``.
    """
    try:
        moment = datetime.fromisoformat(value)  # type: ignore[arg-type] # TypeError says it is not text
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (TypeError, ValueError, OverflowError):
        raise ConversionError(f"{shown(value)} is not a date-time in ISO 8601") from None
    return moment.isoformat(timespec="milliseconds")[:-6] + "Z"


def clock_time(value: object) -> Value:
    """A time of day, as Salesforce writes it: in UTC, to the millisecond."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise ConversionError(f"{shown(value)} is not a time of the form 10:20:30")
    try:
        told = time.fromisoformat(value.removesuffix("Z"))
    except ValueError:
        raise ConversionError(f"{shown(value)} is not a time of the day") from None
    return told.isoformat("milliseconds") + "Z"


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


def whatever(value: object) -> Value:
    """A value as it is; arrays and objects as JSON."""
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
    FieldKind.ANY: whatever,
}
"""One converter for each kind of a single field; a ``TITLE`` is made of several."""
