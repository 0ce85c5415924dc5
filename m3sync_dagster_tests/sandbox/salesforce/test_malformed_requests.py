"""Requests that no client should send are refused as the client's mistake."""

import io
import zipfile

import pytest

from m3sync_dagster.sandbox.json_types import Json
from m3sync_dagster_tests.sandbox.salesforce.plain_client import ACCOUNT, DATA, Client

COLLECTION = "/composite/sobjects"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", COLLECTION, []),
        ("POST", COLLECTION, {"records": {"Name": "A"}}),
        ("POST", COLLECTION, {"records": ["A", 5, None]}),
        ("PATCH", COLLECTION, {"records": ["A"]}),
        ("PATCH", COLLECTION, {"records": [{"id": "001"}]}),
        ("POST", f"{COLLECTION}/{ACCOUNT}", {"ids": "x", "fields": ["Id"]}),
        ("POST", f"{COLLECTION}/{ACCOUNT}", {"ids": ["x"], "fields": 5}),
        ("POST", f"{COLLECTION}/{ACCOUNT}", {"ids": ["x"], "fields": [5]}),
        ("POST", f"/sobjects/{ACCOUNT}", {"Owner": {"Name": "A"}}),
        ("POST", f"/sobjects/{ACCOUNT}", {"OwnerId": {"Id": "A"}}),
        ("POST", "/sobjects/User", {"Username": "A"}),
        ("POST", "/jobs/ingest", []),
    ],
)
def test_a_body_of_another_form(client: Client, method: str, path: str, body: Json) -> None:
    answer = client.send(method, path, body)
    assert answer.status_code in {400, 404}, answer.text
    assert answer.json()[0]["errorCode"]


@pytest.mark.parametrize(
    "soql",
    [
        f"SELECT Id FROM {ACCOUNT} WHERE SystemModstamp > 2026-13-01T00:00:00Z",  # noqa: S608
        f"SELECT Id FROM {ACCOUNT} WHERE SystemModstamp > 0001-01-01T00:00:00+14:00",  # noqa: S608
        "SELECT COUNT(Nothing) FROM User",
        "'",
        "SELECT",
        "(",
    ],
)
def test_a_query_of_another_form(client: Client, soql: str) -> None:
    assert client.get("/query", q=soql).status_code == 400


@pytest.mark.parametrize("text", ["9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "5"])
def test_a_moment_that_does_not_exist(client: Client, text: str) -> None:
    answer = client.get(f"/sobjects/{ACCOUNT}/updated", start=text, end=text)
    assert answer.status_code == 400


@pytest.mark.parametrize("part", ["[]", '{"deployOptions": []}', '{"deployOptions": 5}', "5"])
def test_deploy_options_of_another_form(client: Client, part: str) -> None:
    answer = client.http.post(
        f"{DATA}/metadata/deployRequest", files={"json": (None, part), "file": (None, b"")}
    )
    assert answer.status_code in {201, 400}


def test_a_package_that_is_no_xml(client: Client) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as package:
        package.writestr("package.xml", "<Package")
    answer = client.http.post(
        f"{DATA}/metadata/deployRequest",
        files={"json": (None, b"{}"), "file": (None, archive.getvalue())},
    )
    path = f"/metadata/deployRequest/{answer.json()['id']}"
    client.get(path)
    failures = client.get(path).json()["deployResult"]["details"]["componentFailures"]
    assert "Error parsing file" in failures[0]["problem"]


def test_a_job_in_one_request_whose_job_is_no_object(client: Client) -> None:
    files = {"job": (None, "[]", "application/json"), "content": (None, "Name\n", "text/csv")}
    answer = client.http.post(f"{DATA}/jobs/ingest", files=files)
    assert answer.json()[0]["errorCode"] == "JSON_PARSER_ERROR"


def test_a_form_that_is_no_text(client: Client) -> None:
    answer = client.http.post("/services/oauth2/token", content=b"grant_type=\xff")
    assert answer.json()["error"] == "unsupported_grant_type"
