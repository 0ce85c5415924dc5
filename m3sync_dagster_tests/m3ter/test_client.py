import base64
import logging
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing

import httpx
import pytest

from m3sync_dagster.m3ter.client import Client, TokenAuth
from m3sync_dagster.m3ter.list_pages import read_pages
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    ConfigurationError,
    RateLimitError,
    RemoteError,
    SyncError,
)
from m3sync_dagster_tests.m3ter.scripted_server import SECRET, Answer, Script, page, serving

BASIC = base64.b64encode(f"key-1:{SECRET}".encode()).decode()
AT_ONCE = {"retry-after-ms": "1"}
"""A short delay of the SDK's retries, for tests that are not about delays."""
BUSY = Answer(429, {"message": "Too many requests"}, AT_ONCE)
BROKEN = Answer(500, {"message": "Internal error"}, AT_ONCE)
DROPPED = Answer(drop=True)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def ask(
    script: Script,
    retries: int = 2,
    take_permit: Callable[[], None] = lambda: None,
) -> list[list[bytes]]:
    """Read the whole list of accounts with a new client."""
    with closing(Client(script.credential(), take_permit, retries)) as client:
        return list(read_pages(client.get, "accounts", {"pageSize": 100}))


def refused(script: Script, retries: int = 0) -> SyncError:
    """Read the list with an error, and check that the error and its causes have no secret."""
    with pytest.raises(SyncError) as caught:
        ask(script, retries)
    shown = "".join(traceback.format_exception(caught.value))
    for secret in (SECRET, BASIC, "token-1"):
        assert secret not in shown
    return caught.value


def test_one_token_is_used_for_many_pages() -> None:
    answers = [page(f"a{n}", then=f"t{n}") for n in range(9)]
    with serving(Script(*answers, page("last"))) as script:
        assert len(ask(script)) == 10
    assert len(script.tokens) == 1
    assert [asked.token for asked in script.lists] == [None, *(f"t{n}" for n in range(9))]
    assert {asked.authorization for asked in script.lists} == {"Bearer token-1"}
    assert {asked.path for asked in script.lists} == {"/organizations/org-1/accounts"}


def test_the_token_request_is_the_documented_one() -> None:
    with serving(Script(page())) as script:
        ask(script)
    (asked,) = script.tokens
    assert (asked.method, asked.path) == ("POST", "/oauth/token")
    assert asked.authorization == f"Basic {BASIC}"
    assert asked.body == "grant_type=client_credentials"


def test_a_base_url_may_have_a_path_and_a_slash_at_its_end() -> None:
    with serving(Script(page())) as script:
        script.url += "/gateway/"
        ask(script)
    assert [asked.path for asked in script.asked] == [
        "/gateway/oauth/token",
        "/gateway/organizations/org-1/accounts",
    ]


@pytest.mark.parametrize(
    ("expires_in", "elapsed", "tokens"),
    [(18000, 17699, 1), (18000, 17701, 2), (18000, 90000, 2), (60, 53, 1), (60, 55, 2)],
)
def test_the_token_is_renewed_before_it_ends(expires_in: int, elapsed: float, tokens: int) -> None:
    clock = Clock()
    with serving(Script(page("1", then="t"), page("2"))) as script:
        script.expires_in = expires_in
        with closing(Client(script.credential(), lambda: None, clock=clock)) as client:
            pages = read_pages(client.get, "accounts", {})
            next(pages)
            clock.now += elapsed
            assert list(pages) == [[b'{"id": "2"}']]
            assert client.requests == 2 + tokens
    assert len(script.tokens) == tokens
    assert script.lists[-1].authorization == f"Bearer token-{tokens}"


def test_a_token_that_m3ter_no_longer_accepts_is_renewed_once() -> None:
    script = Script(page("1", then="t"), Answer(401, {"message": "Unauthorized"}), page("2"))
    with serving(script):
        assert [len(records) for records in ask(script, retries=0)] == [1, 1]
    assert [asked.authorization for asked in script.lists] == [
        "Bearer token-1",
        "Bearer token-1",
        "Bearer token-2",
    ]
    assert [asked.token for asked in script.lists] == [None, "t", "t"]


def test_a_second_401_in_a_row_is_an_authentication_error() -> None:
    with serving(Script(Answer(401, {"message": "Unauthorized"}))) as script:
        error = refused(script, retries=5)
    assert isinstance(error, AuthenticationError)
    assert "accounts" in error.cause
    assert "access key" in error.remedy
    assert (len(script.tokens), len(script.lists)) == (2, 2)


@pytest.mark.parametrize("status", [400, 401, 403])
def test_a_wrong_secret_is_an_authentication_error_at_once(status: int) -> None:
    answer = Answer(status, {"message": f"invalid_client {SECRET} {BASIC}"})
    with serving(Script(page(), token_answers=(answer,))) as script:
        error = refused(script, retries=5)
    assert isinstance(error, AuthenticationError)
    assert f"/oauth/token with {status}: invalid_client ***" in error.cause
    assert "API secret" in error.remedy
    assert (len(script.tokens), script.lists) == (1, [])


@pytest.mark.parametrize("trouble", [BUSY, BROKEN, DROPPED])
def test_a_token_request_is_retried_after_a_temporary_error(trouble: Answer) -> None:
    with serving(Script(page("1"), token_answers=(trouble,))) as script:
        assert ask(script, retries=1) == [[b'{"id": "1"}']]
    assert (len(script.tokens), len(script.lists)) == (2, 1)


def test_a_response_without_a_token_is_reported() -> None:
    with serving(Script(page(), token_answers=(Answer(body={"expires_in": 1}),))) as script:
        error = refused(script)
    assert isinstance(error, RemoteError)
    assert "/oauth/token" in error.cause


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(429, {"message": "Too many requests"}),
        Answer(429, {"message": "Too many requests"}, {"Retry-After": "1"}),
        Answer(408, None, AT_ONCE),
        Answer(409, None, AT_ONCE),
        BROKEN,
        Answer(503, b"<html>maintenance</html>", AT_ONCE),
        DROPPED,
        Answer(200, b"", {"Content-Length": "100", "Connection": "close"}),
    ],
    ids=["429", "429 Retry-After", "408", "409", "500", "503", "dropped", "cut short"],
)
def test_a_temporary_error_between_pages_loses_nothing(trouble: Answer) -> None:
    script = Script(page("1", then="t"), trouble, page("2", then="u"), page("3"))
    with serving(script):
        assert [records[0] for records in ask(script, retries=1)] == [
            b'{"id": "1"}',
            b'{"id": "2"}',
            b'{"id": "3"}',
        ]
    assert [asked.token for asked in script.lists] == [None, "t", "t", "u"]
    assert len(script.tokens) == 1


def test_a_retry_respects_retry_after() -> None:
    script = Script(Answer(429, None, {"Retry-After": "1"}), page())
    with serving(script):
        ask(script, retries=1)
    first, second = script.lists
    assert second.time - first.time >= 1


@pytest.mark.parametrize(
    ("answer", "kind", "words"),
    [
        (BUSY, RateLimitError, "accounts with 429: Too many requests"),
        (BROKEN, RemoteError, "accounts with 500: Internal error"),
        (Answer(503, b"<html>\n down</html>"), RemoteError, "503: <html> down</html>"),
        (Answer(500, b"\xff\xfe"), RemoteError, "accounts with 500"),
        (Answer(500, b""), RemoteError, "no message"),
        (Answer(500, ["x"]), RemoteError, "accounts with 500"),
        (Answer(403, {"message": "Forbidden"}), AuthenticationError, "config:retrieve"),
        (Answer(404, {"message": "No such"}), ConfigurationError, "organization_id"),
        (Answer(400, {"message": "Bad token"}), RemoteError, "400: Bad token"),
        (Answer(302, None, {"Location": "https://evil.example"}), RemoteError, "with 302"),
        (Answer(500, {"message": SECRET}), RemoteError, r"500: \*\*\*"),
        (Answer(500, {"message": "token-1"}), RemoteError, r"500: \*\*\*"),
        (DROPPED, RemoteError, "accounts.*RemoteProtocolError"),
    ],
)
def test_a_permanent_error_is_reported(answer: Answer, kind: type[SyncError], words: str) -> None:
    with serving(Script(answer)) as script, pytest.raises(kind, match=words) as caught:
        raise refused(script)
    assert type(caught.value) is kind
    assert caught.value.remedy


def test_an_error_that_persists_stops_the_run() -> None:
    with serving(Script(BROKEN)) as script:
        assert isinstance(refused(script, retries=2), RemoteError)
    assert len(script.lists) == 3


def test_an_unreachable_server_is_an_error_with_a_remedy() -> None:
    with serving(Script(page())) as script:
        pass
    error = refused(script)
    assert isinstance(error, RemoteError)
    assert "ConnectError" in error.cause
    assert "network" in error.remedy


def test_every_request_takes_a_permit_first() -> None:
    sent_before: list[int] = []
    script = Script(BROKEN, page("1", then="t"), Answer(401), page("2"))
    with serving(script):
        ask(script, retries=1, take_permit=lambda: sent_before.append(len(script.asked)))
    assert sent_before == [0, 1, 2, 3, 4, 5]
    assert len(script.asked) == 6


def test_a_token_request_has_a_timeout_too() -> None:
    with serving(Script(page())) as script:
        auth = TokenAuth(script.credential(), Clock())
    deadline = {"connect": 1.0, "read": 2.0}
    request = httpx.Request("GET", script.url, extensions={"timeout": deadline})
    assert next(auth.sync_auth_flow(request)).extensions["timeout"] == deadline


def test_without_a_permit_no_request_is_sent_and_the_error_is_raised() -> None:
    def take_permit() -> None:
        raise RateLimitError("no permit", "Wait.")

    with serving(Script(page())) as script, pytest.raises(RateLimitError, match="no permit"):
        ask(script, retries=1, take_permit=take_permit)
    assert script.asked == []


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    with caplog.at_level(logging.DEBUG):
        for name in ("m3ter", "httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.DEBUG)
        yield caplog
        for name in ("m3ter", "httpx", "httpcore"):
            logging.getLogger(name).setLevel(logging.NOTSET)


def test_no_secret_is_in_a_log_at_any_level(
    everything_logged: pytest.LogCaptureFixture,
) -> None:
    with serving(Script(BROKEN, page("1", then="t"), Answer(401), page("2"))) as script:
        ask(script, retries=1)
    logged = everything_logged.text
    assert "/organizations/org-1/accounts" in logged
    for secret in (SECRET, BASIC, "token-1", "token-2"):
        assert secret not in logged
