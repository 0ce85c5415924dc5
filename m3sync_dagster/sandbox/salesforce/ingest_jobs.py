"""Ingest jobs: what was uploaded, how it is saved, and the three result sets.

Source: Salesforce Bulk API 2.0 guide, "Bulk API 2.0 Ingest", "Prepare CSV Files", "Ingest Job
States", "Get Job Successful Record Results" and its neighbours.
"""

import csv
import io
import itertools
import threading
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field

from m3sync_dagster.sandbox.salesforce.errors import ApiError
from m3sync_dagster.sandbox.salesforce.faults import JobFault
from m3sync_dagster.sandbox.salesforce.field_resolution import Column, NoSuchColumnError, column_of
from m3sync_dagster.sandbox.salesforce.ingest_results import (
    Echo,
    Lines,
    ResultSet,
    rows_saver,
    temporary_file,
)
from m3sync_dagster.sandbox.salesforce.job_state import Progress, State, timestamp
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.record_writer import CHUNK
from m3sync_dagster.sandbox.salesforce.schema import FieldDef

BATCH = 10_000
"""Records of one internal batch; within one, results come in any order."""

DELIMITERS = {
    "COMMA": ",",
    "BACKQUOTE": "`",
    "CARET": "^",
    "PIPE": "|",
    "SEMICOLON": ";",
    "TAB": "\t",
}


class JobFailedError(Exception):
    """Why a job as a whole has failed; its text is the job's ``errorMessage``."""


@dataclass
class IngestJob:
    """What one upload does.

    Args:
        org: the org.
        operation: one of ``OPERATIONS``.
        object: the object's API name.
        key: the field that names a row's record: the external ID field, ``Id``, or, for inserts,
            none.
        line_ending, delimiter: names of what the CSV uses, such as ``LF`` and ``COMMA``.
        version: the API version it was made with, such as ``67.0``.
    """

    org: Org
    operation: str
    object: str
    key: FieldDef | None
    line_ending: str
    delimiter: str
    version: str
    progress: Progress = field(default_factory=Progress)
    header: list[str] = field(default_factory=list)
    processed: int = 0
    failed: int = 0
    uploaded: bool = False
    message: str | None = None
    aborting: bool = False
    _returns: bool = False

    def __post_init__(self) -> None:
        """Opens its files and notes when it was made."""
        self.id = f"750{self.org.serial():012d}AAA"
        self.created = timestamp()
        self.created_by = self.org.identity.user_id
        self._upload = temporary_file()
        self.successes = ResultSet("sf__Id", "sf__Created")
        self.failures = ResultSet("sf__Id", "sf__Error")
        self._fault: JobFault | None = None
        self._work: Future[None] | None = None
        self._turns = threading.Semaphore(0)
        self._polls = 0

    def receive(self, chunk: bytes) -> None:
        """Takes a part of the upload."""
        self._returns = self._returns or b"\r" in chunk
        self._upload.write(chunk)

    def discard(self) -> None:
        """Forgets an upload that broke off."""
        self._upload.seek(0)
        self._upload.truncate()
        self._returns = False

    def close(self) -> None:
        """Lets go of its files."""
        self.stop()
        for file in (self._upload, self.successes, self.failures):
            file.close()

    def start(self) -> None:
        """Queues it: it goes on whether or not anybody asks for its state."""
        self.progress.state = State.UPLOAD_COMPLETE
        self._fault = self.org.faults.job(self.object)
        self._work = self.org.worker.submit(self._process)

    def settle(self) -> None:
        """Waits until nothing of it is being saved any more."""
        if self._work is not None:
            wait([self._work])

    def abort(self) -> None:
        """Stops it after the chunk that is being saved.

        Raises:
            ApiError: it has ended already.
        """
        with self.org.lock:
            if self.progress.state in {State.JOB_COMPLETE, State.FAILED, State.ABORTED}:
                message = "Aborting already Completed Job not allowed"
                raise ApiError(400, "INVALIDJOBSTATE", message)
            self.stop()
            self.progress.state = State.ABORTED

    def stop(self) -> None:
        """Saves nothing more after the chunk that is being saved."""
        self.aborting = True
        self._turns.release()

    def poll(self) -> State:
        """The state that one more question is answered with."""
        every = self._fault.polls_per_chunk if self._fault else 0
        if every:
            self._polls += 1
            if self._polls % every == 0:
                self._turns.release()
        return self.progress.poll()

    def await_turn(self) -> None:
        """Wait, before a chunk is saved, for as many questions as a fault asks for."""
        if self._fault and self._fault.polls_per_chunk and not self.aborting:
            self._turns.acquire()

    def unprocessed(self) -> bytes:
        """The uploaded rows that were never tried."""
        if not self.processed:
            self._upload.seek(0)
            return self._upload.read()
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        with self._rows() as rows:
            writer.writerows(itertools.islice(rows, self.processed + 1, None))
        return f"{','.join(self.header)}\n{text.getvalue()}".encode()

    @contextmanager
    def _rows(self) -> Iterator[Iterator[list[str]]]:
        self._upload.seek(0)
        text = io.TextIOWrapper(self._upload, encoding="utf-8", newline="")
        try:
            yield csv.reader(text, delimiter=DELIMITERS[self.delimiter], strict=True)
        finally:
            text.detach()

    def _process(self) -> None:
        try:
            self._load()
        except (JobFailedError, csv.Error, UnicodeDecodeError) as failure:
            known = isinstance(failure, JobFailedError)
            self._end(State.FAILED, str(failure) if known else f"InvalidBatch : {failure}")
        except Exception as failure:  # noqa: BLE001 - a job must not hang by a fault of the sandbox
            self._end(State.FAILED, f"InternalError : {failure!r}")

    def _end(self, state: State, message: str | None = None) -> None:
        with self.org.lock:
            if not self.aborting:
                self.progress.state = state
                self.message = message

    def _load(self) -> None:
        self._end(State.IN_PROGRESS)
        self._check_line_endings()
        with self._rows() as rows:
            self.header = next(rows, [])
            columns = self._columns()
            repeated, total = self._survey(rows)
        self.org.batches.used += -(-total // BATCH)
        if self._save_all(columns, repeated):
            self._end(State.JOB_COMPLETE)

    def _check_line_endings(self) -> None:
        self._upload.seek(0)
        first = self._upload.readline()
        windows = self.line_ending == "CRLF"
        if not first.endswith(b"\r\n") if windows else self._returns:
            raise JobFailedError(
                "ClientInputError : LineEnding is invalid on user data."
                f" Current LineEnding setting is {self.line_ending}"
            )

    def _columns(self) -> list[Column]:
        table = self.org.table(self.object)
        try:
            columns = [column_of(self.org, table, name) for name in self.header]
        except NoSuchColumnError as error:
            raise JobFailedError(f"InvalidBatch : Field name not found : {error}") from None
        if self.key and self.key.name not in {column.field.name for column in columns}:
            raise JobFailedError(f"InvalidBatch : Field name not found : {self.key.name}")
        return columns

    def _survey(self, rows: Iterable[list[str]]) -> tuple[set[str], int]:
        """The keys that occur twice, and the number of rows, before anything is saved."""
        at, width = self._key_position(), len(self.header)
        seen: set[str] = set()
        repeated: set[str] = set()
        total = 0
        for total, row in enumerate(rows, start=1):
            if len(row) != width:
                raise JobFailedError(f"InvalidBatch : Row {total} does not have {width} columns")
            if at is None:
                continue
            if row[at] in seen:
                repeated.add(row[at])
            seen.add(row[at])
        return repeated, total

    def _key_position(self) -> int | None:
        if self.key is None:
            return None
        return [name.casefold() for name in self.header].index(self.key.name.casefold())

    def _save_all(self, columns: list[Column], repeated: set[str]) -> bool:
        """Saves batch after batch; false if it stopped before the end."""
        saver = _Saver(self, columns, self._key_position(), repeated)
        with self._rows() as rows:
            next(rows)
            batches = iter(lambda: list(itertools.islice(rows, BATCH)), [])
            return all(saver.save(batch) for batch in batches)

    def room(self) -> int:
        """How many rows the next chunk may hold; none if a fault stops the job here."""
        if self._fault is None or self._fault.after is None:
            return CHUNK
        if self.processed < self._fault.after:
            return min(CHUNK, self._fault.after - self.processed)
        if not self._fault.hangs:
            raise JobFailedError(self._fault.message)
        return 0


class _Saver:
    """Saves the batches of a job."""

    def __init__(
        self, job: IngestJob, columns: list[Column], key: int | None, repeated: set[str]
    ) -> None:
        self._job = job
        self._save_rows = rows_saver(job.org, job.org.table(job.object), job.operation, job.key)
        self._lines = Lines(columns, key)
        self._echo = Echo(columns)
        self._repeated = repeated

    def save(self, batch: list[list[str]]) -> bool:
        """Saves a batch in chunks; false if the job stops within it.

        Raises:
            JobFailedError: a fault ends the job here.
        """
        job = self._job
        successes: list[list[str]] = []
        failures: list[list[str]] = []
        try:
            for start in range(0, len(batch), CHUNK):
                job.await_turn()
                chunk = batch[start : start + job.room()]
                if job.aborting or not chunk:
                    return False
                self._save_chunk(chunk, successes, failures)
        finally:
            job.failed += len(failures)
            job.successes.add(successes)
            job.failures.add(failures)
        return job.room() > 0

    def _save_chunk(
        self, chunk: list[list[str]], successes: list[list[str]], failures: list[list[str]]
    ) -> None:
        rows = [self._lines.row(line) for line in chunk]
        saved = self._save_rows(rows, self._repeated)
        for line, result in zip(chunk, saved, strict=True):
            self._echo.add(line, result, successes, failures)
        self._job.processed += len(chunk)
