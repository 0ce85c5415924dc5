# ruff: noqa: S608 - SOQL for the sandbox, built from constants
"""simple-salesforce, an independent client of Salesforce, works with the sandbox."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce
from simple_salesforce.exceptions import (
    SalesforceAuthenticationFailed,
    SalesforceMalformedRequest,
)

from m3sync_dagster.sandbox.salesforce import Credentials
from m3sync_dagster_tests.sandbox.salesforce.plain_client import ACCOUNT, BALANCE, KEY, Client

CREDENTIALS = Credentials()


class ToSandbox(HTTPAdapter):
    """Sends every request to the sandbox: simple-salesforce supports only https hosts."""

    def __init__(self, base: str) -> None:
        super().__init__()
        self._base = base

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        path = (request.url or "").split("/", 3)[3]
        request.url = f"{self._base}/{path}"
        return super().send(request, *args, **kwargs)


def session_to(base: str) -> requests.Session:
    session = requests.Session()
    session.trust_env = False
    session.mount("https://", ToSandbox(base))
    return session


@pytest.fixture
def salesforce(client: Client) -> Iterator[Salesforce]:
    with session_to(str(client.http.base_url).rstrip("/")) as session:
        yield Salesforce(
            consumer_key=CREDENTIALS.client_id,
            consumer_secret=CREDENTIALS.client_secret,
            domain="acme.my",
            session=session,
            version="67.0",
        )


def test_simple_salesforce_is_refused_with_a_wrong_secret(client: Client) -> None:
    with (
        session_to(str(client.http.base_url).rstrip("/")) as session,
        pytest.raises(SalesforceAuthenticationFailed, match="invalid_client"),
    ):
        Salesforce(
            consumer_key=CREDENTIALS.client_id,
            consumer_secret="wrong",
            domain="acme.my",
            session=session,
            version="67.0",
        )


def test_simple_salesforce_describes(salesforce: Salesforce) -> None:
    description = getattr(salesforce, ACCOUNT).describe()
    fields = {field["name"]: field for field in description["fields"]}

    assert fields[KEY]["externalId"] is True
    assert ACCOUNT in {each["name"] for each in (salesforce.describe() or {})["sobjects"]}
    assert salesforce.limits()["DailyApiRequests"]["Max"] == 100_000
    assert salesforce.api_usage["api-usage"].total == 100_000


def test_simple_salesforce_upserts_one_record(salesforce: Salesforce) -> None:
    accounts = getattr(salesforce, ACCOUNT)

    assert accounts.upsert(f"{KEY}/a", {"Name": "A"}) == 201
    assert accounts.upsert(f"{KEY}/a", {"Name": "B"}) == 200
    assert accounts.get_by_custom_id(KEY, "a")["Name"] == "B"
    with pytest.raises(SalesforceMalformedRequest, match="STRING_TOO_LONG"):
        accounts.upsert(f"{KEY}/a", {"Name": "x" * 81})


def test_simple_salesforce_loads_and_queries_in_pages(salesforce: Salesforce) -> None:
    rows = [{KEY: f"id{n:05d}", "Name": f"Näme, {n}"} for n in range(4500)]
    done = getattr(salesforce.bulk2, ACCOUNT).upsert(records=rows, external_id_field=KEY, wait=0.01)
    found = salesforce.query_all(f"SELECT {KEY}, Name FROM {ACCOUNT} ORDER BY {KEY}")

    assert [row["numberRecordsProcessed"] for row in done] == [4500]
    assert [row["numberRecordsFailed"] for row in done] == [0]
    assert [{KEY: r[KEY], "Name": r["Name"]} for r in found["records"]] == rows


def test_simple_salesforce_reads_the_result_sets(salesforce: Salesforce) -> None:
    balances = getattr(salesforce.bulk2, BALANCE)
    rows = [{KEY: "good", "Amount__c": "1.5"}, {KEY: "bad", "Amount__c": "x"}]
    job = balances.upsert(records=rows, external_id_field=KEY, wait=0.01)[0]["job_id"]
    sets = balances.get_all_ingest_records(job)

    assert [row[KEY] for row in sets["successfulRecords"]] == ["good"]
    assert [row[KEY] for row in sets["failedRecords"]] == ["bad"]
    assert sets["unprocessedRecords"] == []


def test_simple_salesforce_runs_a_query_job(salesforce: Salesforce) -> None:
    accounts = getattr(salesforce, ACCOUNT)
    for n in range(3):
        accounts.upsert(f"{KEY}/{n}", {"Name": f"N{n}"})
    soql = f"SELECT {KEY}, Name FROM {ACCOUNT}"
    pages = list(getattr(salesforce.bulk2, ACCOUNT).query(soql, max_records=2, wait=0.01))

    assert [len(page.splitlines()) for page in pages] == [3, 2]


def test_simple_salesforce_queries_the_tooling_api(salesforce: Salesforce) -> None:
    soql = (
        "SELECT DeveloperName, NamespacePrefix FROM CustomField "
        f"WHERE EntityDefinition.QualifiedApiName = '{ACCOUNT}'"
    )
    found = salesforce.toolingexecute(f"query/?q={soql}")
    described = {
        f["name"] for f in getattr(salesforce, ACCOUNT).describe()["fields"] if f["custom"]
    }
    assert {f"{record['DeveloperName']}__c" for record in found["records"]} == described
    packages = "SELECT SubscriberPackage.Name FROM InstalledSubscriberPackage"
    assert salesforce.toolingexecute(f"query/?q={packages}")["totalSize"] == 0
    with pytest.raises(SalesforceMalformedRequest, match="INVALID_TYPE"):
        salesforce.toolingexecute("query/?q=SELECT Id FROM ApexClass")
