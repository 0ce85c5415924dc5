"""Bulk API 2.0: ingest jobs and query jobs, each in progress for one poll before its end."""

import csv
import io
import random
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from itertools import count
from typing import Any

from m3sync_dagster_tests.independent_org.rows import RowError, Rows

EMPTY, CLEARED = "", "#N/A"
PAGE = 1_000


class UnknownJobError(Exception):
    """The org has no job with this id."""


@dataclass
class Job:
    """A job, its data, and its results by the name of the result set."""

    info: dict[str, Any]
    data: bytes = b""
    head: list[str] = field(default_factory=list)
    results: dict[str, list[list[str]]] = field(default_factory=dict)


class Jobs:
    """The jobs of one org, all created by the same user."""

    def __init__(self, rows: Rows, user_id: str) -> None:
        self._rows = rows
        self._user_id = user_id
        self._jobs: dict[str, Job] = {}
        self._numbers = count(1)

    def create(self, kind: str, properties: dict[str, Any]) -> dict[str, Any]:
        """Create a job; a query job needs no upload."""
        job_id = f"750{next(self._numbers):015}"
        now = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.000+0000"
        state = "Open" if kind == "ingest" else "UploadComplete"
        own = {"id": job_id, "state": state, "createdDate": now, "createdById": self._user_id}
        self._jobs[job_id] = Job(own | properties)
        return self._jobs[job_id].info

    def list(self) -> dict[str, Any]:
        """List all jobs."""
        return {"done": True, "records": [job.info for job in self._jobs.values()]}

    def fill(self, job_id: str, data: bytes) -> bytes:
        """Store an ingest job's CSV file; the response is empty."""
        self._find(job_id).data = data
        return b""

    def set_state(self, job_id: str, state: str) -> dict[str, Any]:
        """Close or abort a job."""
        self._find(job_id).info["state"] = state
        return self._find(job_id).info

    def read(self, job_id: str) -> dict[str, Any]:
        """Return a job's state; each call advances a closed job to the next state."""
        job = self._find(job_id)
        if job.info["state"] == "InProgress":
            job.info["state"] = "JobComplete"
            (self._query if job.info["operation"] == "query" else self._ingest)(job)
        elif job.info["state"] == "UploadComplete":
            job.info["state"] = "InProgress"
        return job.info

    def results(self, job_id: str, kind: str) -> str:
        """A result set of an ingest job, in random order."""
        job = self._find(job_id)
        first = {
            "successfulresults": ["sf__Id", "sf__Created"],
            "failedresults": ["sf__Id", "sf__Error"],
        }
        lines = job.results.get(kind, [])
        random.shuffle(lines)
        return _csv([[*first.get(kind, []), *job.head], *lines])

    def page(self, job_id: str, locator: str) -> tuple[str, str]:
        """A page of a query's results, and the locator of the next."""
        job, start = self._find(job_id), int(locator or 0)
        lines = job.results["results"]
        rest = str(start + PAGE) if start + PAGE < len(lines) else "null"
        return _csv([job.head, *lines[start : start + PAGE]]), rest

    def _find(self, job_id: str) -> Job:
        if job_id not in self._jobs:
            raise UnknownJobError(job_id)
        return self._jobs[job_id]

    def _ingest(self, job: Job) -> None:
        job.results = {"successfulresults": [], "failedresults": [], "unprocessedrecords": []}
        text = job.data.decode()
        if "\r" in text:
            job.info |= {
                "state": "Failed",
                "errorMessage": "ClientInputError : LineEnding is invalid",
            }
            return
        job.head, *lines = csv.reader(io.StringIO(text, newline=""))
        seen: set[str] = set()
        by_id = job.info["operation"] == "update"
        key = "Id" if by_id else job.info["externalIdFieldName"]
        for cells in lines:
            named = dict(zip(job.head, cells, strict=True))
            try:
                _reject_repeated(seen, named[key])
                record_id, created = (
                    (self._rows.update(named["Id"], _row(named)), False)
                    if by_id
                    else self._rows.upsert(job.info["object"], key, _row(named))
                )
                job.results["successfulresults"].append([record_id, str(created).lower(), *cells])
            except RowError as error:
                error_cell = f"{error.code}:{error.message}:{' '.join(error.fields)}--"
                job.results["failedresults"].append(["", error_cell, *cells])

    def _query(self, job: Job) -> None:
        job.head, records = self._rows.select(job.info["query"])
        job.results = {"results": [[_cell(value) for value in record] for record in records]}


def _reject_repeated(seen: set[str], key: str) -> None:
    if key in seen:
        raise RowError("DUPLICATE_VALUE", f"Duplicate external id specified: {key}")
    seen.add(key)


def _row(cells: dict[str, str]) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for name, cell in cells.items():
        relation, dot, key = name.partition(".")
        if cell != EMPTY:
            value = None if cell == CLEARED else cell
            row[relation] = {key: value} if dot else value
    return row


def _cell(value: object) -> str:
    if isinstance(value, Decimal):
        return f"{value:f}"
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def _csv(lines: list[list[str]]) -> str:
    out = io.StringIO(newline="")
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\n").writerows(lines)
    return out.getvalue()
