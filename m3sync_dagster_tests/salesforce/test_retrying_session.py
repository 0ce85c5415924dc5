"""Proxies, certificates, My Domains, API versions, and responses of other systems."""

import gzip
import logging
import ssl
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import trustme
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp

from m3sync_dagster.salesforce import ConnectedApp, SalesforceClient
from m3sync_dagster.sandbox.salesforce import Credentials, create_app
from m3sync_dagster.sandbox.server import running
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError
from m3sync_dagster.sync.row_types import Row
from m3sync_dagster.tls_and_proxy import CA_VARIABLES
from m3sync_dagster_tests.proxy_servers import http2_proxy
from m3sync_dagster_tests.salesforce.company_proxy import CompanyProxy, listening
from m3sync_dagster_tests.salesforce.conftest import (
    ACCOUNTS,
    SECRET,
    Jobs,
    Sandbox,
    Script,
    Scripted,
    Time,
    accounts,
    created,
    group,
    outcome,
)
from m3sync_dagster_tests.salesforce.test_bulk_ingest import Job, Server, done

HOST = "acme.my.salesforce.com"
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def authority() -> trustme.CA:
    return trustme.CA()


Behind = Callable[[ASGIApp], CompanyProxy]


@pytest.fixture
def behind(
    authority: trustme.CA, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[Behind]:
    """A company network: all hosts are one application with a trusted authority."""
    for name in (*CA_VARIABLES, *PROXIES, *map(str.lower, PROXIES)):
        monkeypatch.delenv(name, raising=False)
    authority.cert_pem.write_to_path(tmp_path / "company.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "company.pem"))
    with ExitStack() as stack:

        def make(app: ASGIApp) -> CompanyProxy:
            url = stack.enter_context(running(app))
            proxy = CompanyProxy(urlsplit(url).port or 0, authority)
            stack.enter_context(listening(proxy))
            address = f"http://user:hidden@127.0.0.1:{proxy.port}"
            monkeypatch.setenv("HTTPS_PROXY", address)
            return proxy

        yield make


def client_of(time: Time, host: str = HOST) -> SalesforceClient:
    return SalesforceClient(ConnectedApp(f"https://{host}", "the-app", SECRET), sleep=time.sleep)


def sandbox_app() -> ASGIApp:
    return create_app(credentials=Credentials("the-app", SECRET))


@pytest.mark.parametrize(
    "host",
    [
        HOST,
        "acme.my.salesforce.mil",
        "acme.my.crmforce.mil",
        "acme.my.sfcrmapps.cn",
        "acme.cloudforce.com",
    ],
)
def test_all_requests_go_to_the_my_domain_host(behind: Behind, time: Time, host: str) -> None:
    proxy = behind(sandbox_app())
    org = client_of(time, host)
    assert org.limits()["DailyApiRequests"]["Max"] == 100_000
    assert org.log_in() == host
    assert set(proxy.hosts) == {host}
    org.close()


def test_a_token_is_not_sent_outside_salesforce(behind: Behind, time: Time) -> None:
    script = Script(lambda _r, _b: JSONResponse({}))
    proxy = behind(script.app())
    script.token_answer = {"access_token": "t", "instance_url": "https://acme.evil.example"}
    org = client_of(time)
    with pytest.raises(RemoteError, match="no access token or no Salesforce instance"):
        org.limits()
    assert set(proxy.hosts) == {HOST}
    assert script.requests == []
    org.close()


def test_a_next_page_at_another_host_gets_no_token(scripted: Scripted) -> None:
    def answer(_request: Request, _body: bytes) -> Response:
        page = {"totalSize": 9, "done": False, "records": [], "nextRecordsUrl": "@127.0.0.1:9/x"}
        return JSONResponse(page)

    org, script = scripted(answer)
    with pytest.raises(RemoteError, match="outside the org"):
        list(org.read_back(ACCOUNTS, None))
    assert len(script.requests) == 1


def test_a_certificate_that_is_not_trusted_is_named_at_once(
    behind: Behind, time: Time, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    behind(sandbox_app())
    trustme.CA().cert_pem.write_to_path(tmp_path / "other.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "other.pem"))
    # What requests trusts by itself does not count.
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(tmp_path / "company.pem"))
    org = client_of(time)
    with pytest.raises(RemoteError, match=f"certificate of {HOST} is not trusted") as caught:
        org.limits()
    assert "SSL_CERT_FILE" in caught.value.remedy
    assert (org.calls, time.naps) == (1, [])
    org.close()


def test_a_local_server_with_a_certificate_is_reached_without_the_proxy(
    behind: Behind, time: Time
) -> None:
    proxy = behind(sandbox_app())
    with listening(replace(proxy, hosts=[], at_once="localhost")) as stand_in:
        credential = ConnectedApp(f"https://localhost:{stand_in.port}", "the-app", SECRET)
        org = SalesforceClient(credential, sleep=time.sleep)
        assert "DailyApiRequests" in org.limits()
        org.close()
    assert proxy.hosts == []


def test_a_variable_that_names_no_certificates_stops_the_run_with_a_remedy(
    behind: Behind, time: Time, monkeypatch: pytest.MonkeyPatch
) -> None:
    behind(sandbox_app())
    monkeypatch.setenv("SSL_CERT_FILE", "/nowhere.pem")
    org = client_of(time)
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        org.limits()
    org.close()


@pytest.mark.parametrize(
    ("refusal", "tries"),
    [("407 Proxy Authentication Required", 1), ("403 Forbidden", 1), ("503 Busy", 5)],
)
def test_a_proxy_that_refuses_is_named_without_its_password(
    behind: Behind, time: Time, caplog: pytest.LogCaptureFixture, refusal: str, tries: int
) -> None:
    caplog.set_level(logging.DEBUG)
    proxy = behind(sandbox_app())
    proxy.refusal = refusal
    org = client_of(time)
    with pytest.raises(RemoteError, match=refusal) as caught:
        org.limits()
    assert "HTTPS_PROXY" in caught.value.remedy
    assert HOST in caught.value.remedy
    assert org.calls == tries
    assert "hidden" not in str(caught.value) + caplog.text
    org.close()


@pytest.mark.parametrize("version", ["99.0", "30.0"])
@pytest.mark.parametrize("ask", ["limits", "describe"])
def test_a_version_that_the_org_does_not_have_is_named_with_the_newest(
    sandbox: Sandbox, version: str, ask: str
) -> None:
    org = SalesforceClient(ConnectedApp(sandbox.url, "the-app", SECRET, api_version=version))
    with pytest.raises(ConfigurationError, match=f"no API version {version}") as caught:
        org.limits() if ask == "limits" else org.describe("m3ter_Account__c")
    assert "31.0 to 68.0" in caught.value.cause
    assert 'api_version: "68.0"' in caught.value.remedy
    org.close()


@pytest.mark.parametrize("status", [404, 410])
def test_the_versions_are_read_once_for_missing_resources(scripted: Scripted, status: int) -> None:
    def answer(request: Request, _body: bytes) -> Response:
        if request.url.path == "/services/data":
            return JSONResponse([{"version": "67.0", "label": "x"}])
        return JSONResponse([{"errorCode": "GONE", "message": "no"}], status)

    org, script = scripted(answer)
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="GONE"):
            org.limits()
    assert len(script.requests) == 3


PAGE = "<!DOCTYPE html><html><head><title>\n Sign in &amp; go </title></head></html>"


@pytest.mark.parametrize(
    ("ask", "declared"),
    [
        ("limits", True),
        ("limits", False),
        ("rows", True),
        ("rows", False),
        ("upload", True),
        ("upload", False),
        # A result file is not looked into before it is read.
        ("results", True),
    ],
)
def test_a_web_page_instead_of_data_is_reported(
    scripted: Scripted, jobs: Jobs, ask: str, declared: bool
) -> None:
    page = HTMLResponse(PAGE) if declared else PlainTextResponse(PAGE)
    wanted = {"limits": "/limits", "rows": "/composite", "upload": "/batches", "results": "Results"}

    def answer(request: Request, _body: bytes) -> Response:
        if wanted[ask] in request.url.path:
            return page
        if request.url.path.endswith("/limits"):
            return JSONResponse({"DailyApiRequests": {"Max": 9, "Remaining": 9}})
        return JSONResponse({"id": "7501", "state": "JobComplete"})

    org, _ = scripted(answer)
    rows = group(accounts("a1"), large=ask != "rows")
    with pytest.raises(RemoteError, match=r"127\.0\.0\.1 answered .* with a web page") as caught:
        org.limits() if ask == "limits" else list(org.upsert(ACCOUNTS, rows, jobs))
    assert ask == "results" or '"Sign in & go"' in caught.value.cause
    assert "proxy" in caught.value.remedy


@pytest.mark.parametrize("status", [403, 407, 511])
def test_a_web_page_with_an_error_status_is_not_salesforces_error(
    scripted: Scripted, status: int
) -> None:
    org, _ = scripted(lambda _r, _b: HTMLResponse(PAGE, status))
    with pytest.raises(RemoteError, match="Sign in & go"):
        org.limits()


def test_a_web_page_instead_of_a_token_is_reported(behind: Behind, time: Time) -> None:
    async def app(_scope: object, _receive: object, send: Callable[..., object]) -> None:
        await HTMLResponse(PAGE)({"type": "http"}, _receive, send)  # type: ignore[arg-type]

    behind(app)
    org = client_of(time)
    with pytest.raises(RemoteError, match=f"{HOST} answered the login with a web page"):
        org.limits()
    org.close()


@pytest.mark.parametrize("refuse", [True, False])
def test_a_proxy_that_speaks_only_http2_is_named(
    behind: Behind, authority: trustme.CA, time: Time, monkeypatch: pytest.MonkeyPatch, refuse: bool
) -> None:
    behind(sandbox_app())
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(tls)
    with http2_proxy(tls, refuse=refuse) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        org = client_of(time)
        with pytest.raises(RemoteError, match=r"another protocol than HTTP/1\.1") as caught:
            org.limits()
    org.close()
    assert "HTTPS_PROXY" in caught.value.remedy


def zipped(body: bytes, cut: int, *, says_so: bool) -> Response:
    """A response whose compressed body is cut off, with or without the right length."""
    whole = gzip.compress(body)
    headers = {"Content-Encoding": "gzip", "Content-Type": "application/json"}
    response = Response(whole[: len(whole) - cut], headers=headers)
    if says_so:
        response.headers["Content-Length"] = str(len(whole))
    return response


@pytest.mark.parametrize("says_so", [True, False])
def test_a_compressed_response_that_is_cut_off_is_requested_again(
    scripted: Scripted, says_so: bool
) -> None:
    cuts = iter([9, 20])

    def answer(_request: Request, _body: bytes) -> Response:
        return zipped(b'{"DailyApiRequests": {"Max": 5}}', next(cuts, 0), says_so=says_so)

    org, script = scripted(answer)
    assert org.limits() == {"DailyApiRequests": {"Max": 5}}
    assert len(script.requests) == 3


def test_rows_with_a_cut_off_response_do_not_count_as_sent(scripted: Scripted, jobs: Jobs) -> None:
    whole = b'[{"id": "001", "success": true, "created": true, "errors": []}]'
    org, _ = scripted(lambda _r, _b: zipped(whole, 20, says_so=False))
    with pytest.raises(RemoteError, match="cut off"):
        list(org.upsert(ACCOUNTS, group([Row("a1", ["x", None])]), jobs))


def test_a_result_set_that_is_cut_off_is_downloaded_again(scripted: Scripted, jobs: Jobs) -> None:
    whole = gzip.compress(done("a", "b").encode())
    cuts = iter([20, 9])

    def cut_off(_method: str, path: str) -> Response | None:
        if not path.endswith("successfulResults"):
            return None
        # The length is that of the part, so only the compressed data shows that more is missing.
        body = whole[: len(whole) - next(cuts, 0)]
        return Response(body, headers={"Content-Encoding": "gzip", "Content-Type": "text/csv"})

    org, script = scripted(Server([Job()], hook=cut_off))
    results = outcome(org.upsert(ACCOUNTS, group(accounts("a", "b"), large=True), jobs))
    assert created(results) == {"a", "b"}
    assert sum(path.endswith("successfulResults/") for path in script.requests) == 3
