"""Reading an object's records back: SOQL pages for few of them, a Bulk API 2.0 query for many.

Sources: SOQL and SOSL Reference, "Quoted String Escape Sequences" and "Relationship Queries"; REST
API Developer Guide, "Query"; Bulk API 2.0 Developer Guide, "Bulk API 2.0 Query" and "Get Results
for a Query Job".
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from m3sync_dagster.salesforce import bulk_csv as csv_files
from m3sync_dagster.salesforce.bulk_ingest import DEADLINE, FIRST_PAUSE, LONGEST_PAUSE, JobInfo
from m3sync_dagster.salesforce.errors import parse_job_error, to_sync_error
from m3sync_dagster.salesforce.temporary_files import temporary_folder
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import DeadlineError, RemoteError
from m3sync_dagster.sync.interfaces import Column, Target
from m3sync_dagster.sync.plan import quoted
from m3sync_dagster.sync.reconcile_types import ReadRow, Selection

SMALL = 2_000
"""Rows up to which SOQL pages need fewer calls: what one page holds at most."""
PAGE = 50_000
"""Rows of a page of a query job's results."""
BATCH = 2_000
"""Rows handed over at a time."""
_ENDED = {"JobComplete", "Failed", "Aborted"}
_LAST = "null"  # what the locator of the last page says


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """Reads records of one org.

    Args:
        transport: the org.
        sleep: waits a number of seconds.
        clock: seconds that only grow, for the deadline.
    """

    transport: Transport
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def read(self, target: Target, only: Selection | None) -> Iterator[list[ReadRow]]:
        """Read records; the first page tells how many there are.

        Raises:
            SyncError: the query was refused, or could not be read to its end.
        """
        soql = query_text(target, only)
        page = self.transport.client.query(soql)
        if page["totalSize"] > SMALL:
            yield from self._read_large(target, soql)
            return
        yield [_from_json(target, record) for record in page["records"]]
        while not page["done"]:
            page = self.transport.client.query_more(page["nextRecordsUrl"], identifier_is_url=True)
            yield [_from_json(target, record) for record in page["records"]]

    def _read_large(self, target: Target, soql: str) -> Iterator[list[ReadRow]]:
        job_id = self._run(target, soql)
        names = ("Id", target.external_id_field, *(path(column) for column in target.columns))
        locator: str | None = None
        with temporary_folder() as folder:
            while locator != _LAST:
                file = folder / "page.csv"
                address = f"/jobs/query/{job_id}/results?maxRecords={PAGE}"
                headers = self.transport.download(
                    address if locator is None else f"{address}&locator={locator}", file
                )
                yield from _from_csv(csv_files.read_results(file, names))
                locator = _next_page(headers, job_id)

    def _run(self, target: Target, soql: str) -> str:
        """Create a query job, and wait for its end."""
        request = {"operation": "query", "query": soql}
        info = self.transport.fetch("POST", "/jobs/query", JobInfo, json=request)
        deadline, pause = self.clock() + DEADLINE, FIRST_PAUSE
        while info.state not in _ENDED:
            if self.clock() + pause > deadline:
                raise self._give_up(info, target)
            self.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            info = self.transport.fetch("GET", f"/jobs/query/{info.id}", JobInfo)
        if info.state != "JobComplete":
            complaint = parse_job_error(info.error_message or "")
            raise to_sync_error(complaint, f"the query job {info.id} of {target.object}")
        return info.id

    def _give_up(self, info: JobInfo, target: Target) -> DeadlineError:
        self.transport.call("PATCH", f"/jobs/query/{info.id}", json={"state": "Aborted"})
        return DeadlineError(
            f"The query job {info.id} of {target.object} is {info.state} after "
            f"{DEADLINE // 60} minutes",
            "Verify again when the org is less busy.",
        )


def _next_page(headers: Mapping[str, str], job_id: str) -> str:
    """The locator of the page after this one; without it, rows could be missing unnoticed."""
    locator = headers.get("Sforce-Locator")
    if not locator:
        raise RemoteError(
            f"Salesforce's result of the query job {job_id} does not say whether it is the last",
            "Verify again later; if it stays so, report it with this message.",
        )
    return locator


def query_text(target: Target, only: Selection | None) -> str:
    """Write the query; without an order or a limit, so that Salesforce can cut it into chunks."""
    key = target.external_id_field
    fields = ", ".join(["Id", key, *(path(column) for column in target.columns)])
    wanted = " AND ".join(_conditions(key, only))
    return f"SELECT {fields} FROM {target.object} WHERE {wanted}"  # noqa: S608 - names are the org's own


def _conditions(key: str, only: Selection | None) -> Iterator[str]:
    if only is None:
        yield f"{key} != null"
        return
    field = only.column.field
    named = [f"{path(only.column)} IN ({', '.join(map(quoted, only.ids))})"] if only.ids else []
    empty = [f"{field} = null"] if only.or_empty else []
    yield f"({' OR '.join([*named, *empty])})"
    if field not in {"Id", key}:
        yield f"{key} != null"


def path(column: Column) -> str:
    """How SOQL reaches what a row carries: for a lookup, the parent's external ID."""
    if column.relationship:
        return f"{column.relationship}.{column.parent_external_id}"
    return column.field


def _from_json(target: Target, record: dict[str, Any]) -> ReadRow:
    values = []
    for column in target.columns:
        if column.relationship:
            parent = record.get(column.relationship) or {}
            values.append(parent.get(column.parent_external_id))
        else:
            values.append(record.get(column.field))
    return ReadRow(record[target.external_id_field], record["Id"], values)


def _from_csv(rows: Iterator[tuple[str, ...]]) -> Iterator[list[ReadRow]]:
    """A query's CSV file has an empty cell for null, and every value as text."""
    while batch := list(islice(rows, BATCH)):
        yield [ReadRow(key or None, salesforce_id, values) for salesforce_id, key, *values in batch]
