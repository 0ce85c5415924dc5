"""Large upserts: Bulk API 2.0 ingest jobs over CSV files.

Source: Bulk API 2.0 Developer Guide, "Bulk API 2.0 Ingest" and "Job States".
"""

import logging
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain, islice
from pathlib import Path

import msgspec

from m3sync_dagster.salesforce import bulk_csv as csv_files
from m3sync_dagster.salesforce.bulk_csv import IdChecksum, Upload
from m3sync_dagster.salesforce.errors import (
    ApiError,
    JobStateError,
    NotFoundError,
    parse_job_error,
    parse_row_error,
    to_sync_error,
)
from m3sync_dagster.salesforce.sobject_collections import RETRY_DELAYS, is_retryable
from m3sync_dagster.salesforce.temporary_files import temporary_folder
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    ConfigurationError,
    DeadlineError,
    RateLimitError,
    RemoteError,
    SyncError,
)
from m3sync_dagster.sync.interfaces import Group, JobLog, Target, UnfinishedJob
from m3sync_dagster.sync.results import Acknowledged, Rejected, RowResult

MOST_BYTES = 100_000_000
"""Size of a file that Salesforce recommends not to exceed."""
DEADLINE = 20 * 60
"""Seconds that a job may take after its upload."""
BATCH = 2_000
"""Results handed over at a time."""
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 15.0
"""Seconds between two questions for a job's state, at first and at most."""
ORPHAN_AGE = timedelta(minutes=15)
"""How far from its announcement a job may have been created: two clocks, and a few repetitions."""
UNPROCESSED = "UNPROCESSED"
"""Our code for a row that Salesforce never came to."""
_ENDED = {"JobComplete", "Failed", "Aborted"}
_log = logging.getLogger(__name__)


class JobInfo(msgspec.Struct, rename="camel"):
    """What Salesforce says of a job, as far as it matters here."""

    id: str
    state: str
    object: str = ""
    external_id_field_name: str = ""
    created_date: str = ""
    error_message: str | None = None


class JobList(msgspec.Struct, rename="camel"):
    """A page of the org's jobs."""

    records: list[JobInfo]
    next_records_url: str | None = None


@dataclass(frozen=True, slots=True)
class IngestJobs:
    """Runs ingest jobs, one at a time.

    Args:
        transport: the org.
        most_bytes: size of a CSV file that is not exceeded.
        sleep: waits a number of seconds.
        clock: seconds that only grow, for the deadline.
    """

    transport: Transport
    most_bytes: int = MOST_BYTES
    sleep: Callable[[float], None] = time.sleep
    clock: Callable[[], float] = time.monotonic

    def upsert(self, target: Target, group: Group, jobs: JobLog) -> Iterator[list[RowResult]]:
        """Send a group's rows. Until the last try, those that met a passing trouble are kept back.

        Raises:
            SyncError: a job could not be carried to its end, or took none of its rows.
        """
        head = csv_files.header(target, group.empty_lookups)
        last = group.tries >= len(RETRY_DELAYS)
        with temporary_folder() as folder:
            for upload in csv_files.write_rows(head, group.rows, folder, self.most_bytes):
                for results in self._run(target, upload, jobs):
                    yield results if last else [one for one in results if not is_retryable(one)]
                upload.path.unlink()

    def resume(self, job: UnfinishedJob, jobs: JobLog) -> Iterator[list[RowResult]]:
        """Pick up a job that an earlier run has left, and hand over what became of its rows.

        A job whose data was never closed is aborted, known by its id or not; of one that Salesforce
        has forgotten nothing is handed over. The rows of all these are to be sent again.

        Raises:
            SyncError: Salesforce could not be asked, or the job does not end.
        """
        if job.job_id is None:
            self._abort_orphans(job.object_name, job.since, jobs)
            jobs.record_job_finished(None, "Aborted")
            return
        try:
            info = self._info(job.job_id)
        except NotFoundError:
            jobs.record_job_finished(job.job_id, "Unknown")
            return
        if info.state == "Open":
            self._abandon(info.id, jobs)
            return
        info = self._wait(info.id, job.object_name)
        with temporary_folder() as folder:
            yield from _batches(self._results(info, info.external_id_field_name, folder))
        jobs.record_job_finished(info.id, info.state)

    def _abort_orphans(self, object_name: str, since: datetime, jobs: JobLog) -> None:
        """Abort jobs that may have been created for us, and whose ids we never learned.

        That is every open job of the object from those minutes that none of our integrations knows.
        """
        try:
            created = [info.id for info in self._jobs() if _may_be(info, object_name, since)]
        except (ConfigurationError, RemoteError) as error:
            # An open job writes nothing, and Salesforce drops it after a day.
            _log.warning("Nobody knows whether an ingest job of %s is open: %s", object_name, error)
            return
        for job_id in jobs.unknown_jobs(created):
            self._abort(job_id)

    def _jobs(self) -> Iterator[JobInfo]:
        """List the org's jobs.

        Source: Bulk API 2.0 Developer Guide, "Get Information About All Jobs".
        """
        path: str | None = "/jobs/ingest?jobType=V2Ingest"
        while path:
            page = self.transport.fetch("GET", path, JobList)
            yield from page.records
            path = _resource(page.next_records_url)

    def _run(self, target: Target, upload: Upload, jobs: JobLog) -> Iterator[list[RowResult]]:
        """Carry one job from its creation to the last of its results."""
        job_id = self._start(target, upload, jobs)
        info = self._wait(job_id, target.object)
        results = self._results(info, target.external_id_field, upload.path.parent)
        first = next(results, None)
        failure = _failure(info, target)
        if failure and (first is None or _is_unprocessed(first)):
            jobs.record_job_finished(job_id, info.state)
            raise failure
        seen = IdChecksum()
        for batch in _batches(chain(() if first is None else (first,), results)):
            for result in batch:
                seen.add(result.m3ter_id)
            yield batch
        jobs.record_job_finished(job_id, info.state)
        if isinstance(failure, RateLimitError):
            raise failure
        _check_accounts(job_id, upload.ids, seen)

    def _start(self, target: Target, upload: Upload, jobs: JobLog) -> str:
        """Bring a file into a job of its own, and let Salesforce begin."""
        try:
            job_id = self._fill(target, upload, jobs)
        except JobStateError:
            # The answer to an upload was lost, and a second one is not taken. Nobody documents
            # what the job holds then, so it makes way for another.
            job_id = self._fill(target, upload, jobs)
        self._close(job_id)
        return job_id

    def _fill(self, target: Target, upload: Upload, jobs: JobLog) -> str:
        """Create a job, write it down, and give it its data."""
        self.transport.check_quota(batches=True)
        request = {
            "object": target.object,
            "operation": "upsert",
            "externalIdFieldName": target.external_id_field,
            "contentType": "CSV",
            "lineEnding": "LF",
            "columnDelimiter": "COMMA",
        }
        since, repetitions = datetime.now(UTC), self.transport.repetitions
        jobs.record_job_requested(target.object, upload.ids.count, upload.sha256)
        try:
            job = self.transport.fetch("POST", "/jobs/ingest", JobInfo, json=request)
        except (AuthenticationError, ConfigurationError, RateLimitError):
            jobs.record_job_finished(None, "Rejected")
            raise
        jobs.record_job_created(job.id, target.object, upload.ids.count, upload.sha256)
        if self.transport.repetitions > repetitions:
            # The answer to an earlier attempt may have been lost, and its job be there.
            self._abort_orphans(target.object, since, jobs)
        try:
            with upload.path.open("rb") as data:
                self.transport.call(
                    "PUT",
                    f"/jobs/ingest/{job.id}/batches",
                    data=data,
                    headers={"Content-Type": "text/csv; charset=UTF-8"},
                )
        except SyncError:
            self._abandon(job.id, jobs)
            raise
        return job.id

    def _close(self, job_id: str) -> None:
        """Let Salesforce begin."""
        try:
            self._set_state(job_id, "UploadComplete")
        except JobStateError:
            # A request whose answer was lost has been repeated: only the job's state can tell.
            if self._info(job_id).state == "Open":
                raise

    def _abandon(self, job_id: str, jobs: JobLog) -> None:
        """Abort a job that was never closed; Salesforce has written nothing of it."""
        self._abort(job_id)
        jobs.record_job_finished(job_id, "Aborted")

    def _abort(self, job_id: str) -> None:
        try:
            self._set_state(job_id, "Aborted")
        except SyncError as error:
            _log.warning(
                "The ingest job %s stays open until Salesforce drops it: %s", job_id, error
            )

    def _set_state(self, job_id: str, state: str) -> None:
        self.transport.call("PATCH", f"/jobs/ingest/{job_id}", json={"state": state})

    def _info(self, job_id: str) -> JobInfo:
        return self.transport.fetch("GET", f"/jobs/ingest/{job_id}", JobInfo)

    def _wait(self, job_id: str, object_name: str) -> JobInfo:
        """Ask for the job's state until it has ended, ever less often."""
        deadline = self.clock() + DEADLINE
        pause = FIRST_PAUSE
        while (info := self._info(job_id)).state not in _ENDED:
            if self.clock() + pause > deadline:
                raise DeadlineError(
                    f"The ingest job {job_id} of {object_name} is {info.state} after "
                    f"{DEADLINE // 60} minutes",
                    "Look for slow triggers and flows on the object; the next run picks the job "
                    "up.",
                )
            self.sleep(pause)
            pause = min(pause * 1.5, LONGEST_PAUSE)
        return info

    def _results(self, info: JobInfo, key: str, folder: Path) -> Iterator[RowResult]:
        """Read the three result sets, whatever the job's state: a failed job keeps its writes."""
        for kind, columns, result in _result_sets(info):
            path = folder / f"{kind}.csv"
            self.transport.download(f"/jobs/ingest/{info.id}/{kind}/", path)
            for cells in csv_files.read_results(path, (key, *columns)):
                yield result(*cells)
            path.unlink()


def _may_be(info: JobInfo, object_name: str, since: datetime) -> bool:
    """Whether a job of the org may be one that was asked for at this time."""
    if info.state != "Open" or info.object != object_name:
        return False
    try:
        return abs(datetime.fromisoformat(info.created_date) - since) < ORPHAN_AGE
    except (ValueError, TypeError):
        return False


def _resource(url: str | None) -> str | None:
    """The path under ``/services/data/vXX.X`` of the address of a next page."""
    return re.sub(r"^.*?/services/data/v[\d.]+", "", url) if url else None


def _result_sets(
    info: JobInfo,
) -> tuple[tuple[str, tuple[str, ...], Callable[..., RowResult]], ...]:
    """Each result set: its name, its columns beside the external ID, and what a row of it means."""
    ending = f"the ingest job {info.id} ended as {info.state} before it came to this row"
    unprocessed = ApiError(UNPROCESSED, f"{ending}: {info.error_message or 'no reason given'}")
    return (
        ("successfulResults", ("sf__Id", "sf__Created"), _acknowledged),
        ("failedResults", ("sf__Error",), lambda key, text: parse_row_error(text).refuse(key)),
        ("unprocessedrecords", (), unprocessed.refuse),
    )


def _acknowledged(m3ter_id: str, salesforce_id: str, created: str) -> Acknowledged:
    return Acknowledged(m3ter_id, salesforce_id, created.lower() == "true")


def _is_unprocessed(result: RowResult) -> bool:
    return isinstance(result, Rejected) and result.code == UNPROCESSED


def _batches(results: Iterator[RowResult]) -> Iterator[list[RowResult]]:
    while batch := list(islice(results, BATCH)):
        yield batch


def _failure(info: JobInfo, target: Target) -> SyncError | None:
    """What a job that did not complete says of itself."""
    if info.state == "JobComplete":
        return None
    complaint = parse_job_error(info.error_message or "")
    if info.state == "Aborted":
        complaint = ApiError("JOB_ABORTED", info.error_message or "somebody aborted it")
    return to_sync_error(complaint, f"the ingest job {info.id} of {target.object}")


def _check_accounts(job_id: str, sent: IdChecksum, seen: IdChecksum) -> None:
    """See that each row sent is in the results once.

    Raises:
        RemoteError: one is missing, or there is one too many.
    """
    if sent != seen:
        raise RemoteError(
            f"The results of the ingest job {job_id} hold {seen.count} rows, and {sent.count} "
            "were sent, or they are others",
            "Run again: what was written is found by its external ID and not written twice.",
        )
