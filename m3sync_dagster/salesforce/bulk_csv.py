"""CSV files for Bulk API 2.0: writing rows to files, and reading result files.

Both are streamed: no file and no result set is held in memory as a whole.

Source: Bulk API 2.0 Developer Guide, "Prepare CSV Files" and "Relationship Fields in a Header
Row".
"""

import csv
import hashlib
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace

from m3sync_dagster.salesforce.value_text import line_ends, plain
from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster.sync.row_types import Row, Target, Value

EMPTY = "#N/A"
"""Clears a field; an empty cell leaves the field unchanged."""
UNCHANGED = ""
"""Leaves a field unchanged."""

# A cell holds up to 131,072 characters of a field, and an error may quote it.
csv.field_size_limit(1 << 20)


@dataclass(slots=True)
class IdChecksum:
    """A checksum of a set of ids: their number, and a sum that does not depend on their order."""

    count: int = 0
    digest: int = 0

    def add(self, m3ter_id: str) -> None:
        """Count one id."""
        self.count += 1
        self.digest = (self.digest + hash(m3ter_id)) & 0xFFFF_FFFF_FFFF_FFFF


@dataclass(frozen=True, slots=True)
class Upload:
    """A CSV file to upload.

    Args:
        path: the file.
        ids: checksum of its external IDs.
        sha256: digest of its bytes, in hex.
    """

    path: Path
    ids: IdChecksum
    sha256: str


def header(target: Target, empty_lookups: AbstractSet[str]) -> list[str]:
    """The header row: the external ID, then the columns of the target.

    An update has the Id too, as the last column. Its results are matched by the external ID.
    """
    columns = [
        column.field
        if column.relationship is None or column.field in empty_lookups
        else f"{column.relationship}.{column.parent_external_id}"
        for column in target.columns
    ]
    return [target.external_id_field, *columns, *(["Id"] if target.update_only else [])]


def cell(value: Value) -> str:
    """The text of a value in a CSV cell."""
    if value is None or value == "":
        return EMPTY
    if isinstance(value, str):
        return line_ends(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    return plain(value) if isinstance(value, Decimal) else str(value)


def write_rows(
    head: list[str], rows: Iterable[Row], folder: Path, most_bytes: int
) -> Iterator[Upload]:
    """Write rows to as many files as needed; each is written when the caller asks for it.

    Args:
        head: the header row.
        rows: read once, file by file.
        folder: where the files are written; the caller deletes them.
        most_bytes: the largest size of a file with more than one row.
    """
    lines = _lines(map(_cells, rows))
    pending = next(lines, None)
    number = 0
    while pending is not None:
        number += 1
        ids, digest, size = IdChecksum(), hashlib.sha256(), 0
        path = folder / f"upload-{number}.csv"
        _, top = next(_lines([head]))
        with path.open("wb", buffering=1 << 18) as file:
            while pending is not None and (not ids.count or size + len(pending[1]) <= most_bytes):
                for data in [pending[1]] if ids.count else [top, pending[1]]:
                    size += file.write(data)
                    digest.update(data)
                ids.add(pending[0])
                pending = next(lines, None)
        yield Upload(path, ids, digest.hexdigest())


def _cells(row: Row) -> list[str]:
    cells = [row.m3ter_id, *map(cell, row.values)]
    for place in row.kept:
        cells[place + 1] = UNCHANGED
    if row.salesforce_id:
        cells.append(row.salesforce_id)
    return cells


def _lines(rows: Iterable[list[str]]) -> Iterator[tuple[str, bytes]]:
    """The first cell of each row, and its encoded line."""
    written: list[str] = []
    writer = csv.writer(SimpleNamespace(write=written.append), lineterminator="\n")
    for row in rows:
        writer.writerow(row)
        yield row[0], written.pop().encode()


def read_results(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Read some columns of a result file; the file may have them in any order.

    Yields:
        The cells of these columns, for each row.

    Raises:
        RemoteError: the file does not have the documented format.
    """
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.reader(file)
        try:
            yield from _pick(reader, columns)
        except (csv.Error, IndexError, ValueError) as error:
            raise RemoteError(
                f"Salesforce's result file cannot be read at line {reader.line_num}: {error}",
                "Try again later. If the error continues, report it with this message.",
            ) from error


def _pick(reader: Iterator[list[str]], columns: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    head = next(reader, None)
    if head is None:
        return
    positions = [head.index(column) for column in columns]
    for row in filter(None, reader):
        yield tuple(row[position] for position in positions)
