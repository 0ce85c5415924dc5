"""Query results that clients read in pages: cursors of ``/query``, and query jobs.

Source: Salesforce REST API guide, "Query"; Bulk API 2.0 guide, "Bulk API 2.0 Query".
"""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.salesforce.csv_format import csv_bytes
from m3sync_dagster.sandbox.salesforce.job_state import Progress, State, already_ended, timestamp
from m3sync_dagster.sandbox.salesforce.record_table import PackedRecord


@dataclass(frozen=True, slots=True)
class Cursor:
    """The result of a query, kept while its pages are read.

    Args:
        records: the records found.
        as_json: gives a record as JSON, given the path of the API version.
        page_size: records of one page.
    """

    records: list[PackedRecord]
    as_json: Callable[[PackedRecord, str], JsonObject]
    page_size: int


@dataclass(slots=True)
class QueryJob:
    """A query whose result is read as CSV in pages.

    Args:
        id: its Id.
        created_by: the Id of the user who created it.
        operation: ``query`` or ``queryAll``.
        version: the API version it was created with, such as ``67.0``.
        object: the API name of the object that is queried.
        header: the names of the CSV's columns.
        records: the records found.
        as_cells: gives a record as the cells of a CSV row.
    """

    id: str
    created_by: str
    operation: str
    version: str
    object: str
    header: list[str]
    records: list[PackedRecord]
    as_cells: Callable[[PackedRecord], list[str]]
    progress: Progress = field(default_factory=lambda: Progress(State.JOB_COMPLETE))
    created: str = field(default_factory=timestamp)

    def abort(self) -> None:
        """Stops it.

        Raises:
            ApiError: the client was already given a final state.
        """
        if self.progress.ended:
            raise already_ended()
        self.progress.state = State.ABORTED

    def page(self, start: int, size: int) -> bytes:
        """The rows from ``start`` as CSV with a header."""
        rows = map(self.as_cells, self.records[start : start + size])
        return csv_bytes(itertools.chain([self.header], rows))
