"""m3ter's own Python SDK, with strict response validation, against the sandbox."""

from typing import Any

import m3ter
import pytest

from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.sandbox.m3ter.conftest import Clock, Serve, sdk_for

ENTITIES = ["accounts", "contracts", "commitments", "balances", "bills", "users"]
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


@pytest.mark.parametrize("entity", ENTITIES)
@pytest.mark.parametrize("size", [100, 60, 7])
def test_lists_everything_newest_first(
    sdk: m3ter.M3ter, organization: Organization, entity: str, size: int
) -> None:
    found = [record.id for record in getattr(sdk, entity).list(page_size=size)]
    assert found == organization.ids(entity)[::-1]


@pytest.mark.parametrize("entity", ENTITIES)
def test_retrieves_every_record_by_id(
    sdk: m3ter.M3ter, organization: Organization, entity: str
) -> None:
    for one in organization.ids(entity):
        assert getattr(sdk, entity).retrieve(one).id == one


@pytest.mark.parametrize("entity", ["contracts", "commitments", "balances", "bills"])
def test_filters_by_account(sdk: m3ter.M3ter, organization: Organization, entity: str) -> None:
    records = [organization.get(entity, one) for one in organization.ids(entity)]
    account = records[0]["accountId"]
    expected = [one["id"] for one in records if one["accountId"] == account]
    found = [one.id for one in getattr(sdk, entity).list(account_id=account)]
    assert sorted(found) == sorted(expected)


@pytest.mark.parametrize("entity", ENTITIES)
def test_filters_by_ids(sdk: m3ter.M3ter, organization: Organization, entity: str) -> None:
    wanted = organization.ids(entity)[:3]
    found = [one.id for one in getattr(sdk, entity).list(ids=[*wanted, UNKNOWN_ID], page_size=2)]
    assert found == wanted[::-1]


@pytest.mark.parametrize("entity", ["accounts", "contracts"])
def test_filters_by_codes(sdk: m3ter.M3ter, organization: Organization, entity: str) -> None:
    records = [organization.get(entity, one) for one in organization.ids(entity)]
    wanted = [one for one in records if one.get("code")][1:4]
    found = getattr(sdk, entity).list(codes=[one["code"] for one in wanted])
    assert {one.id for one in found} == {one["id"] for one in wanted}


def test_creates_updates_and_deletes(sdk: m3ter.M3ter, organization: Organization) -> None:
    new: dict[str, Any] = {"name": "New & Co", "code": "NEW", "email_address": "a@example.com"}
    account = sdk.accounts.create(**new)
    assert account.version == 1
    assert next(iter(sdk.accounts.list())).id == account.id
    updated = sdk.accounts.update(account.id, **(new | {"name": "Newer", "version": 1}))
    assert (updated.name, updated.version) == ("Newer", 2)
    with pytest.raises(m3ter.ConflictError):
        sdk.accounts.update(account.id, **(new | {"version": 1}))
    assert sdk.accounts.delete(account.id).name == "Newer"
    with pytest.raises(m3ter.NotFoundError):
        sdk.accounts.retrieve(account.id)
    assert organization.count("accounts") == 120


def test_a_transaction_changes_the_amount_and_not_the_version(
    sdk: m3ter.M3ter, organization: Organization
) -> None:
    account = organization.ids("accounts")[0]
    dates: dict[str, Any] = {
        "start_date": "2026-01-01T00:00:00Z",
        "end_date": "2027-01-01T00:00:00Z",
    }
    balance = sdk.balances.create(
        account_id=account, name="Credit", code="C", currency="USD", **dates
    )
    sdk.balances.transactions.create(balance.id, amount=12.5)
    moved = sdk.balances.retrieve(balance.id)
    assert (moved.amount, moved.version) == (12.5, 1)
    assert moved.dt_last_modified == balance.dt_last_modified


@pytest.mark.parametrize("entity", ["contracts", "commitments"])
def test_creates_other_records(sdk: m3ter.M3ter, organization: Organization, entity: str) -> None:
    fields: dict[str, Any] = {
        "account_id": organization.ids("accounts")[0],
        "start_date": "2026-01-01",
        "end_date": "2027-01-01",
    }
    own: dict[str, dict[str, Any]] = {
        "contracts": {"name": "C"},
        "commitments": {"amount": 1, "currency": "USD"},
    }
    created = getattr(sdk, entity).create(**fields, **own[entity])
    assert organization.ids(entity)[-1] == created.id


def test_errors_of_invalid_requests(url: str, sdk: m3ter.M3ter) -> None:
    with pytest.raises(m3ter.NotFoundError) as missing:
        sdk.accounts.retrieve(UNKNOWN_ID)
    assert UNKNOWN_ID in missing.value.response.json()["message"]
    with pytest.raises(m3ter.BadRequestError):
        sdk.accounts.list(page_size=101)
    with pytest.raises(m3ter.AuthenticationError), sdk_for(url, api_secret="wrong") as client:
        client.accounts.list()
    with pytest.raises(m3ter.PermissionDeniedError), sdk_for(url, org_id=UNKNOWN_ID) as client:
        client.accounts.list()


def test_the_limit_counts_all_clients_together(serve: Serve, clock: Clock) -> None:
    url = serve(6)
    with sdk_for(url) as one, sdk_for(url) as another:
        # Each call is two requests, since this SDK gets a new token for each.
        one.users.list()
        another.users.list()
        one.users.list()
        with pytest.raises(m3ter.RateLimitError) as refused:
            another.users.list()
        assert "retry-after" not in refused.value.response.headers
        clock.now += 0.9
        with pytest.raises(m3ter.RateLimitError):
            one.users.list()
        clock.now += 0.2
        one.users.list()


@pytest.mark.parametrize("size", [200, 2])
def test_lists_the_configurations_of_hosted_integrations(
    sdk: m3ter.M3ter, organization: Organization, size: int
) -> None:
    found = list(sdk.integration_configurations.list(page_size=size))
    assert [one.id for one in found] == organization.ids("integrationconfigs")[::-1]
    assert {(one.destination, one.entity_type) for one in found} == {
        ("NetSuite", "Bill"),
        ("Salesforce", "Account"),
        ("Salesforce", "Contract"),
        ("Salesforce", "Commitment"),
        ("Salesforce", "Balance"),
    }
    # Every field of the description has a value in some configuration.
    fields = [one.to_dict(exclude_none=True) for one in found]
    described = {info.alias or name for name, info in type(found[0]).model_fields.items()} - {
        "entityId"
    }
    assert described <= {name for one in fields for name in one}
