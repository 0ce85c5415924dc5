"""Converting and validating the values of a record in one step.

Nearly every record is valid. Its row is made here, by one function for each field, which is chosen
once for a run. For any other record there is no row here: mapping and validation, which each go
through all values, find every reason. Both ways give a valid record the same row.
"""

from collections.abc import Callable, Sequence

from m3sync_dagster.sync.convert_by_field_type import Rule, Step, one_step
from m3sync_dagster.sync.converters import BLANK, ConversionError, length
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.record_fields import Convert, Get, Record
from m3sync_dagster.sync.row_types import Value
from m3sync_dagster.sync.salesforce_schema import SalesforceField

ColumnTarget = tuple[SalesforceField, Rule, bool]
"""The field of a column, its rule, and whether a text that is too long for it is cut."""


class RowReader:
    """Reads the values of a mapping's rows.

    Args:
        mapping: of the records.
        targets: one for each of the mapping's columns.
    """

    def __init__(self, mapping: FieldMapping, targets: Sequence[ColumnTarget]) -> None:
        self.mapping = mapping
        sources = mapping.sources
        self._steps = [
            _step(source, target)
            for source, target in zip(sources, targets[: len(sources)], strict=True)
        ]
        self._constants = [
            rule(value, field)
            for value, (field, rule, _) in zip(
                mapping.constants.values(), targets[len(sources) :], strict=True
            )
        ]

    def values(self, record: Record) -> list[Value] | None:
        """The values to send; ``None`` if the record is not valid, or if a text is to be cut."""
        if self.mapping.lacks_parent(record):
            return None
        try:
            return [step(record) for step in self._steps] + self._constants
        except ConversionError:
            return None


def _step(source: tuple[Get, Convert], target: ColumnTarget) -> Callable[[Record], Value]:
    get, convert = source
    field, rule, cut = target
    if cut and field.length:
        return _uncut(get, convert, rule, field)
    step: Step = one_step(convert, rule, field)
    return lambda record: step(get(record))


def _uncut(
    get: Get, convert: Convert, rule: Rule, field: SalesforceField
) -> Callable[[Record], Value]:
    """A step for a text that is cut if it is too long: the blanks at its ends are left out."""

    def step(record: Record) -> Value:
        found = get(record)
        value = None if found is None else convert(found)
        if isinstance(value, str):
            value = value.strip(BLANK)
            if length(value) > field.length:
                raise ConversionError  # it is to be cut
        return rule(value, field)

    return step
