"""The endpoints of query jobs.

Source: Salesforce Bulk API 2.0 guide, "Bulk API 2.0 Query", "Get Results for a Query Job".
"""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.salesforce.errors import ApiError, not_found
from m3sync_dagster.sandbox.salesforce.http import json_response, org_of, read_object
from m3sync_dagster.sandbox.salesforce.job_state import State, state_error
from m3sync_dagster.sandbox.salesforce.query_engine import Query
from m3sync_dagster.sandbox.salesforce.query_results import QueryJob
from m3sync_dagster.sandbox.salesforce.soql import parse
from m3sync_dagster.sandbox.salesforce.soql_tokens import QueryError

PAGE_SIZE = 50_000
_OPERATIONS = {"query": False, "queryAll": True}
"""Each operation, and whether it also finds deleted records."""


async def create(request: Request) -> Response:
    """``POST .../jobs/query``."""
    org = org_of(request)
    body = await read_object(request)
    operation = body.get("operation")
    if operation not in _OPERATIONS:
        raise ApiError(400, "INVALIDJOB", f"InvalidJob : Unknown operation: {operation}")
    text = str(body.get("query", ""))
    select = parse(text)
    if select.count or select.grouped or select.offset:
        message = "InvalidBatch : Aggregates and OFFSET are not supported by the Bulk API"
        raise ApiError(400, "API_ERROR", message)
    try:
        query = Query(org, select, deleted=_OPERATIONS[operation])
    except QueryError as error:
        raise error.located(text) from None
    job = QueryJob(
        id=org.new_id("750"),
        created_by=org.identity.user_id,
        operation=operation,
        version=str(request.path_params["version"]).removeprefix("v"),
        object=query.table.definition.name,
        header=[path.text for path in query.paths],
        records=await run_in_threadpool(query.run),
        as_cells=query.as_cells,
    )
    org.query_jobs[job.id] = job
    return json_response(_info(job, State.UPLOAD_COMPLETE))


def _job(request: Request) -> QueryJob:
    job = org_of(request).query_jobs.get(request.path_params["id"])
    if job is None:
        raise not_found()
    return job


async def info(request: Request) -> Response:
    """``GET .../jobs/query/{id}``."""
    job = _job(request)
    return json_response(_info(job, job.progress.poll()))


async def abort(request: Request) -> Response:
    """``PATCH .../jobs/query/{id}``: aborts it."""
    job = _job(request)
    state = (await read_object(request)).get("state")
    if state != State.ABORTED:
        raise state_error(f"Invalid state: {state}")
    job.abort()
    return json_response(_info(job, State.ABORTED))


async def delete(request: Request) -> Response:
    """``DELETE .../jobs/query/{id}``: responds with 204."""
    job = _job(request)
    job.progress.check_deletable()
    del org_of(request).query_jobs[job.id]
    return Response(status_code=204)


async def results(request: Request) -> Response:
    """``GET .../jobs/query/{id}/results``: one page; ``Sforce-Locator`` names the next one."""
    job = _job(request)
    if job.progress.seen is not State.JOB_COMPLETE:
        raise state_error(f"Job is in state {job.progress.seen}")
    if request.path_params["version"] != f"v{job.version}":
        raise ApiError(409, "API_ERROR", f"The job was made with API version {job.version}")
    start = _number(request, "locator", 0)
    size = max(_number(request, "maxRecords", PAGE_SIZE), 1)
    content = await run_in_threadpool(job.page, start, size)
    end = min(start + size, len(job.records))
    headers = {
        "Sforce-Locator": f"{end}" if end < len(job.records) else "null",
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
        "object": job.object,
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
        "numberRecordsProcessed": len(job.records) if state is State.JOB_COMPLETE else 0,
        "retries": 0,
        "totalProcessingTime": 0,
        "isPkChunkingSupported": True,
    }
