"""The endpoints of ingest jobs.

Source: Salesforce Bulk API 2.0 guide, "Create a Job", "Upload Job Data", "Upload Complete",
"Get Job Info", "Get All Jobs", "Delete a Job".
"""

import contextlib

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.salesforce.csv_format import DELIMITERS
from m3sync_dagster.sandbox.salesforce.errors import ApiError, not_found
from m3sync_dagster.sandbox.salesforce.http import (
    as_object,
    json_response,
    loads,
    org_of,
    read_object,
    read_parts,
)
from m3sync_dagster.sandbox.salesforce.ingest_job import IngestJob
from m3sync_dagster.sandbox.salesforce.ingest_load import start_load
from m3sync_dagster.sandbox.salesforce.ingest_rows import OPERATIONS
from m3sync_dagster.sandbox.salesforce.job_state import State, state_error
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.schema import FieldDef, ObjectDef

LARGEST_UPLOAD = 112_500_000
"""Bytes of an upload: 150 MB after encoding in base64. Source: "Limits" in the same guide."""

LARGEST_INLINE = 100_000
"""Characters of an upload in the same request as the job. Source: "Create a Job"."""


async def create(request: Request) -> Response:
    """``POST .../jobs/ingest``: creates a job, in a multipart request with its data."""
    org = org_of(request)
    content_type = request.headers.get("content-type", "")
    if not content_type.startswith("multipart/form-data"):
        return json_response(_info(_new_job(org, await read_object(request), _version(request))))
    parts = read_parts(content_type, await request.body())
    content = parts.get("content", b"")
    if len(content) > LARGEST_INLINE:
        raise ApiError(400, "INVALIDJOB", "InvalidJob : The content part is too large")
    job = _new_job(org, as_object(loads(parts.get("job", b""))), _version(request))
    job.receive(content)
    job.uploaded = True
    start_load(org, job)
    return json_response(_info(job, State.UPLOAD_COMPLETE))


def _version(request: Request) -> str:
    return str(request.path_params["version"]).removeprefix("v")


def _new_job(org: Org, body: JsonObject, version: str) -> IngestJob:
    definition = org.schema.find(str(body.get("object")))
    if definition is None:
        raise _invalid(f"Unable to find object: {body.get('object')}")
    operation = str(body.get("operation"))
    if operation not in OPERATIONS:
        raise _invalid(f"Unknown operation: {operation}")
    key = _key(definition, operation, str(body.get("externalIdFieldName")))
    ending, delimiter = body.get("lineEnding", "LF"), body.get("columnDelimiter", "COMMA")
    if ending not in {"LF", "CRLF"} or delimiter not in DELIMITERS:
        raise _invalid("Unknown lineEnding or columnDelimiter")
    job = IngestJob(
        id=org.new_id("750"),
        created_by=org.identity.user_id,
        operation=operation,
        object=definition.name,
        key=key,
        line_ending=ending,
        delimiter=delimiter,
        version=version,
        lock=org.lock,
    )
    org.jobs[job.id] = job
    org.closers.append(job.close)
    return job


def _key(definition: ObjectDef, operation: str, name: str) -> FieldDef | None:
    """The field that identifies a row's record."""
    if operation != "upsert":
        return None if operation == "insert" else definition.find("Id")
    key = definition.find(name)
    if key is None or not (key.id_lookup or key.type == "Id"):
        raise _invalid(
            f"Field name provided, {name} does not match an External ID, Salesforce Id, or"
            f" indexed field for {definition.name}"
        )
    return key


def _invalid(message: str) -> ApiError:
    return ApiError(400, "INVALIDJOB", f"InvalidJob : {message}")


def _job(request: Request) -> IngestJob:
    job = org_of(request).jobs.get(request.path_params["id"])
    if job is None:
        raise not_found()
    return job


async def upload(request: Request) -> Response:
    """``PUT .../jobs/ingest/{id}/batches``: uploads the CSV; accepted once."""
    job = _job(request)
    if job.progress.state is not State.OPEN or job.uploaded:
        raise state_error(f"Job is in state {job.progress.seen}")
    size = 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size <= LARGEST_UPLOAD:
                job.receive(chunk)
    except ClientDisconnect:
        job.discard()
        return Response(status_code=400)
    if size > LARGEST_UPLOAD:
        job.discard()
        raise ApiError(400, "EXCEEDED_MAX_SIZE_REQUEST", "The upload is larger than 150 MB")
    job.uploaded = True
    return Response(status_code=201)


async def change_state(request: Request) -> Response:
    """``PATCH .../jobs/ingest/{id}``: completes the upload, or aborts the job."""
    job = _job(request)
    state = (await read_object(request)).get("state")
    if state == State.ABORTED:
        job.abort()
    elif state == State.UPLOAD_COMPLETE:
        if job.progress.state is not State.OPEN or not job.uploaded:
            raise state_error(f"Job in state {job.progress.seen} can not be closed")
        start_load(org_of(request), job)
    else:
        raise state_error(f"Invalid state: {state}")
    return json_response(_summary(job, job.progress.seen))


async def info(request: Request) -> Response:
    """``GET .../jobs/ingest/{id}``."""
    job = _job(request)
    return json_response(_info(job, job.poll()))


async def all_jobs(request: Request) -> Response:
    """``GET .../jobs/ingest``."""
    jobs = [_summary(job, job.progress.seen) for job in org_of(request).jobs.values()]
    return json_response({"done": True, "records": jobs, "nextRecordsUrl": None})


async def delete(request: Request) -> Response:
    """``DELETE .../jobs/ingest/{id}``: responds with 204."""
    job = _job(request)
    org = org_of(request)
    job.progress.check_deletable()
    with contextlib.suppress(ValueError):
        org.closers.remove(job.close)
    del org.jobs[job.id]
    await run_in_threadpool(job.settle)
    job.close()
    return Response(status_code=204)


async def results(request: Request) -> Response:
    """``GET .../jobs/ingest/{id}/{set}``: one of the result sets of a job that has ended."""
    job = _job(request)
    sets = {
        "successfulresults": lambda: job.successes.read(job.header),
        "failedresults": lambda: job.failures.read(job.header),
        "unprocessedrecords": job.unprocessed,
    }
    read = sets.get(request.path_params["set"].lower())
    if read is None:
        raise not_found()
    if not job.progress.ended:
        raise state_error(f"Job is in state {job.progress.seen}")
    await run_in_threadpool(job.settle)
    content = await run_in_threadpool(read)
    return Response(content, media_type="text/csv; charset=UTF-8")


def _summary(job: IngestJob, state: State) -> JsonObject:
    summary: JsonObject = {
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
    }
    if job.operation == "upsert" and job.key:
        summary["externalIdFieldName"] = job.key.name
    return summary


def _info(job: IngestJob, state: State = State.OPEN) -> JsonObject:
    info = _summary(job, state)
    info |= {"lineEnding": job.line_ending, "columnDelimiter": job.delimiter}
    if state is State.OPEN:
        contents = f"services/data/v{job.version}/jobs/ingest/{job.id}/batches"
        return info | {"contentUrl": contents}
    started = state is not State.UPLOAD_COMPLETE
    info |= {
        "jobType": "V2Ingest",
        "numberRecordsProcessed": job.processed if started else 0,
        "numberRecordsFailed": job.failed if started else 0,
        "retries": 0,
        "totalProcessingTime": job.processed,
        "apiActiveProcessingTime": job.processed,
        "apexProcessingTime": 0,
    }
    return info | ({"errorMessage": job.message} if state is State.FAILED else {})
