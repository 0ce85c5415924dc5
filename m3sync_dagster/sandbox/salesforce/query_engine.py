"""Runs queries on the records."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.salesforce.field_values import Value, csv_text
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.query_conditions import comparison_test
from m3sync_dagster.sandbox.salesforce.record_fields import Getter, attributes, getter, json_value
from m3sync_dagster.sandbox.salesforce.record_table import PackedRecord, Table
from m3sync_dagster.sandbox.salesforce.schema import NUMERIC, USER, FieldDef, ObjectDef
from m3sync_dagster.sandbox.salesforce.soql import Comparison, Condition, Junction, Select, SortKey
from m3sync_dagster.sandbox.salesforce.soql_tokens import QueryError

Predicate = Callable[[int, list[Value]], bool]
_FIELD_SETS: dict[str, Callable[[FieldDef], bool]] = {
    "FIELDS(ALL)": lambda _: True,
    "FIELDS(CUSTOM)": lambda field: field.name.endswith("__c"),
    "FIELDS(STANDARD)": lambda field: not field.name.endswith("__c"),
}
_MOST_WITH_ALL_FIELDS = 200
"""Source: SOQL and SOSL Reference, "FIELDS()"."""


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
            raise QueryError("INVALID_TYPE", message, select.object)
        self._org = org
        self._select = select
        self._deleted = deleted
        self.table = org.table(definition.name)
        self.paths = [self._path(text) for text in _expanded(definition, select)]
        self._order = [(self._path(key.path), key) for key in select.order]
        self._matches = self._predicate(select.where) if select.where else None

    def run(self) -> list[PackedRecord]:
        """The records that match, in the order of the query."""
        with self._org.lock:
            rows = self._candidates()
        if self._matches is not None:
            matches, unpack = self._matches, self.table.unpack
            rows = [row for row in rows if matches(row[0], unpack(row[1]))]
        for path, key in reversed(self._order):
            self._sort(rows, path, key)
        end = None if self._select.limit is None else self._select.offset + self._select.limit
        return rows[self._select.offset : end]

    def as_json(self, found: PackedRecord, version_path: str) -> JsonObject:
        """One record in a ``/query`` result. ``version_path`` is the path of the API version."""
        number, values = found[0], self.table.unpack(found[1])
        record: JsonObject = {"attributes": attributes(self.table, number, version_path)}
        for path in self.paths:
            value = json_value(path.field, path.get(number, values))
            if path.lookup is None:
                record[path.field.name] = value
            else:
                self._nest(record, path, value, values, version_path)
        return record

    def _nest(
        self, record: JsonObject, path: Path, value: object, values: list[Value], version_path: str
    ) -> None:
        lookup, parent = path.lookup, path.parent
        if lookup is None:
            return
        key = str(lookup.relationship)
        if parent is None:
            url = f"{version_path}/sobjects/{USER}/{self.table.user_id}"
            record.setdefault(key, {"attributes": {"type": USER, "url": url}})
        else:
            number = parent.number_of(str(values[self.table.slot(lookup)]))
            if number is None:
                record[key] = None
                return
            record.setdefault(key, {"attributes": attributes(parent, number, version_path)})
        record[key][path.field.name] = value

    def values(self, found: PackedRecord) -> tuple[Value, ...]:
        """The selected values of one record."""
        number, values = found[0], self.table.unpack(found[1])
        return tuple(path.get(number, values) for path in self.paths)

    def as_cells(self, found: PackedRecord) -> list[str]:
        """One record as a row of a Bulk API query result."""
        pairs = zip(self.paths, self.values(found), strict=True)
        return [csv_text(path.field, value) for path, value in pairs]

    def _path(self, text: str) -> Path:
        relationship, dot, name = text.rpartition(".")
        if not dot:
            found = self._field(self.table, text, text)
            return Path(text, found, getter(self.table, found))
        lookup = self.table.definition.find_lookup(relationship)
        if lookup is None:
            message = (
                f"Didn't understand relationship '{relationship}' in field path. If you are"
                " attempting to use a custom relationship, be sure to append the '__r' after the"
                " custom relationship name."
            )
            raise QueryError("INVALID_FIELD", message, text)
        if lookup.refers_to == USER:
            return self._path_of_user(text, lookup, name)
        parent = self._org.table(lookup.refers_to or "")
        found = self._field(parent, name, text)
        return Path(text, found, _parent_getter(self.table, lookup, parent, found), lookup, parent)

    def _path_of_user(self, text: str, lookup: FieldDef, name: str) -> Path:
        """A field of the integration user, who owns and writes every record."""
        user = self._org.identity.user_record(self._org.credentials.username)
        for found, value in user.items():
            if found.casefold() == name.casefold():
                return Path(text, FieldDef(found, found, "Text"), _constant(value), lookup)
        raise _no_such_column(text, USER)

    def _field(self, table: Table, name: str, text: str) -> FieldDef:
        found = table.definition.find(name)
        if found is None:
            raise _no_such_column(text, table.definition.name)
        return found

    def _predicate(self, condition: Condition) -> Predicate:
        if isinstance(condition, Comparison):
            path = self._path(condition.path)
            get, matches = path.get, comparison_test(path.field, condition)
            return lambda number, values: matches(get(number, values))
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

    def _sort(self, rows: list[PackedRecord], path: Path, key: SortKey) -> None:
        def sort_key(row: PackedRecord) -> tuple[bool, Any]:
            value = path.get(row[0], self.table.unpack(row[1]))
            if value is None:
                return key.nulls_last is not key.descending, 0
            last = key.nulls_last is key.descending
            return last, Decimal(str(value)) if path.field.type in NUMERIC else value

        rows.sort(key=sort_key, reverse=key.descending)


def _expanded(definition: ObjectDef, select: Select) -> list[str]:
    """The selected paths, with the names of the fields in place of ``FIELDS(ALL)``."""
    found: list[str] = []
    for text in select.paths:
        chosen = _FIELD_SETS.get(text)
        if chosen is None:
            found.append(text)
            continue
        if text != "FIELDS(STANDARD)" and not 0 < (select.limit or 0) <= _MOST_WITH_ALL_FIELDS:
            message = "The SOQL FIELDS function must have a LIMIT of at most 200"
            raise QueryError("MALFORMED_QUERY", message, text.partition("(")[0])
        found += [field.name for field in definition.visible_fields() if chosen(field)]
    return found


def _no_such_column(text: str, entity: str) -> QueryError:
    message = (
        f"No such column '{text}' on entity '{entity}'. If you are attempting to use a custom"
        " field, be sure to append the '__c' after the custom field name. Please reference your"
        " WSDL or the describe call for the appropriate names."
    )
    return QueryError("INVALID_FIELD", message, text)


def _constant(value: Value) -> Getter:
    return lambda *_: value


def _parent_getter(table: Table, lookup: FieldDef, parent: Table, field: FieldDef) -> Getter:
    slot, inner = table.slot(lookup), getter(parent, field)

    def get(_: int, values: list[Value]) -> Value:
        parent_id = values[slot]
        number = parent.number_of(parent_id) if isinstance(parent_id, str) else None
        found = None if number is None else parent.get(number)
        return None if number is None or found is None else inner(number, found)

    return get
