import httpx
import pytest

from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.sandbox.m3ter.conftest import HOME

RECORDS = {
    "a": b'{"id":"a","name":"Premium One","code":"A","currency":"USD","dtCreated":"2025-01-01"}',
    "b": b'{"id":"b","name":"premium two","currency":"EUR","seats":9.5,"dtCreated":"2025-06-01"}',
    "c": b'{"id":"c","name":"Basic","code":7,"currency":"USD","seats":10,"dtCreated":"2026-01-01"}',
}


@pytest.fixture
def organization() -> Organization:
    organization = Organization()
    for record_id, raw in RECORDS.items():
        organization.put_raw("accounts", record_id, raw)
    return organization


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, "cba"),
        ({"searchQuery": "currency:USD"}, "ca"),
        ({"searchQuery": "name~Premium"}, "ba"),
        ({"searchQuery": "name~Premium$currency:USD"}, "a"),
        ({"searchQuery": "name~Premium$currency:USD", "operator": "OR"}, "cba"),
        ({"searchQuery": "ids:a,c"}, "ca"),
        ({"searchQuery": "codes:A,7"}, "ca"),
        ({"searchQuery": "dtCreated>2025-01-01"}, "cb"),
        ({"searchQuery": "dtCreated>=2025-01-01"}, "cba"),
        ({"searchQuery": "dtCreated<2025-06-01"}, "a"),
        ({"searchQuery": "dtCreated<=2025-06-01"}, "ba"),
        ({"sortOrder": "ASC"}, "abc"),
        ({"sortBy": "name", "sortOrder": "ASC"}, "cab"),
        ({"sortBy": "seats"}, "cba"),
        ({"sortBy": "seats", "sortOrder": "ASC"}, "bca"),
        ({"searchQuery": "name:A, B"}, ""),
        ({"pageSize": "2"}, "cb"),
        ({"pageSize": "2", "fromDocument": "2"}, "a"),
    ],
)
def test_finds_records(http: httpx.Client, query: dict[str, str], expected: str) -> None:
    answer = http.get(f"{HOME}/accounts/search", params=query)
    assert "".join(one["id"] for one in answer.raise_for_status().json()["data"]) == expected


def test_the_token_is_the_next_page(http: httpx.Client) -> None:
    first = http.get(f"{HOME}/accounts/search?pageSize=2").json()
    assert first["nextToken"] == "2"
    assert "nextToken" not in http.get(f"{HOME}/accounts/search?fromDocument=2").json()


def test_a_page_has_ten_records_by_default(http: httpx.Client, organization: Organization) -> None:
    for number in range(12):
        organization.put_raw("commitments", str(number), b'{"id":"%d"}' % number)
    assert len(http.get(f"{HOME}/commitments/search").json()["data"]) == 10


@pytest.mark.parametrize(
    "query",
    [
        "searchQuery=name",
        "searchQuery=emailAddress:x",
        "operator=XOR",
        "sortOrder=UP",
        "fromDocument=-1",
        "pageSize=101",
    ],
)
def test_a_query_that_is_not_valid_is_refused(http: httpx.Client, query: str) -> None:
    answer = http.get(f"{HOME}/accounts/search?{query}")
    assert (answer.status_code, list(answer.json())) == (400, ["message"])
