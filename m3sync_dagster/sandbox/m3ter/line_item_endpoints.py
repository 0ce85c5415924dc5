"""The line items of one bill. Those of all bills are the collection ``lineitems``.

Source: m3ter's OpenAPI description, operations ``ListBillLineItems`` and ``GetBillLineItem``.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from m3sync_dagster.sandbox.m3ter.leniency import is_lenient, record_id
from m3sync_dagster.sandbox.m3ter.list_endpoints import page_response
from m3sync_dagster.sandbox.m3ter.record_endpoints import json_response
from m3sync_dagster.sandbox.m3ter.record_type_rules import Rules
from m3sync_dagster.sandbox.organization import LINE_ITEMS, Organization, UnknownRecordError


async def list_of_bill(request: Request) -> Response:
    """One page of a bill's line items, newest first."""
    bill = _bill(request)
    return page_response(request, LINE_ITEMS, Rules((), None), (lambda keys: keys.bill_id == bill,))


async def get_of_bill(request: Request) -> Response:
    """One line item, if it belongs to the bill in the path.

    Raises:
        UnknownRecordError: it does not.
    """
    organization: Organization = request.app.state.organization
    bill, one = _bill(request), record_id(request, LINE_ITEMS)
    raw = organization.raw(LINE_ITEMS, one)
    if organization.get(LINE_ITEMS, one).get("billId") != bill and not is_lenient(request):
        raise UnknownRecordError(f"The bill {bill} has no line item {one}.")
    return json_response(raw)


def _bill(request: Request) -> str:
    """The id of the bill in the path, which must exist unless the sandbox is lenient."""
    bill: str = request.path_params["bill"]
    if not is_lenient(request):
        request.app.state.organization.raw("bills", bill)
    return bill


_PATH = "/organizations/{org}/bills/{bill}/lineitems"

ROUTES = [
    Route(_PATH, list_of_bill, methods=["GET"]),
    Route(f"{_PATH}/{{id}}", get_of_bill, methods=["GET"]),
]
