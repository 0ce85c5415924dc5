"""Saves rows: it reads a chunk of up to 200 rows, resolves their lookups, then saves each row.

The REST API and the Bulk API both use it, so both reject the same rows, as in Salesforce.
"""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from m3sync_dagster.sandbox.salesforce.errors import RowError
from m3sync_dagster.sandbox.salesforce.field_values import Value, datetime_text, reader_of
from m3sync_dagster.sandbox.salesforce.object_permissions import require_save
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.record_table import Table
from m3sync_dagster.sandbox.salesforce.row_columns import Column, duplicate_external_id
from m3sync_dagster.sandbox.salesforce.schema import FieldDef

CHUNK = 200
"""Rows that Salesforce saves in one transaction. Source: Bulk API 2.0 guide, "Limits"."""


KEEP: Final = object()
"""Instead of a value: the row does not change this column."""


@dataclass(slots=True)
class Row:
    """One row to save: its external ID, if any, and a value or ``KEEP`` for each column."""

    key: object
    columns: Sequence[Column]
    cells: Sequence[object]


@dataclass(slots=True)
class Saved:
    """The result of one row."""

    id: str | None = None
    created: bool = False
    error: RowError | None = None


@dataclass(slots=True)
class _Staged:
    """A row after reading: the number of its record, if it exists, and the changes by slot."""

    number: int | None
    changes: dict[int, Value]


class Writer:
    """Saves rows of one object.

    Args:
        org: the org.
        table: the object's records.
        key: the external ID field by which rows are matched; none if each row creates a record.
    """

    def __init__(self, org: Org, table: Table, key: FieldDef | None = None) -> None:
        definition = table.definition
        self._org = org
        self._table = table
        self._key = None if key is None else (key, reader_of(key), table.index(key))
        self._blank = table.blank()
        self._checks = _Checks(table)
        self._name = definition.fields["Name"]
        self._name_slot = table.slot(self._name)
        self._created_slot = table.slot(definition.fields["CreatedDate"])
        stamps = ("LastModifiedDate", "SystemModstamp")
        self._stamp_slots = [table.slot(definition.fields[name]) for name in stamps]
        self._undo: list[tuple[int, list[Value] | None]] = []

    def save(
        self, rows: Sequence[Row], *, all_or_none: bool = False, repeated: Collection[str] = ()
    ) -> list[Saved]:
        """Saves one chunk. A row can refer to a record that existed before the chunk.

        Args:
            rows: at most ``CHUNK`` of them.
            all_or_none: whether one error rolls back all rows.
            repeated: external IDs known to occur more than once in the whole request.

        Returns:
            the result of each row, in the order of the rows.

        Raises:
            ApiError: the request as a whole is invalid.
        """
        counted = Counter(str(row.key) for row in rows)
        repeated = {*repeated, *(key for key, count in counted.items() if count > 1)}
        now = datetime_text(datetime.now(UTC))
        with self._org.lock:
            self._undo.clear()
            staged = [self._stage(row, repeated) for row in rows]
            saved = [self._commit(stage, now) for stage in staged]
            if all_or_none and any(result.error for result in saved):
                self._roll_back(saved)
        return saved

    def update(self, number: int, row: Row) -> Saved:
        """Saves new values of the record with this number."""
        return self._save_one(number, row)

    def create(self, row: Row) -> Saved:
        """Saves a new record."""
        return self._save_one(None, row)

    def _save_one(self, number: int | None, row: Row) -> Saved:
        with self._org.lock:
            try:
                staged = _Staged(number, _read(row))
            except RowError as error:
                return Saved(error=error)
            return self._commit(staged, datetime_text(datetime.now(UTC)))

    def begin(self) -> None:
        """Starts what ``undo`` undoes."""
        self._undo.clear()

    def undo(self) -> None:
        """Undoes every save since ``begin``."""
        with self._org.lock:
            for number, old in reversed(self._undo):
                if old is None:
                    self._table.erase(number)
                else:
                    self._table.put(number, old)

    def _stage(self, row: Row, repeated: Collection[str]) -> _Staged | RowError:
        try:
            return self._match(row, repeated)
        except RowError as error:
            return error

    def _match(self, row: Row, repeated: Collection[str]) -> _Staged:
        if self._key is None:
            return _Staged(None, _read(row))
        key, read, index = self._key
        self._org.faults.check_row(self._table.definition.name, row.key)
        value = read(row.key)
        if not isinstance(value, str):
            raise RowError("MISSING_ARGUMENT", f"{key.name} not specified")
        if str(row.key) in repeated:
            message = f"Duplicate external id specified: {value}"
            raise RowError("DUPLICATE_VALUE", message, key.name)
        found = index.find(value)
        if len(found) > 1:
            raise duplicate_external_id(key.name, value)
        changes = {index.slot: value, **_read(row)}
        return _Staged(found[0] if found else None, changes)

    def _commit(self, staged: _Staged | RowError, now: str) -> Saved:
        if isinstance(staged, RowError):
            return Saved(error=staged)
        old = None if staged.number is None else self._table.get(staged.number)
        number = self._table.next_number() if staged.number is None else staged.number
        values = list(self._blank if old is None else old)
        for slot, value in staged.changes.items():
            values[slot] = value
        try:
            require_save(self._table.definition, new=old is None)
            self._checks.apply(values, number)
        except RowError as error:
            return Saved(error=error)
        self._complete(values, number, now, new=old is None)
        self._store(values, number, new=old is None)
        self._undo.append((number, old))
        return Saved(self._table.id_of(number), created=old is None)

    def _complete(self, values: list[Value], number: int, now: str, *, new: bool) -> None:
        """Sets the fields that Salesforce sets itself. A blank text Name becomes the Id."""
        if new:
            values[self._created_slot] = now
        for slot in self._stamp_slots:
            values[slot] = now
        if values[self._name_slot] is None:
            automatic = self._name.type == "AutoNumber"
            name = self._table.automatic_name if automatic else lambda _: self._table.id_of(number)
            values[self._name_slot] = name(self._name)

    def _store(self, values: list[Value], number: int, *, new: bool) -> None:
        if new:
            self._table.add(values)
        else:
            self._table.put(number, values)

    def _roll_back(self, saved: list[Saved]) -> None:
        self.undo()
        for result in saved:
            if result.error is None:
                result.id = None
                result.error = rolled_back()


def rolled_back() -> RowError:
    """The error of a valid row in an all-or-none request with an invalid one."""
    message = (
        "Record rolled back because not all records were valid and the request was using"
        " AllOrNone header"
    )
    return RowError("ALL_OR_NONE_OPERATION_ROLLED_BACK", message)


def _read(row: Row) -> dict[int, Value]:
    """Values by slot. A dict of plain values is not tracked by the garbage collector."""
    pairs = zip(row.columns, row.cells, strict=True)
    return {column.slot: column.read(raw) for column, raw in pairs if raw is not KEEP}


class _Checks:
    """The checks of a whole record before it is saved."""

    def __init__(self, table: Table) -> None:
        fields = table.definition.fields
        self._table = table
        self._required = [
            (f.name, table.slot(f)) for f in fields.values() if f.required and not f.system
        ]
        self._unique = [(f.name, table.index(f)) for f in fields.values() if f.unique]
        self._rules = [
            (table.slot(fields[rule.field]), re.compile(rule.pattern), rule)
            for rule in table.definition.rules
        ]

    def apply(self, values: list[Value], number: int) -> None:
        """Raises ``RowError`` for the first check that fails."""
        missing = [name for name, slot in self._required if values[slot] is None]
        if missing:
            message = f"Required fields are missing: [{', '.join(missing)}]"
            raise RowError("REQUIRED_FIELD_MISSING", message, *missing)
        self._check_unique(values, number)
        for slot, pattern, rule in self._rules:
            if pattern.fullmatch(_text(values[slot])):
                raise RowError("FIELD_CUSTOM_VALIDATION_EXCEPTION", rule.message, rule.field)

    def _check_unique(self, values: list[Value], number: int) -> None:
        for name, index in self._unique:
            value = values[index.slot]
            for other in index.find(value) if isinstance(value, str) else ():
                if other != number:
                    message = (
                        f"duplicate value found: {name} duplicates value on record with id: "
                        f"{self._table.id_of(other)}"
                    )
                    raise RowError("DUPLICATE_VALUE", message, name)


def _text(value: Value) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else value
