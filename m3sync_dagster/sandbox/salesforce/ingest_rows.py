"""The rows of an ingest job: how each is read, saved and written to a result set.

Source: Salesforce Bulk API 2.0 guide, "Create a Job", "Get Job Successful Record Results" and
"Get Job Failed Record Results".
"""

from collections.abc import Callable, Collection, Sequence
from typing import Final

from m3sync_dagster.sandbox.salesforce.errors import RowError
from m3sync_dagster.sandbox.salesforce.field_values import double_text
from m3sync_dagster.sandbox.salesforce.object_permissions import deletion_refused
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.record_table import Table
from m3sync_dagster.sandbox.salesforce.record_writer import KEEP, Row, Saved, Writer
from m3sync_dagster.sandbox.salesforce.row_columns import Column
from m3sync_dagster.sandbox.salesforce.schema import NUMERIC, FieldDef

OPERATIONS = frozenset({"insert", "update", "upsert", "delete", "hardDelete"})
"""The operations of ingest jobs."""

SaveRows = Callable[[Sequence[Row], Collection[str]], list[Saved]]
"""Saves a chunk; the second argument holds the keys that occur more than once in the upload."""

_NULL = "#N/A"
_SPECIAL_CELLS: Final[dict[str, object]] = {"": KEEP, _NULL: None}


def rows_saver(org: Org, table: Table, operation: str, key: FieldDef | None) -> SaveRows:
    """How the rows of a job are saved.

    Args:
        org: the org.
        table: the records of the job's object.
        operation: one of ``OPERATIONS``.
        key: the field that identifies a row's record; ``None`` for inserts.
    """
    if key is None or key.type != "Id":
        writer = Writer(org, table, key)
        return lambda rows, repeated: writer.save(rows, repeated=repeated)
    by_id = _SaverById(org, table, operation)
    return lambda rows, repeated: [by_id.save(row, repeated) for row in rows]


class _SaverById:
    """Saves or deletes the records that rows identify by their Ids."""

    def __init__(self, org: Org, table: Table, operation: str) -> None:
        self._org, self._table, self._operation = org, table, operation
        self._writer = Writer(org, table)

    def save(self, row: Row, repeated: Collection[str]) -> Saved:
        """Save one row."""
        key = None if row.key is None else str(row.key)
        if key is None and self._operation == "upsert":
            return self._writer.save([row])[0]
        number = self._table.number_of(key or "")
        if error := self._error(key, number, repeated):
            return Saved(error=error)
        if self._operation in {"delete", "hardDelete"}:
            if refused := deletion_refused(self._table.definition):
                return Saved(error=refused)
            self._org.delete(self._table, number or 0, hard=self._operation == "hardDelete")
            return Saved(self._table.id_of(number or 0))
        self._writer.begin()
        return self._writer.update(number or 0, row)

    def _error(
        self, key: str | None, number: int | None, repeated: Collection[str]
    ) -> RowError | None:
        if key is None:
            return RowError("MISSING_ARGUMENT", "Id not specified in an update call")
        if key in repeated:
            return RowError("DUPLICATE_VALUE", f"Duplicate id specified: {key}")
        if number is None and self._table.was_deleted(key):
            return RowError("ENTITY_IS_DELETED", "entity is deleted")
        return RowError("MALFORMED_ID", f"malformed id {key}", "Id") if number is None else None


class RowReader:
    """Turns CSV lines into rows to save: an empty cell changes nothing, ``#N/A`` is null.

    Args:
        columns: the columns of the upload.
        key: the position of the column that identifies a row's record; ``None`` for inserts.
    """

    def __init__(self, columns: list[Column], key: int | None) -> None:
        self._columns = columns
        self._key = key

    def row(self, line: list[str]) -> Row:
        """One row. The key is not among the values that it changes."""
        cells = [_SPECIAL_CELLS.get(text, text) for text in line]
        if self._key is None:
            return Row(None, self._columns, cells)
        cells[self._key] = KEEP
        return Row(line[self._key] or None, self._columns, cells)


class ResultRows:
    """Turns saved rows into rows of the result sets; numbers are written as doubles."""

    def __init__(self, columns: list[Column]) -> None:
        self._doubles = [at for at, c in enumerate(columns) if c.field.type in NUMERIC]
        self._id = next((at for at, c in enumerate(columns) if c.field.type == "Id"), None)

    def add(
        self, line: list[str], saved: Saved, successes: list[list[str]], failures: list[list[str]]
    ) -> None:
        """Adds a row to the successes or to the failures."""
        if saved.error is not None:
            known_id = "" if self._id is None else line[self._id]
            failures.append([known_id, saved.error.as_text(), *line])
            return
        for at in self._doubles:
            if line[at] and line[at] != _NULL:
                line[at] = double_text(line[at])
        successes.append([saved.id or "", "true" if saved.created else "false", *line])
