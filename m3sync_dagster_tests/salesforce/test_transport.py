"""Retries, expired tokens, quotas, and invalid responses."""

import logging
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
import requests
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response

from m3sync_dagster.salesforce import ConnectedApp, SalesforceClient
from m3sync_dagster.salesforce.retry import REQUESTS
from m3sync_dagster.salesforce.tls_adapter import TlsAdapter
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    ConfigurationError,
    RateLimitError,
    RemoteError,
    SyncError,
)
from m3sync_dagster.sync.row_types import Row
from m3sync_dagster_tests.salesforce.conftest import (
    ACCOUNTS,
    SECRET,
    Jobs,
    Scripted,
    Time,
    created,
    group,
    outcome,
)

EXPIRED = [{"errorCode": "INVALID_SESSION_ID", "message": "Session expired or invalid"}]


def fine(body: bytes) -> Response:
    """Accepts every row of a Collections call."""
    rows = body.count(b'"attributes"')
    answers = [
        {"id": f"001{i}", "success": True, "created": True, "errors": []} for i in range(rows)
    ]
    return JSONResponse(answers)


def rows(count: int) -> list[Row]:
    return [Row(f"r{i}", [f"Name {i}", None]) for i in range(count)]


def test_no_request_is_sent_before_the_first_use(scripted: Scripted) -> None:
    org, script = scripted(lambda _r, _b: JSONResponse({}))
    assert (org.calls, org.usage, script.tokens) == (0, None, 0)
    org.limits()
    assert (org.calls, script.tokens) == (2, 1)


def test_an_expired_token_is_renewed_once_for_all_threads(scripted: Scripted, jobs: Jobs) -> None:
    seen: list[tuple[str, str]] = []
    arrived = threading.Barrier(4)

    def handler(request: Request, body: bytes) -> Response:
        token = request.headers["authorization"].removeprefix("Bearer ")
        seen.append((token, request.headers["content-type"]))
        return JSONResponse(EXPIRED, 401) if token == "token-1" else fine(body)

    org, script = scripted(handler)
    with ThreadPoolExecutor(4) as pool:

        def send(number: int) -> int:
            arrived.wait()
            part = [Row(f"{number}-{i}", ["x", None]) for i in range(3)]
            return len(created(outcome(org.upsert(ACCOUNTS, group(part), jobs))))

        assert list(pool.map(send, range(4))) == [3] * 4
    assert script.tokens == 2
    assert {kind for _, kind in seen} == {"application/json"}
    assert [token for token, _ in seen].count("token-2") == 4


def test_a_repeated_401_is_an_authentication_error(scripted: Scripted) -> None:
    org, script = scripted(lambda _r, _b: JSONResponse(EXPIRED, 401))
    with pytest.raises(AuthenticationError, match="INVALID_SESSION_ID"):
        org.limits()
    assert script.tokens == 2
    assert len(script.requests) == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (420, None),
        (429, None),
        (500, [{"errorCode": "UNKNOWN_EXCEPTION", "message": "oops"}]),
        (502, None),
        (503, [{"errorCode": "SERVER_UNAVAILABLE", "message": "soon"}]),
        (504, None),
        (
            403,
            [{"errorCode": "REQUEST_LIMIT_EXCEEDED", "message": "ConcurrentRequests (Concurrent"}],
        ),
    ],
)
def test_a_temporary_error_is_retried(
    scripted: Scripted, time: Time, status: int, body: object
) -> None:
    trouble = iter([1, 1])

    def handler(_request: Request, _body: bytes) -> Response:
        if next(trouble, None):
            return JSONResponse(body, status) if body else PlainTextResponse("<html>", status)
        return JSONResponse({"DailyApiRequests": {"Max": 5}})

    org, script = scripted(handler)
    assert org.limits() == {"DailyApiRequests": {"Max": 5}}
    assert len(script.requests) == 3
    assert org.calls == 4
    assert len(time.naps) == 2


@pytest.mark.parametrize(
    ("status", "kind"), [(503, RemoteError), (429, RateLimitError), (500, RemoteError)]
)
def test_an_error_that_persists_stops_the_run(
    scripted: Scripted, status: int, kind: type[SyncError]
) -> None:
    org, script = scripted(lambda _r, _b: PlainTextResponse("no", status))
    with pytest.raises(kind) as caught:
        org.limits()
    assert str(status) in caught.value.cause
    assert len(script.requests) == REQUESTS.attempts


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (403, "REQUEST_LIMIT_EXCEEDED", RateLimitError),
        (400, "INVALID_FIELD", ConfigurationError),
        (403, "API_DISABLED_FOR_ORG", ConfigurationError),
        (400, "NEVER_HEARD_OF", RemoteError),
    ],
)
def test_a_permanent_error_is_not_retried(
    scripted: Scripted, status: int, code: str, kind: type[SyncError]
) -> None:
    body = [{"errorCode": code, "message": "TotalRequests Limit exceeded."}]
    org, script = scripted(lambda _r, _b: JSONResponse(body, status))
    with pytest.raises(kind) as caught:
        org.limits()
    assert code in caught.value.cause
    assert caught.value.remedy
    assert len(script.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed(scripted: Scripted, status: int) -> None:
    org, script = scripted(lambda _r, _b: RedirectResponse("/elsewhere", status))
    with pytest.raises(ConfigurationError, match=str(status)) as caught:
        org.limits()
    assert "My Domain" in caught.value.remedy
    assert len(script.requests) == 1


@pytest.mark.parametrize("as_date", [False, True])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_respected(
    scripted: Scripted, time: Time, status: int, as_date: bool
) -> None:
    trouble = iter([1])

    def handler(_request: Request, _body: bytes) -> Response:
        if next(trouble, None):
            moment = datetime.now(UTC) + timedelta(seconds=40)
            after = format_datetime(moment, usegmt=True) if as_date else "40"
            return PlainTextResponse("", status, headers={"Retry-After": after})
        return JSONResponse({})

    org, _ = scripted(handler)
    org.limits()
    (nap,) = time.naps
    assert 20 < nap <= 40


@pytest.mark.parametrize(
    ("after", "tries"),
    [
        ("3600", 1),
        ("Fri, 01 Jan 2100 00:00:00 GMT", 1),
        ("9" * 400, 1),
        ("soon", REQUESTS.attempts),
        ("Thu, 01 Jan 2015 00:00:00 GMT", REQUESTS.attempts),
        ("-5", REQUESTS.attempts),
    ],
)
def test_a_long_retry_after_stops_the_run(
    scripted: Scripted, time: Time, after: str, tries: int
) -> None:
    headers = {"Retry-After": after}
    org, script = scripted(lambda _r, _b: PlainTextResponse("", 429, headers=headers))
    with pytest.raises(RateLimitError):
        org.limits()
    assert len(script.requests) == tries
    assert max(time.naps, default=0) < 60


def test_an_unreachable_org_is_reported(time: Time) -> None:
    org = SalesforceClient(ConnectedApp("http://127.0.0.1:9", "id", SECRET), sleep=time.sleep)
    with pytest.raises(RemoteError, match="refused"):
        org.limits()
    assert org.calls == REQUESTS.attempts
    org.close()


@pytest.mark.parametrize("text", ["", '{"a": 1}', '[{"no": "success"}]'])
def test_an_undocumented_response_is_a_remote_error(
    scripted: Scripted, jobs: Jobs, text: str
) -> None:
    org, _ = scripted(lambda _r, _b: PlainTextResponse(text))
    with pytest.raises(RemoteError, match="cut off or not in the documented format"):
        list(org.upsert(ACCOUNTS, group(rows(1)), jobs))


def test_a_wrong_number_of_results_is_a_remote_error(scripted: Scripted, jobs: Jobs) -> None:
    org, _ = scripted(lambda _r, _b: JSONResponse([]))
    with pytest.raises(RemoteError, match="0 results"):
        list(org.upsert(ACCOUNTS, group(rows(2)), jobs))


def test_writing_stops_at_the_share_of_the_quota(scripted: Scripted, jobs: Jobs) -> None:
    used = iter([79, 80, 81])

    def handler(_request: Request, body: bytes) -> Response:
        answer = fine(body)
        info = f"api-usage={next(used)}/100; per-app-api-usage=1/9(appName=x)"
        answer.headers["Sforce-Limit-Info"] = info
        return answer

    org, script = scripted(handler)
    for _ in range(3):
        list(org.upsert(ACCOUNTS, group(rows(1)), jobs))
    assert org.usage == (81, 100)
    for large in (False, True):
        with pytest.raises(RateLimitError, match="81 of its 100") as caught:
            list(org.upsert(ACCOUNTS, group(rows(1), large=large), jobs))
        assert "next hour" in caught.value.remedy
    assert len(script.requests) == 3
    assert jobs.events == []


def test_a_value_that_cannot_be_parsed_rejects_only_its_row(scripted: Scripted, jobs: Jobs) -> None:
    trouble = [{"errorCode": "JSON_PARSER_ERROR", "message": "Cannot deserialize instance of date"}]

    def handler(_request: Request, body: bytes) -> Response:
        return JSONResponse(trouble, 400) if b'"r5"' in body else fine(body)

    org, _ = scripted(handler)
    results = outcome(org.upsert(ACCOUNTS, group(rows(9)), jobs))
    assert len(created(results)) == 8
    assert "Cannot deserialize" in str(results["r5"])


def test_results_of_other_calls_are_kept_after_a_failure(scripted: Scripted, jobs: Jobs) -> None:
    failed = threading.Event()

    def handler(_request: Request, body: bytes) -> Response:
        if b'"r399"' in body:
            failed.set()
            return PlainTextResponse("no", 400)
        assert failed.wait(30)
        return fine(body)

    org, _ = scripted(handler)
    handed: list[str] = []
    batches = org.upsert(ACCOUNTS, group(rows(400)), jobs)
    with pytest.raises(RemoteError):
        handed.extend(result.m3ter_id for batch in batches for result in batch)
    assert handed == [f"r{i}" for i in range(200)]


def test_no_secret_is_in_an_error(scripted: Scripted, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    org, _ = scripted(lambda _r, _b: PlainTextResponse("no", 503))
    with pytest.raises(RemoteError) as caught:
        org.limits()
    told = "".join(traceback.format_exception(caught.value)) + caplog.text + repr(vars(org))
    assert SECRET not in told
    assert "token-1" not in told


def test_plain_http_to_an_official_host_is_rejected() -> None:
    transport = Transport(ConnectedApp("https://acme.my.salesforce.com", "id", SECRET))
    with pytest.raises(requests.exceptions.InvalidSchema):
        transport.session.get_adapter("http://acme.my.salesforce.com/services")
    assert type(transport.session.get_adapter("https://acme.my.salesforce.com")) is TlsAdapter


@pytest.mark.parametrize("url", ["https://acme.my.salesforce.com", "http://127.0.0.1:9"])
def test_a_netrc_file_does_not_replace_the_token(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, url: str
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    transport = Transport(ConnectedApp(url, "id", SECRET))
    request = requests.Request("GET", url, headers={"Authorization": "Bearer x"})
    assert transport.session.prepare_request(request).headers["Authorization"] == "Bearer x"


def test_no_proxy_is_used_for_this_machine(
    scripted: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    seen: list[str] = []

    def handler(request: Request, _body: bytes) -> Response:
        seen.append(request.headers["authorization"])
        return JSONResponse({})

    org, _ = scripted(handler)
    org.limits()
    assert seen == ["Bearer token-1"]


@pytest.mark.parametrize(
    "answer",
    [
        {"access_token": "t", "instance_url": "https://evil.example"},
        {"access_token": "t", "instance_url": "https://evil.example/.salesforce.com"},
        {"access_token": "t"},
        {"access_token": None, "instance_url": "http://127.0.0.1"},
        {"access_token": {"a": 1}, "instance_url": "http://127.0.0.1"},
        ["t"],
        "t",
    ],
)
def test_a_login_response_without_a_token_or_for_another_host_is_rejected(
    scripted: Scripted, answer: object
) -> None:
    org, script = scripted(lambda _r, _b: JSONResponse({}))
    script.token_answer = answer
    with pytest.raises(RemoteError, match="no access token"):
        org.limits()
    assert script.requests == []
