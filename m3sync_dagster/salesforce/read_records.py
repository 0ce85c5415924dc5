"""Reading an object's records: SOQL pages for few of them, a Bulk API 2.0 query job for many.

Sources: REST API Developer Guide, "Query" and "Get Records With a Request Body Using sObject
Collections"; Bulk API 2.0 Developer Guide, "Bulk API 2.0 Query" and "Get Results for a Query Job".
"""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from m3sync_dagster.salesforce import bulk_csv
from m3sync_dagster.salesforce.bulk_job_poller import JobInfo, JobKind, JobPoller
from m3sync_dagster.salesforce.error_classification import parse_job_error, to_sync_error
from m3sync_dagster.salesforce.soql import column_path, records_query
from m3sync_dagster.salesforce.temporary_files import temporary_folder
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import DeadlineError, RemoteError, SyncError
from m3sync_dagster.sync.reconcile_types import ReadRow, Selection
from m3sync_dagster.sync.row_types import Target

SMALL = 2_000
"""Rows up to which SOQL pages need fewer calls: the size of one page."""
PAGE = 50_000
"""Rows of a page of a query job's results."""
BATCH = 2_000
"""Rows of a batch, and the most that a request by Id may name."""
_LAST = "null"  # the locator of the last page
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
        """Read records; the first page has their number.

        Raises:
            SyncError: the query failed, or not all records could be read.
        """
        soql = records_query(target, only)
        client = self.transport.client()
        page = client.query(soql)
        if page["totalSize"] > SMALL:
            yield from self._read_large(target, soql)
            return
        yield [_from_json(target, record) for record in page["records"]]
        while not page["done"]:
            page = client.query_more(page["nextRecordsUrl"], identifier_is_url=True)
            yield [_from_json(target, record) for record in page["records"]]

    def retrieve(self, target: Target, salesforce_ids: Sequence[str]) -> Iterator[list[ReadRow]]:
        """Read records by their Ids; Salesforce has ``null`` for one that does not exist.

        Raises:
            SyncError: Salesforce could not be reached, or refused.
        """
        fields = ["Id", target.external_id_field, *map(column_path, target.columns)]
        for start in range(0, len(salesforce_ids), BATCH):
            body = {"ids": list(salesforce_ids[start : start + BATCH]), "fields": fields}
            path = f"/composite/sobjects/{target.object}"
            found = self.transport.fetch("POST", path, list[dict[str, Any] | None], json=body)
            yield [_from_json(target, record) for record in found if record]

    def _read_large(self, target: Target, soql: str) -> Iterator[list[ReadRow]]:
        job_id = self._run(target, soql)
        names = ("Id", target.external_id_field, *map(column_path, target.columns))
        locator: str | None = None
        with temporary_folder() as folder:
            while locator != _LAST:
                file = folder / "page.csv"
                address = f"/jobs/query/{job_id}/results?maxRecords={PAGE}"
                headers = self.transport.download(
                    address if locator is None else f"{address}&locator={locator}", file
                )
                count = 0
                for rows in _from_csv(bulk_csv.read_results(file, names)):
                    count += len(rows)
                    yield rows
                _check_row_count(headers, job_id, count)
                locator = _next_page(headers, job_id, locator)

    def _run(self, target: Target, soql: str) -> str:
        """Create a query job, wait for its end, and give its id."""
        request = {"operation": "query", "query": soql}
        info = self.transport.fetch("POST", "/jobs/query", JobInfo, json=request)
        try:
            info = self.poller.wait(JobKind.QUERY, info, target.object, _BUSY)
        except DeadlineError:
            self._abort(info.id)
            raise
        if info.state == "Aborted":
            raise RemoteError(
                f"The query job {info.id} of {target.object} was aborted in Salesforce",
                "Find out who aborted it, and why, in Salesforce Setup, Bulk Data Load Jobs. Then "
                "verify again.",
            )
        if info.state != "JobComplete":
            api_error = parse_job_error(info.error_message or "")
            raise to_sync_error(api_error, f"the query job {info.id} of {target.object}")
        return info.id

    def _abort(self, job_id: str) -> None:
        """Abort a query job that this run no longer waits for."""
        try:
            self.poller.set_state(JobKind.QUERY, job_id, "Aborted")
        except SyncError as error:
            _log.warning("The query job %s was not aborted: %s", job_id, error)


def _next_page(headers: Mapping[str, str], job_id: str, this_page: str | None) -> str:
    """The locator of the next page.

    Raises:
        RemoteError: the response has none, so that rows could be missing.
    """
    locator = headers.get("Sforce-Locator")
    if not locator or locator == this_page:
        raise RemoteError(
            f"Salesforce's result page of the query job {job_id} has no locator of the next page",
            "Verify again later. If the error continues, report it with this message.",
        )
    return locator


def _check_row_count(headers: Mapping[str, str], job_id: str, count: int) -> None:
    """Check that a page has as many rows as its header says.

    Raises:
        RemoteError: it has not.
    """
    expected = headers.get("Sforce-NumberOfRecords", "")
    if expected.isdecimal() and int(expected) != count:
        raise RemoteError(
            f"A result page of the query job {job_id} has {count} rows instead of {expected}",
            "Verify again later. If the error continues, report it with this message.",
        )


def _from_json(target: Target, record: dict[str, Any]) -> ReadRow:
    values = []
    for column in target.columns:
        if column.relationship:
            parent = record.get(column.relationship) or {}
            values.append(parent.get(column.parent_external_id))
        else:
            values.append(record.get(column.field))
    return ReadRow(record.get(target.external_id_field), record["Id"], values)


def _from_csv(rows: Iterator[tuple[str, ...]]) -> Iterator[list[ReadRow]]:
    """Rows of a query job's CSV file, where null is an empty cell and every value is text."""
    while batch := list(islice(rows, BATCH)):
        yield [ReadRow(key or None, salesforce_id, values) for salesforce_id, key, *values in batch]
