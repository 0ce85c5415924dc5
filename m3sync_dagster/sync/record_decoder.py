"""Decoding a m3ter record so that one unusable value does not affect the others.

msgspec reads nearly every record. A text that it refuses, or that it would read although a key is
there twice, is read again by Python's own decoder, which lets each value be checked.
"""

import json
import re
from decimal import Decimal

import msgspec

from m3sync_dagster.sync.converters import ConversionError, Undecodable, decimal, shown
from m3sync_dagster.sync.undecodable_json import MARK, JsonParts

MOST_NESTED = 100
"""Levels of nesting that a record may have; its own braces are the first."""


class _Identified(msgspec.Struct):
    """Only the id of a record."""

    id: str


_IDENTIFY = msgspec.json.Decoder(_Identified).decode
_FAST = msgspec.json.Decoder(float_hook=decimal)
_CONTAINERS = frozenset({dict, list})
_SPACE = b" \t\n\r"
_LONE = re.compile("[\ud800-\udfff]")
_DIGITS_OF_INT = 4_000
"""Digits up to which a number becomes an ``int`` (Python's default limit is 4,300)."""


def decode_record(raw: bytes) -> object:
    """Decode a record; each value that cannot be used becomes an ``Undecodable``.

    That is a text with half a surrogate pair or with bytes that are not UTF-8, a number that is too
    large for ``Decimal``, a value that is nested too deep, and the value of a duplicate key.

    Raises:
        ConversionError: it is not JSON.
    """
    try:
        record = _FAST.decode(raw)
        plain = _count_keys(record, MOST_NESTED) == raw.translate(None, _SPACE).count(b'":')
    except (ValueError, RecursionError):
        plain = False
    return record if plain else _decode_by_value(raw)


def id_of(raw: bytes) -> str | None:
    """The id of a record; ``None`` if it has none.

    A record with another unusable value has an id, so it does not count as deleted.
    """
    try:
        return _IDENTIFY(raw).id
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return _id_among_odd_values(raw)


def _id_among_odd_values(raw: bytes) -> str | None:
    try:
        record = _decode_by_value(raw)
    except ConversionError:
        return None
    found = record.get("id") if isinstance(record, dict) else None
    return found if isinstance(found, str) else None


def _count_keys(value: object, levels: int) -> int:
    """Count the keys of all objects in a value; fewer than in its text if one is duplicate."""
    if not levels:
        raise RecursionError
    if isinstance(value, dict):
        inner = [one for one in value.values() if type(one) in _CONTAINERS]
        keys = len(value)
    else:
        inner = [one for one in value if type(one) in _CONTAINERS] if type(value) is list else []
        keys = 0
    for one in inner:
        keys += _count_keys(one, levels - 1)
    return keys


def _decode_by_value(raw: bytes) -> object:
    text = JsonParts().without_deep_parts(raw, MOST_NESTED)
    try:
        return _checked(_BY_VALUE(text.decode("utf-8", "surrogateescape")))
    except (ValueError, RecursionError) as error:
        raise ConversionError(f"the record is not valid JSON ({error})") from None


def _whole(digits: str) -> int | Decimal:
    return int(digits) if len(digits) <= _DIGITS_OF_INT else Decimal(digits)


def _number(digits: str) -> object:
    try:
        return decimal(digits)
    except ConversionError as problem:
        return Undecodable(str(problem))


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object, in which a duplicate key has an ``Undecodable`` as its value."""
    made: dict[str, object] = {}
    for key, value in pairs:
        twice = key in made
        made[key] = Undecodable(f"the record has {shown(key)} twice") if twice else value
    return made


_BY_VALUE = json.JSONDecoder(
    strict=False,
    parse_int=_whole,
    parse_float=_number,
    parse_constant=lambda name: Undecodable(f"{name} is not a number"),
    object_pairs_hook=_object,
).decode


def _checked(value: object) -> object:
    """The value, with each unusable text replaced by an ``Undecodable``."""
    if isinstance(value, str):
        return _unreadable(value) if _LONE.search(value) else value
    if isinstance(value, list):
        return [_checked(one) for one in value]
    if isinstance(value, dict):
        return {key: _checked(one) for key, one in value.items()}
    return value


def _unreadable(text: str) -> Undecodable:
    if text.startswith(MARK) and text.endswith(MARK) and text[1:-1].isdecimal():
        return Undecodable(f"it is nested deeper than the {MOST_NESTED} levels of a record")
    return Undecodable(f"{shown(text)} has half a surrogate pair, or bytes that are not UTF-8")
