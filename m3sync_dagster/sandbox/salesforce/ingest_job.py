"""An ingest job: its properties, its state, the uploaded CSV and the result sets.

Source: Salesforce Bulk API 2.0 guide, "Bulk API 2.0 Ingest" and "Ingest Job States".
"""

import csv
import io
import itertools
import threading
from collections.abc import Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from dataclasses import dataclass, field

from m3sync_dagster.sandbox.salesforce.csv_format import DELIMITERS, csv_bytes
from m3sync_dagster.sandbox.salesforce.faults import JobFault
from m3sync_dagster.sandbox.salesforce.ingest_results import ResultSet, temporary_file
from m3sync_dagster.sandbox.salesforce.job_state import (
    FINAL_STATES,
    Progress,
    State,
    already_ended,
    timestamp,
)
from m3sync_dagster.sandbox.salesforce.schema import FieldDef


@dataclass
class IngestJob:
    """One ingest job.

    Args:
        id: its Id.
        created_by: the Id of the user who created it.
        operation: one of ``ingest_rows.OPERATIONS``.
        object: the object's API name.
        key: the field that identifies a row's record: the external ID field, ``Id``, or, for
            inserts, none.
        line_ending, delimiter: names of what the CSV uses, such as ``LF`` and ``COMMA``.
        version: the API version it was created with, such as ``67.0``.
        lock: the org's lock, which is held while a chunk is saved.

    Attributes:
        fault: the fault rule that applies to it.
        work: the background task that saves its rows, once the upload is complete.
    """

    id: str
    created_by: str
    operation: str
    object: str
    key: FieldDef | None
    line_ending: str
    delimiter: str
    version: str
    lock: threading.RLock
    progress: Progress = field(default_factory=Progress)
    header: list[str] = field(default_factory=list)
    processed: int = 0
    failed: int = 0
    uploaded: bool = False
    message: str | None = None
    aborting: bool = False
    has_carriage_returns: bool = False
    fault: JobFault | None = None
    work: Future[None] | None = None
    created: str = field(default_factory=timestamp)

    def __post_init__(self) -> None:
        """Creates its files."""
        self._upload = temporary_file()
        self.successes = ResultSet("sf__Id", "sf__Created")
        self.failures = ResultSet("sf__Id", "sf__Error")
        self._polled = threading.Condition()
        self._polls = 0

    def receive(self, chunk: bytes) -> None:
        """Adds a part of the upload."""
        self.has_carriage_returns = self.has_carriage_returns or b"\r" in chunk
        self._upload.write(chunk)

    def discard(self) -> None:
        """Deletes an incomplete upload."""
        self._upload.seek(0)
        self._upload.truncate()
        self.has_carriage_returns = False

    def close(self) -> None:
        """Stops it and deletes its files."""
        self.stop()
        for file in (self._upload, self.successes, self.failures):
            file.close()

    def settle(self) -> None:
        """Waits until its background task has ended."""
        if self.work is not None:
            wait([self.work])

    def abort(self) -> None:
        """Stops it after the chunk that is being saved.

        Raises:
            ApiError: it has already ended.
        """
        with self.lock:
            if self.progress.state in FINAL_STATES:
                raise already_ended()
            self.stop()
            self.progress.state = State.ABORTED

    def stop(self) -> None:
        """Saves nothing more after the chunk that is being saved."""
        self.aborting = True
        with self._polled:
            self._polled.notify_all()

    def set_state(self, state: State, message: str | None = None) -> None:
        """Sets the state, unless the job is being aborted."""
        with self.lock:
            if not self.aborting:
                self.progress.state = state
                self.message = message

    def poll(self) -> State:
        """Counts one request for the state, and returns the state to answer with."""
        with self._polled:
            self._polls += 1
            self._polled.notify_all()
        return self.progress.poll()

    def await_polls(self) -> None:
        """Waits, before a chunk is saved, for the number of polls that a fault rule sets.

        Those before the last chunk was saved do not count, so that a client sees each chunk.
        """
        with self._polled:
            enough = self._polls + (self.fault.polls_per_chunk if self.fault else 0)
            self._polled.wait_for(lambda: self.aborting or self._polls >= enough)

    def unprocessed(self) -> bytes:
        """The uploaded rows that were not processed, as CSV."""
        if not self.processed:
            self._upload.seek(0)
            return self._upload.read()
        with self.rows() as rows:
            rest = csv_bytes(itertools.islice(rows, self.processed + 1, None))
        return f"{','.join(self.header)}\n".encode() + rest

    @contextmanager
    def rows(self) -> Iterator[Iterator[list[str]]]:
        """The lines of the upload, the header included."""
        self._upload.seek(0)
        text = io.TextIOWrapper(self._upload, encoding="utf-8", newline="")
        try:
            yield csv.reader(text, delimiter=DELIMITERS[self.delimiter], strict=True)
        finally:
            text.detach()

    def first_line(self) -> bytes:
        """The first line of the upload with its line ending."""
        self._upload.seek(0)
        return self._upload.readline()
