"""What went wrong between us and m3ter, as errors that say what to do."""

from collections.abc import Callable

import httpx
import msgspec

from m3sync_dagster.http_settings import (
    CERTIFICATE_REMEDY,
    certificate_problem,
    is_certificate_error,
)
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    ConfigurationError,
    RateLimitError,
    RemoteError,
    SyncError,
)

TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path

Redact = Callable[[str], str]
"""Gives a text without any secret that a system may have echoed."""

_NOT_M3TER = (
    "A proxy, a sign-in page or a maintenance page has answered in the place of m3ter. Check "
    "base_url of the m3ter credential, and HTTPS_PROXY, ALL_PROXY and NO_PROXY."
)
_PROXY_REFUSES = ("407", "403")
_REFUSALS: dict[int, tuple[type[SyncError], str]] = {
    401: (
        AuthenticationError,
        "Check that the access key of the m3ter credential is still active.",
    ),
    403: (
        AuthenticationError,
        "Give the service user a permission policy that allows config:retrieve.",
    ),
    404: (
        ConfigurationError,
        "Check organization_id and base_url of the m3ter credential.",
    ),
    429: (
        RateLimitError,
        "Wait for the next run; m3ter counts by the second and, for an address, over 5 minutes.",
    ),
}


def refusal(path: str, response: httpx.Response, redacted: Redact) -> SyncError:
    """The error for an answer that is not a success."""
    status = response.status_code
    if status < 500 and status != httpx.codes.TOO_MANY_REQUESTS and is_web_page(response):
        return web_page(path, response, redacted)
    asked = _asked(path, response)
    said = message_of(response) or _start(response)
    cause = f"m3ter answered {asked} with {status}: {redacted(said)}"
    if response.is_redirect:
        return RemoteError(cause, _NOT_M3TER)
    if asked == TOKEN_PATH and 400 <= status < 404:
        return AuthenticationError(
            cause, "Check the access key id and the API secret of the m3ter credential."
        )
    if status in _REFUSALS:
        error, remedy = _REFUSALS[status]
        return error(cause, remedy)
    return RemoteError(cause, "Run it again later; if it stays so, tell m3ter's support.")


def unreachable(path: str, error: BaseException, retries: int, redacted: Redact) -> RemoteError:
    """The error for a request that got no answer."""
    if problem := certificate_problem(error):
        return RemoteError(
            f"m3ter could not be asked for {path}: the certificate of the server is not trusted: "
            f"{problem}",
            CERTIFICATE_REMEDY,
        )
    reason = redacted(f"{type(error).__name__}: {error}")
    if isinstance(error, httpx.ProxyError):
        return RemoteError(
            f"m3ter could not be asked for {path}: the proxy does not take the request: {reason}",
            "Check HTTPS_PROXY or ALL_PROXY, with the user name and password that the proxy wants, "
            "or list m3ter's host in NO_PROXY.",
        )
    return RemoteError(
        f"m3ter could not be asked for {path}, {retries} retries included: {reason}",
        "Check base_url, the network and any proxy on the way to m3ter; then run it again.",
    )


def is_lasting(error: BaseException) -> bool:
    """Whether another try would end in the same way."""
    refused = isinstance(error, httpx.ProxyError) and str(error).startswith(_PROXY_REFUSES)
    return refused or is_certificate_error(error)


def no_token(response: httpx.Response, reason: str, redacted: Redact) -> RemoteError:
    """The error for a success that holds no token."""
    if is_web_page(response):
        return web_page(TOKEN_PATH, response, redacted)
    return RemoteError(
        f"m3ter answered {TOKEN_PATH} with something that is not a token: {redacted(reason)}",
        "Check base_url and any proxy on the way to m3ter.",
    )


def web_page(path: str, response: httpx.Response, redacted: Redact) -> RemoteError:
    """The error for a page that is made for people, which m3ter's API never sends."""
    asked = _asked(path, response)
    return RemoteError(
        f"{response.request.url.host} answered {asked} with {response.status_code} and a web page "
        f"instead of JSON: {redacted(_start(response))}",
        _NOT_M3TER,
    )


def is_web_page(response: httpx.Response) -> bool:
    """Whether an answer is HTML, or XML, whatever it calls itself."""
    named = "html" in response.headers.get("Content-Type", "").lower()
    return named or response.content.lstrip()[:1] == b"<"


def is_for_token(response: httpx.Response) -> bool:
    """Whether a token was asked for, and not what the caller wanted."""
    return response.request.url.path.endswith(TOKEN_PATH)


def message_of(response: httpx.Response) -> str | None:
    """m3ter's ``message``; ``None`` where the answer has none."""
    try:
        return str(msgspec.json.decode(response.content, type=dict[str, object])["message"])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        return None


def _asked(path: str, response: httpx.Response) -> str:
    return TOKEN_PATH if is_for_token(response) else path


def _start(response: httpx.Response) -> str:
    """The start of whatever came instead of m3ter's ``message``."""
    return " ".join(response.text.split())[:200] or "no message"
