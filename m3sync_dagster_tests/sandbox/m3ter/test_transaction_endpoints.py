from decimal import Decimal

import httpx
import pytest

from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.sandbox.m3ter.conftest import HOME


def test_the_amount_of_each_sample_balance_is_the_sum_of_its_transactions(
    organization: Organization,
) -> None:
    for balance in organization.ids("balances"):
        path = organization.transactions_path(balance)
        amounts = [Decimal(organization.get(path, one)["amount"]) for one in organization.ids(path)]
        assert len(amounts) == 2
        assert sum(amounts) == Decimal(organization.get("balances", balance).get("amount") or 0)


def test_a_new_transaction_is_listed_first_and_summed(
    http: httpx.Client, organization: Organization
) -> None:
    balance = organization.add("balances", name="Credit")
    path = f"{HOME}/balances/{balance}/transactions"
    first = http.post(path, json={"amount": 12.5, "transactionTypeId": "a"}).json()
    second = http.post(path, json={"amount": -2.25, "transactionTypeId": "b"}).json()
    assert http.get(path).json() == {"data": [second, first]}
    assert http.get(f"{path}?transactionTypeId=a").json() == {"data": [first]}
    summary = http.get(f"{path}/summary").json()
    assert summary == {"totalCreditAmount": 12.5, "totalDebitAmount": 2.25}
    assert organization.get("balances", balance)["amount"] == Decimal("10.25")


@pytest.mark.parametrize(
    ("query", "number"), [("entityType=BILL", 1), ("entityType=USER", 1), ("entityId=x", 0)]
)
def test_filters_transactions(
    http: httpx.Client, organization: Organization, query: str, number: int
) -> None:
    balance = organization.ids("balances")[0]
    found = http.get(f"{HOME}/balances/{balance}/transactions?{query}").json()["data"]
    assert len(found) == number


@pytest.mark.parametrize("end", ["", "/summary"])
def test_an_unknown_balance_has_no_transactions(http: httpx.Client, end: str) -> None:
    assert http.get(f"{HOME}/balances/unknown/transactions{end}").status_code == 404
