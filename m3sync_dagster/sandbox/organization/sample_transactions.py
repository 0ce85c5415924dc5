"""The transactions of the sample organization's balances.

Their fields are those of the schema ``BalanceTransactionResponse`` of m3ter's OpenAPI description.
"""

from decimal import Decimal
from uuid import NAMESPACE_URL, uuid5

from m3sync_dagster.sandbox.json_types import JsonObject

_TYPE = "7a9c0000-0000-4000-8000-000000000001"
_USED = Decimal("12.34")


def sample_transactions(balance: JsonObject, user: str) -> list[JsonObject]:
    """A credit by a user and a debit by a bill, whose sum is the balance's amount; oldest first."""
    amount = Decimal(balance.get("amount") or 0)
    return [
        _transaction(
            balance, 1, {"amount": amount + _USED, "entityType": "USER", "entityId": user}
        ),
        _transaction(
            balance, 2, {"amount": -_USED, "entityType": "BILL", "entityId": _id(balance, 0)}
        ),
    ]


def _transaction(balance: JsonObject, number: int, own: JsonObject) -> JsonObject:
    created = balance["dtCreated"]
    return {
        "id": _id(balance, number),
        "version": 1,
        "transactionTypeId": _TYPE,
        "appliedDate": created,
        "transactionDate": created,
        "dtCreated": created,
        "dtLastModified": created,
        **own,
    }


def _id(balance: JsonObject, number: int) -> str:
    return str(uuid5(NAMESPACE_URL, f"{balance['id']}/{number}"))
