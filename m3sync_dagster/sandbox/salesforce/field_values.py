"""Reads the values of rows into stored values, and writes stored values into responses.

A stored value is ``None``, text or a bool. Numbers are stored as their exact decimal digits, dates
as ``2026-01-31`` and date-times as ``2026-01-31T10:20:30.000Z``, so dates compare as text.

Sources: Salesforce SOAP API guide, "Primitive Data Types" (a date-time has "a precision of one
second"); Salesforce Help 000387302 (a number keeps more decimals than its field defines) and
000394530 (but the REST and Bulk APIs return it as a double); Bulk API 2.0 guide, "Valid CSV Record
Rows" and "Valid Date Format in Records"; of e-mail addresses, Help 000384328 and 000001145.
"""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from decimal import Decimal

from m3sync_dagster.sandbox.salesforce.errors import ApiError, RowError
from m3sync_dagster.sandbox.salesforce.schema import NUMERIC, TEXTUAL, FieldDef

Value = str | bool | None
Reader = Callable[[object], Value]
"""Turns what a client sent, text from CSV or a value from JSON, into a stored value."""

_BLANK = "".join(map(chr, range(0x21)))
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")
_MAX_DIGITS = 18
_TIME = re.compile(r"\d\d:\d\d:\d\d(\.\d{1,3})?Z?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d")
_DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:?\d\d)")
_COMMENT = re.compile(r"\([^()]*\)")
_EMAIL = re.compile(
    r"""(?!\.)[^\s@"(),:;<>\[\]\\]+   # any character of the RFCs and beyond ASCII; no period first
    @[a-z0-9-]+(\.[a-z0-9-]+)*""",
    re.VERBOSE,
)
_BOOLEANS = {"true": True, "1": True, "false": False, "0": False}


def reader_of(field: FieldDef) -> Reader:
    """The function that reads a field's values. It raises ``RowError`` for an invalid value."""
    if field.type in NUMERIC:
        read = _number_reader(field)
    elif field.type == "Email":
        read = _email_reader(field)
    elif field.type in TEXTUAL:
        read = _text_reader(field)
    else:
        read = _OTHER_READERS[field.type](field)
    return read


def _text_reader(field: FieldDef) -> Reader:
    limit = field.length

    def read(raw: object) -> Value:
        if raw is None:
            return None
        # Inlined for speed: most values of an upload are texts.
        text = (raw if isinstance(raw, str) else _expect_text(raw)).strip(_BLANK)
        if limit and _length(text) > limit:
            raise _too_long(field, text)
        return text or None

    return read


def _email_reader(field: FieldDef) -> Reader:
    """E-mail addresses, which Salesforce stores in lower case; comments in them are allowed.

    Not in the sandbox: quoted local parts, and domains with characters that are not Latin. The
    message is that of forcedotcom/CustomMetadataLoader#68.
    """
    read_text = _text_reader(field)

    def read(raw: object) -> Value:
        text = read_text(raw)
        if not isinstance(text, str):
            return None
        address = text.lower()
        if not _EMAIL.fullmatch(_COMMENT.sub("", address)):
            message = f"{field.label}: invalid email address: {text}"
            raise RowError("INVALID_EMAIL_ADDRESS", message, field.name)
        return address

    return read


def _too_long(field: FieldDef, text: str) -> RowError:
    message = f"{field.label}: data value too large: {text} (max length={field.length})"
    return RowError("STRING_TOO_LONG", message, field.name)


def _length(text: str) -> int:
    """UTF-16 code units, as formulas and Apex count; how fields count is not documented.

    Source: Salesforce Help 005166849.
    """
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def _expect_text(raw: object) -> str:
    if not isinstance(raw, str):
        raise parser_error("string", raw)
    return raw


_JSON_TOKENS: dict[type, str] = {
    str: "VALUE_STRING",
    bool: "VALUE_TRUE",
    int: "VALUE_NUMBER_INT",
    Decimal: "VALUE_NUMBER_FLOAT",
    list: "START_ARRAY",
    dict: "START_OBJECT",
}


def parser_error(expected: str, raw: object) -> ApiError:
    """Salesforce's error for a JSON value of another type than the field's.

    Sources: restforce#897, SalesforceMobileSDK-ReactNative#194. The position is not computed.
    """
    message = (
        f"Cannot deserialize instance of {expected} from {_JSON_TOKENS[type(raw)]} value {raw}"
        " or request may be missing a required field at [line:1, column:1]"
    )
    return ApiError(400, "JSON_PARSER_ERROR", message)


def _number_reader(field: FieldDef) -> Reader:
    max_whole_digits = field.precision - field.scale

    def read(raw: object) -> Value:
        if raw is None:
            return None
        number = _expect_number(field, raw)
        if number and number.adjusted() >= max_whole_digits:
            message = (
                f"{field.label}: value outside of valid range on numeric field: "
                f"{double_text(number)}"
            )
            raise RowError("NUMBER_OUTSIDE_VALID_RANGE", message, field.name)
        return digits(_stored(number))

    return read


def _stored(number: Decimal) -> Decimal:
    """The stored number: one with more digits than a field can have is rounded to a double."""
    return number if len(number.as_tuple().digits) <= _MAX_DIGITS else Decimal(repr(float(number)))


def _expect_number(field: FieldDef, raw: object) -> Decimal:
    if isinstance(raw, bool) or not isinstance(raw, str | int | Decimal):
        raise parser_error("double", raw)
    if not isinstance(raw, str):
        return Decimal(raw)
    text = raw.strip(_BLANK)
    if not _NUMBER.fullmatch(text):
        raise _wrong_type(field, raw)
    return Decimal(text)


def _wrong_type(field: FieldDef, raw: object) -> RowError:
    message = f"{field.label}: value not of required type: {raw}"
    return RowError("INVALID_TYPE_ON_FIELD_IN_RECORD", message, field.name)


def digits(number: Decimal) -> str:
    """The exact digits of a number, without an exponent and without trailing zeros."""
    text = format(number, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text in {"-0", ""} else text


def _checkbox_reader(field: FieldDef) -> Reader:
    def read(raw: object) -> Value:
        if raw is None or isinstance(raw, bool):
            return bool(raw)
        found = _BOOLEANS.get(_expect_text(raw).strip(_BLANK).lower())
        if found is None:
            raise _wrong_type(field, raw)
        return found

    return read


def _date_reader(field: FieldDef) -> Reader:
    def read(raw: object) -> Value:
        if raw is None:
            return None
        text = _expect_text(raw).strip(_BLANK)
        try:
            day = date.fromisoformat(text) if _DATE.fullmatch(text) else None
        except ValueError:
            day = None
        if day is None:
            raise _wrong_type(field, raw)
        _check_year(field, day.year, raw)
        return text

    return read


def _datetime_reader(field: FieldDef) -> Reader:
    def read(raw: object) -> Value:
        if raw is None:
            return None
        text = _expect_text(raw).strip(_BLANK)
        if not _DATETIME.fullmatch(text):
            raise _wrong_type(field, raw)
        try:
            moment = datetime.fromisoformat(text).astimezone(UTC)
        except (ValueError, OverflowError):
            raise _wrong_type(field, raw) from None
        _check_year(field, moment.year, raw)
        return datetime_text(moment)

    return read


def datetime_text(moment: datetime) -> str:
    """A UTC date-time as a stored value, with a precision of one second."""
    return f"{moment.replace(microsecond=0, tzinfo=None).isoformat()}.000Z"


def _check_year(field: FieldDef, year: int, raw: object) -> None:
    if not 1700 <= year <= 4000:
        raise RowError("DATE_OUT_OF_RANGE", f"{field.label}: invalid date: {raw}", field.name)


def _picklist_reader(field: FieldDef) -> Reader:
    def read(raw: object) -> Value:
        text = None if raw is None else _expect_text(raw).strip(_BLANK) or None
        if text is not None and not field.restricted and field.length < _length(text):
            raise _too_long(field, text)
        if text is not None and field.restricted and text not in field.picklist:
            message = f"{field.label}: bad value for restricted picklist field: {text}"
            raise RowError("INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST", message, field.name)
        return text

    return read


def _multiselect_reader(field: FieldDef) -> Reader:
    """Several values of a picklist, each stored once and in the order of their definition."""
    one = _picklist_reader(field)

    def read(raw: object) -> Value:
        parts = [] if raw is None else _expect_text(raw).split(";")
        chosen = dict.fromkeys(filter(None, map(one, parts)))
        defined = [value for value in field.picklist if value in chosen]
        return ";".join([*defined, *(str(v) for v in chosen if v not in field.picklist)]) or None

    return read


def _time_reader(field: FieldDef) -> Reader:
    def read(raw: object) -> Value:
        if raw is None:
            return None
        text = _expect_text(raw).strip(_BLANK)
        try:
            found = time.fromisoformat(text.rstrip("Z")) if _TIME.fullmatch(text) else None
        except ValueError:
            found = None
        if found is None:
            raise _wrong_type(field, raw)
        return found.isoformat("milliseconds") + "Z"

    return read


def _id_reader(field: FieldDef) -> Reader:
    def read(raw: object) -> Value:
        raise _wrong_type(field, raw)

    return read


_OTHER_READERS: dict[str, Callable[[FieldDef], Reader]] = {
    "Checkbox": _checkbox_reader,
    "Date": _date_reader,
    "DateTime": _datetime_reader,
    "Time": _time_reader,
    "Picklist": _picklist_reader,
    "MultiselectPicklist": _multiselect_reader,
    "Id": _id_reader,
}


def double_text(number: Decimal | str) -> str:
    """A number as Java writes a double, as in responses of the REST and Bulk APIs."""
    value = float(number)
    if value == 0 or 1e-3 <= abs(value) < 1e7:
        return repr(value)
    sign, figures, exponent = Decimal(repr(value)).normalize().as_tuple()
    head, tail = figures[0], "".join(map(str, figures[1:])) or "0"
    return f"{'-' if sign else ''}{head}.{tail}E{int(exponent) + len(figures) - 1}"


def csv_text(field: FieldDef, value: Value) -> str:
    """A stored value in a Bulk API query result."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return double_text(value) if field.type in NUMERIC else value
