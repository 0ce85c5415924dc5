"""Where a mapped field's value is in a m3ter record."""

from collections.abc import Callable

from m3sync_dagster.entities import Field
from m3sync_dagster.sync.converters import ConversionError, Undecodable, shortened, shown
from m3sync_dagster.sync.row_types import Value

Record = dict[str, object]
"""A decoded m3ter record."""
Get = Callable[[Record], object]
"""Gives a field's value as m3ter has it; ``None`` if there is none."""
Convert = Callable[[object], Value]
"""Converts a value that is not ``None``, or raises ``ConversionError``."""


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
    """The first text among the sources of a title, shortened to its length."""
    for source in source_field.sources:
        found = record.get(source)
        if isinstance(found, Undecodable):
            raise ConversionError(f"{source}: {found.reason}")
        if isinstance(found, str) and (words := " ".join(found.split())):
            return shortened(words, source_field.length)
    return None


def no_conversion(value: object) -> Value:
    """The value of a title or a link, which needs no conversion."""
    return value  # type: ignore[return-value] # both functions give a ``Value``
