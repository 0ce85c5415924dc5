"""Certificates and proxies: one set of rules for every client."""

import os
import ssl
from contextlib import suppress
from pathlib import Path

import pytest
import trustme
from requests.utils import get_environ_proxies

from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.tls_and_proxy import (
    CA_VARIABLES,
    certificate_problem,
    httpx_options,
    is_certificate_error,
    proxies_for,
    proxy_for,
    set_for_other_libraries,
    tls_context,
)

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*CA_VARIABLES, *PROXY_VARIABLES, *map(str.lower, PROXY_VARIABLES)):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("variables", "url", "expected"),
    [
        ({}, "https://api.m3ter.com", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https://api.m3ter.com", "http://proxy:3128"),
        ({"https_proxy": "http://proxy:3128"}, "https://api.m3ter.com", "http://proxy:3128"),
        ({"HTTPS_PROXY": "proxy:3128"}, "https://api.m3ter.com", "http://proxy:3128"),
        ({"HTTP_PROXY": "http://proxy:3128"}, "https://api.m3ter.com", None),
        ({"ALL_PROXY": "socks5h://proxy:1080"}, "https://api.m3ter.com", "socks5h://proxy:1080"),
        (
            {"HTTPS_PROXY": "http://a:1", "ALL_PROXY": "http://b:1"},
            "https://api.m3ter.com",
            "http://a:1",
        ),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "m3ter.com"}, "https://api.m3ter.com", None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": ".m3ter.com"}, "https://api.m3ter.com", None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "*"}, "https://api.m3ter.com", None),
        ({"ALL_PROXY": "http://p:1", "NO_PROXY": "10.0.0.0/8"}, "https://10.1.2.3", None),
        (
            {"ALL_PROXY": "http://p:1", "NO_PROXY": "salesforce.com"},
            "https://api.m3ter.com",
            "http://p:1",
        ),
        ({"HTTP_PROXY": "http://proxy:3128"}, "http://127.0.0.1:8000/x", None),
        ({"HTTP_PROXY": "http://proxy:3128"}, "http://localhost:8000/x", None),
        ({"ALL_PROXY": "socks5://proxy:1080"}, "http://[::1]:8000/x", None),
        ({"HTTPS_PROXY": "http://proxy:3128"}, "https://127.8.8.8/x", None),
    ],
)
def test_the_environment_says_which_proxy_to_use(
    variables: dict[str, str],
    url: str,
    expected: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert proxy_for(url) == expected
    scheme = url.partition(":")[0]
    assert proxies_for(url) == ({scheme: expected} if expected else {})


@pytest.mark.parametrize(
    "proxy", ["socks4://u:hidden@proxy:1", "http://u:hidden@", "http://:x@p:x"]
)
def test_a_proxy_that_cannot_be_used_is_explained_without_its_password(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)

    with pytest.raises(ConfigurationError, match=r"api\.m3ter\.com") as caught:
        proxy_for("https://api.m3ter.com")

    assert "hidden" not in str(caught.value)
    assert "ALL_PROXY" in caught.value.remedy


@pytest.mark.parametrize("variable", CA_VARIABLES)
def test_each_variable_names_the_only_authorities_to_trust(
    variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "company.pem"
    trustme.CA().cert_pem.write_to_path(file)
    monkeypatch.setenv(variable, str(tmp_path if variable == "SSL_CERT_DIR" else file))

    context = tls_context()

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    # OpenSSL reads a directory only when it looks for an authority.
    assert len(context.get_ca_certs()) == (0 if variable == "SSL_CERT_DIR" else 1)


def test_the_authorities_of_two_variables_are_all_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"):
        trustme.CA().cert_pem.write_to_path(tmp_path / variable)
        monkeypatch.setenv(variable, str(tmp_path / variable))

    assert len(tls_context().get_ca_certs()) == 2


def test_without_a_variable_the_authorities_of_the_system_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = trustme.CA()
    company.cert_pem.write_to_path(tmp_path / "system.pem")
    with pytest.raises(ssl.SSLCertVerificationError):
        _handshake(tls_context(), company)

    # Where truststore looks on a machine whose OpenSSL knows no place of its own.
    nowhere = ssl.DefaultVerifyPaths("", "", "", "", "", "")
    monkeypatch.setattr(ssl, "get_default_verify_paths", lambda: nowhere)
    monkeypatch.setattr("truststore._openssl._CA_FILE_CANDIDATES", [str(tmp_path / "system.pem")])

    _handshake(tls_context(), company)


def test_without_a_list_of_the_system_that_of_mozilla_serves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    company = trustme.CA()
    company.cert_pem.write_to_path(tmp_path / "mozilla.pem")
    monkeypatch.setattr("certifi.where", lambda: str(tmp_path / "mozilla.pem"))

    _handshake(tls_context(), company)


def _handshake(client: ssl.SSLContext, authority: trustme.CA) -> None:
    """Let a client meet a server with a certificate of the authority, without a network."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(server)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = [
        client.wrap_bio(to_client, to_server, server_hostname="localhost"),
        server.wrap_bio(to_server, to_client, server_side=True),
    ]
    while sides:
        for side in list(sides):
            with suppress(ssl.SSLWantReadError):
                side.do_handshake()
                sides.remove(side)


@pytest.mark.parametrize("variable", CA_VARIABLES)
@pytest.mark.parametrize("content", [None, "not a certificate"])
def test_a_variable_that_names_no_certificates_is_named(
    variable: str, content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "company.pem"
    if content is not None:
        file.write_text(content)
    monkeypatch.setenv(variable, str(file))

    with pytest.raises(ConfigurationError, match=variable) as caught:
        tls_context()

    assert str(file) in caught.value.cause


def test_a_certificate_error_is_found_among_the_causes() -> None:
    reason = ssl.SSLCertVerificationError(1, "certificate verify failed")
    reason.verify_message = "self-signed certificate in certificate chain"
    as_cause = OSError("connection failed")
    as_cause.__cause__ = reason
    as_context = OSError("connection failed")
    as_context.__context__ = as_cause
    as_reason = OSError("retries exceeded")
    as_reason.reason = ssl.SSLError(reason)  # type: ignore[attr-defined] # as urllib3 does
    as_argument = OSError(as_reason)

    for error in (reason, as_cause, as_context, as_reason, as_argument):
        assert is_certificate_error(error)
        assert certificate_problem(error) == "self-signed certificate in certificate chain"


def test_another_error_is_no_certificate_error() -> None:
    error = OSError("connection refused")
    error.__cause__ = error
    assert not is_certificate_error(error)
    assert not is_certificate_error(ssl.SSLError("wrong version number"))


def test_other_libraries_reach_this_machine_without_a_proxy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", "internal.example")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("SSL_CERT_FILE", "/company.pem")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "")
    monkeypatch.delenv("REQUESTS_CA_BUNDLE")
    set_for_other_libraries()
    set_for_other_libraries()

    for host in ("127.0.0.1:8000", "localhost", "127.9.9.9", "[::1]:8000", "internal.example"):
        assert get_environ_proxies(f"http://{host}/x") == {}
    assert get_environ_proxies("http://api.m3ter.com") != {}
    assert os.environ["REQUESTS_CA_BUNDLE"] == "/company.pem"


@pytest.mark.parametrize(
    ("url", "proxy", "proxied", "verified"),
    [
        ("http://127.0.0.1:8000", "http://proxy:3128", False, False),
        ("https://127.0.0.1:8000", "http://proxy:3128", False, True),
        ("https://api.m3ter.com", "http://proxy:3128", True, True),
        ("https://api.m3ter.com", "https://proxy:3128", True, True),
    ],
)
def test_an_httpx_client_gets_all_settings(
    url: str, proxy: str, proxied: bool, verified: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", proxy)

    options = httpx_options(url)

    assert options["trust_env"] is False
    assert bool(options["verify"]) is verified
    assert (options["proxy"] is not None) is proxied
    if options["proxy"]:
        assert options["proxy"].url == proxy
        assert (options["proxy"].ssl_context is not None) is proxy.startswith("https")
