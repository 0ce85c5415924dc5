"""Requests to m3ter in a company network: proxies, own certificates, and web pages of proxies."""

import gzip
import json
import ssl
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from m3sync_dagster.m3ter.client import RETRIES, Client
from m3sync_dagster.m3ter.list_pages import read_pages
from m3sync_dagster.sync.errors import AuthenticationError, RemoteError, SyncError
from m3sync_dagster.tls_and_proxy import CA_VARIABLES
from m3sync_dagster_tests.m3ter.scripted_server import SECRET, Answer, Script, page, serving
from m3sync_dagster_tests.proxy_servers import http2_proxy, http_proxy, socks_proxy

HOST = "api.m3ter.test"
"""A host name without an address: only a proxy can reach it."""
PAGES = [[b'{"id": "1"}'], [b'{"id": "2"}']]


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*CA_VARIABLES, "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


@pytest.fixture
def company() -> trustme.CA:
    """The certificate authority of a company."""
    return trustme.CA()


@pytest.fixture
def trusted(company: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The variable that all our clients read."""
    company.cert_pem.write_to_path(tmp_path / "company.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "company.pem"))


def certificate_of(company: trustme.CA, not_after: datetime | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued = company.issue_cert(HOST, "localhost", "127.0.0.1", not_after=not_after)
    issued.configure_cert(context)
    return context


@contextmanager
def m3ter(tls: ssl.SSLContext | None = None, *answers: Answer) -> Iterator[Script]:
    with serving(Script(*answers or (page("1", then="t"), page("2"))), tls) as script:
        yield script


def ask(script: Script, base_url: str | None = None, retries: int = RETRIES) -> list[list[bytes]]:
    credential = replace(script.credential(), base_url=base_url or script.url)
    with closing(Client(credential, lambda: None, retries)) as client:
        return list(read_pages(client.get, "accounts", {"pageSize": 100}))


def refused(script: Script, base_url: str | None = None) -> SyncError:
    """The error, without a retry: 8 retries would take 40 seconds."""
    with pytest.raises(SyncError) as caught:
        ask(script, base_url)
    assert SECRET not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("kind", ["http", "https", "socks"])
@pytest.mark.usefixtures("trusted")
def test_m3ter_is_reached_through_a_proxy(
    kind: str, company: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = certificate_of(company)
    with m3ter(tls) as script:
        target = ("127.0.0.1", script.port)
        opened = {
            "http": lambda: http_proxy(target),
            "https": lambda: http_proxy(target, tls=tls),
            "socks": lambda: socks_proxy(target),
        }[kind]()
        with opened as seen:
            monkeypatch.setenv("HTTPS_PROXY" if kind == "https" else "ALL_PROXY", seen.url)
            assert ask(script, f"https://{HOST}") == PAGES
            assert set(seen) == {f"{HOST}:443"}
    assert len(script.tokens) == 1


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_server_on_this_machine_is_reached_without_a_proxy(
    variable: str, host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with m3ter() as script, http_proxy(("127.0.0.1", script.port)) as seen:
        monkeypatch.setenv(variable, seen.url)
        assert ask(script, script.url.replace("127.0.0.1", host)) == PAGES
    assert seen == []


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_a_certificate_of_the_company_is_trusted_where_a_variable_names_it(
    variable: str, company: trustme.CA, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company.cert_pem.write_to_path(tmp_path / "company.pem")
    monkeypatch.setenv(variable, str(tmp_path / "company.pem"))
    with m3ter(certificate_of(company)) as script:
        assert ask(script) == PAGES


def test_a_certificate_that_is_not_trusted_is_named_at_once(company: trustme.CA) -> None:
    with m3ter(certificate_of(company)) as script:
        error = refused(script)
    assert isinstance(error, RemoteError)
    assert "certificate of the server is not trusted" in error.cause
    assert "certificate" in error.cause.rpartition(": ")[2]
    assert "SSL_CERT_FILE" in error.remedy
    assert script.asked == []


@pytest.mark.usefixtures("trusted")
def test_an_expired_certificate_or_one_of_another_host_is_named(
    company: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    yesterday = datetime.now(UTC) - timedelta(days=1)
    with m3ter(certificate_of(company, not_after=yesterday)) as script:
        assert "expired" in refused(script).cause
    with m3ter(certificate_of(company)) as script:
        with http_proxy(("127.0.0.1", script.port)) as seen:
            monkeypatch.setenv("HTTPS_PROXY", seen.url)
            error = refused(script, "https://other.m3ter.test")
        assert "other.m3ter.test" in error.cause
        assert len(seen) == 1


@pytest.mark.parametrize("status", ["407 Proxy Authentication Required", "403 Forbidden"])
def test_a_proxy_that_refuses_is_named_at_once(
    status: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with m3ter() as script, http_proxy(("127.0.0.1", script.port), refuse=status) as seen:
        monkeypatch.setenv("HTTPS_PROXY", seen.url.replace("//", "//me:pr0xy-secret@"))
        error = refused(script, f"https://{HOST}")
    assert "the proxy rejected the request" in error.cause
    assert status.partition(" ")[0] in error.cause
    assert "HTTPS_PROXY" in error.remedy
    assert "pr0xy-secret" not in str(error)
    assert len(seen) == 1


@pytest.mark.parametrize("expires_in", ["18000", 18000.5, None, "", "soon", 0, -1, "nan", "inf"])
def test_one_token_is_used_even_with_an_invalid_lifetime(expires_in: object) -> None:
    token = Answer(body={"access_token": "token-1", "expires_in": expires_in})
    with m3ter() as script:
        script.token_answers = [token]
        assert ask(script) == PAGES
    assert len(script.tokens) == 1


def test_a_token_may_have_no_lifetime() -> None:
    with m3ter() as script:
        script.token_answers = [Answer(body={"access_token": "token-1"})]
        assert ask(script) == PAGES
    assert len(script.tokens) == 1


SIGN_IN = b"  <!DOCTYPE html><html><title>Acme single sign-on</title></html>"


@pytest.mark.parametrize("status", [200, 401, 403, 404])
@pytest.mark.parametrize("for_token", [False, True])
def test_a_web_page_and_its_host_are_reported(status: int, for_token: bool) -> None:
    sign_in = Answer(status, SIGN_IN)
    with m3ter(None, page() if for_token else sign_in) as script:
        script.token_answers = [sign_in] if for_token else []
        error = refused(script)
    assert isinstance(error, RemoteError)
    asked = "/oauth/token" if for_token else "accounts"
    assert f"127.0.0.1 answered {asked} with {status} and a web page" in error.cause
    assert "Acme single sign-on" in error.cause
    assert "sign-in page" in error.remedy
    assert len(script.tokens) == 1 if for_token else len(script.tokens) <= 2


def test_a_redirect_to_a_sign_in_page_has_the_same_remedy() -> None:
    with m3ter(None, Answer(302, b"", {"Location": "https://sso.example/"})) as script:
        assert "sign-in page" in refused(script).remedy


def test_a_response_without_a_token_is_not_retried() -> None:
    with m3ter() as script:
        script.token_answers = [Answer(body={"expires_in": 1})]
        assert "not a token" in refused(script).cause
    assert len(script.tokens) == 1


def test_our_own_error_before_a_request_is_not_retried() -> None:
    asked = 0

    def take_permit() -> None:
        nonlocal asked
        asked += 1
        raise AuthenticationError("no permit", "Wait.")

    with (
        m3ter() as script,
        closing(Client(script.credential(), take_permit)) as client,
        pytest.raises(AuthenticationError, match="no permit"),
    ):
        client.get("accounts", {})
    assert asked == 1


@pytest.mark.parametrize("refuse", [True, False])
@pytest.mark.usefixtures("trusted")
def test_a_proxy_that_speaks_only_http2_is_named(
    refuse: bool, company: trustme.CA, monkeypatch: pytest.MonkeyPatch
) -> None:
    with http2_proxy(certificate_of(company), refuse=refuse) as proxy, m3ter() as script:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        with pytest.raises(RemoteError, match=r"another protocol than HTTP/1\.1") as caught:
            ask(script, f"https://{HOST}", retries=0)
    assert "HTTPS_PROXY" in caught.value.remedy


LARGE = json.dumps({"data": [{"id": f"{n}", "text": "x" * 500_000} for n in range(100)]}).encode()
"""A page of 50 MB."""


@pytest.mark.parametrize("packed", [False, True])
def test_a_large_page_is_read(packed: bool) -> None:
    body = gzip.compress(LARGE, 1) if packed else LARGE
    headers = {"Content-Encoding": "gzip"} if packed else {}
    with m3ter(None, Answer(200, body, headers)) as script:
        (records,) = ask(script)
    assert len(records) == 100
    assert sum(map(len, records)) > 50_000_000


TOKEN = {"access_token": "token-1", "token_type": "Bearer", "expires_in": 18000}


def cut_off(body: object) -> Answer:
    """A compressed response of which the second half is missing, with a length that says so."""
    packed = gzip.compress(json.dumps(body).encode())
    return Answer(200, packed[: len(packed) // 2], {"Content-Encoding": "gzip"})


def test_a_compressed_response_that_is_cut_off_is_requested_again() -> None:
    cut = cut_off({"data": [{"id": str(n)} for n in range(999)]})
    with m3ter(None, cut, cut, page("1")) as script:
        script.token_answers = [cut_off(TOKEN), Answer(body=TOKEN)]
        assert ask(script) == [[b'{"id": "1"}']]
    assert (len(script.tokens), len(script.lists)) == (2, 3)


def test_a_compressed_response_that_is_always_cut_off_is_an_error() -> None:
    cut = cut_off({"data": [{"id": "1"}]})
    with m3ter(None, cut) as script, pytest.raises(RemoteError) as caught:
        ask(script, retries=1)
    assert "accounts, after 1 retries: " in caught.value.cause
    assert "the compressed response is cut off" in caught.value.cause
    assert len(script.lists) == 2


def test_a_response_with_a_broken_connection_is_requested_again() -> None:
    packed = gzip.compress(json.dumps({"data": [{"id": "1"}]}).encode())
    headers = {"Content-Encoding": "gzip", "Connection": "close"}
    broken = Answer(200, packed[:20], headers | {"Content-Length": str(len(packed))})
    damaged = Answer(200, b"not gzip", headers)
    with m3ter(None, broken, damaged, page("1")) as script:
        assert ask(script) == [[b'{"id": "1"}']]
    assert len(script.lists) == 3
