import asyncio

import httpx
import pytest
from starlette.types import Message

from m3sync_dagster.sandbox.json_types import Json
from m3sync_dagster.sandbox.salesforce import create_app
from m3sync_dagster_tests.sandbox.salesforce.plain_client import ACCOUNT, KEY, Client


def test_a_rule_skips_and_then_applies_to_the_next_requests(client: Client) -> None:
    client.fault(method="GET", path="/limits$", times=2, skip=1, status=503, body={"down": True})
    statuses = [client.get("/limits").status_code for _ in range(4)]

    assert statuses == [200, 503, 503, 200]


def test_an_error_with_a_body_and_headers(client: Client) -> None:
    body = [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "ConcurrentPerOrgLongTxn"}]
    client.fault(path="/limits", status=403, body=body, headers={"Retry-After": "1"})
    answer = client.get("/limits")

    assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (403, body, "1")


def test_token_errors(client: Client) -> None:
    body = {"error": "invalid_grant", "error_description": "no client credentials user enabled"}
    client.fault(path="/oauth2/token", status=400, body=body)

    assert client.http.post("/services/oauth2/token").json() == body


@pytest.mark.parametrize(("when", "saved"), [("before", set()), ("after", {"a"})])
def test_a_dropped_connection(client: Client, when: str, saved: set[str]) -> None:
    client.fault(method="PATCH", path="/composite/", drop=when)
    with pytest.raises(httpx.TransportError):
        client.collection([{KEY: "a"}])

    assert set(client.records()) == saved
    assert client.collection([{KEY: "a"}]).status_code == 200


def test_sessions_can_be_revoked(client: Client) -> None:
    client.fault(path="/limits", revoke=True)
    revoked = client.get("/limits")
    client.login()

    assert revoked.status_code == 401
    assert client.get("/limits").status_code == 200


def test_a_row_is_rejected_a_number_of_times(client: Client) -> None:
    message = "unable to obtain exclusive access to this record or 1 records: a00x"
    client.fault(
        rows={"external_ids": ["a"], "code": "UNABLE_TO_LOCK_ROW", "message": message}, times=2
    )
    outcomes = [[row["success"] for row in client.upsert([{KEY: "a"}, {KEY: "b"}])]]
    job = client.start(f"{KEY}\na\nb\n")
    client.wait(job)
    failed = client.results(job, "failedResults")
    outcomes.append([row["success"] for row in client.upsert([{KEY: "a"}, {KEY: "b"}])])

    assert outcomes == [[False, True], [True, True]]
    assert [row["sf__Error"] for row in failed] == [f"UNABLE_TO_LOCK_ROW:{message}:--"]


def test_the_next_rows_are_rejected(client: Client) -> None:
    client.fault(rows={"object": ACCOUNT, "code": "ENTITY_IS_LOCKED", "message": "x"}, times=2)
    rows = client.upsert([{KEY: "a"}, {KEY: "b"}, {KEY: "c"}])

    assert [row["success"] for row in rows] == [False, False, True]


def test_all_rules_can_be_removed(client: Client) -> None:
    client.fault(path="", status=500, times=None)
    assert client.get("/limits").status_code == 500
    client.http.delete("/sandbox/faults")

    assert client.get("/limits").status_code == 200


@pytest.mark.parametrize(
    "rule",
    [{"path": "x"}, {"path": "(", "status": 500}, {"status": 5, "stats": 1}, {"rows": {}}, 5],
)
def test_an_invalid_rule(client: Client, rule: Json) -> None:
    answer = client.http.post("/sandbox/faults", json=rule)

    assert answer.status_code == 400
    assert "does not understand" in answer.json()[0]["message"]


def test_calls_are_counted_by_template(client: Client) -> None:
    client.http.delete("/sandbox/calls")
    client.fault(path="/limits", status=503)
    client.get("/limits")
    client.get("/limits/")
    client.upsert([{KEY: "a"}])
    client.records()
    calls = client.http.get("/sandbox/calls").json()

    assert calls["total"] == 3
    assert calls["counts"] == {
        "GET /services/data/{version}/limits": 2,
        "PATCH /services/data/{version}/composite/sobjects/{object}/{field}": 1,
    }
    assert [call["status"] for call in calls["calls"]] == [503, 200, 200]


def test_a_call_is_logged_before_the_client_has_the_response() -> None:
    app = create_app()
    logged: list[int] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            logged.append(sum(app.state.org.calls.counts.values()))

    path = "/services/data"
    scope = {"type": "http", "method": "GET", "path": path, "raw_path": path.encode()}
    asyncio.run(app(scope | {"query_string": b"", "headers": []}, receive, send))
    assert logged == [1]
