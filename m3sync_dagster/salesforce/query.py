"""Reading an object's records back: SOQL pages for few of them, a Bulk API 2.0 query for many.

Sources: SOQL and SOSL Reference, "Quoted String Escape Sequences" and "Relationship Queries"; REST
API Developer Guide, "Query"; Bulk API 2.0 Developer Guide, "Bulk API 2.0 Query" and "Get Results
for a Query Job".
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from m3sync_dagster.salesforce import bulk_csv as csv_files
from m3sync_dagster.salesforce.bulk_job import JobInfo, JobKind, JobPoller
from m3sync_dagster.salesforce.errors import parse_job_error, to_sync_error
from m3sync_dagster.salesforce.temporary_files import temporary_folder
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import DeadlineError, RemoteError, SyncError
from m3sync_dagster.sync.plan import quoted
from m3sync_dagster.sync.reconcile_types import ReadRow, Selection
from m3sync_dagster.sync.rows import Column, Target

SMALL = 2_000
"""Rows up to which SOQL pages need fewer calls: what one page holds at most."""
PAGE = 50_000
"""Rows of a page of a query job's results."""
BATCH = 2_000
"""Rows handed over at a time."""
_LAST = "null"  # what the locator of the last page says
_BUSY = "Verify again when the org is less busy."
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RecordQuery:
    """Reads records of one org.

    Args:
        transport: the org.
        poller: waits for jobs.
    """

    transport: Transport
    poller: JobPoller

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
                count = 0
                for rows in _from_csv(csv_files.read_results(file, names)):
                    count += len(rows)
                    yield rows
                _check_is_whole(headers, job_id, count)
                locator = _next_page(headers, job_id, locator)

    def _run(self, target: Target, soql: str) -> str:
        """Create a query job, and wait for its end."""
        request = {"operation": "query", "query": soql}
        info = self.transport.fetch("POST", "/jobs/query", JobInfo, json=request)
        try:
            info = self.poller.wait(JobKind.QUERY, info, target.object, _BUSY)
        except DeadlineError:
            self._abort(info.id)
            raise
        if info.state == "Aborted":
            raise RemoteError(
                f"Somebody aborted the query job {info.id} of {target.object} in Salesforce",
                "Find out who aborted it, and why, in Salesforce Setup, Bulk Data Load Jobs; then "
                "verify again.",
            )
        if info.state != "JobComplete":
            complaint = parse_job_error(info.error_message or "")
            raise to_sync_error(complaint, f"the query job {info.id} of {target.object}")
        return info.id

    def _abort(self, job_id: str) -> None:
        """Abort a query job that this run does not wait for any longer."""
        try:
            self.poller.set_state(JobKind.QUERY, job_id, "Aborted")
        except SyncError as error:
            _log.warning("The query job %s was not aborted: %s", job_id, error)


def _next_page(headers: Mapping[str, str], job_id: str, this_page: str | None) -> str:
    """The locator of the page after this one; without it, rows could be missing unnoticed."""
    locator = headers.get("Sforce-Locator")
    if not locator or locator == this_page:
        raise RemoteError(
            f"Salesforce's result of the query job {job_id} does not say whether it is the last",
            "Verify again later; if it stays so, report it with this message.",
        )
    return locator


def _check_is_whole(headers: Mapping[str, str], job_id: str, count: int) -> None:
    """See that a page holds as many rows as its header says: rows must not be missing unnoticed.

    Raises:
        RemoteError: it does not.
    """
    said = headers.get("Sforce-NumberOfRecords", "")
    if said.isdecimal() and int(said) != count:
        raise RemoteError(
            f"A page of the result of the query job {job_id} holds {count} rows, and Salesforce "
            f"said {said}",
            "Verify again later; if it stays so, report it with this message.",
        )


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
