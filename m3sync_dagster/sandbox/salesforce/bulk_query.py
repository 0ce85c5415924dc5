"""The endpoints of query jobs.

Source: Salesforce Bulk API 2.0 guide, "Bulk API 2.0 Query", "Get Results for a Query Job".
"""

import csv
import io
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.salesforce.errors import ApiError, not_found
from m3sync_dagster.sandbox.salesforce.http import JsonObject, answer, org_of, read_object
from m3sync_dagster.sandbox.salesforce.job_state import Progress, State, timestamp
from m3sync_dagster.sandbox.salesforce.query_engine import Found, Query
from m3sync_dagster.sandbox.salesforce.soql import parse

PAGE = 50_000
_OPERATIONS = {"query": False, "queryAll": True}


@dataclass(slots=True)
class QueryJob:
    """A query whose results are fetched as CSV in pages."""

    id: str
    created_by: str
    operation: str
    version: str
    query: Query
    found: list[Found]
    progress: Progress = field(default_factory=lambda: Progress(State.JOB_COMPLETE))
    created: str = field(default_factory=timestamp)

    def abort(self) -> None:
        """Stops it.

        Raises:
            ApiError: it has ended already, as far as the client knows.
        """
        if self.progress.ended:
            message = "Aborting already Completed Job not allowed"
            raise ApiError(400, "INVALIDJOBSTATE", message)
        self.progress.state = State.ABORTED

    def page(self, start: int, size: int) -> bytes:
        """The rows from ``start``, below a header."""
        text = io.StringIO()
        writer = csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        writer.writerow(path.text for path in self.query.paths)
        writer.writerows(map(self.query.as_cells, self.found[start : start + size]))
        return text.getvalue().encode()


async def create(request: Request) -> Response:
    """``POST .../jobs/query``."""
    org = org_of(request)
    asked = await read_object(request)
    operation = asked.get("operation")
    if operation not in _OPERATIONS:
        raise ApiError(400, "INVALIDJOB", f"InvalidJob : Unknown operation: {operation}")
    select = parse(str(asked.get("query", "")))
    if select.count or select.offset:
        message = "InvalidBatch : Aggregates and OFFSET are not supported by the Bulk API"
        raise ApiError(400, "API_ERROR", message)
    query = Query(org, select, deleted=_OPERATIONS[operation])
    found = await run_in_threadpool(query.run)
    version = str(request.path_params["version"]).removeprefix("v")
    job = QueryJob(
        f"750{org.serial():012d}AAA", org.identity.user_id, operation, version, query, found
    )
    org.exports[job.id] = job
    return answer(_info(job, State.UPLOAD_COMPLETE))


def _job(request: Request) -> QueryJob:
    job = org_of(request).exports.get(request.path_params["id"])
    if job is None:
        raise not_found()
    return job


async def info(request: Request) -> Response:
    """``GET .../jobs/query/{id}``."""
    job = _job(request)
    return answer(_info(job, job.progress.poll()))


async def abort(request: Request) -> Response:
    """``PATCH .../jobs/query/{id}``: aborts it."""
    job = _job(request)
    state = (await read_object(request)).get("state")
    if state != State.ABORTED:
        raise ApiError(400, "INVALIDJOBSTATE", f"Invalid state: {state}")
    job.abort()
    return answer(_info(job, State.ABORTED))


async def delete(request: Request) -> Response:
    """``DELETE .../jobs/query/{id}``: answers 204."""
    job = _job(request)
    if not job.progress.ended:
        message = "Error encountered when deleting the job because the job is not terminated"
        raise ApiError(400, "API_ERROR", message)
    del org_of(request).exports[job.id]
    return Response(status_code=204)


async def results(request: Request) -> Response:
    """``GET .../jobs/query/{id}/results``: a page; ``Sforce-Locator`` names the next one."""
    job = _job(request)
    if job.progress.seen is not State.JOB_COMPLETE:
        raise ApiError(400, "INVALIDJOBSTATE", f"Job is in state {job.progress.seen}")
    if request.path_params["version"] != f"v{job.version}":
        raise ApiError(409, "API_ERROR", f"The job was made with API version {job.version}")
    start = _number(request, "locator", 0)
    size = max(_number(request, "maxRecords", PAGE), 1)
    content = await run_in_threadpool(job.page, start, size)
    end = min(start + size, len(job.found))
    headers = {
        "Sforce-Locator": f"{end}" if end < len(job.found) else "null",
        "Sforce-NumberOfRecords": str(max(end - start, 0)),
    }
    return Response(content, headers=headers, media_type="text/csv; charset=UTF-8")


def _number(request: Request, name: str, default: int) -> int:
    text = request.query_params.get(name, str(default))
    if not text.isdigit():
        raise ApiError(400, "INVALID_QUERY_LOCATOR", f"Invalid {name}: {text}")
    return int(text)


def _info(job: QueryJob, state: State) -> JsonObject:
    return {
        "id": job.id,
        "operation": job.operation,
        "object": job.query.table.definition.name,
        "createdById": job.created_by,
        "createdDate": job.created,
        "systemModstamp": job.created,
        "state": state,
        "concurrencyMode": "Parallel",
        "contentType": "CSV",
        "apiVersion": float(job.version),
        "jobType": "V2Query",
        "lineEnding": "LF",
        "columnDelimiter": "COMMA",
        "numberRecordsProcessed": len(job.found) if state is State.JOB_COMPLETE else 0,
        "retries": 0,
        "totalProcessingTime": 0,
        "isPkChunkingSupported": True,
    }
