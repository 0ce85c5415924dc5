"""The control endpoints of the sandbox: fault rules, records, calls, and schema changes.

They need no session and do not count as API calls.
"""

import re
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.json_types import Json, JsonObject
from m3sync_dagster.sandbox.salesforce.deploy_endpoints import assign
from m3sync_dagster.sandbox.salesforce.errors import ApiError, not_found
from m3sync_dagster.sandbox.salesforce.http import (
    json_response,
    org_of,
    read_json,
    read_object,
)
from m3sync_dagster.sandbox.salesforce.org import Org, Package
from m3sync_dagster.sandbox.salesforce.schema import FieldDef, ValidationRule, field_from_json


async def add_faults(request: Request) -> Response:
    """``POST /sandbox/faults``: adds a fault rule, or a list of them; see ``faults``."""
    org = org_of(request)
    for rule in _as_list(await read_json(request)):
        _apply(_add_fault, org, rule)
    return Response(status_code=204)


def _as_list(content: Json) -> list[Json]:
    return content if isinstance(content, list) else [content]


def _apply(change: Callable[[Org, JsonObject], None], org: Org, rule: Json) -> None:
    try:
        change(org, rule)
    except (KeyError, TypeError, ValueError, AttributeError, re.error) as error:
        message = f"The sandbox does not understand {rule}: {error!r}"
        raise ApiError(400, "SANDBOX_ERROR", message) from error


def _add_fault(org: Org, rule: JsonObject) -> None:
    if "budget" in rule:
        org.usage.max = int(rule["budget"].get("max", org.usage.max))
        org.usage.used = int(rule["budget"].get("used", org.usage.used))
    else:
        org.faults.add(rule)


async def clear_faults(request: Request) -> Response:
    """``DELETE /sandbox/faults``: removes all fault rules and resets the daily limit."""
    org = org_of(request)
    org.faults.clear()
    org.usage.max, org.usage.used = 100_000, 0
    return Response(status_code=204)


async def calls(request: Request) -> Response:
    """``GET /sandbox/calls``: API calls since the last reset."""
    log = org_of(request).calls
    return json_response(
        {
            "total": sum(log.counts.values()),
            "counts": dict(log.counts),
            "calls": list(log.latest),
        }
    )


async def clear_calls(request: Request) -> Response:
    """``DELETE /sandbox/calls``: deletes the list of calls and their counts."""
    log = org_of(request).calls
    log.counts.clear()
    log.latest.clear()
    return Response(status_code=204)


async def records(request: Request) -> Response:
    """``GET /sandbox/records/{object}``: all records; numbers are exact."""
    return json_response(org_of(request).records(request.path_params["object"]))


async def clear_records(request: Request) -> Response:
    """``DELETE /sandbox/records``: deletes every record of every object."""
    org_of(request).clear_records()
    return Response(status_code=204)


async def change_setup(request: Request) -> Response:
    """``POST /sandbox/setup``: permissions, packages, jobs, and a refresh of the org.

    ``{"readable": false}`` withdraws the permission View Setup; ``{"packages": [{"name",
    "namespace"}]}`` sets the installed managed packages; ``{"assign": "name"}`` assigns a
    permission set that was deployed. ``{"refresh": true}`` refreshes the org: a new organization
    Id, and no records, jobs or sessions. ``{"abort": ["750…"]}`` aborts jobs as an admin does on
    the page Bulk Data Load Jobs.
    """
    org = org_of(request)
    body = await read_object(request)
    org.setup_readable = body.get("readable", org.setup_readable)
    if "packages" in body:
        org.packages = [Package(**package) for package in body["packages"]]
    if "assign" in body:
        assign(org, body["assign"])
    if body.get("refresh"):
        await run_in_threadpool(org.refresh)
    for job_id in body.get("abort", ()):
        _abort(org, job_id)
    return Response(status_code=204)


def _abort(org: Org, job_id: str) -> None:
    """Abort an ingest job or a query job.

    Raises:
        ApiError: there is no such job, or it has already ended.
    """
    if job_id in org.jobs:
        org.jobs[job_id].abort()
    elif job_id in org.query_jobs:
        org.query_jobs[job_id].abort()
    else:
        raise not_found()


async def change_schema(request: Request) -> Response:
    """``POST /sandbox/schema``: makes a change, or a list of them.

    ``{"object": "X__c", "field": "F__c", "set": {...}}`` changes a field, or adds it if it is
    new; the keys are the properties of ``FieldDef``. ``"remove": true`` instead of ``set``
    removes it. ``"add": {"label": "...", "plural_label": "..."}`` without ``field`` adds an
    object.
    ``"validation_rule": {"field", "pattern", "message"}`` adds a rule that rejects matching
    rows.
    """
    org = org_of(request)
    for change in _as_list(await read_json(request)):
        _apply(_change_schema, org, change)
    return Response(status_code=204)


def _change_schema(org: Org, change: JsonObject) -> None:
    schema, name = org.schema, change["object"]
    if "add" in change:
        label = change["add"].get("label", name)
        plural = change["add"].get("plural_label", label)
        name_field = FieldDef("Name", f"{label} Name", "Text", length=80, name_field=True)
        schema.add_object(name, label, plural, name_field)
        return
    definition = org.object(name)
    if "validation_rule" in change:
        definition.rules.append(ValidationRule(**change["validation_rule"]))
    elif change.get("remove"):
        definition.remove(change["field"])
    elif change["field"] in definition.fields:
        schema.change_field(definition, change["field"], change["set"])
    else:
        schema.add_field(definition, field_from_json(change["field"], change["set"]))
    schema.touch()
