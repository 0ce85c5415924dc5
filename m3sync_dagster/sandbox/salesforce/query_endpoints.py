"""``/query`` and ``/queryAll``: SOQL queries with results in pages.

Source: Salesforce REST API guide, "Query" and "Query Options Header".
"""

import re

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.salesforce.computed_objects import SETUP_OBJECTS, select_computed
from m3sync_dagster.sandbox.salesforce.errors import ApiError
from m3sync_dagster.sandbox.salesforce.http import json_response, org_of, version_path
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.query_descriptions import columns, plan
from m3sync_dagster.sandbox.salesforce.query_engine import Query
from m3sync_dagster.sandbox.salesforce.query_groups import grouped_results
from m3sync_dagster.sandbox.salesforce.query_results import Cursor
from m3sync_dagster.sandbox.salesforce.soql import Select, malformed, parse
from m3sync_dagster.sandbox.salesforce.soql_tokens import QueryError

PAGE_SIZE = 2000
_BATCH_SIZE = re.compile(r"batchSize\s*=\s*(\d+)", re.IGNORECASE)


async def query(request: Request) -> Response:
    """``GET .../query?q=``."""
    return await run_in_threadpool(_first_page, request, deleted=False)


async def query_all(request: Request) -> Response:
    """``GET .../queryAll?q=``: also finds deleted records."""
    return await run_in_threadpool(_first_page, request, deleted=True)


def _first_page(request: Request, *, deleted: bool) -> Response:
    explain = request.query_params.get("explain")
    text = explain or request.query_params.get("q")
    if not text:
        raise malformed("A query string has to be specified")
    try:
        select = parse(text)
        if explain:
            return json_response(plan(Query(org_of(request), select), text))
        return _result(request, select, deleted=deleted)
    except QueryError as error:
        raise error.located(text) from None


def _result(request: Request, select: Select, *, deleted: bool) -> Response:
    org = org_of(request)
    described = request.query_params.get("columns") == "true"
    if (setup := select_computed(org, select, SETUP_OBJECTS)) is not None:
        return json_response(_columns(select, select.paths) if described else setup)
    if select.grouped:
        groups = grouped_results(org, select, deleted=deleted)
        if described:
            return json_response(_columns(select, select.paths))
        return json_response({"totalSize": len(groups), "done": True, "records": groups})
    query = Query(org, select, deleted=deleted)
    if described:
        return json_response(_columns(select, [path.text for path in query.paths]))
    records = query.run()
    if select.count:
        return json_response({"totalSize": len(records), "done": True, "records": []})
    cursor = Cursor(records, query.as_json, _page_size(request))
    return json_response(_page(org, cursor, None, 0, version_path(request)))


def _columns(select: Select, paths: list[str]) -> JsonObject:
    return columns(select.object, paths, select.aggregates)


def _page_size(request: Request) -> int:
    requested = _BATCH_SIZE.search(request.headers.get("sforce-query-options", ""))
    return min(max(int(requested[1]), 200), PAGE_SIZE) if requested else PAGE_SIZE


async def next_page(request: Request) -> Response:
    """``GET .../query/{locator}``: the page that ``nextRecordsUrl`` names."""
    org = org_of(request)
    key, _, start = request.path_params["locator"].rpartition("-")
    cursor = org.cursors.get(key)
    if cursor is None or not start.isdigit():
        raise ApiError(400, "INVALID_QUERY_LOCATOR", "invalid query locator")
    return json_response(_page(org, cursor, key, int(start), version_path(request)))


def _page(org: Org, cursor: Cursor, key: str | None, start: int, path: str) -> JsonObject:
    end = start + cursor.page_size
    page: JsonObject = {
        "totalSize": len(cursor.records),
        "done": end >= len(cursor.records),
        "records": [cursor.as_json(record, path) for record in cursor.records[start:end]],
    }
    if not page["done"]:
        key = key or org.new_id("01g")
        org.cursors[key] = cursor
        page["nextRecordsUrl"] = f"{path}/query/{key}-{end}"
    return page
