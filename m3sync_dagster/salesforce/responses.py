"""Reading Salesforce's HTTP responses: data, an error, or a web page from something else."""

import html
import re
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
import requests

from m3sync_dagster.salesforce.error_classification import (
    LOGIN,
    ApiError,
    parse_error_body,
    to_sync_error,
)
from m3sync_dagster.salesforce.retry import is_proxy_refusal
from m3sync_dagster.sync.errors import RemoteError, SyncError
from m3sync_dagster.tls_and_proxy import (
    CERTIFICATE_REMEDY,
    OTHER_PROTOCOL,
    OTHER_PROTOCOL_REMEDY,
    certificate_problem,
    is_other_protocol,
)

NOT_MODIFIED = 304
_T = TypeVar("_T")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_LONGEST_TITLE = 80


def decode(response: requests.Response, result_type: type[_T]) -> _T:
    """Decode the JSON of a response.

    Raises:
        RemoteError: it is cut off, or does not have the documented format.
    """
    try:
        return msgspec.json.decode(response.content, type=result_type)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RemoteError(
            f"Salesforce's response to {request_name(response.request)} is cut off or not in the "
            f"documented format: {error}",
            "Try again later. If the error continues, report it with this message.",
        ) from error


def require_whole(response: requests.Response) -> None:
    """Make sure that a compressed response, which was read, is complete.

    urllib3 accepts one that is cut off, if its Content-Length is that of the part: a proxy or a
    server that ended early may send that.

    Raises:
        requests.exceptions.ContentDecodingError: it is cut off, so that a retry may help.
    """
    decompressor = getattr(getattr(response.raw, "_decoder", None), "_obj", None)
    if response.raw.tell() and not getattr(decompressor, "eof", True):
        raise requests.exceptions.ContentDecodingError("the compressed response is cut off")


def is_error(response: requests.Response) -> bool:
    """Whether the response is no success; 304 means that the client already has the data."""
    return response.status_code >= 300 and response.status_code != NOT_MODIFIED


def read_api_error(response: requests.Response) -> ApiError:
    """Read the error of a response that is no success."""
    try:
        body = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = None
    return parse_error_body(response.status_code, body)


def request_name(request: requests.PreparedRequest) -> str:
    """Name a request for messages, such as ``GET /services/data/v67.0/limits``."""
    path = urlsplit(request.url or "").path
    return LOGIN if path.startswith("/services/oauth2/") else f"{request.method} {path}"


def response_error(response: requests.Response) -> SyncError:
    """The error that stops the sync after a response that is no success."""
    return to_sync_error(
        read_api_error(response), request_name(response.request), response.status_code
    )


def reject_web_page(response: requests.Response, *, stream: bool) -> None:
    """Reject a web page: Salesforce's API never sends one.

    Raises:
        RemoteError: the response is a web page.
    """
    if not _is_web_page(response, stream=stream):
        return
    host = urlsplit(response.request.url or "").hostname
    title = _TITLE.search("" if stream else response.text)
    text = " ".join(html.unescape(title[1]).split())[:_LONGEST_TITLE] if title else ""
    response.close()
    named = f' with the title "{text}"' if text else ""
    raise RemoteError(
        f"{host} answered {request_name(response.request)} with a web page{named} instead of data",
        f"Open https://{host} from this machine: a proxy, a sign-in page or Salesforce's "
        "maintenance page answered. Sign in, or set HTTPS_PROXY or NO_PROXY so that m3sync reaches "
        "Salesforce. The next run tries again.",
    )


def _is_web_page(response: requests.Response, *, stream: bool) -> bool:
    if "text/html" in response.headers.get("Content-Type", "").lower():
        return True
    start = b"" if stream else response.content[:200].lstrip().lower()
    return start.startswith((b"<!doctype html", b"<html"))


def connection_error(
    request: requests.PreparedRequest, error: requests.RequestException
) -> RemoteError:
    """The error that stops the sync after a request without a response."""
    host, where = urlsplit(request.url or "").hostname, request_name(request)
    if problem := certificate_problem(error):
        return RemoteError(
            f"The certificate of {host} is not trusted for {where}: {problem}", CERTIFICATE_REMEDY
        )
    if is_other_protocol(error):
        return RemoteError(
            f"Salesforce could not be reached for {where}: {OTHER_PROTOCOL}", OTHER_PROTOCOL_REMEDY
        )
    cause = f"Salesforce could not be reached for {where}: {_reason(error)}"
    if isinstance(error, requests.exceptions.ProxyError):
        check = "allows connections to" if is_proxy_refusal(error) else "can reach"
        return RemoteError(
            cause,
            f"Check the proxy that HTTPS_PROXY or ALL_PROXY names, and that it {check} {host}; "
            "or list the host in NO_PROXY.",
        )
    return RemoteError(
        cause,
        "Check the network and https://status.salesforce.com. The next run tries again.",
    )


def _reason(error: Exception) -> str:
    """The innermost cause, such as "Connection refused"."""
    reason: object = error
    while isinstance(inner := getattr(reason, "reason", None) or _first(reason), Exception):
        reason = inner
    return f"{type(error).__name__}: {reason}"


def _first(error: object) -> object:
    arguments = getattr(error, "args", ())
    return arguments[0] if arguments else None
