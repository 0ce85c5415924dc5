from collections.abc import Iterator

import httpx
import pytest
from stand_in import serving

from m3sync_dagster.salesforce.describe import ObjectDescribeJson, parse_object

DATA = "/services/data/v67.0"
INGEST = f"{DATA}/jobs/ingest"
OBJECT, KEY = "m3ter_Account__c", "m3ter_Id__c"


@pytest.fixture
def client() -> Iterator[httpx.Client]:
    with serving() as url, httpx.Client(base_url=url) as client:
        yield client


def run_job(client: httpx.Client, content: bytes) -> str:
    """The path of an ingest job that was created, uploaded and closed."""
    request = {"object": OBJECT, "operation": "upsert", "externalIdFieldName": KEY}
    job = client.post(INGEST, json=request).raise_for_status().json()
    path = f"{INGEST}/{job['id']}"
    assert client.put(f"{path}/batches", content=content).status_code == 201
    closed = client.patch(path, json={"state": "UploadComplete"}).raise_for_status().json()
    assert closed["state"] == "UploadComplete"
    return path


def test_it_counts_the_pages_of_m3ter(client: httpx.Client) -> None:
    client.post("/control", json={"records": 250})
    path, sizes, token = "/organizations/any/accounts", [], ""
    while token is not None:
        query = {"pageSize": 100} | ({"nextToken": token} if token else {})
        page = client.get(path, params=query).raise_for_status().json()
        sizes.append(len(page["data"]))
        token = page["nextToken"]
    assert sizes == [100, 100, 50]
    assert client.get("/control").json()["m3ter_pages"] == 3


def test_an_ingest_job_says_which_records_are_new(client: httpx.Client) -> None:
    first = b'Name,m3ter_Id__c\n"Acme, Inc.",a1\nBolt,a2\n'
    path = run_job(client, first)
    assert client.get(path).json()["numberRecordsProcessed"] == 2
    lines = client.get(f"{path}/successfulResults").text.splitlines()
    assert lines[0] == '"sf__Id","sf__Created",Name,m3ter_Id__c'
    assert [line.split(",")[1] for line in lines[1:]] == ['"true"', '"true"']
    assert lines[1].endswith('"Acme, Inc.",a1')
    again = client.get(f"{run_job(client, first)}/successfulResults").text.splitlines()
    assert [line.split(",")[1] for line in again[1:]] == ['"false"', '"false"']
    assert [line.split(",")[0] for line in again[1:]] == [line.split(",")[0] for line in lines[1:]]


@pytest.mark.parametrize("name", ["failedResults", "unprocessedrecords"])
def test_the_other_result_sets_are_empty(client: httpx.Client, name: str) -> None:
    path = run_job(client, b"m3ter_Id__c\na1\n")
    assert len(client.get(f"{path}/{name}/").text.splitlines()) == 1


def test_a_job_has_not_ended_before_its_time(client: httpx.Client) -> None:
    client.post("/control", json={"job_seconds": 1_000})
    path = run_job(client, b"m3ter_Id__c\na1\n")
    assert client.get(path).json()["state"] == "InProgress"


def test_it_counts_calls_rows_and_bytes(client: httpx.Client) -> None:
    client.post("/control", json={"reset": 1})
    content = b"m3ter_Id__c\na1\na2\na3\n"
    run_job(client, content)
    counts = client.get("/control").json()
    assert (counts["salesforce_calls"], counts["rows"], counts["jobs"]) == (3, 3, 1)
    assert counts["bytes_sent"] > len(content)
    client.post("/control", json={})
    assert client.get("/control").json()["rows"] == 0


def test_an_upsert_of_a_collection_says_which_records_are_new(client: httpx.Client) -> None:
    body = {"records": [{"attributes": {"type": OBJECT}, KEY: "a1"}]}
    path = f"{DATA}/composite/sobjects/{OBJECT}/{KEY}"
    results = [client.patch(path, json=body).json()[0] for _ in range(2)]
    assert [one["created"] for one in results] == [True, False]
    assert len({one["id"] for one in results}) == 1
    assert client.get("/control").json()["rows"] == 2


def test_a_reset_empties_the_org(client: httpx.Client) -> None:
    content = b"m3ter_Id__c\na1\n"
    run_job(client, content)
    client.post("/control", json={"reset": 1})
    assert '"true"' in client.get(f"{run_job(client, content)}/successfulResults").text


def test_it_describes_the_objects_of_m3sync(client: httpx.Client) -> None:
    described: ObjectDescribeJson = client.get(f"{DATA}/sobjects/{OBJECT}/describe").json()
    fields = parse_object(OBJECT, described).fields
    assert fields[KEY].external_id
    assert fields["Salesforce_Account__c"].refers_to == ("Account",)
    account = client.get(f"{DATA}/sobjects/Account/describe").raise_for_status().json()
    assert account["keyPrefix"] == "001"


def test_a_request_that_it_does_not_serve_is_on_record(client: httpx.Client) -> None:
    assert client.get(f"{DATA}/recent").status_code == 404
    assert client.get("/control").json()["unknown"] == [f"GET {DATA}/recent"]
