"""Many rows: Bulk API 2.0 ingest jobs over CSV files.

Source: Bulk API 2.0 Developer Guide, "Bulk API 2.0 Ingest" and "Job States".
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, filterfalse, islice
from pathlib import Path

from m3sync_dagster.salesforce import bulk_csv
from m3sync_dagster.salesforce.bulk_csv import IdChecksum, Upload
from m3sync_dagster.salesforce.bulk_job_poller import ENDED, JobInfo, JobKind, JobPoller
from m3sync_dagster.salesforce.error_classification import (
    ApiError,
    JobStateError,
    NotFoundError,
    parse_job_error,
    parse_row_error,
    to_sync_error,
)
from m3sync_dagster.salesforce.lost_ingest_jobs import (
    JOB_OPTIONS,
    UPDATE,
    UPSERT,
    JobRequest,
    find_jobs_to_abort,
)
from m3sync_dagster.salesforce.retry import ROWS
from m3sync_dagster.salesforce.temporary_files import temporary_folder
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    ConfigurationError,
    RateLimitError,
    RemoteError,
    SyncError,
)
from m3sync_dagster.sync.interfaces import JobLog
from m3sync_dagster.sync.row_results import Acknowledged, Rejected, RowResult
from m3sync_dagster.sync.row_types import Group, Target, UnfinishedJob

MOST_BYTES = 100_000_000
"""Size of a file that Salesforce recommends not to exceed."""
BATCH = 2_000
"""Results of a batch."""
JOBS_AT_ONCE = 4
"""Most ingest jobs of a sync that Salesforce processes at the same time."""
UNPROCESSED = "UNPROCESSED"
"""Our code for a row that Salesforce did not process."""
_SLOW = "Look for slow triggers and flows on the object. The next run continues with this job."
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class IngestJobs:
    """Runs ingest jobs: several at a time where their rows have no parent in common.

    Salesforce locks the parent of a record that it writes. Two jobs with children of the same
    parent would fail each other's rows with ``UNABLE_TO_LOCK_ROW``, so these run one by one.
    Source: Bulk API Developer Guide, "General Guidelines for Data Loads", on lock contention.

    Args:
        transport: the org.
        poller: waits for jobs.
        most_bytes: size of a CSV file that is not exceeded.
    """

    transport: Transport
    poller: JobPoller
    most_bytes: int = MOST_BYTES

    def upsert(self, target: Target, group: Group, jobs: JobLog) -> Iterator[list[RowResult]]:
        """Send the rows of a group.

        Rows with a temporary error are left out of the results until the last try.

        Raises:
            SyncError: a job could not be finished, or processed none of its rows.
        """
        head = bulk_csv.header(target, group.empty_lookups)
        last = group.tries >= ROWS.attempts - 1
        at_once = JOBS_AT_ONCE if group.parent is None else 1
        with temporary_folder() as folder:
            uploads = bulk_csv.write_rows(head, group.rows, folder, self.most_bytes)
            for results in self._run(target, uploads, jobs, at_once):
                yield results if last else [one for one in results if not ROWS.retried(one)]

    def resume(self, job: UnfinishedJob, jobs: JobLog) -> Iterator[list[RowResult]]:
        """Read the results of a job that an earlier run did not finish.

        A job that is still open is aborted, even if its id is not known. It has no results, and
        neither has a job that Salesforce has deleted: the caller sends their rows again.

        Raises:
            SyncError: Salesforce could not be reached, the job does not end, or it was aborted
                while this run waited for it.
        """
        if job.job_id is None:
            request = JobRequest(job.object_name, job.external_id_field, job.since)
            self._abort_orphans(request, jobs)
            jobs.record_job_finished(None, "Aborted")
            return
        try:
            info = self.poller.read(JobKind.INGEST, job.job_id)
        except NotFoundError:
            jobs.record_job_finished(job.job_id, "Unknown")
            return
        if info.state == "Open":
            self._abort_and_record(info.id, jobs)
            return
        yield from self._read_earlier_job(info, job, jobs)

    def _read_earlier_job(
        self, info: JobInfo, job: UnfinishedJob, jobs: JobLog
    ) -> Iterator[list[RowResult]]:
        """Wait for a job of an earlier run, and read its results.

        Salesforce names the external ID field of an upsert only. An update's is ours; if it has
        changed since, none of the job's rows is staged any more, and the results are not needed.
        """
        ended = self.poller.wait(JobKind.INGEST, info, job.object_name, _SLOW)
        key = ended.external_id_field_name or job.external_id_field
        if key or ended.operation != UPDATE:
            with temporary_folder() as folder:
                yield from _batches(self._results(ended, key or "", folder))
        jobs.record_job_finished(ended.id, ended.state)
        if ended.state == "Aborted" and info.state not in ENDED:
            raise _aborted(ended.id, job.object_name)

    def _abort_orphans(self, request: JobRequest, jobs: JobLog) -> None:
        """Abort the jobs that Salesforce created for us, but whose ids we did not receive."""
        try:
            orphans = find_jobs_to_abort(self.poller, request, jobs)
        except (ConfigurationError, RemoteError) as error:
            _log.warning(
                "Salesforce could not be searched for open ingest jobs of %s: %s",
                request.object_name,
                error,
            )
            return
        for job_id in orphans:
            self._abort(job_id)

    def _run(
        self, target: Target, uploads: Iterator[Upload], jobs: JobLog, at_once: int
    ) -> Iterator[list[RowResult]]:
        """Run a job for each file, and read their results in the order of the files.

        If one fails, those that were started after it are left to the next run.
        """
        started: deque[tuple[str, Upload]] = deque()
        for upload in uploads:
            started.append((self._start(target, upload, jobs), upload))
            upload.path.unlink()
            if len(started) == at_once:
                yield from self._finish(target, *started.popleft(), jobs)
        while started:
            yield from self._finish(target, *started.popleft(), jobs)

    def _finish(
        self, target: Target, job_id: str, upload: Upload, jobs: JobLog
    ) -> Iterator[list[RowResult]]:
        """Wait for the end of a job, and read its results."""
        info = self.poller.wait(
            JobKind.INGEST, JobInfo(job_id, "UploadComplete"), target.object, _SLOW
        )
        results = self._results(info, target.external_id_field, upload.path.parent)
        if info.state == "Aborted":
            results = filterfalse(_is_unprocessed, results)
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
        if failure and (info.state == "Aborted" or isinstance(failure, RateLimitError)):
            raise failure
        _check_every_row_has_a_result(job_id, upload.ids, seen)

    def _start(self, target: Target, upload: Upload, jobs: JobLog) -> str:
        """Upload a file in a job of its own, and start the job."""
        try:
            job_id = self._create_and_upload(target, upload, jobs)
        except JobStateError:
            # The response to the upload was lost, and a job accepts only one upload. What the job
            # contains then is not documented, so it was aborted: start another one.
            job_id = self._create_and_upload(target, upload, jobs)
        self._close(job_id)
        return job_id

    def _create_and_upload(self, target: Target, upload: Upload, jobs: JobLog) -> str:
        """Create a job, record it, and upload its data."""
        self.transport.check_quota(batches=True)
        request = _job_properties(target)
        since, retries = datetime.now(UTC), self.transport.retries
        jobs.record_job_requested(target.object, upload.ids.count, upload.sha256)
        try:
            job = self.transport.fetch("POST", "/jobs/ingest", JobInfo, json=request)
        except (AuthenticationError, ConfigurationError, RateLimitError):
            jobs.record_job_finished(None, "Rejected")
            raise
        jobs.record_job_created(job.id, target.object, upload.ids.count, upload.sha256)
        if self.transport.retries > retries:
            # An earlier attempt may have created a job whose response was lost.
            self._abort_orphans(
                JobRequest(target.object, target.external_id_field, since, request["operation"]),
                jobs,
            )
        self._upload(job.id, target.object, upload, jobs)
        return job.id

    def _upload(self, job_id: str, object_name: str, upload: Upload, jobs: JobLog) -> None:
        """Upload the data of a job.

        Raises:
            JobStateError: the job no longer accepts data.
            SyncError: the upload failed, or the job was aborted.
        """
        try:
            with upload.path.open("rb") as data:
                self.transport.call(
                    "PUT",
                    f"/jobs/ingest/{job_id}/batches",
                    data=data,
                    headers={"Content-Type": "text/csv; charset=UTF-8"},
                )
        except JobStateError:
            if self.poller.read(JobKind.INGEST, job_id).state == "Aborted":
                jobs.record_job_finished(job_id, "Aborted")
                raise _aborted(job_id, object_name) from None
            self._abort_and_record(job_id, jobs)
            raise
        except SyncError:
            self._abort_and_record(job_id, jobs)
            raise

    def _close(self, job_id: str) -> None:
        """Close the upload, so that Salesforce starts the job."""
        try:
            self.poller.set_state(JobKind.INGEST, job_id, "UploadComplete")
        except JobStateError:
            # The request may have been repeated after its response was lost: check the job's state.
            if self.poller.read(JobKind.INGEST, job_id).state == "Open":
                raise

    def _abort_and_record(self, job_id: str, jobs: JobLog) -> None:
        """Abort a job that is still open; Salesforce has written none of its rows."""
        self._abort(job_id)
        jobs.record_job_finished(job_id, "Aborted")

    def _abort(self, job_id: str) -> None:
        try:
            self.poller.set_state(JobKind.INGEST, job_id, "Aborted")
        except SyncError as error:
            _log.warning(
                "The ingest job %s stays open until Salesforce closes it: %s", job_id, error
            )

    def _results(self, info: JobInfo, key: str, folder: Path) -> Iterator[RowResult]:
        """Read the three result sets, also of a failed job: what it wrote stays written."""
        for kind, columns, result in _result_sets(info):
            path = folder / f"{kind}.csv"
            self.transport.download(f"/jobs/ingest/{info.id}/{kind}/", path)
            for cells in bulk_csv.read_results(path, (key, *columns)):
                yield result(*cells)
            path.unlink()


def _job_properties(target: Target) -> dict[str, str]:
    """The properties of a job that writes to a target."""
    if target.update_only:
        return JOB_OPTIONS | {"operation": UPDATE, "object": target.object}
    return JOB_OPTIONS | {
        "operation": UPSERT,
        "object": target.object,
        "externalIdFieldName": target.external_id_field,
    }


def _result_sets(
    info: JobInfo,
) -> tuple[tuple[str, tuple[str, ...], Callable[..., RowResult]], ...]:
    """Each result set: its name, its columns, and the function that makes a result of its cells."""
    ending = f"the ingest job {info.id} ended as {info.state} before it processed this row"
    unprocessed = ApiError(UNPROCESSED, f"{ending}: {info.error_message or 'no reason given'}")
    return (
        ("successfulResults", ("sf__Id", "sf__Created"), _acknowledged),
        ("failedResults", ("sf__Error",), lambda key, text: parse_row_error(text).reject(key)),
        ("unprocessedrecords", (), unprocessed.reject),
    )


def _acknowledged(m3ter_id: str, salesforce_id: str, created: str) -> Acknowledged:
    return Acknowledged(m3ter_id, salesforce_id, created.lower() == "true")


def _is_unprocessed(result: RowResult) -> bool:
    return isinstance(result, Rejected) and result.code == UNPROCESSED


def _batches(results: Iterator[RowResult]) -> Iterator[list[RowResult]]:
    while batch := list(islice(results, BATCH)):
        yield batch


def _failure(info: JobInfo, target: Target) -> SyncError | None:
    """The error of a job that did not complete."""
    if info.state == "JobComplete":
        return None
    if info.state == "Aborted":
        return _aborted(info.id, target.object)
    api_error = parse_job_error(info.error_message or "")
    return to_sync_error(api_error, f"the ingest job {info.id} of {target.object}")


def _aborted(job_id: str, object_name: str) -> RemoteError:
    """The error for a job that another user has aborted; this run does not repeat it."""
    return RemoteError(
        f"The ingest job {job_id} of {object_name} was aborted in Salesforce",
        "Find out who aborted it, and why, in Salesforce Setup, Bulk Data Load Jobs. The next run "
        "sends the rows again.",
    )


def _check_every_row_has_a_result(job_id: str, sent: IdChecksum, seen: IdChecksum) -> None:
    """Check that the results contain each sent row exactly once.

    Raises:
        RemoteError: they do not.
    """
    if sent != seen:
        raise RemoteError(
            f"The results of the ingest job {job_id} are not those of the rows sent: "
            f"{seen.count} results, {sent.count} rows sent",
            "Run again: rows that were written are found by their external ID, and not duplicated.",
        )
