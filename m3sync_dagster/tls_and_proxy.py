"""The certificates and the proxy that our HTTP clients use, for m3ter and Salesforce alike.

The libraries differ: httpx reads ``SSL_CERT_FILE``, requests ``REQUESTS_CA_BUNDLE``, and both send
requests for this machine to a proxy unless ``NO_PROXY`` excludes it. So the rules are in this
module, and each client gets its settings from here.
"""

import os
import ssl
from collections.abc import Iterator
from http.client import BadStatusLine, RemoteDisconnected
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlsplit

from m3sync_dagster.loopback import is_loopback
from m3sync_dagster.sync.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx

CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables of OpenSSL, requests and curl with the certificate authorities to trust."""
PROXY_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})
"""Schemes of a proxy's URL that both httpx and requests support."""
_LOOPBACK = frozenset({"localhost", "127.0.0.0/8", "::1"})
CERTIFICATE_REMEDY = (
    "If a company proxy or firewall issues its own certificates, set SSL_CERT_FILE to a PEM file "
    "with every certificate authority to trust, including the company's. Otherwise check the "
    "address, and the clock of this machine."
)
"""The remedy when a server's certificate is not trusted."""
OTHER_PROTOCOL = "the proxy or server answers in another protocol than HTTP/1.1, such as HTTP/2"
"""The cause where ``is_other_protocol``."""
OTHER_PROTOCOL_REMEDY = (
    "m3sync uses HTTP/1.1: have the proxy or server accept it. Also check the scheme and the port "
    "of HTTPS_PROXY or ALL_PROXY."
)
"""The remedy where ``is_other_protocol``."""


def tls_context() -> ssl.SSLContext:
    """The TLS settings that verify a server's certificate.

    Trusts the authorities of all variables in ``CA_VARIABLES`` and no others; without any such
    variable, those of the operating system and of Mozilla.

    Python 3.13's strict checks (``VERIFY_X509_STRICT``) stay off: the certificates of many
    companies do not pass them, and other programs do not use them.

    A requests adapter must override ``cert_verify`` too, or requests adds Mozilla's authorities.

    Raises:
        ConfigurationError: a variable has no readable certificates.
    """
    named = [name for name in CA_VARIABLES if os.environ.get(name)]
    if not named:
        return _system_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in named:
        # OpenSSL accepts several directories in one variable.
        separator = os.pathsep if name == "SSL_CERT_DIR" else "\0"
        for path in os.environ[name].split(separator):
            _trust(context, name, Path(path))
    return context


def _system_context() -> ssl.SSLContext:
    """Mozilla's list is needed in a container without certificates."""
    import certifi  # noqa: PLC0415 - only a process that uses TLS needs it
    import truststore  # noqa: PLC0415 - as above

    context = truststore.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    return context


def _trust(context: ssl.SSLContext, name: str, path: Path) -> None:
    try:
        if path.is_dir():
            context.load_verify_locations(capath=path)
        else:
            context.load_verify_locations(cafile=path)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"{name} is {str(path)!r}, which has no readable certificates: {error}",
            f"Set {name} to a file of certificates in PEM form, or unset it.",
        ) from None


def certificate_problem(error: BaseException) -> str | None:
    """Why a server's certificate was not trusted; ``None`` for an error of another kind.

    Args:
        error: the error of an HTTP client; its causes are searched.
    """
    for link in _causes(error):
        if isinstance(link, ssl.SSLCertVerificationError):
            return getattr(link, "verify_message", "") or str(link)
    return None


def is_certificate_error(error: BaseException) -> bool:
    """Whether a request failed because the server's certificate is not trusted."""
    return certificate_problem(error) is not None


def is_other_protocol(error: BaseException) -> bool:
    """Whether a request failed because the proxy or server does not answer in HTTP/1.1."""
    return any(map(_shows_other_protocol, _causes(error)))


def _shows_other_protocol(error: BaseException) -> bool:
    """Sources: RFC 7301, section 3.2, for the alert; h11, ``maybe_extract_lines``, for the text."""
    if isinstance(error, ssl.SSLError):
        # Some builds of Python have names for OpenSSL's alerts, others only their texts.
        return "NO APPLICATION PROTOCOL" in str(error).upper().replace("_", " ")
    if isinstance(error, BadStatusLine):
        # A text may be part of an HTTP response; HTTP/2 and TLS begin with control characters.
        return str(error.args[0])[:1] < " " and not isinstance(error, RemoteDisconnected)
    return str(error) == "illegal request line"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and its causes, wherever Python, requests and urllib3 put them."""
    waiting, seen = [error], set[int]()
    while waiting:
        link = waiting.pop()
        if id(link) not in seen:
            seen.add(id(link))
            yield link
            inner = (link.__cause__, link.__context__, getattr(link, "reason", None), *link.args)
            waiting.extend(one for one in inner if isinstance(one, BaseException))


def proxy_for(url: str) -> str | None:
    """The URL of the proxy for a URL, for httpx; ``None`` for a direct connection.

    Reads ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in upper or lower case,
    and the system's settings on Windows and macOS. Loopback addresses never use a proxy: their
    traffic may be unencrypted, and a proxy would read the secrets.

    A proxy's URL may contain a password: never put it into a message.

    Raises:
        ConfigurationError: the environment has a proxy that cannot be used.
    """
    parts = urlsplit(url)
    if is_loopback(parts.hostname or ""):
        return None
    from requests.utils import get_environ_proxies, select_proxy  # noqa: PLC0415 - slow to import

    proxy = select_proxy(url, get_environ_proxies(url))
    return _usable(proxy, parts.hostname or "") if proxy else None


def proxies_for(url: str) -> dict[str, str]:
    """The proxy for a URL in the form of ``requests.Session.proxies``; empty for none."""
    proxy = proxy_for(url)
    return {urlsplit(url).scheme: proxy} if proxy else {}


class HttpxOptions(TypedDict):
    """Arguments of an httpx client or request."""

    trust_env: bool
    proxy: "httpx.Proxy | None"
    verify: ssl.SSLContext | bool


def httpx_options(url: str) -> HttpxOptions:
    """The options of an httpx client or request for a URL, by the rules of this module.

    Raises:
        ConfigurationError: as for ``tls_context`` and ``proxy_for``.
    """
    import httpx  # noqa: PLC0415 - not every process needs it

    proxy = proxy_for(url)
    # Creating a context takes longer than a request to a loopback address.
    context = tls_context() if proxy or urlsplit(url).scheme == "https" else None
    over_tls = proxy is not None and urlsplit(proxy).scheme == "https"
    return {
        "trust_env": False,
        "proxy": httpx.Proxy(proxy, ssl_context=context if over_tls else None) if proxy else None,
        "verify": context or False,
    }


def set_for_other_libraries() -> None:
    """Apply the rules of this module to libraries that open connections themselves.

    They read the environment, so this changes it, for this process and its child processes.
    """
    bypassed = {part.strip() for part in _no_proxy().split(",") if part.strip()}
    # Some libraries read NO_PROXY, others no_proxy.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(sorted(bypassed | _LOOPBACK))
    if bundle := os.environ.get("SSL_CERT_FILE"):
        os.environ.setdefault("REQUESTS_CA_BUNDLE", bundle)


def _no_proxy() -> str:
    return os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""


def _usable(proxy: str, host: str) -> str:
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(proxy)
        valid = parts.scheme in PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError(
            f"The environment has a proxy for {host} that cannot be used",
            "Set HTTPS_PROXY or ALL_PROXY to http://, https://, socks5:// or socks5h:// with the "
            "proxy's host and port, or list the host in NO_PROXY.",
        )
    return proxy
