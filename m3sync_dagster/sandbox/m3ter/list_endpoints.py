"""``GET /organizations/{org}/{entity}``: pages of records, newest first.

Source: m3ter's API reference, 'Pagination': each ``nextToken`` leads to older records, and the
last page has none.
"""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.m3ter.faults import paging_fault
from m3sync_dagster.sandbox.m3ter.filters import array_parameter, filters
from m3sync_dagster.sandbox.m3ter.leniency import is_lenient, record_id
from m3sync_dagster.sandbox.m3ter.record_type_rules import Rules, rules_of
from m3sync_dagster.sandbox.organization import Filter, Organization, Query, decode_fields

DEFAULT_PAGE_SIZE = 100
"""m3ter does not document a default for its lists."""


async def list_records(request: Request) -> Response:
    """One page of the records that match the query's filters."""
    entity = request.path_params["entity"]
    return page_response(request, entity, rules_of(entity))


async def list_children(request: Request) -> Response:
    """One page of the accounts whose parent is the account in the path."""
    organization: Organization = request.app.state.organization
    parent = record_id(request, "accounts")
    organization.raw("accounts", parent)
    rules = Rules((), None, largest_page=200)
    return page_response(
        request, "accounts", rules, (lambda keys: keys.parent_account_id == parent,)
    )


def page_response(
    request: Request, path: str, rules: Rules, conditions: tuple[Filter, ...] = ()
) -> Response:
    """One page of a collection.

    Args:
        request: the request.
        path: the collection's path in the organization.
        rules: its filters and limits.
        conditions: what every record on the page fulfils, besides the query's filters.
    """
    organization: Organization = request.app.state.organization
    query, fault = request.query_params, paging_fault(request.scope)
    size = page_size(query.get("pageSize"), rules.largest_page)
    if is_lenient(request):
        page = Query(size, shift=fault.shift)
    else:
        conditions += tuple(filters(query, rules.filters))
        before = _position(query.get("nextToken"))
        page = Query(size, before, array_parameter(query, "ids"), conditions, fault.shift)
    if fault.empty:
        return _page([], page.before or organization.newest(path))
    entries, more = organization.page(path, page)
    excluded = [
        one.field
        for one in rules.excluded
        if query.get(one.parameter, one.default).lower() == one.value
    ]
    raws = [_without(entry.raw, excluded) if excluded else entry.raw for entry in entries]
    return _page(raws, entries[-1].sequence if more else None)


def _without(raw: bytes, excluded: list[str]) -> bytes:
    """A record without some of its fields; the others keep their exact text.

    A record that cannot be decoded is returned whole.
    """
    try:
        fields = decode_fields(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return raw
    return msgspec.json.encode({name: v for name, v in fields.items() if name not in excluded})


def _page(records: list[bytes], next_before: int | None) -> Response:
    """A page made of the records' own bytes, so that no value is reformatted."""
    token = b"" if next_before is None else b',"nextToken":"%s"' % _token(next_before)
    body = b'{"data":[%s]%s}' % (b",".join(records), token)
    return Response(body, media_type="application/json")


def page_size(text: str | None, largest: int, default: int = DEFAULT_PAGE_SIZE) -> int:
    """The ``pageSize`` of a query.

    Raises:
        HTTPException: it is not a number from 1 to ``largest`` (400).
    """
    size = default if not text else int(text) if text.isdecimal() else 0
    if not 1 <= size <= largest:
        raise HTTPException(400, f"pageSize must be a number from 1 to {largest}.")
    return size


def _token(before: int) -> bytes:
    return urlsafe_b64encode(b"before:%d" % before)


def _position(token: str | None) -> int | None:
    """The position in a ``nextToken``; None for the first page."""
    if not token:
        return None
    try:
        return int(urlsafe_b64decode(token).removeprefix(b"before:"))
    except (binascii.Error, ValueError):
        raise HTTPException(400, "nextToken is not valid.") from None
