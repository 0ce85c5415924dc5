"""The endpoints for a balance's transactions: create, list and summary.

Source: m3ter's OpenAPI description, operations ``PostBalanceTransaction``,
``ListBalanceTransactions`` and ``GetBalanceTransactionsSummary``.
"""

from decimal import Decimal

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from m3sync_dagster.sandbox.m3ter.leniency import record_id
from m3sync_dagster.sandbox.m3ter.list_endpoints import page_response
from m3sync_dagster.sandbox.m3ter.record_endpoints import json_response
from m3sync_dagster.sandbox.m3ter.record_type_rules import Rules
from m3sync_dagster.sandbox.organization import Organization, decode_fields

_RULES = Rules(("transactionTypeId", "entityType", "entityId"), ("amount",), largest_page=200)
_amount = msgspec.json.Decoder(Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


async def create_transaction(request: Request) -> Response:
    """Adds to a balance's amount; the balance's version does not change."""
    organization: Organization = request.app.state.organization
    fields = decode_fields(await request.body())
    if "amount" not in fields:
        raise HTTPException(400, "A transaction needs an amount.")
    amount = _amount.decode(fields.pop("amount"))
    balance = request.path_params["id"]
    transaction = organization.transact(balance, amount, **fields)
    return json_response(organization.raw(organization.transactions_path(balance), transaction))


async def list_transactions(request: Request) -> Response:
    """One page of a balance's transactions, newest first."""
    organization: Organization = request.app.state.organization
    path = organization.transactions_path(record_id(request, "balances"))
    return page_response(request, path, _RULES)


async def get_summary(request: Request) -> Response:
    """The sums of a balance's transactions.

    m3ter does not document how it computes the fields about the initial credit, rollover and
    expiry. They are left out: none is required.
    """
    organization: Organization = request.app.state.organization
    path = organization.transactions_path(record_id(request, "balances"))
    amounts = [Decimal(organization.get(path, one)["amount"]) for one in organization.ids(path)]
    summary = {
        "totalCreditAmount": sum((one for one in amounts if one > 0), Decimal(0)),
        "totalDebitAmount": -sum((one for one in amounts if one < 0), Decimal(0)),
    }
    return json_response(_encoder.encode(summary))


_PATH = "/organizations/{org}/balances/{id}/transactions"

ROUTES = [
    Route(_PATH, create_transaction, methods=["POST"]),
    Route(_PATH, list_transactions, methods=["GET"]),
    Route(f"{_PATH}/summary", get_summary, methods=["GET"]),
]
