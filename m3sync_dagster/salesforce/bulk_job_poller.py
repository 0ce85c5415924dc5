"""The state of a Bulk API 2.0 job, and waiting for its end; for ingest jobs and query jobs.

Source: Bulk API 2.0 Developer Guide, "Get Job Info", "Get Information About a Query Job" and "Job
States".
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

import msgspec

from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import DeadlineError

LONGEST_STALL = 20 * 60
"""Seconds without progress after which a run stops waiting for a job."""
LONGEST_WAIT = 45 * 60
"""Seconds after which a run stops waiting for a job, even if the job makes progress.

An hourly run has to end before the next is due; ``max_runtime_seconds`` of ``dagster.yaml`` would
stop it a little later.
"""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 15.0
"""Seconds between two reads of a job's state, at first and at most."""
ENDED = frozenset({"JobComplete", "Failed", "Aborted"})


class JobKind(StrEnum):
    """The two kinds of job, by the path of their resources."""

    INGEST = "ingest"
    QUERY = "query"


class JobInfo(msgspec.Struct, rename="camel"):
    """The properties of a job that m3sync uses.

    A property that a response leaves out is ``None``; the list of jobs has fewer than one job.
    """

    id: str
    state: str
    object: str | None = None
    operation: str | None = None
    external_id_field_name: str | None = None
    content_type: str | None = None
    created_by_id: str | None = None
    created_date: str | None = None
    error_message: str | None = None
    number_records_processed: int | None = None
    line_ending: str | None = None
    column_delimiter: str | None = None

    @property
    def processed(self) -> int:
        """Rows that have been processed, including those that failed."""
        return self.number_records_processed or 0


@dataclass(frozen=True, slots=True)
class JobPoller:
    """Waits for jobs.

    Args:
        transport: the org.
        sleep: waits a number of seconds.
        clock: monotonic seconds.
    """

    transport: Transport
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def read(self, kind: JobKind, job_id: str) -> JobInfo:
        """Read a job's state once.

        Raises:
            SyncError: Salesforce could not be reached.
        """
        return self.transport.fetch("GET", f"/jobs/{kind}/{job_id}", JobInfo)

    def set_state(self, kind: JobKind, job_id: str, state: str) -> None:
        """Close a job's upload, or abort it.

        Raises:
            JobStateError: the job is not in a state that allows it.
            SyncError: Salesforce could not be reached.
        """
        self.transport.call("PATCH", f"/jobs/{kind}/{job_id}", json={"state": state})

    def wait(self, kind: JobKind, info: JobInfo, object_name: str, remedy: str) -> JobInfo:
        """Read a job's state until the job has ended, with growing pauses.

        Args:
            kind: the kind of job.
            info: its last known state.
            object_name: API name of its object, for messages.
            remedy: what a person can do if it does not end.

        Raises:
            DeadlineError: it makes no progress, or takes longer than a run may wait.
            SyncError: Salesforce could not be reached.
        """
        started = progressed = self.clock()
        pause = FIRST_PAUSE
        while info.state not in ENDED:
            now = self.clock()
            where = f"The {kind} job {info.id} of {object_name}"
            if now + pause > progressed + LONGEST_STALL:
                raise DeadlineError(f"{where} {_stalled(info)}", remedy)
            if now + pause > started + LONGEST_WAIT:
                raise DeadlineError(f"{where} {_unfinished(info)}", remedy, advanced=True)
            self.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
            before, info = info, self.read(kind, info.id)
            if _advanced(before, info):
                progressed = self.clock()
        return info


def _advanced(before: JobInfo, after: JobInfo) -> bool:
    more = after.processed > before.processed
    return more or after.state != before.state


def _stalled(info: JobInfo) -> str:
    return (
        f"is {info.state} and has made no progress for {LONGEST_STALL // 60} minutes "
        f"({info.processed} rows processed)"
    )


def _unfinished(info: JobInfo) -> str:
    return (
        f"is {info.state} after {LONGEST_WAIT // 60} minutes and still makes progress "
        f"({info.processed} rows processed)"
    )
