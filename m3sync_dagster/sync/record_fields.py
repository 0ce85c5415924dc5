"""Reading the fields of a m3ter record."""

from collections.abc import Callable

from m3sync_dagster.entities import Field
from m3sync_dagster.sync.converters import (
    ConversionError,
    Undecodable,
    record_id,
    shortened,
    shown,
)
from m3sync_dagster.sync.record_decoder import decode_record
from m3sync_dagster.sync.row_types import Value

Record = dict[str, object]
"""A decoded m3ter record."""
Get = Callable[[Record], object]
"""Gives a field's value as m3ter has it; ``None`` if there is none."""
Convert = Callable[[object], Value]
"""Converts a value that is not ``None``, or raises ``ConversionError``."""


def decode_identified(raw: bytes) -> tuple[str, Record]:
    """Decode a record, and make sure that it has a usable id.

    Raises:
        ConversionError: it is no record, or has no such id.
    """
    record = decode_record(raw)
    if not isinstance(record, dict):
        raise ConversionError(f"{shown(record)} is not a record")
    try:
        return str(record_id(record.get("id"))), record
    except ConversionError as problem:
        raise ConversionError(f"id: {problem}") from None


def getter(source: str) -> Get:
    """The function that gives the value at a path, such as ``code`` or ``address.country``."""
    outer, _, inner = source.partition(".")
    if inner:
        return lambda record: _nested(record.get(outer), outer, inner)
    return lambda record: record.get(outer)


def _nested(container: object, outer: str, inner: str) -> object:
    if container is None:
        return None
    if not isinstance(container, dict):
        raise ConversionError(f"{outer} is {shown(container)}, not an object")
    return container.get(inner)


def title_of(record: Record, source_field: Field) -> Value:
    """The first of a title's fields that has a value, cut to fit.

    Raises:
        ConversionError: a field before it cannot be used.
    """
    for source in source_field.sources:
        found = record.get(source)
        if isinstance(found, Undecodable):
            raise ConversionError(f"{source}: {found.reason}")
        if isinstance(found, str) and (title := " ".join(found.split())):
            return shortened(title, source_field.length)
    return None


def no_conversion(value: object) -> Value:
    """The value of a title or a link, which needs no conversion."""
    return value  # type: ignore[return-value] # both functions give a ``Value``
