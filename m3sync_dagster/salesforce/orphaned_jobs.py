"""Ingest jobs that Salesforce created for us, and whose ids were lost with its answers.

Such a job is open and holds no data. It is aborted only where everything says that it is ours: an
org may have other tools, and another m3sync integration may work on the same object. Salesforce
closes an open job after 24 hours; until then one that is left open writes nothing.
Source: Bulk API 2.0 Developer Guide, "Get Information About All Jobs" and "Limits".
"""

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import islice

import msgspec

from m3sync_dagster.salesforce.bulk_job import JobInfo, JobKind, JobPoller
from m3sync_dagster.salesforce.organization import SHORT_ID
from m3sync_dagster.salesforce.transport import Transport, resource_path
from m3sync_dagster.sync.interfaces import JobLog

ORPHAN_AGE = timedelta(minutes=15)
"""How far from its request a job may have been created: two clocks, and a few repetitions."""
MOST_PAGES = 100
"""Pages of the list of jobs that are read."""
FIXED = {
    "operation": "upsert",
    "contentType": "CSV",
    "lineEnding": "LF",
    "columnDelimiter": "COMMA",
}
"""What each of our jobs asks for, whatever its object."""
_log = logging.getLogger(__name__)


class JobList(msgspec.Struct, rename="camel"):
    """A page of the org's jobs."""

    records: list[JobInfo]
    next_records_url: str | None = None


@dataclass(frozen=True, slots=True)
class JobRequest:
    """A request for an ingest job whose answer may have been lost.

    Args:
        object_name: API name of the object.
        external_id_field: API name of the field that rows are matched by; ``None`` where it is
            not known any more.
        since: when the job was requested.
    """

    object_name: str
    external_id_field: str | None
    since: datetime


def find_orphans(poller: JobPoller, request: JobRequest, jobs: JobLog) -> list[str]:
    """Name the open jobs that are ours beyond doubt; of those that may be ours the log says so.

    Raises:
        SyncError: Salesforce could not be asked.
    """
    wanted = _wanted(request, poller.transport)
    listed = [info for info in _open_jobs(poller.transport) if _may_match(info, request, wanted)]
    if not listed:
        return []
    # In this order: a job that was only requested is recorded by the time it no longer counts.
    other = jobs.is_other_job_requested(request.object_name)
    found = []
    for job_id in jobs.unknown_jobs([info.id for info in listed]):
        # The list says less of a job than the job itself.
        info = poller.read(JobKind.INGEST, job_id)
        if info.state != "Open" or not _may_match(info, request, wanted):
            continue
        if doubts := _doubts(info, wanted, other=other):
            _report(info, doubts)
        else:
            found.append(info.id)
    return found


def _report(info: JobInfo, doubts: list[str]) -> None:
    _log.warning(
        "The open ingest job %s of %s may be one of ours, and is left as it is: %s. If no other "
        "tool needs it, abort it in Salesforce Setup, Bulk Data Load Jobs.",
        info.id,
        info.object,
        "; ".join(doubts),
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


def _may_match(info: JobInfo, request: JobRequest, wanted: Mapping[str, str]) -> bool:
    """Whether nothing that is known of the job differs from what was requested."""
    held = _properties(info)
    if any(held[name] and want and held[name] != want for name, want in wanted.items()):
        return False
    created = _created(info)
    return created is None or abs(created - request.since) < ORPHAN_AGE


def _doubts(info: JobInfo, wanted: Mapping[str, str], *, other: bool) -> list[str]:
    """What speaks against aborting a job that may be ours."""
    held = _properties(info)
    unknown = [name for name, want in wanted.items() if not (held[name] and want)]
    if _created(info) is None:
        unknown.append("createdDate")
    doubts = [f"its {name} cannot be compared with ours" for name in unknown]
    if other:
        doubts.append("another integration has just requested a job on this object")
    return doubts


def _properties(info: JobInfo) -> dict[str, str]:
    """What is known of a job, in a form that can be compared; empty where it is not known."""
    return {
        "operation": info.operation or "",
        "object": (info.object or "").casefold(),
        "externalIdFieldName": (info.external_id_field_name or "").casefold(),
        "contentType": info.content_type or "",
        "lineEnding": info.line_ending or "",
        "columnDelimiter": info.column_delimiter or "",
        "createdById": (info.created_by_id or "")[:SHORT_ID],
    }


def _wanted(request: JobRequest, transport: Transport) -> dict[str, str]:
    """The same of what was requested."""
    return FIXED | {
        "object": request.object_name.casefold(),
        "externalIdFieldName": (request.external_id_field or "").casefold(),
        "createdById": (transport.token.user_id or "")[:SHORT_ID],
    }


def _created(info: JobInfo) -> datetime | None:
    try:
        created = datetime.fromisoformat(info.created_date or "")
    except ValueError:
        return None
    return created if created.tzinfo else None
