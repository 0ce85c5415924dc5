"""Validating a row's values with the describe of the org's fields.

A row with a value that does not fit is invalid, and is not sent.
"""

from functools import cached_property

import msgspec
import xxhash

from m3sync_dagster.entities import FieldKind
from m3sync_dagster.sync.convert_by_field_type import Rule, rule_of
from m3sync_dagster.sync.converters import BLANK, ConversionError, shortened
from m3sync_dagster.sync.mapped_records import INVALID_VALUE, Mapped
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.row_reader import RowReader
from m3sync_dagster.sync.row_results import ErrorClass, Rejected
from m3sync_dagster.sync.row_types import Column, Row, Target, Value
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject
from m3sync_dagster.sync.schema_findings import require_none
from m3sync_dagster.sync.schema_validation import validate_schema


class RowValidator:
    """Validates the rows of a mapping with an object's describe.

    Args:
        mapping: of the rows.
        described: the object.

    Raises:
        SchemaMismatchError: the object does not fit the mapping; it contains every finding.
    """

    def __init__(self, mapping: FieldMapping, described: SalesforceObject) -> None:
        require_none(validate_schema(mapping, described))
        self._mapping = mapping
        self._fields = [described.fields[name] for name in mapping.columns]
        self._cut = [
            place
            for place, source_field in enumerate(mapping.fields)
            if source_field.source in mapping.truncated
            or (
                source_field.kind is FieldKind.TITLE
                and self._fields[place].length < source_field.length
            )
        ]
        columns = self._columns(mapping)
        self._rules = [
            rule_of(field, by_external_id=columns[place].relationship is not None)
            for place, field in enumerate(self._fields)
        ]
        self._reader: RowReader | None = None
        self.target = Target(
            object=mapping.object_name,
            external_id_field=mapping.external_id_field,
            columns=tuple(columns),
            update_only=mapping.update_only,
        )

    @cached_property
    def fields_digest(self) -> int:
        """64 bits that change whenever the definition of a mapped field does."""
        return xxhash.xxh3_64_intdigest(msgspec.json.encode((self._fields, self.target)))

    def reader(self, mapping: FieldMapping) -> RowReader:
        """What reads the rows of valid records in one step; it is made once for a mapping.

        Args:
            mapping: this validator's mapping. It may know more: the accounts that satisfy an
                expression, and the links of accounts.
        """
        if self._reader is None or self._reader.mapping is not mapping:
            targets = [
                (field, self._rules[place], place in self._cut)
                for place, field in enumerate(self._fields)
            ]
            self._reader = RowReader(mapping, targets)
        return self._reader

    def validate(self, mapped: Mapped) -> Row | Rejected:
        """Return the row to send, or a rejection with every reason."""
        values: list[Value] = []
        problems = []
        given, cut = self._cut_short(mapped.values)
        for value, described, rule in zip(given, self._fields, self._rules, strict=True):
            try:
                values.append(rule(value, described))
            except ConversionError as problem:
                problems.append((described.name, str(problem)))
        if problems:
            words = "; ".join(f"{name}: {problem}" for name, problem in problems)
            names = tuple(name for name, _ in problems)
            record = self._mapping.refused_record(mapped.values, names)
            return Rejected(
                mapped.m3ter_id, ErrorClass.INVALID, INVALID_VALUE, words, names, record
            )
        return Row(mapped.m3ter_id, values, cut)

    def values_as_before(self, mapped: Mapped) -> list[Value]:
        """The values as they were sent before a field's definition changed.

        Salesforce may still have them. A value that does not fit its field is not converted.
        """
        values, _ = self._cut_short(mapped.values)
        return [
            _if_valid(rule, value, described)
            for value, described, rule in zip(values, self._fields, self._rules, strict=True)
        ]

    def _cut_short(self, values: list[Value]) -> tuple[list[Value], bool]:
        """Cut titles and the texts under ``truncate``; returns also whether one was cut."""
        shorter, cut = list(values), False
        for place in self._cut:
            value, length = values[place], self._fields[place].length
            if isinstance(value, str) and length:
                whole = value.strip(BLANK)
                shorter[place] = shortened(whole, length)
                cut = cut or shorter[place] != whole
        return shorter, cut

    def _columns(self, mapping: FieldMapping) -> list[Column]:
        """The columns; a lookup is set by external ID if the org's field is a lookup, else text."""
        columns = [Column(f.name) for f in self._fields]
        for place, source_field in enumerate(mapping.fields):
            described = self._fields[place]
            if (
                source_field.kind is FieldKind.LOOKUP
                and described.type == "reference"
                and source_field.refers_to
            ):
                columns[place] = Column(
                    described.name,
                    described.relationship,
                    mapping.parent_external_ids[source_field.refers_to],
                )
        return columns


def _if_valid(rule: Rule, value: Value, described: SalesforceField) -> Value:
    try:
        return rule(value, described)
    except ConversionError:
        return value
