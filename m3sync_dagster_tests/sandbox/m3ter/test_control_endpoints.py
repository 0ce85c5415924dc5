import logging
from typing import Any

import httpx
import pytest

from m3sync_dagster.sandbox.m3ter import create_app
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.server import running
from m3sync_dagster_tests.sandbox.m3ter.conftest import CREDENTIALS, HOME, Clock, Serve, login

ACCOUNTS = f"{HOME}/accounts"


def fault(http: httpx.Client, action: dict[str, Any], **rule: object) -> None:
    http.post("/sandbox/faults", json={"action": action, **rule}).raise_for_status()


def statuses(http: httpx.Client, count: int, path: str = ACCOUNTS) -> list[int]:
    return [http.get(path).status_code for _ in range(count)]


def walk(http: httpx.Client, size: int = 40) -> list[str]:
    """The ids on all pages, in their order."""
    found: list[str] = []
    token = None
    while token != "":
        query = {"pageSize": str(size)} | ({"nextToken": token} if token else {})
        page = http.get(ACCOUNTS, params=query).raise_for_status().json()
        found += [record["id"] for record in page["data"]]
        token = page.get("nextToken", "")
    return found


@pytest.mark.parametrize("headers", [{}, {"Retry-After": "2"}])
def test_a_response_set_by_a_rule(http: httpx.Client, headers: dict[str, str]) -> None:
    fault(http, {"kind": "respond", "status": 429, "headers": headers})
    answer = http.get(ACCOUNTS)
    assert (answer.status_code, list(answer.json())) == (429, ["message"])
    assert answer.headers.get("retry-after") == headers.get("Retry-After")


def test_a_body_that_is_not_json(http: httpx.Client) -> None:
    fault(http, {"kind": "respond", "status": 200, "body": '{"data":[{'})
    answer = http.get(ACCOUNTS)
    assert (answer.status_code, answer.text) == (200, '{"data":[{')
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ({}, [500, 200, 200, 200]),
        ({"times": 2}, [500, 500, 200, 200]),
        ({"after": 1}, [200, 500, 200, 200]),
        ({"after": 1, "times": 2}, [200, 500, 500, 200]),
        ({"times": None}, [500, 500, 500, 500]),
        ({"path": "/organizations/*/accounts"}, [500, 200, 200, 200]),
        ({"path": "/organizations/*/contracts"}, [200, 200, 200, 200]),
        ({"method": "GET"}, [500, 200, 200, 200]),
        ({"method": "POST"}, [200, 200, 200, 200]),
    ],
)
def test_which_calls_a_rule_applies_to(
    http: httpx.Client, rule: dict[str, object], expected: list[int]
) -> None:
    fault(http, {"kind": "respond", "status": 500}, **rule)
    assert statuses(http, 4) == expected


def test_rules_apply_one_after_the_other(http: httpx.Client) -> None:
    fault(http, {"kind": "respond", "status": 500})
    fault(http, {"kind": "respond", "status": 502})
    assert statuses(http, 3) == [500, 502, 200]


def test_rules_can_be_removed(http: httpx.Client) -> None:
    fault(http, {"kind": "respond", "status": 500}, times=None)
    http.delete("/sandbox/faults")
    assert statuses(http, 1) == [200]


@pytest.mark.parametrize(
    "rule",
    [
        {},
        {"action": {"kind": "explode"}},
        {"action": {"kind": "respond"}},
        {"action": {"kind": "drop"}, "time": 3},
        {"action": {"kind": "drop", "status": 500}},
    ],
)
def test_an_invalid_rule_is_refused(http: httpx.Client, rule: dict[str, object]) -> None:
    answer = http.post("/sandbox/faults", json=rule)
    assert (answer.status_code, list(answer.json())) == (400, ["message"])


def test_a_dropped_connection(
    http: httpx.Client, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    fault(http, {"kind": "drop"})
    with caplog.at_level(logging.INFO), pytest.raises(httpx.TransportError):
        http.get(ACCOUNTS)
    assert statuses(http, 1) == [200]
    assert "uvicorn.error" not in {record.name for record in caplog.records}
    assert capfd.readouterr().err == ""


def test_a_delay_longer_than_the_client_waits(http: httpx.Client) -> None:
    fault(http, {"kind": "delay", "seconds": 1})
    with pytest.raises(httpx.ReadTimeout):
        http.get(ACCOUNTS, timeout=0.1)
    fault(http, {"kind": "delay", "seconds": 0.01})
    assert statuses(http, 1) == [200]


def test_tokens_revoked_in_the_middle_of_paging(http: httpx.Client) -> None:
    fault(http, {"kind": "revoke"}, after=1)
    assert statuses(http, 3) == [200, 401, 401]
    login(http)
    assert statuses(http, 2) == [200, 200]


@pytest.mark.parametrize("after", [0, 1, 2])
def test_an_empty_page_has_a_next_token(
    http: httpx.Client, organization: Organization, after: int
) -> None:
    fault(http, {"kind": "empty"}, path="*/accounts", after=after)
    assert walk(http) == organization.ids("accounts")[::-1]
    assert len(http.get("/sandbox/calls").json()) == 4


def test_a_record_created_in_the_middle_of_paging(
    http: httpx.Client, organization: Organization
) -> None:
    before = organization.ids("accounts")[::-1]
    fault(http, {"kind": "insert", "entity": "accounts", "fields": {"name": "late"}}, after=1)
    assert walk(http) == before
    newest = organization.ids("accounts")[-1]
    assert walk(http) == [newest, *before]
    assert organization.get("accounts", newest)["name"] == "late"


def test_a_record_deleted_in_the_middle_of_paging(
    http: httpx.Client, organization: Organization
) -> None:
    before = organization.ids("accounts")[::-1]
    fault(http, {"kind": "remove", "entity": "accounts", "id": before[60]}, after=1)
    assert walk(http) == before[:60] + before[61:]


def test_pages_that_overlap_or_leave_a_gap(http: httpx.Client, organization: Organization) -> None:
    before = organization.ids("accounts")[::-1]
    fault(http, {"kind": "shift", "records": 2}, after=1)
    assert walk(http) == before[:40] + before[38:]
    fault(http, {"kind": "shift", "records": -2}, after=1)
    assert walk(http) == before[:40] + before[42:]


def test_calls_are_logged_with_their_queries_including_refused_ones(http: httpx.Client) -> None:
    http.get(f"{ACCOUNTS}?ids=a&ids=b,c&nextToken=")
    fault(http, {"kind": "respond", "status": 500})
    http.post("/oauth/token", json={})
    assert http.get("/sandbox/calls").json() == [
        {"method": "GET", "path": ACCOUNTS, "query": {"ids": ["a", "b,c"], "nextToken": [""]}},
        {"method": "POST", "path": "/oauth/token", "query": {}},
    ]
    http.delete("/sandbox/calls")
    assert http.get("/sandbox/calls").json() == []


def test_a_record_can_be_replaced_by_any_json(http: httpx.Client) -> None:
    path = "/sandbox/records/accounts/odd"
    odd = b'{"id": "odd", "version": "seven", "autoGenerateStatementMode": "NEW", "x": 1.50}'
    assert http.put(path, content=odd).status_code == 200
    assert http.get(f"{ACCOUNTS}/odd").content == odd
    assert http.get(f"{ACCOUNTS}?pageSize=1").content.startswith(b'{"data":[' + odd + b"],")
    assert http.patch(path, content=b'{"version":null,"y":2.00}').status_code == 200
    merged = http.get(path).content
    assert merged.startswith(b'{"id":"odd","version":null,')
    assert merged.endswith(b'"x":1.50,"y":2.00}')
    assert http.delete(path).status_code == 200
    assert http.get(f"{ACCOUNTS}/odd").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "accounts/a", b"{", 400),
        ("PATCH", "accounts/unknown", b"{}", 404),
        ("DELETE", "accounts/unknown", b"", 404),
        ("GET", "bills/a", b"", 404),
    ],
)
def test_an_invalid_edit_is_refused(
    http: httpx.Client, method: str, path: str, body: bytes, status: int
) -> None:
    answer = http.request(method, f"/sandbox/records/{path}", content=body)
    assert (answer.status_code, list(answer.json())) == (status, ["message"])


def test_the_control_endpoints_need_no_token_and_have_no_limit(serve: Serve, clock: Clock) -> None:
    with httpx.Client(base_url=serve(1)) as client:
        assert statuses(client, 3, "/sandbox/calls") == [200, 200, 200]
        assert statuses(client, 2) == [401, 429]
        clock.now += 1.001
        assert statuses(client, 1) == [401]


def test_the_default_limit_is_fifty(organization: Organization, clock: Clock) -> None:
    app = create_app(organization, CREDENTIALS, clock=clock)
    with running(app) as url, httpx.Client(base_url=url) as client:
        assert statuses(client, 51) == [401] * 50 + [429]
