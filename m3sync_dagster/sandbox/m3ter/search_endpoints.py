"""``GET /organizations/{org}/{entity}/search`` for accounts, commitments and bills.

Source: m3ter's OpenAPI description, operations ``SearchAccounts``, ``SearchCommitments`` and
``SearchBills``. m3ter does not document what a search answers to an error in its query, nor the
``nextToken`` of its result: here it is the ``fromDocument`` of the next page.
"""

import re
from collections.abc import Callable
from decimal import Decimal
from operator import eq, ge, gt, le, lt

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from m3sync_dagster.sandbox.json_types import Json, JsonObject
from m3sync_dagster.sandbox.m3ter.leniency import is_lenient
from m3sync_dagster.sandbox.m3ter.list_endpoints import page_size
from m3sync_dagster.sandbox.m3ter.record_endpoints import json_response
from m3sync_dagster.sandbox.organization import Organization

_OF_EVERY_TYPE = ("id", "ids", "createdBy", "dtCreated", "lastModifiedBy")
PARAMETERS = {
    "accounts": ("name", "code", "codes", "currency", "purchaseOrderNumber", "parentAccountId"),
    "commitments": (
        "startDate",
        "endDate",
        "contractId",
        "accountId",
        "productId",
        "productIds",
    ),
    "bills": (
        "accountId",
        "locked",
        "billDate",
        "startDate",
        "endDate",
        "dueDate",
        "billingFrequency",
    ),
}
"""The parameters that a query of each type can name, besides those of every type."""
DEFAULT_PAGE_SIZE = 10
_FIELDS = {"ids": "id", "codes": "code", "productId": "productIds"}
_LISTS = ("ids", "codes", "productIds")
_CONDITION = re.compile(r"(\w+)(>=|<=|>|<|:|~)(.*)", re.DOTALL)
_COMPARATORS: dict[str, Callable[[str, str], bool]] = {
    ":": eq,
    ">": gt,
    ">=": ge,
    "<": lt,
    "<=": le,
}

Condition = Callable[[JsonObject], bool]


async def search_records(request: Request) -> Response:
    """One page of the records that match the query, newest first or in the order asked for."""
    organization: Organization = request.app.state.organization
    entity, query = request.url.path.split("/")[-2], request.query_params
    size = page_size(query.get("pageSize"), 100, DEFAULT_PAGE_SIZE)
    records = [organization.get(entity, one) for one in reversed(organization.ids(entity))]
    start = 0
    if not is_lenient(request):
        start = _offset(query.get("fromDocument"))
        conditions = parse(query.get("searchQuery", ""), entity)
        records = _matching(records, conditions, query.get("operator") or "AND")
        records = _sorted(records, query.get("sortBy"), query.get("sortOrder") or "DESC")
    found = [organization.raw(entity, one["id"]) for one in records[start : start + size]]
    more = start + size < len(records)
    token = b',"nextToken":"%d"' % (start + size) if more else b""
    return json_response(b'{"data":[%s]%s}' % (b",".join(found), token))


def parse(text: str, entity: str) -> list[Condition]:
    """The conditions of a query, which are separated by dollar signs.

    Raises:
        HTTPException: a condition is not valid (400).
    """
    return [_condition(one, entity) for one in text.split("$") if one]


def _condition(text: str, entity: str) -> Condition:
    parsed = _CONDITION.fullmatch(text)
    if not parsed or parsed[1] not in (*PARAMETERS[entity], *_OF_EVERY_TYPE):
        raise HTTPException(400, f"searchQuery has a condition that is not valid: {text}")
    name, comparator, value = parsed.groups()
    field, values = _FIELDS.get(name, name), value.split(",") if name in _LISTS else [value]
    return lambda record: any(
        _compare(actual, comparator, one) for actual in _texts(record.get(field)) for one in values
    )


def _compare(actual: str, comparator: str, value: str) -> bool:
    """The description advises to read ``~`` as 'starts with'; case does not count here."""
    if comparator == "~":
        return actual.lower().startswith(value.lower())
    return _COMPARATORS[comparator](actual, value)


def _texts(value: Json) -> list[str]:
    """The values of a field as text; none if it has no value."""
    if value is None:
        return []
    if isinstance(value, list):
        return [text for one in value for text in _texts(one)]
    return [str(value).lower() if isinstance(value, bool) else str(value)]


def _matching(records: list[JsonObject], conditions: list[Condition], how: str) -> list[JsonObject]:
    if how not in ("AND", "OR"):
        raise HTTPException(400, "operator must be AND or OR.")
    if not conditions:
        return records
    combine = all if how == "AND" else any
    return [record for record in records if combine(one(record) for one in conditions)]


def _sorted(records: list[JsonObject], field: str | None, order: str) -> list[JsonObject]:
    """Records without the field are last, in both orders."""
    if order not in ("ASC", "DESC"):
        raise HTTPException(400, "sortOrder must be ASC or DESC.")
    if not field:
        return records if order == "DESC" else records[::-1]
    having = [one for one in records if one.get(field) is not None]
    having.sort(key=lambda one: _sort_key(one[field]), reverse=order == "DESC")
    return having + [one for one in records if one.get(field) is None]


def _sort_key(value: Json) -> tuple[Decimal, list[str]]:
    """Numbers in their order, and all other values in that of their text."""
    if isinstance(value, int | Decimal):
        return Decimal(value), []
    return Decimal(0), _texts(value)


def _offset(text: str | None) -> int:
    if text and not (text.isascii() and text.isdecimal()):
        raise HTTPException(400, "fromDocument must be a number from 0.")
    return int(text or 0)


ROUTES = [
    Route(f"/organizations/{{org}}/{name}/search", search_records, methods=["GET"])
    for name in PARAMETERS
]
