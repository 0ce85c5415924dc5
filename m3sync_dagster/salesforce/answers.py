"""What an answer of Salesforce is: data, a refusal, or nothing that an API answers."""

import html
import re
from typing import TypeVar
from urllib.parse import urlsplit

import msgspec
import requests

from m3sync_dagster.http_settings import CERTIFICATE_REMEDY, certificate_problem
from m3sync_dagster.salesforce.errors import LOGIN, ApiError, parse_answer, to_sync_error
from m3sync_dagster.salesforce.retry import is_proxy_refusal
from m3sync_dagster.sync.errors import RemoteError, SyncError

NOT_MODIFIED = 304
_T = TypeVar("_T")
_TITLE = re.compile(r"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_LONGEST_TITLE = 80


def decode(response: requests.Response, answer: type[_T]) -> _T:
    """Decode an answer's JSON.

    Raises:
        RemoteError: it is not what it should be.
    """
    try:
        return msgspec.json.decode(response.content, type=answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RemoteError(
            f"Salesforce's answer to {place(response.request)} is cut off, or not as documented: "
            f"{error}",
            "Try again later; if it stays so, report it with this message.",
        ) from error


def is_refused(response: requests.Response) -> bool:
    """Whether it does not answer what was asked; 304 says that the client has it already."""
    return response.status_code >= 300 and response.status_code != NOT_MODIFIED


def complaint_of(response: requests.Response) -> ApiError:
    """What a refusal says."""
    try:
        body = msgspec.json.decode(response.content)
    except (msgspec.DecodeError, UnicodeDecodeError):
        body = None
    return parse_answer(response.status_code, body)


def place(request: requests.PreparedRequest) -> str:
    """What was asked for, in the words of messages."""
    path = urlsplit(request.url or "").path
    return LOGIN if path.startswith("/services/oauth2/") else f"{request.method} {path}"


def refusal(response: requests.Response) -> SyncError:
    """What a refusal stops the sync with."""
    return to_sync_error(complaint_of(response), place(response.request), response.status_code)


def check_is_no_web_page(response: requests.Response, *, stream: bool) -> None:
    """Refuse a web page in the place of data: Salesforce's API never answers with one.

    Raises:
        RemoteError: it is one.
    """
    if not _is_web_page(response, stream=stream):
        return
    host = urlsplit(response.request.url or "").hostname
    title = _TITLE.search("" if stream else response.text)
    words = " ".join(html.unescape(title[1]).split())[:_LONGEST_TITLE] if title else ""
    response.close()
    named = f' with the title "{words}"' if words else ""
    raise RemoteError(
        f"{host} answered {place(response.request)} with a web page{named} instead of data",
        f"Open https://{host} from this machine: a proxy, a sign-in page or Salesforce's "
        "maintenance page answers in its place. Sign in, or let m3sync pass it (HTTPS_PROXY, "
        "NO_PROXY); the next run tries again.",
    )


def _is_web_page(response: requests.Response, *, stream: bool) -> bool:
    if "text/html" in response.headers.get("Content-Type", "").lower():
        return True
    begin = b"" if stream else response.content[:200].lstrip().lower()
    return begin.startswith((b"<!doctype html", b"<html"))


def unreachable(request: requests.PreparedRequest, error: requests.RequestException) -> RemoteError:
    """What a request without an answer stops the sync with."""
    host, where = urlsplit(request.url or "").hostname, place(request)
    if problem := certificate_problem(error):
        return RemoteError(
            f"The certificate of {host} is not trusted for {where}: {problem}", CERTIFICATE_REMEDY
        )
    cause = f"Salesforce could not be reached for {where}: {_reason(error)}"
    if isinstance(error, requests.exceptions.ProxyError):
        refused = "lets this machine connect to" if is_proxy_refusal(error) else "can reach"
        return RemoteError(
            cause,
            f"Check the proxy that HTTPS_PROXY or ALL_PROXY names, and that it {refused} {host}; "
            "or list the host in NO_PROXY.",
        )
    return RemoteError(
        cause,
        "Check the network and https://status.salesforce.com; the next run tries again.",
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
