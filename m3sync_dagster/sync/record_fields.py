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


def nested_value(
    container: object, outer: str, inner: str, convert: Callable[[object], Value]
) -> Value:
    """The value of a nested object's field.

    Raises:
        ConversionError: the value cannot be used, or the container is no object.
    """
    if container is None:
        return None
    if not isinstance(container, dict):
        raise ConversionError(f"{outer} is {shown(container)}, not an object")
    value = container.get(inner)
    return None if value is None else convert(value)


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
