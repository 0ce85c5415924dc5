"""The endpoints for API versions, limits and describe calls.

Source: Salesforce REST API guide, "Versions", "Resources by Version", "Limits", "Record Count",
"sObject Describe".
"""

from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime

from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.salesforce.describe_results import describe, global_describe, summary
from m3sync_dagster.sandbox.salesforce.http import json_response, org_of, version_path
from m3sync_dagster.sandbox.salesforce.org import Usage

NEWEST = 68
"""The newest API version that the org supports: Winter '27."""

OLDEST = 31
"""The oldest supported API version; for older ones Salesforce responds with 410."""


async def versions(_: Request) -> Response:
    """``GET /services/data``: needs no session."""
    return json_response(
        [
            {"label": _release(n), "url": f"/services/data/v{n}.0", "version": f"{n}.0"}
            for n in range(OLDEST, NEWEST + 1)
        ]
    )


def _release(number: int) -> str:
    """The name of an API version's release: there are three a year, and 66 is Spring '26."""
    season = ("Spring", "Summer", "Winter")[number % 3]
    return f"{season} '{26 + (number - 66) // 3 + (season == 'Winter'):02d}"


async def resources(request: Request) -> Response:
    """``GET /services/data/vXX.X``."""
    names = (
        "composite", "jobs", "limits", "metadata", "query", "queryAll", "recent", "sobjects",
        "tooling",
    )  # fmt: skip
    paths = {name: f"{version_path(request)}/{name}" for name in names}
    identity = org_of(request).identity.url(str(request.base_url).rstrip("/"))
    return json_response(paths | {"identity": identity})


async def recent(_: Request) -> Response:
    """``GET .../recent``: the sandbox does not record which records a user viewed."""
    return json_response([])


async def limits(request: Request) -> Response:
    """``GET .../limits``."""
    org = org_of(request)
    return json_response(
        {
            "DailyApiRequests": _limit(org.usage),
            "DailyBulkApiBatches": _limit(org.batches),
            "DailyBulkV2QueryJobs": _limit(Usage(max=10_000)),
            "DailyBulkV2QueryFileStorageMB": _limit(Usage(max=976_562)),
            "DataStorageMB": _limit(Usage(max=10_240)),
            "FileStorageMB": _limit(Usage(max=10_240)),
        }
    )


def _limit(usage: Usage) -> dict[str, int]:
    return {"Max": usage.max, "Remaining": max(usage.max - usage.used, 0)}


async def record_counts(request: Request) -> Response:
    """``GET .../limits/recordCount?sObjects=``: objects that do not exist are left out."""
    org, names = org_of(request), request.query_params.get("sObjects")
    wanted = list(org.schema) if names is None else map(org.schema.find, names.split(","))
    counts = [
        {"count": len(org.table(one.name)), "name": one.name} for one in wanted if one is not None
    ]
    return json_response({"sObjects": counts})


async def sobjects(request: Request) -> Response:
    """``GET .../sobjects``."""
    return json_response(global_describe(org_of(request).schema, version_path(request)))


async def sobject(request: Request) -> Response:
    """``GET .../sobjects/{object}``."""
    definition = org_of(request).object(request.path_params["object"])
    described = summary(definition, version_path(request))
    return json_response({"objectDescribe": described, "recentItems": []})


async def sobject_describe(request: Request) -> Response:
    """``GET .../sobjects/{object}/describe``; 304 if unchanged since ``If-Modified-Since``."""
    org = org_of(request)
    definition = org.object(request.path_params["object"])
    modified = org.schema.last_modified
    headers = {"Last-Modified": format_datetime(modified, usegmt=True)}
    since = request.headers.get("if-modified-since")
    if since and parsedate_to_datetime(since).astimezone(UTC) >= modified:
        return Response(status_code=304, headers=headers)
    return json_response(describe(org.schema, definition, version_path(request)), headers=headers)
