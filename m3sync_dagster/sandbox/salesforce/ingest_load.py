"""The background task of an ingest job: it reads the uploaded CSV and saves its rows.

Source: Salesforce Bulk API 2.0 guide, "Prepare CSV Files" and "Ingest Job States".
"""

import csv
import itertools
from collections.abc import Iterable

from m3sync_dagster.sandbox.salesforce.ingest_job import IngestJob
from m3sync_dagster.sandbox.salesforce.ingest_rows import ResultRows, RowReader, rows_saver
from m3sync_dagster.sandbox.salesforce.job_state import State
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.record_writer import CHUNK
from m3sync_dagster.sandbox.salesforce.row_columns import Column, NoSuchColumnError, column_of

BATCH = 10_000
"""Rows of one internal batch; within one, results come in any order."""


class JobFailedError(Exception):
    """The job as a whole fails; the error's text is the job's ``errorMessage``."""


def start_load(org: Org, job: IngestJob) -> None:
    """Queues the job's background task; it runs whether or not a client polls."""
    job.progress.state = State.UPLOAD_COMPLETE
    job.fault = org.faults.job(job.object)
    job.work = org.worker.submit(_run, org, job)


def _run(org: Org, job: IngestJob) -> None:
    try:
        _load(org, job)
    except (JobFailedError, csv.Error, UnicodeDecodeError) as error:
        known = isinstance(error, JobFailedError)
        job.set_state(State.FAILED, str(error) if known else f"InvalidBatch : {error}")
    except Exception as error:  # noqa: BLE001 - a job must not hang on an error in the sandbox
        job.set_state(State.FAILED, f"InternalError : {error!r}")


def _load(org: Org, job: IngestJob) -> None:
    job.set_state(State.IN_PROGRESS)
    _check_line_endings(job)
    with job.rows() as rows:
        job.header = next(rows, [])
        if not job.header:
            job.set_state(State.JOB_COMPLETE)
            return
        columns = _columns(org, job)
        repeated, total = _survey(job, rows)
    org.batches.used += -(-total // BATCH)
    if _save_all(org, job, columns, repeated):
        job.set_state(State.JOB_COMPLETE)


def _check_line_endings(job: IngestJob) -> None:
    windows = job.line_ending == "CRLF"
    if not job.first_line().endswith(b"\r\n") if windows else job.has_carriage_returns:
        raise JobFailedError(
            "ClientInputError : LineEnding is invalid on user data."
            f" Current LineEnding setting is {job.line_ending}"
        )


def _columns(org: Org, job: IngestJob) -> list[Column]:
    table = org.table(job.object)
    try:
        columns = [column_of(org, table, name) for name in job.header]
    except NoSuchColumnError as error:
        raise JobFailedError(f"InvalidBatch : Field name not found : {error}") from None
    if job.key and not _is_optional(job) and _key_position(job) is None:
        raise JobFailedError(f"InvalidBatch : Field name not found : {job.key.name}")
    return columns


def _is_optional(job: IngestJob) -> bool:
    """Whether rows need no key: an upsert by Id creates the records of rows without an Id."""
    return job.operation == "upsert" and job.key is not None and job.key.type == "Id"


def _survey(job: IngestJob, rows: Iterable[list[str]]) -> tuple[set[str], int]:
    """The keys that occur more than once, and the number of rows, before anything is saved."""
    position, width = _key_position(job), len(job.header)
    seen: set[str] = set()
    repeated: set[str] = set()
    total = 0
    for total, row in enumerate(rows, start=1):
        if len(row) != width:
            raise JobFailedError(f"InvalidBatch : Row {total} does not have {width} columns")
        if position is None or not row[position]:
            continue
        if row[position] in seen:
            repeated.add(row[position])
        seen.add(row[position])
    return repeated, total


def _key_position(job: IngestJob) -> int | None:
    if job.key is None:
        return None
    names = [name.casefold() for name in job.header]
    return names.index(job.key.name.casefold()) if job.key.name.casefold() in names else None


def _save_all(org: Org, job: IngestJob, columns: list[Column], repeated: set[str]) -> bool:
    """Saves batch after batch; false if the job stopped before the end."""
    saver = _Saver(org, job, columns, repeated)
    with job.rows() as rows:
        next(rows)
        batches = iter(lambda: list(itertools.islice(rows, BATCH)), [])
        return all(saver.save(batch) for batch in batches)


def _next_chunk_size(job: IngestJob) -> int:
    """How many rows to save next; 0 if a fault rule makes the job hang here.

    Raises:
        JobFailedError: a fault rule makes the job fail here.
    """
    if job.fault is None or job.fault.after is None:
        return CHUNK
    if job.processed < job.fault.after:
        return min(CHUNK, job.fault.after - job.processed)
    if not job.fault.hangs:
        raise JobFailedError(job.fault.message)
    return 0


class _Saver:
    """Saves the batches of a job."""

    def __init__(self, org: Org, job: IngestJob, columns: list[Column], repeated: set[str]) -> None:
        self._job = job
        self._save_rows = rows_saver(org, org.table(job.object), job.operation, job.key)
        self._row_reader = RowReader(columns, _key_position(job))
        self._result_rows = ResultRows(columns)
        self._repeated = repeated

    def save(self, batch: list[list[str]]) -> bool:
        """Saves a batch in chunks; false if the job stops within it.

        Raises:
            JobFailedError: a fault rule ends the job here.
        """
        job = self._job
        successes: list[list[str]] = []
        failures: list[list[str]] = []
        try:
            for start in range(0, len(batch), CHUNK):
                job.await_polls()
                chunk = batch[start : start + _next_chunk_size(job)]
                if job.aborting or not chunk:
                    return False
                self._save_chunk(chunk, successes, failures)
        finally:
            job.failed += len(failures)
            job.successes.add(successes)
            job.failures.add(failures)
        return _next_chunk_size(job) > 0

    def _save_chunk(
        self, chunk: list[list[str]], successes: list[list[str]], failures: list[list[str]]
    ) -> None:
        rows = [self._row_reader.row(line) for line in chunk]
        saved = self._save_rows(rows, self._repeated)
        for line, result in zip(chunk, saved, strict=True):
            self._result_rows.add(line, result, successes, failures)
        self._job.processed += len(chunk)
