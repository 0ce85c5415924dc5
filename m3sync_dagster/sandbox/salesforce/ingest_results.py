"""What becomes of an upload's rows: how each is saved, and the result set that it goes into.

Source: Salesforce Bulk API 2.0 guide, "Create a Job", "Get Job Successful Record Results" and its
neighbours.
"""

import csv
import io
import random
from collections.abc import Callable, Collection, Sequence
from tempfile import SpooledTemporaryFile
from typing import Any

from m3sync_dagster.sandbox.salesforce.errors import RowError
from m3sync_dagster.sandbox.salesforce.field_resolution import Column
from m3sync_dagster.sandbox.salesforce.field_values import double_text
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.record_table import Table
from m3sync_dagster.sandbox.salesforce.record_writer import KEEP, Row, Saved, Writer
from m3sync_dagster.sandbox.salesforce.schema import NUMERIC, FieldDef

OPERATIONS = frozenset({"insert", "update", "upsert", "delete"})
"""What an ingest job of the sandbox can do; ``hardDelete`` needs a permission of its own."""

SaveRows = Callable[[Sequence[Row], Collection[str]], list[Saved]]
"""Saves a chunk; the second argument names keys that occur more than once in the upload."""

_IN_MEMORY = 1_000_000
_NULL = "#N/A"
_MEANING: dict[str, Any] = {"": KEEP, _NULL: None}


def temporary_file() -> "SpooledTemporaryFile[bytes]":
    """A file that stays in memory while it is small."""
    return SpooledTemporaryFile(max_size=_IN_MEMORY)


class ResultSet:
    """A result file: rows are shuffled batch by batch, so that nobody relies on their order."""

    def __init__(self, *extra: str) -> None:
        self._extra = extra
        self._file = temporary_file()
        self._random = random.Random(0)  # noqa: S311 - an order, not a secret

    def add(self, rows: list[list[str]]) -> None:
        """Adds the rows of a batch."""
        before = list(rows)
        self._random.shuffle(rows)
        if rows == before:
            rows.reverse()
        text = io.StringIO()
        csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
        self._file.write(text.getvalue().encode())

    def read(self, header: list[str]) -> bytes:
        """The whole file. Salesforce quotes the columns that it adds, and not the client's."""
        self._file.seek(0)
        names = ",".join([*(f'"{name}"' for name in self._extra), *header])
        return f"{names}\n".encode() + self._file.read()

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()


def rows_saver(org: Org, table: Table, operation: str, key: FieldDef | None) -> SaveRows:
    """How the rows of a job are saved.

    Args:
        org: the org.
        table: the records of the job's object.
        operation: one of ``OPERATIONS``.
        key: the field that names a row's record; ``None`` for inserts.
    """
    if key is None or key.type != "Id":
        writer = Writer(org, table, key)
        return lambda rows, repeated: writer.save(rows, repeated=repeated)
    by_id = _ById(org, table, operation)
    return lambda rows, repeated: [by_id.save(row, repeated) for row in rows]


class _ById:
    """Saves or deletes the records that rows name by their Ids."""

    def __init__(self, org: Org, table: Table, operation: str) -> None:
        self._org, self._table, self._operation = org, table, operation
        self._writer = Writer(org, table)

    def save(self, row: Row, repeated: Collection[str]) -> Saved:
        """Save one row."""
        if row.key is None and self._operation == "upsert":
            return self._writer.save([row])[0]
        number = self._table.number_of(row.key or "")
        if error := self._refusal(row.key, number, repeated):
            return Saved(error=error)
        if self._operation == "delete":
            self._org.delete(self._table, number or 0)
            return Saved(self._table.id_of(number or 0))
        return self._writer.update(number or 0, row)

    def _refusal(
        self, key: str | None, number: int | None, repeated: Collection[str]
    ) -> RowError | None:
        if key is None:
            return RowError("MISSING_ARGUMENT", "Id not specified in an update call")
        if key in repeated:
            return RowError("DUPLICATE_VALUE", f"Duplicate id specified: {key}")
        if number is None and self._table.was_deleted(key):
            return RowError("ENTITY_IS_DELETED", "entity is deleted")
        return RowError("MALFORMED_ID", f"malformed id {key}", "Id") if number is None else None


class Lines:
    """Turns CSV lines into rows to save: an empty cell says nothing, ``#N/A`` is null."""

    def __init__(self, columns: list[Column], key: int | None) -> None:
        self._columns = columns
        self._key = key

    def row(self, line: list[str]) -> Row:
        """One row. What names its record is not among the values that it changes."""
        cells = [_MEANING.get(text, text) for text in line]
        if self._key is None:
            return Row(None, self._columns, cells)
        cells[self._key] = KEEP
        return Row(line[self._key] or None, self._columns, cells)


class Echo:
    """Turns saved rows into rows of the result sets; numbers come back as doubles."""

    def __init__(self, columns: list[Column]) -> None:
        self._doubles = [at for at, c in enumerate(columns) if c.field.type in NUMERIC]

    def add(
        self, line: list[str], saved: Saved, successes: list[list[str]], failures: list[list[str]]
    ) -> None:
        """Adds a row to the set it belongs to."""
        if saved.error is not None:
            failures.append(["", saved.error.as_text(), *line])
            return
        for at in self._doubles:
            if line[at] and line[at] != _NULL:
                line[at] = double_text(line[at])
        successes.append([saved.id or "", "true" if saved.created else "false", *line])
