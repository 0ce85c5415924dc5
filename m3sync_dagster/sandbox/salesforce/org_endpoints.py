"""Versions, limits and describes.

Source: Salesforce REST API guide, "Versions", "Resources by Version", "Limits", "sObject Describe".
"""

from datetime import UTC
from email.utils import format_datetime, parsedate_to_datetime

from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.salesforce.describe_endpoints import describe, global_describe, summary
from m3sync_dagster.sandbox.salesforce.http import answer, base_of, org_of
from m3sync_dagster.sandbox.salesforce.org import Usage

NEWEST = 68
"""The newest API version that the org knows: Winter '27."""

OLDEST = 31
"""The oldest that still works; below it Salesforce answers 410."""


async def versions(_: Request) -> Response:
    """``GET /services/data``: needs no session."""
    return answer(
        [
            {"label": _release(n), "url": f"/services/data/v{n}.0", "version": f"{n}.0"}
            for n in range(OLDEST, NEWEST + 1)
        ]
    )


def _release(number: int) -> str:
    """The release that brought an API version: three a year, 66 being Spring '26."""
    season = ("Spring", "Summer", "Winter")[number % 3]
    return f"{season} '{26 + (number - 66) // 3 + (season == 'Winter'):02d}"


async def resources(request: Request) -> Response:
    """``GET /services/data/vXX.X``."""
    names = ("composite", "jobs", "limits", "query", "queryAll", "sobjects")
    return answer({name: f"{base_of(request)}/{name}" for name in names})


async def limits(request: Request) -> Response:
    """``GET .../limits``."""
    org = org_of(request)
    return answer(
        {
            "DailyApiRequests": _allowance(org.usage),
            "DailyBulkApiBatches": _allowance(org.batches),
            "DailyBulkV2QueryJobs": _allowance(Usage(max=10_000)),
            "DailyBulkV2QueryFileStorageMB": _allowance(Usage(max=976_562)),
            "DataStorageMB": _allowance(Usage(max=10_240)),
            "FileStorageMB": _allowance(Usage(max=10_240)),
        }
    )


def _allowance(usage: Usage) -> dict[str, int]:
    return {"Max": usage.max, "Remaining": max(usage.max - usage.used, 0)}


async def sobjects(request: Request) -> Response:
    """``GET .../sobjects``."""
    return answer(global_describe(org_of(request).schema, base_of(request)))


async def sobject(request: Request) -> Response:
    """``GET .../sobjects/{object}``."""
    definition = org_of(request).object(request.path_params["object"])
    about = summary(definition, base_of(request))
    return answer({"objectDescribe": about, "recentItems": []})


async def sobject_describe(request: Request) -> Response:
    """``GET .../sobjects/{object}/describe``; 304 if nothing has changed since the date given."""
    org = org_of(request)
    definition = org.object(request.path_params["object"])
    changed = org.schema.last_modified
    headers = {"Last-Modified": format_datetime(changed, usegmt=True)}
    asked = request.headers.get("if-modified-since")
    if asked and parsedate_to_datetime(asked).astimezone(UTC) >= changed:
        return Response(status_code=304, headers=headers)
    return answer(describe(org.schema, definition, base_of(request)), headers=headers)
