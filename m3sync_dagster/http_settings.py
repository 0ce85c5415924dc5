"""Which certificates and which proxy our HTTP clients use, for m3ter and Salesforce alike.

The libraries disagree: httpx reads ``SSL_CERT_FILE``, requests ``REQUESTS_CA_BUNDLE``, and both
send what is meant for this machine to a proxy unless ``NO_PROXY`` says otherwise. So the rules are
here, once, and each client is told what to use.
"""

import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlsplit

from m3sync_dagster.loopback import is_loopback
from m3sync_dagster.sync.errors import ConfigurationError

if TYPE_CHECKING:
    import httpx

CA_VARIABLES = ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
"""Variables that name certificate authorities to trust: those of OpenSSL, requests and curl."""
PROXY_SCHEMES = frozenset({"http", "https", "socks5", "socks5h"})
"""What a proxy's URL may start with: what both httpx and requests can use."""
_LOOPBACK = frozenset({"localhost", "127.0.0.0/8", "::1"})
CERTIFICATE_REMEDY = (
    "If a company proxy or firewall issues certificates of its own, set SSL_CERT_FILE to a PEM "
    "file with every certificate authority to trust, the company's among them; otherwise check "
    "the address, and the clock of this machine."
)
"""What a person does when a server's certificate is not trusted."""


def tls_context() -> ssl.SSLContext:
    """What to check a server's certificate with.

    The authorities that the variables in ``CA_VARIABLES`` name, all of them together and nothing
    else; without any such variable, those of the operating system and those of Mozilla.

    Python 3.13's strict checks (``VERIFY_X509_STRICT``) stay off, since the authorities of many
    companies do not pass them, and other programs do without.

    A requests adapter has to override ``cert_verify`` too, or requests adds Mozilla's authorities.

    Raises:
        ConfigurationError: a variable names no readable certificates.
    """
    named = [name for name in CA_VARIABLES if os.environ.get(name)]
    if not named:
        return _system_context()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for name in named:
        # OpenSSL takes several directories in one variable.
        separator = os.pathsep if name == "SSL_CERT_DIR" else "\0"
        for path in os.environ[name].split(separator):
            _trust(context, name, Path(path))
    return context


def _system_context() -> ssl.SSLContext:
    """Mozilla's list makes up for a container that has no list of its own."""
    import certifi  # noqa: PLC0415 - only a process that speaks TLS needs it
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
            f"{name} is {str(path)!r}, which holds no certificates that can be read: {error}",
            f"Set {name} to a file of certificates in PEM form, or unset it.",
        ) from None


def certificate_problem(error: BaseException) -> str | None:
    """Why a server's certificate was not trusted; ``None`` for an error of another kind.

    Args:
        error: what an HTTP client raised. Its causes are looked through.
    """
    for link in _causes(error):
        if isinstance(link, ssl.SSLCertVerificationError):
            return getattr(link, "verify_message", "") or str(link)
    return None


def is_certificate_error(error: BaseException) -> bool:
    """Whether a request failed because the server's certificate is not trusted."""
    return certificate_problem(error) is not None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and all that led to it, where Python, requests and urllib3 put such things."""
    waiting, seen = [error], set[int]()
    while waiting:
        link = waiting.pop()
        if id(link) not in seen:
            seen.add(id(link))
            yield link
            inner = (link.__cause__, link.__context__, getattr(link, "reason", None), *link.args)
            waiting.extend(one for one in inner if isinstance(one, BaseException))


def proxy_for(url: str) -> str | None:
    """The URL of the proxy by which to reach a URL, for httpx; ``None`` for a direct connection.

    ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` decide, in either case, and
    the system's settings on Windows and macOS. What is on this machine is never reached by a
    proxy: it may be spoken to without encryption, and a proxy would read the secrets.

    A proxy's URL may hold a password: put it into no message.

    Raises:
        ConfigurationError: the environment names a proxy that cannot be used.
    """
    parts = urlsplit(url)
    if is_loopback(parts.hostname or ""):
        return None
    from requests.utils import get_environ_proxies, select_proxy  # noqa: PLC0415 - slow to import

    proxy = select_proxy(url, get_environ_proxies(url))
    return _usable(proxy, parts.hostname or "") if proxy else None


def proxies_for(url: str) -> dict[str, str]:
    """As ``proxy_for``, in the form of ``requests.Session.proxies``; empty for none."""
    proxy = proxy_for(url)
    return {urlsplit(url).scheme: proxy} if proxy else {}


class HttpxOptions(TypedDict):
    """Arguments of an httpx client or request."""

    trust_env: bool
    proxy: "httpx.Proxy | None"
    verify: ssl.SSLContext | bool


def httpx_options(url: str) -> HttpxOptions:
    """What to give an httpx client or request for a URL, so that the rules above apply.

    Raises:
        ConfigurationError: as for ``tls_context`` and ``proxy_for``.
    """
    import httpx  # noqa: PLC0415 - not every process that reads these rules needs it

    proxy = proxy_for(url)
    # Building a context takes longer than a request to this machine.
    context = tls_context() if proxy or urlsplit(url).scheme == "https" else None
    by_tls = proxy is not None and urlsplit(proxy).scheme == "https"
    return {
        "trust_env": False,
        "proxy": httpx.Proxy(proxy, ssl_context=context if by_tls else None) if proxy else None,
        "verify": context or False,
    }


def set_for_other_libraries() -> None:
    """Make libraries that open connections by themselves follow the rules above, where they can.

    They read the environment, so this changes it: for this process, and those that it starts.
    """
    bypassed = {part.strip() for part in _no_proxy().split(",") if part.strip()}
    # Of NO_PROXY and no_proxy, which is read differs.
    os.environ["NO_PROXY"] = os.environ["no_proxy"] = ",".join(sorted(bypassed | _LOOPBACK))
    if bundle := os.environ.get("SSL_CERT_FILE"):
        os.environ.setdefault("REQUESTS_CA_BUNDLE", bundle)


def _no_proxy() -> str:
    return os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""


def _usable(proxy: str, host: str) -> str:
    proxy = proxy if "://" in proxy else f"http://{proxy}"
    try:
        parts = urlsplit(proxy)
        sound = parts.scheme in PROXY_SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ConfigurationError(
            f"The environment names a proxy for {host} that cannot be used",
            "Set HTTPS_PROXY or ALL_PROXY to http://, https://, socks5:// or socks5h:// with the "
            "proxy's host and port, or list the host in NO_PROXY.",
        )
    return proxy
