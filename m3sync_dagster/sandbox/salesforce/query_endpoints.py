"""``/query`` and ``/queryAll``: SOQL in pages.

Source: Salesforce REST API guide, "Query" and "Query Options Header".
"""

import re
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.salesforce.errors import ApiError
from m3sync_dagster.sandbox.salesforce.flat_query import Sources, select_flat
from m3sync_dagster.sandbox.salesforce.http import JsonObject, answer, base_of, org_of
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.query_engine import Found, Query
from m3sync_dagster.sandbox.salesforce.soql import malformed, parse

PAGE = 2000
_BATCH_SIZE = re.compile(r"batchSize\s*=\s*(\d+)", re.IGNORECASE)
_SETUP: Sources = {
    "organization": lambda org: [org.identity.organization_row()],
    "user": lambda org: [org.identity.user_row(org.credentials.username)],
}


@dataclass(frozen=True, slots=True)
class Cursor:
    """What a query found, for as long as its pages are fetched."""

    query: Query
    found: list[Found]
    page: int


async def query(request: Request) -> Response:
    """``GET .../query?q=``."""
    return await run_in_threadpool(_first_page, request, deleted=False)


async def query_all(request: Request) -> Response:
    """``GET .../queryAll?q=``: deleted records too."""
    return await run_in_threadpool(_first_page, request, deleted=True)


def _first_page(request: Request, *, deleted: bool) -> Response:
    org = org_of(request)
    text = request.query_params.get("q")
    if not text:
        raise malformed("A query string has to be specified")
    select = parse(text)
    if (setup := select_flat(org, select, _SETUP)) is not None:
        return answer(setup)
    asked = Query(org, select, deleted=deleted)
    found = asked.run()
    if select.count:
        return answer({"totalSize": len(found), "done": True, "records": []})
    cursor = Cursor(asked, found, _page_size(request))
    return answer(_page(org, cursor, None, 0, base_of(request)))


def _page_size(request: Request) -> int:
    asked = _BATCH_SIZE.search(request.headers.get("sforce-query-options", ""))
    return min(max(int(asked[1]), 200), PAGE) if asked else PAGE


async def next_page(request: Request) -> Response:
    """``GET .../query/{locator}``: the page that ``nextRecordsUrl`` names."""
    org = org_of(request)
    key, _, start = request.path_params["locator"].rpartition("-")
    cursor = org.cursors.get(key)
    if cursor is None or not start.isdigit():
        raise ApiError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    return answer(_page(org, cursor, key, int(start), base_of(request)))


def _page(org: Org, cursor: Cursor, key: str | None, start: int, base: str) -> JsonObject:
    end = start + cursor.page
    page: JsonObject = {
        "totalSize": len(cursor.found),
        "done": end >= len(cursor.found),
        "records": [cursor.query.as_json(each, base) for each in cursor.found[start:end]],
    }
    if not page["done"]:
        key = key or f"01g{org.serial():012d}AAA"
        org.cursors[key] = cursor
        page["nextRecordsUrl"] = f"{base}/query/{key}-{end}"
    return page
