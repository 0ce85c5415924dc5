"""The result files of an ingest job.

Source: Salesforce Bulk API 2.0 guide, "Get Job Successful Record Results" and "Get Job Failed
Record Results".
"""

import random
from tempfile import SpooledTemporaryFile

from m3sync_dagster.sandbox.salesforce.csv_format import csv_bytes

_IN_MEMORY = 1_000_000
"""Bytes up to which a file stays in memory."""


def temporary_file() -> "SpooledTemporaryFile[bytes]":
    """A file that stays in memory while it is small."""
    return SpooledTemporaryFile(max_size=_IN_MEMORY)


class ResultSet:
    """A result file; the rows of each batch are shuffled, so that their order has no meaning.

    Args:
        added_columns: the columns that Salesforce adds before the client's own.
    """

    def __init__(self, *added_columns: str) -> None:
        self._added_columns = added_columns
        self._file = temporary_file()
        self._random = random.Random(0)  # noqa: S311 - an order, not a secret

    def add(self, rows: list[list[str]]) -> None:
        """Adds the rows of a batch."""
        before = list(rows)
        self._random.shuffle(rows)
        if rows == before:
            rows.reverse()
        self._file.write(csv_bytes(rows))

    def read(self, header: list[str]) -> bytes:
        """The whole file. Salesforce quotes the names of the columns that it adds, no others."""
        self._file.seek(0)
        names = ",".join([*(f'"{name}"' for name in self._added_columns), *header])
        return f"{names}\n".encode() + self._file.read()

    def close(self) -> None:
        """Deletes the file."""
        self._file.close()
