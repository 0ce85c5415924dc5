"""Answers a query from the records."""

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec

from m3sync_dagster.sandbox.salesforce.errors import ApiError
from m3sync_dagster.sandbox.salesforce.field_values import (
    Value,
    csv_text,
    datetime_text,
    double_text,
)
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.record_table import Table
from m3sync_dagster.sandbox.salesforce.schema import NUMERIC, FieldDef
from m3sync_dagster.sandbox.salesforce.soql import Comparison, Condition, Junction, Literal, Select

Found = tuple[int, bytes]
"""A record's number, and its values as they were packed when the query ran."""

Getter = Callable[[int, list[Value]], Value]
Predicate = Callable[[int, list[Value]], bool]
JsonObject = dict[str, Any]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Path:
    """A selected field: of the object itself, or of a record that one of its lookups points to."""

    text: str
    field: FieldDef
    get: Getter
    lookup: FieldDef | None = None
    parent: Table | None = None


class Query:
    """A query that fits the org's schema.

    Args:
        org: the org.
        select: what was asked.
        deleted: whether deleted records count too, as for ``queryAll``.

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
        self._holds = self._predicate(select.where) if select.where else None

    def run(self) -> list[Found]:
        """The records that match, in the order asked for."""
        with self._org.lock:
            rows = self._candidates()
        if self._holds is not None:
            holds, unpack = self._holds, self.table.unpack
            rows = [row for row in rows if holds(row[0], unpack(row[1]))]
        for path, down in reversed(self._order):
            rows.sort(key=lambda row: self._sort_key(path, row), reverse=down)
        end = None if self._select.limit is None else self._select.offset + self._select.limit
        return rows[self._select.offset : end]

    def as_json(self, found: Found, base: str) -> JsonObject:
        """One record as ``/query`` gives it. ``base`` is the path of the API version."""
        number, values = found[0], self.table.unpack(found[1])
        record: JsonObject = {"attributes": _attributes(self.table, number, base)}
        for path in self.paths:
            value = _json_value(path.field, path.get(number, values))
            if path.lookup is None or path.parent is None:
                record[path.field.name] = value
            else:
                self._nest(record, path, value, values, base)
        return record

    def _nest(
        self, record: JsonObject, path: Path, value: object, values: list[Value], base: str
    ) -> None:
        lookup, parent = path.lookup, path.parent
        if lookup is None or parent is None:
            return
        number = parent.number_of(str(values[self.table.slot(lookup)]))
        key = str(lookup.relationship)
        if number is None:
            record[key] = None
            return
        record.setdefault(key, {"attributes": _attributes(parent, number, base)})
        record[key][path.field.name] = value

    def as_cells(self, found: Found) -> list[str]:
        """One record as a row of a Bulk API query result."""
        number, values = found[0], self.table.unpack(found[1])
        return [csv_text(path.field, path.get(number, values)) for path in self.paths]

    def _path(self, text: str) -> Path:
        relationship, dot, name = text.rpartition(".")
        if not dot:
            found = self._field(self.table, text, text)
            return Path(text, found, _getter(self.table, found))
        lookup = self.table.definition.through(relationship)
        if lookup is None:
            message = (
                f"Didn't understand relationship '{relationship}' in field path. If you are"
                " attempting to use a custom relationship, be sure to append the '__r' after the"
                " custom relationship name."
            )
            raise ApiError(400, "INVALID_FIELD", message)
        parent = self._org.table(lookup.refers_to or "")
        found = self._field(parent, name, text)
        return Path(text, found, _through(self.table, lookup, parent, found), lookup, parent)

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

    def _candidates(self) -> list[Found]:
        """All records, or only those that an index finds where the condition asks for a value."""
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

    def _sort_key(self, path: Path, row: Found) -> tuple[bool, Any]:
        value = path.get(row[0], self.table.unpack(row[1]))
        if value is None:
            return False, 0
        return True, Decimal(str(value)) if path.field.type in NUMERIC else value


def _attributes(table: Table, number: int, base: str) -> JsonObject:
    name = table.definition.name
    return {"type": name, "url": f"{base}/sobjects/{name}/{table.id_of(number)}"}


def record_json(table: Table, number: int, values: list[Value], base: str) -> JsonObject:
    """One record with all fields that this user sees, as ``/sobjects`` gives it."""
    record: JsonObject = {"attributes": _attributes(table, number, base)}
    for field in table.definition.visible():
        record[field.name] = _json_value(field, _getter(table, field)(number, values))
    return record


def _getter(table: Table, field: FieldDef) -> Getter:
    if field.type == "Id":
        return lambda number, _: table.id_of(number)
    if field.name == "IsDeleted":
        return lambda number, _: table.is_deleted(number)
    slot = table.slot(field)
    return lambda _, values: values[slot]


def _through(table: Table, lookup: FieldDef, parent: Table, field: FieldDef) -> Getter:
    slot, inner = table.slot(lookup), _getter(parent, field)

    def get(_: int, values: list[Value]) -> Value:
        link = values[slot]
        number = parent.number_of(link) if isinstance(link, str) else None
        there = None if number is None else parent.get(number)
        return None if number is None or there is None else inner(number, there)

    return get


def _json_value(field: FieldDef, value: Value) -> object:
    if field.type in NUMERIC and isinstance(value, str):
        return msgspec.Raw(double_text(value).encode())
    if field.type == "DateTime" and isinstance(value, str):
        return value.replace("Z", "+0000")
    return value


def _comparison(path: Path, asked: Comparison) -> Predicate:
    field, get = path.field, path.get
    if field.type == "LongTextArea":
        message = f"field '{path.text}' can not be filtered in a query call"
        raise ApiError(400, "INVALID_FIELD", message)
    wanted = [_comparable(field, path.text, literal) for literal in asked.values]
    if asked.operator in {"=", "in"}:
        return lambda number, values: _fold(field, get(number, values)) in wanted
    if asked.operator in {"!=", "not in"}:
        return lambda number, values: _fold(field, get(number, values)) not in wanted
    compare, bound = _COMPARE[asked.operator], wanted[0]

    def holds(number: int, values: list[Value]) -> bool:
        value = _fold(field, get(number, values))
        return value is not None and bound is not None and compare(value, bound)

    return holds


_LITERALS = {"DateTime": "datetime", "Date": "date", "Checkbox": "boolean"}


def _comparable(field: FieldDef, text: str, literal: Literal) -> Any:  # noqa: ANN401 - any value
    """A literal in the form of the field's stored values."""
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
    return _fold(field, str(value) if isinstance(value, Decimal) else value)


def _fold(field: FieldDef, value: Value) -> Any:  # noqa: ANN401 - any value
    """A stored value as it compares; case matters only where the field minds it."""
    if not isinstance(value, str) or field.type in {"Date", "DateTime"}:
        return value
    if field.type in NUMERIC:
        return Decimal(value)
    if field.type == "Id" or field.refers_to:
        return value[:15]
    return value if field.case_sensitive else value.casefold()
