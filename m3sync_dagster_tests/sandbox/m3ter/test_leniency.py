from collections.abc import Iterator

import httpx
import pytest

from m3sync_dagster.sandbox.m3ter import create_app
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.server import running
from m3sync_dagster_tests.sandbox.m3ter.conftest import CREDENTIALS

MADE_UP = "/organizations/My Org ID"


@pytest.fixture
def lenient(organization: Organization) -> Iterator[httpx.Client]:
    app = create_app(organization, CREDENTIALS, requests_per_second=None, lenient=True)
    with running(app) as url, httpx.Client(base_url=url) as client:
        yield client


def test_made_up_ids_give_the_newest_record(
    lenient: httpx.Client, organization: Organization
) -> None:
    first, newest = organization.ids("accounts")[0], organization.ids("accounts")[-1]
    assert lenient.get(f"{MADE_UP}/accounts/id").json()["id"] == newest
    assert lenient.get(f"{MADE_UP}/accounts/{first}").json()["id"] == first


@pytest.mark.parametrize(
    "path",
    [
        "accounts?ids=string&codes=string&nextToken=nextToken&pageSize=1",
        "commitments?date=date&accountId=accountId&pageSize=1",
        "accounts/search?searchQuery=searchQuery&fromDocument=0&pageSize=1",
        "balances/balanceId/transactions?entityId=entityId&pageSize=1",
    ],
)
def test_filters_are_ignored(lenient: httpx.Client, path: str) -> None:
    assert len(lenient.get(f"{MADE_UP}/{path}").raise_for_status().json()["data"]) == 1


def test_any_access_key_gets_a_token(lenient: httpx.Client) -> None:
    grant = {"grant_type": "client_credentials"}
    assert lenient.post("/oauth/token", auth=("any", "key"), json=grant).status_code == 200
    # m3ter's SDK sends the token that it has.
    bearer = {"authorization": "Bearer My Token"}
    assert lenient.post("/oauth/token", headers=bearer, json=grant).status_code == 200


def test_wrong_parameters_are_still_refused(lenient: httpx.Client) -> None:
    assert lenient.get(f"{MADE_UP}/accounts?pageSize=0").status_code == 400
    assert lenient.get(f"{MADE_UP}/elsewhere").status_code == 404
