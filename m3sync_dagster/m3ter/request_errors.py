"""Errors of requests to m3ter, with their remedies."""

from collections.abc import Callable

import httpx
import msgspec

from m3sync_dagster.sync.errors import (
    AuthenticationError,
    ConfigurationError,
    RateLimitError,
    RemoteError,
    SyncError,
)
from m3sync_dagster.sync.printable_text import one_line
from m3sync_dagster.tls_and_proxy import (
    CERTIFICATE_REMEDY,
    OTHER_PROTOCOL,
    OTHER_PROTOCOL_REMEDY,
    certificate_problem,
    is_certificate_error,
    is_other_protocol,
)

TOKEN_PATH = "/oauth/token"  # noqa: S105 - a path

Redact = Callable[[str], str]
"""Replaces every secret in a text; a server may have echoed one."""

_NOT_M3TER = (
    "A proxy, a sign-in page or a maintenance page responded instead of m3ter. Check "
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
        "Wait for the next run; m3ter limits requests per second, and per address over 5 minutes.",
    ),
}


def response_error(path: str, response: httpx.Response, redacted: Redact) -> SyncError:
    """The error for a response that is not a success."""
    status = response.status_code
    if status < 500 and status != httpx.codes.TOO_MANY_REQUESTS and is_web_page(response):
        return web_page_error(path, response, redacted)
    asked = _request_name(path, response)
    message = message_of(response) or _beginning(response)
    cause = f"m3ter answered {asked} with {status}: {one_line(redacted(message))}"
    if response.is_redirect:
        return RemoteError(cause, _NOT_M3TER)
    if asked == TOKEN_PATH and 400 <= status < 404:
        return AuthenticationError(
            cause, "Check the access key id and the API secret of the m3ter credential."
        )
    if status in _REFUSALS:
        error, remedy = _REFUSALS[status]
        return error(cause, remedy)
    return RemoteError(
        cause, "Run it again later. If the error continues, contact m3ter's support."
    )


def connection_error(
    path: str, error: BaseException, retries: int, redacted: Redact
) -> RemoteError:
    """The error for a request without a response."""
    if problem := certificate_problem(error):
        return RemoteError(
            f"m3ter could not be reached for {path}: the certificate of the server is not trusted: "
            f"{problem}",
            CERTIFICATE_REMEDY,
        )
    if is_other_protocol(error):
        return RemoteError(
            f"m3ter could not be reached for {path}: {OTHER_PROTOCOL}", OTHER_PROTOCOL_REMEDY
        )
    reason = redacted(f"{type(error).__name__}: {error}")
    if isinstance(error, httpx.ProxyError):
        return RemoteError(
            f"m3ter could not be reached for {path}: the proxy rejected the request: {reason}",
            "Check HTTPS_PROXY or ALL_PROXY, with the user name and password for the proxy, "
            "or list m3ter's host in NO_PROXY.",
        )
    return RemoteError(
        f"m3ter could not be reached for {path}, after {retries} retries: {reason}",
        "Check base_url, the network and any proxy on the way to m3ter. Then run it again.",
    )


def is_permanent(error: BaseException) -> bool:
    """Whether a retry would fail in the same way."""
    refused = isinstance(error, httpx.ProxyError) and str(error).startswith(_PROXY_REFUSES)
    return refused or is_certificate_error(error)


def require_whole(response: httpx.Response) -> None:
    """Make sure that a compressed response, which was read, is complete.

    httpx accepts one that is cut off, if its Content-Length is that of the part: a proxy or a
    server that ended early may send that.

    Raises:
        httpx.RemoteProtocolError: it is cut off, so that a retry may help.
    """
    decompressor = getattr(getattr(response, "_decoder", None), "decompressor", None)
    if response.num_bytes_downloaded and not getattr(decompressor, "eof", True):
        raise httpx.RemoteProtocolError("the compressed response is cut off")


def token_error(response: httpx.Response, reason: str, redacted: Redact) -> RemoteError:
    """The error for a successful response without a token."""
    if is_web_page(response):
        return web_page_error(TOKEN_PATH, response, redacted)
    return RemoteError(
        f"m3ter answered {TOKEN_PATH} with something that is not a token: {redacted(reason)}",
        "Check base_url and any proxy on the way to m3ter.",
    )


def web_page_error(path: str, response: httpx.Response, redacted: Redact) -> RemoteError:
    """The error for a web page, which m3ter's API never sends."""
    asked = _request_name(path, response)
    return RemoteError(
        f"{response.request.url.host} answered {asked} with {response.status_code} and a web page "
        f"instead of JSON: {redacted(_beginning(response))}",
        _NOT_M3TER,
    )


def is_web_page(response: httpx.Response) -> bool:
    """Whether a response is HTML or XML, by its media type or its content."""
    named = "html" in response.headers.get("Content-Type", "").lower()
    return named or response.content.lstrip()[:1] == b"<"


def is_for_token(response: httpx.Response) -> bool:
    """Whether the response is to a token request."""
    return response.request.url.path.endswith(TOKEN_PATH)


def message_of(response: httpx.Response) -> str | None:
    """m3ter's ``message``; ``None`` where the response has none."""
    try:
        return str(msgspec.json.decode(response.content, type=dict[str, object])["message"])
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError):
        return None


def _request_name(path: str, response: httpx.Response) -> str:
    return TOKEN_PATH if is_for_token(response) else path


def _beginning(response: httpx.Response) -> str:
    """The beginning of a response without m3ter's ``message``."""
    return " ".join(response.text.split())[:200] or "no message"
