"""Ingest jobs: what was uploaded, how it is saved, and the three result sets.

Source: Salesforce Bulk API 2.0 guide, "Bulk API 2.0 Ingest", "Prepare CSV Files", "Ingest Job
States", "Get Job Successful Record Results" and its neighbours.
"""

import csv
import io
import itertools
import random
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from tempfile import SpooledTemporaryFile
from typing import Any

from m3sync_dagster.sandbox.salesforce.errors import ApiError
from m3sync_dagster.sandbox.salesforce.faults import JobFault
from m3sync_dagster.sandbox.salesforce.field_resolution import Column, NoSuchColumnError, column_of
from m3sync_dagster.sandbox.salesforce.field_values import double_text
from m3sync_dagster.sandbox.salesforce.job_state import Progress, State, timestamp
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.record_writer import CHUNK, KEEP, Row, Saved, Writer
from m3sync_dagster.sandbox.salesforce.schema import NUMERIC, FieldDef

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
_IN_MEMORY = 1_000_000
_NULL = "#N/A"
_MEANING: dict[str, Any] = {"": KEEP, _NULL: None}


class JobFailedError(Exception):
    """Why a job as a whole has failed; its text is the job's ``errorMessage``."""


def _temporary_file() -> "SpooledTemporaryFile[bytes]":
    return SpooledTemporaryFile(max_size=_IN_MEMORY)


class ResultSet:
    """A result file: rows are shuffled batch by batch, so that nobody relies on their order."""

    def __init__(self, *extra: str) -> None:
        self._extra = extra
        self._file = _temporary_file()
        self._random = random.Random(0)  # noqa: S311 - an order, not a secret

    def add(self, rows: list[list[str]]) -> None:
        """Adds the rows of a batch."""
        before = list(rows)
        self._random.shuffle(rows)
        if rows == before:
            rows.reverse()
        text = io.StringIO()
        csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(rows)
        self._file.write(text.getvalue().encode())

    def read(self, header: list[str]) -> bytes:
        """The whole file. Salesforce quotes the columns that it adds, and not the client's."""
        self._file.seek(0)
        names = ",".join([*(f'"{name}"' for name in self._extra), *header])
        return f"{names}\n".encode() + self._file.read()

    def close(self) -> None:
        """Lets go of the file."""
        self._file.close()


@dataclass
class IngestJob:
    """An upsert of one upload.

    Args:
        org: the org.
        object, key: the object's API name, and its external ID field.
        line_ending, delimiter: names of what the CSV uses, such as ``LF`` and ``COMMA``.
        version: the API version it was made with, such as ``67.0``.
    """

    org: Org
    object: str
    key: FieldDef
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
        self._upload = _temporary_file()
        self.successes = ResultSet("sf__Id", "sf__Created")
        self.failures = ResultSet("sf__Id", "sf__Error")
        self._fault: JobFault | None = None
        self._work: Future[None] | None = None

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
        self.aborting = True
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
            self.aborting = True
            self.progress.state = State.ABORTED

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
        if self.key.name not in {column.field.name for column in columns}:
            raise JobFailedError(f"InvalidBatch : Field name not found : {self.key.name}")
        return columns

    def _survey(self, rows: Iterable[list[str]]) -> tuple[set[str], int]:
        """The external IDs that occur twice, and the number of rows, before anything is saved."""
        at, width = self._key_position(), len(self.header)
        seen: set[str] = set()
        repeated: set[str] = set()
        total = 0
        for total, row in enumerate(rows, start=1):
            if len(row) != width:
                raise JobFailedError(f"InvalidBatch : Row {total} does not have {width} columns")
            if row[at] in seen:
                repeated.add(row[at])
            seen.add(row[at])
        return repeated, total

    def _key_position(self) -> int:
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
        if self._fault is None or self.processed < self._fault.after:
            left = CHUNK if self._fault is None else self._fault.after - self.processed
            return min(CHUNK, left)
        if not self._fault.hangs:
            raise JobFailedError(self._fault.message)
        return 0


class _Saver:
    """Saves the batches of a job."""

    def __init__(self, job: IngestJob, columns: list[Column], key: int, repeated: set[str]) -> None:
        self._job = job
        self._writer = Writer(job.org, job.org.table(job.object), job.key)
        self._lines = _Lines(columns, key)
        self._echo = _Echo(columns)
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
        saved = self._writer.save(rows, repeated=self._repeated)
        for line, result in zip(chunk, saved, strict=True):
            self._echo.add(line, result, successes, failures)
        self._job.processed += len(chunk)


class _Lines:
    """Turns CSV lines into rows to save: an empty cell says nothing, ``#N/A`` is null."""

    def __init__(self, columns: list[Column], key: int) -> None:
        self._columns = columns
        self._key = key

    def row(self, line: list[str]) -> Row:
        """One row. Its external ID is not among the values that it changes."""
        cells = [_MEANING.get(text, text) for text in line]
        cells[self._key] = KEEP
        return Row(line[self._key] or None, self._columns, cells)


class _Echo:
    """Turns saved rows into rows of the result sets; numbers come back as doubles."""

    def __init__(self, columns: list[Column]) -> None:
        self._doubles = [at for at, c in enumerate(columns) if c.field.type in NUMERIC]

    def add(
        self, line: list[str], saved: Saved, successes: list[list[str]], failures: list[list[str]]
    ) -> None:
        """Adds a row to the set it belongs to."""
        if saved.error is not None:
            failures.append(["", saved.error.as_text(), *line])
            return
        for at in self._doubles:
            if line[at] and line[at] != _NULL:
                line[at] = double_text(line[at])
        successes.append([saved.id or "", "true" if saved.created else "false", *line])
