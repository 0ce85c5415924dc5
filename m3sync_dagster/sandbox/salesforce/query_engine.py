"""Runs queries on the records."""

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.salesforce.errors import ApiError
from m3sync_dagster.sandbox.salesforce.field_values import (
    Value,
    csv_text,
    datetime_text,
    double_text,
)
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.record_table import PackedRecord, Table
from m3sync_dagster.sandbox.salesforce.schema import NUMERIC, FieldDef
from m3sync_dagster.sandbox.salesforce.soql import Comparison, Condition, Junction, Literal, Select

Getter = Callable[[int, list[Value]], Value]
Predicate = Callable[[int, list[Value]], bool]
Comparable = str | bool | Decimal | None
"""A stored value in the form in which it is compared."""

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Path:
    """A selected field: of the object itself, or of a parent record."""

    text: str
    field: FieldDef
    get: Getter
    lookup: FieldDef | None = None
    parent: Table | None = None


class Query:
    """A query whose object and fields exist in the org.

    Args:
        org: the org.
        select: the parsed query.
        deleted: whether to find deleted records too, as ``queryAll`` does.

    Raises:
        ApiError: ``INVALID_TYPE`` or ``INVALID_FIELD``.
    """

    def __init__(self, org: Org, select: Select, *, deleted: bool = False) -> None:
        definition = org.schema.find(select.object)
        if definition is None:
            message = f"sObject type '{select.object}' is not supported."
            raise ApiError(400, "INVALID_TYPE", message)
        self._org = org
        self._select = select
        self._deleted = deleted
        self.table = org.table(definition.name)
        self.paths = [self._path(text) for text in select.paths]
        self._order = [(self._path(text), down) for text, down in select.order]
        self._matches = self._predicate(select.where) if select.where else None

    def run(self) -> list[PackedRecord]:
        """The records that match, in the order of the query."""
        with self._org.lock:
            rows = self._candidates()
        if self._matches is not None:
            matches, unpack = self._matches, self.table.unpack
            rows = [row for row in rows if matches(row[0], unpack(row[1]))]
        for path, down in reversed(self._order):
            rows.sort(key=lambda row: self._sort_key(path, row), reverse=down)
        end = None if self._select.limit is None else self._select.offset + self._select.limit
        return rows[self._select.offset : end]

    def as_json(self, found: PackedRecord, version_path: str) -> JsonObject:
        """One record in a ``/query`` result. ``version_path`` is the path of the API version."""
        number, values = found[0], self.table.unpack(found[1])
        record: JsonObject = {"attributes": _attributes(self.table, number, version_path)}
        for path in self.paths:
            value = _json_value(path.field, path.get(number, values))
            if path.lookup is None or path.parent is None:
                record[path.field.name] = value
            else:
                self._nest(record, path, value, values, version_path)
        return record

    def _nest(
        self, record: JsonObject, path: Path, value: object, values: list[Value], version_path: str
    ) -> None:
        lookup, parent = path.lookup, path.parent
        if lookup is None or parent is None:
            return
        number = parent.number_of(str(values[self.table.slot(lookup)]))
        key = str(lookup.relationship)
        if number is None:
            record[key] = None
            return
        record.setdefault(key, {"attributes": _attributes(parent, number, version_path)})
        record[key][path.field.name] = value

    def as_cells(self, found: PackedRecord) -> list[str]:
        """One record as a row of a Bulk API query result."""
        number, values = found[0], self.table.unpack(found[1])
        return [csv_text(path.field, path.get(number, values)) for path in self.paths]

    def _path(self, text: str) -> Path:
        relationship, dot, name = text.rpartition(".")
        if not dot:
            found = self._field(self.table, text, text)
            return Path(text, found, _getter(self.table, found))
        lookup = self.table.definition.find_lookup(relationship)
        if lookup is None:
            message = (
                f"Didn't understand relationship '{relationship}' in field path. If you are"
                " attempting to use a custom relationship, be sure to append the '__r' after the"
                " custom relationship name."
            )
            raise ApiError(400, "INVALID_FIELD", message)
        parent = self._org.table(lookup.refers_to or "")
        found = self._field(parent, name, text)
        return Path(text, found, _parent_getter(self.table, lookup, parent, found), lookup, parent)

    def _field(self, table: Table, name: str, text: str) -> FieldDef:
        found = table.definition.find(name)
        if found is None:
            message = f"No such column '{text}' on entity '{table.definition.name}'."
            raise ApiError(400, "INVALID_FIELD", message)
        return found

    def _predicate(self, condition: Condition) -> Predicate:
        if isinstance(condition, Comparison):
            return _comparison(self._path(condition.path), condition)
        parts = [self._predicate(part) for part in condition.parts]
        if condition.word == "not":
            return lambda number, values: not parts[0](number, values)
        joined = all if condition.word == "and" else any
        return lambda number, values: joined(part(number, values) for part in parts)

    def _candidates(self) -> list[PackedRecord]:
        """All records, or only those found by an index if the condition requires a value."""
        numbers = None if self._deleted else self._indexed(self._select.where)
        if numbers is None:
            return self.table.snapshot(deleted=self._deleted)
        return self.table.pick(sorted(numbers))

    def _indexed(self, condition: Condition | None) -> set[int] | None:
        if isinstance(condition, Junction) and condition.word == "and":
            found = [self._indexed(part) for part in condition.parts]
            return min((each for each in found if each is not None), key=len, default=None)
        if not isinstance(condition, Comparison) or condition.operator not in {"=", "in"}:
            return None
        texts = [literal.value for literal in condition.values]
        field = self.table.definition.find(condition.path)
        if field is None or not all(isinstance(text, str) for text in texts):
            return None
        return self._look_up(field, [str(text) for text in texts])

    def _look_up(self, field: FieldDef, texts: Iterable[str]) -> set[int] | None:
        if field.type == "Id":
            return {n for text in texts if (n := self.table.number_of(text)) is not None}
        if not field.id_lookup:
            return None
        index = self.table.index(field)
        return {number for text in texts for number in index.find(text)}

    def _sort_key(self, path: Path, row: PackedRecord) -> tuple[bool, Any]:
        value = path.get(row[0], self.table.unpack(row[1]))
        if value is None:
            return False, 0
        return True, Decimal(str(value)) if path.field.type in NUMERIC else value


def _attributes(table: Table, number: int, version_path: str) -> JsonObject:
    name = table.definition.name
    return {"type": name, "url": f"{version_path}/sobjects/{name}/{table.id_of(number)}"}


def record_json(table: Table, number: int, values: list[Value], version_path: str) -> JsonObject:
    """One record with all fields that the user sees, as in a ``/sobjects`` response."""
    record: JsonObject = {"attributes": _attributes(table, number, version_path)}
    for field in table.definition.visible_fields():
        record[field.name] = _json_value(field, _getter(table, field)(number, values))
    return record


def _getter(table: Table, field: FieldDef) -> Getter:
    if field.type == "Id":
        return lambda number, _: table.id_of(number)
    if field.name == "IsDeleted":
        return lambda number, _: table.is_deleted(number)
    slot = table.slot(field)
    return lambda _, values: values[slot]


def _parent_getter(table: Table, lookup: FieldDef, parent: Table, field: FieldDef) -> Getter:
    slot, inner = table.slot(lookup), _getter(parent, field)

    def get(_: int, values: list[Value]) -> Value:
        parent_id = values[slot]
        number = parent.number_of(parent_id) if isinstance(parent_id, str) else None
        found = None if number is None else parent.get(number)
        return None if number is None or found is None else inner(number, found)

    return get


def _json_value(field: FieldDef, value: Value) -> object:
    if field.type in NUMERIC and isinstance(value, str):
        return msgspec.Raw(double_text(value).encode())
    if field.type == "DateTime" and isinstance(value, str):
        return value.replace("Z", "+0000")
    return value


def _comparison(path: Path, condition: Comparison) -> Predicate:
    field, get = path.field, path.get
    if field.type == "LongTextArea":
        message = f"field '{path.text}' can not be filtered in a query call"
        raise ApiError(400, "INVALID_FIELD", message)
    expected = [_literal_value(field, path.text, literal) for literal in condition.values]
    if condition.operator in {"=", "in"}:
        return lambda number, values: _to_comparable(field, get(number, values)) in expected
    if condition.operator in {"!=", "not in"}:
        return lambda number, values: _to_comparable(field, get(number, values)) not in expected
    compare, bound = _COMPARE[condition.operator], expected[0]

    def matches(number: int, values: list[Value]) -> bool:
        value = _to_comparable(field, get(number, values))
        return value is not None and bound is not None and compare(value, bound)

    return matches


_LITERALS = {"DateTime": "datetime", "Date": "date", "Checkbox": "boolean"}


def _literal_value(field: FieldDef, text: str, literal: Literal) -> Comparable:
    """A literal in the form in which the field's values are compared."""
    kind = "number" if field.type in NUMERIC else _LITERALS.get(field.type, "string")
    if literal.kind == "null":
        return None
    if literal.kind != kind:
        quoted = "" if kind == "string" else "not "
        message = (
            f"value of filter criterion for field '{text}' must be of type {kind} and should"
            f" {quoted}be enclosed in quotes"
        )
        raise ApiError(400, "INVALID_FIELD", message)
    if kind == "datetime":
        return datetime_text(datetime.fromisoformat(str(literal.value)).astimezone(UTC))
    value = literal.value
    return _to_comparable(field, str(value) if isinstance(value, Decimal) else value)


def _to_comparable(field: FieldDef, value: Value) -> Comparable:
    """A stored value in the form in which it is compared; most fields ignore case."""
    if not isinstance(value, str) or field.type in {"Date", "DateTime"}:
        return value
    if field.type in NUMERIC:
        return Decimal(value)
    if field.type == "Id" or field.refers_to:
        return value[:15]
    return value if field.case_sensitive else value.casefold()
