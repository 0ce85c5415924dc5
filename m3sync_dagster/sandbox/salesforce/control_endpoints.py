"""What the sandbox offers beside the API: faults, a look at records and calls, schema changes.

Nothing here needs a session or counts as an API call.
"""

import re
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.salesforce.deploy_endpoints import assign
from m3sync_dagster.sandbox.salesforce.errors import ApiError, not_found
from m3sync_dagster.sandbox.salesforce.http import (
    JsonObject,
    answer,
    org_of,
    read_json,
    read_object,
)
from m3sync_dagster.sandbox.salesforce.org import Org, Package
from m3sync_dagster.sandbox.salesforce.schema import FieldDef, ValidationRule, field_from_json


async def add_faults(request: Request) -> Response:
    """``POST /sandbox/faults``: a rule, or a list of them, as ``faults`` describes."""
    org = org_of(request)
    for rule in _each(await read_json(request)):
        _attempt(_add_fault, org, rule)
    return Response(status_code=204)


def _each(content: Any) -> list[Any]:  # noqa: ANN401 - JSON
    return content if isinstance(content, list) else [content]


def _attempt(change: Any, org: Org, rule: Any) -> None:  # noqa: ANN401 - JSON
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
    """``DELETE /sandbox/faults``: lets everything work again, with a fresh daily budget."""
    org = org_of(request)
    org.faults.clear()
    org.usage.max, org.usage.used = 100_000, 0
    return Response(status_code=204)


async def calls(request: Request) -> Response:
    """``GET /sandbox/calls``: API calls since the last reset."""
    noted = org_of(request).calls
    return answer(
        {
            "total": sum(noted.counts.values()),
            "counts": dict(noted.counts),
            "calls": list(noted.latest),
        }
    )


async def clear_calls(request: Request) -> Response:
    """``DELETE /sandbox/calls``: starts counting again."""
    noted = org_of(request).calls
    noted.counts.clear()
    noted.latest.clear()
    return Response(status_code=204)


async def records(request: Request) -> Response:
    """``GET /sandbox/records/{object}``: all records; numbers have all their digits."""
    return answer(org_of(request).records(request.path_params["object"]))


async def clear_records(request: Request) -> Response:
    """``DELETE /sandbox/records``: deletes every record of every object."""
    org_of(request).clear_records()
    return Response(status_code=204)


async def change_setup(request: Request) -> Response:
    """``POST /sandbox/setup``: what the user may see of the org, and what is assigned to it.

    ``{"readable": false}`` takes the permission View Setup away; ``{"packages": [{"name",
    "namespace"}]}`` says which managed packages are installed; ``{"assign": "name"}`` assigns a
    permission set that was deployed. ``{"refresh": true}`` makes it another org: a new organization
    Id, without records, jobs and sessions. ``{"abort": ["750…"]}`` aborts jobs as an admin does on
    the page Bulk Data Load Jobs.
    """
    org = org_of(request)
    asked = await read_object(request)
    org.setup_readable = asked.get("readable", org.setup_readable)
    if "packages" in asked:
        org.packages = [Package(**package) for package in asked["packages"]]
    if "assign" in asked:
        assign(org, asked["assign"])
    if asked.get("refresh"):
        await run_in_threadpool(org.refresh)
    for job_id in asked.get("abort", ()):
        _abort(org, job_id)
    return Response(status_code=204)


def _abort(org: Org, job_id: str) -> None:
    """Abort an ingest job or a query job.

    Raises:
        ApiError: there is no such job, or it has ended.
    """
    if job_id in org.jobs:
        org.jobs[job_id].abort()
    elif job_id in org.exports:
        org.exports[job_id].abort()
    else:
        raise not_found()


async def change_schema(request: Request) -> Response:
    """``POST /sandbox/schema``: a change, or a list of them.

    ``{"object": "X__c", "field": "F__c", "set": {...}}`` changes a field, or adds it where it is
    new; the keys are the properties of ``FieldDef``. ``"remove": true`` in the place of ``set``
    removes it. ``"add": {"label": "...", "plural_label": "..."}`` without ``field`` adds an object.
    ``"validation_rule": {"field", "pattern", "message"}`` adds a rule that refuses matching rows.
    """
    org = org_of(request)
    for change in _each(await read_json(request)):
        _attempt(_change, org, change)
    return Response(status_code=204)


def _change(org: Org, change: JsonObject) -> None:
    schema, name = org.schema, change["object"]
    if "add" in change:
        label = change["add"].get("label", name)
        plural = change["add"].get("plural_label", label)
        title = FieldDef("Name", f"{label} Name", "Text", length=80, name_field=True)
        schema.add_object(name, label, plural, title)
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
