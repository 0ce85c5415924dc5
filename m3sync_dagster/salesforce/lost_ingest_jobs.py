"""Finding ingest jobs that Salesforce created for us, but whose ids were lost with its response.

Such a job is open and has no data. It is aborted only if all its properties are those of our
request: an org may have other tools, and another m3sync integration may write the same object.
Salesforce closes an open job after 24 hours; until then an open job writes nothing.
Source: Bulk API 2.0 Developer Guide, "Get Information About All Jobs" and "Limits".
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import msgspec

from m3sync_dagster.salesforce.bulk_job_poller import JobInfo, JobKind, JobPoller
from m3sync_dagster.salesforce.organization import SHORT_ID
from m3sync_dagster.salesforce.transport import Transport, resource_path
from m3sync_dagster.sync.interfaces import JobLog

ORPHAN_AGE = timedelta(minutes=15)
"""Largest difference between request and creation of a job: two clocks, and some retries."""
MOST_PAGES = 100
"""Most pages that are read of the list of jobs."""
JOB_OPTIONS = {
    "contentType": "CSV",
    "lineEnding": "LF",
    "columnDelimiter": "COMMA",
}
"""Properties that all our ingest jobs have."""
UPSERT = "upsert"
UPDATE = "update"
"""The operation of a job that only updates records, by their Ids."""
_log = logging.getLogger(__name__)


class JobList(msgspec.Struct, rename="camel"):
    """A page of the org's jobs."""

    records: list[JobInfo]
    next_records_url: str | None = None


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A request for an ingest job whose response may have been lost.

    Args:
        object_name: API name of the object.
        external_id_field: API name of the external ID field; ``None`` where it is no longer
            known.
        since: when the job was requested.
        operation: ``upsert``, or ``update``, which has no external ID field.
    """

    object_name: str
    external_id_field: str | None
    since: datetime
    operation: str = UPSERT


def find_jobs_to_abort(poller: JobPoller, request: JobRequest, jobs: JobLog) -> list[str]:
    """List the ids of open jobs that are certainly ours; jobs that may be ours are logged.

    Raises:
        SyncError: Salesforce could not be reached, or rejected the request.
    """
    expected = _expected_properties(request, poller.transport)
    listed = [info for info in _open_jobs(poller.transport) if _may_match(info, request, expected)]
    if not listed:
        return []
    # Read before ``unknown_jobs``: a requested job is recorded before its request ends.
    other = jobs.is_other_job_requested(request.object_name)
    found = []
    for job_id in jobs.unknown_jobs([info.id for info in listed]):
        # The list has fewer properties than the job itself.
        info = poller.read(JobKind.INGEST, job_id)
        if info.state != "Open" or not _may_match(info, request, expected):
            continue
        if unconfirmed := _unconfirmed(info, expected, other=other):
            _report(info, unconfirmed)
        else:
            found.append(info.id)
    return found


def _report(info: JobInfo, unconfirmed: list[str]) -> None:
    _log.warning(
        "The open ingest job %s of %s may be ours and was not aborted: %s. If no other tool needs "
        "it, abort it in Salesforce Setup, Bulk Data Load Jobs.",
        info.id,
        info.object,
        "; ".join(unconfirmed),
    )


def _open_jobs(transport: Transport) -> Iterator[JobInfo]:
    pages = islice(_pages(transport), MOST_PAGES)
    return (info for page in pages for info in page.records if info.state == "Open")


def _pages(transport: Transport) -> Iterator[JobList]:
    path: str | None = "/jobs/ingest?jobType=V2Ingest"
    while path:
        page = transport.fetch("GET", path, JobList)
        yield page
        path = resource_path(page.next_records_url)


def _may_match(info: JobInfo, request: JobRequest, expected: Mapping[str, str]) -> bool:
    """Whether no known property of the job differs from the request."""
    actual = _properties(info)
    if any(actual[name] and value and actual[name] != value for name, value in expected.items()):
        return False
    created = _created(info)
    return created is None or abs(created - request.since) < ORPHAN_AGE


def _unconfirmed(info: JobInfo, expected: Mapping[str, str], *, other: bool) -> list[str]:
    """Why a job that may be ours is not aborted; empty for a job that is certainly ours."""
    actual = _properties(info)
    unknown = [name for name, value in expected.items() if not (actual[name] and value)]
    if _created(info) is None:
        unknown.append("createdDate")
    unconfirmed = [f"its {name} is not known" for name in unknown]
    if other:
        unconfirmed.append("another integration has also requested a job on this object")
    return unconfirmed


def _properties(info: JobInfo) -> dict[str, str]:
    """The properties of a job, normalized for comparison; empty where not known."""
    return {
        "operation": info.operation or "",
        "object": (info.object or "").casefold(),
        "externalIdFieldName": (info.external_id_field_name or "").casefold(),
        "contentType": info.content_type or "",
        "lineEnding": info.line_ending or "",
        "columnDelimiter": info.column_delimiter or "",
        "createdById": (info.created_by_id or "")[:SHORT_ID],
    }


def _expected_properties(request: JobRequest, transport: Transport) -> dict[str, str]:
    """The properties of the requested job, normalized in the same way."""
    expected = JOB_OPTIONS | {
        "operation": request.operation,
        "object": request.object_name.casefold(),
        "createdById": (transport.token().user_id or "")[:SHORT_ID],
    }
    if request.operation == UPSERT:
        expected["externalIdFieldName"] = (request.external_id_field or "").casefold()
    return expected


def _created(info: JobInfo) -> datetime | None:
    try:
        created = datetime.fromisoformat(info.created_date or "")
    except ValueError:
        return None
    return created if created.tzinfo else None
