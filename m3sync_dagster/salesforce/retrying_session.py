"""A requests session that retries temporary failures and raises our errors."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.utils import rewind_body
from tenacity import RetryCallState

from m3sync_dagster.loopback import is_loopback
from m3sync_dagster.salesforce.responses import (
    connection_error,
    is_error,
    read_api_error,
    reject_web_page,
    require_whole,
    response_error,
)
from m3sync_dagster.salesforce.retry import (
    REQUESTS,
    RetryableError,
    is_retried_response,
    retrying_requests,
)
from m3sync_dagster.tls_and_proxy import proxies_for

TIMEOUT = (10, 120)
"""Seconds to connect, and between two parts of a response."""
PROXY_STATUSES = frozenset({403, 407, 511})
"""Statuses of a proxy or a network's sign-in page, which respond with a web page."""
SendOptions = dict[str, Any]
"""Keyword arguments of ``requests.Session.send``, which types them as ``Any`` too."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class RequestCounts:
    """The number of requests of the sessions that share it.

    Attributes:
        calls: requests sent, retries included.
        retries: those of them that repeated a request that failed or whose response was lost.
    """

    calls: int = 0
    retries: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count_call(self) -> None:
        """Count a request."""
        with self._lock:
            self.calls += 1

    def count_retry(self) -> None:
        """Count a retry."""
        with self._lock:
            self.retries += 1


@dataclass(frozen=True, slots=True)
class Connection:
    """The parts of a session.

    Args:
        adapter: sends the requests.
        counts: counts the requests.
        sleep: waits a number of seconds.
        origin: the scheme, host and port that every request is sent to, instead of those of its
            URL; ``None``: the host of the URL, over https.
    """

    adapter: HTTPAdapter
    counts: RequestCounts
    sleep: Callable[[float], None]
    origin: str | None = None


class RetryingSession(requests.Session):
    """A session that retries requests.

    Use it for requests that may be repeated: reads, upserts by external ID, and requests for
    jobs. Use ``send_once`` for all others.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._origin = urlsplit(connection.origin) if connection.origin else None
        self._counts = connection.counts
        self.retrying = retrying_requests(connection.sleep, self._note_retry)
        # No .netrc file and no cookie changes a request; ``tls_and_proxy`` sets proxies and
        # certificates.
        self.trust_env = False
        self.auth = _unchanged
        self.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.adapters.clear()
        self.mount(f"{self._origin.scheme if self._origin else 'https'}://", connection.adapter)

    def send(
        self,
        request: requests.PreparedRequest,
        **options: Any,  # noqa: ANN401 - as requests has it
    ) -> requests.Response:
        """Send a request, with retries.

        Raises:
            SyncError: the request failed, or had no response.
        """
        return self._finish(request, options, repeat=True)

    def send_once(
        self,
        request: requests.PreparedRequest,
        **options: Any,  # noqa: ANN401 - as requests has it
    ) -> requests.Response:
        """Send a request, without retries.

        Raises:
            SyncError: the request failed, or had no response. In the second case Salesforce may
                have processed it.
        """
        return self._finish(request, options, repeat=False)

    def _finish(
        self, request: requests.PreparedRequest, options: SendOptions, *, repeat: bool
    ) -> requests.Response:
        # A redirect could send the token to another host; Salesforce's API documents none.
        options |= {"allow_redirects": False, "timeout": options.get("timeout") or TIMEOUT}
        request.url = self._address(request.url or "")
        options["proxies"] = proxies_for(request.url)
        try:
            response = (
                self.retrying(self._attempt, request, options)
                if repeat
                else self._exchange(request, options)
            )
        except RetryableError as error:
            raise response_error(error.response) from None
        except requests.RequestException as error:
            raise connection_error(request, error) from error
        failed = is_error(response)
        if not failed or response.status_code in PROXY_STATUSES:
            reject_web_page(response, stream=bool(options.get("stream")))
        if failed:
            raise self._response_error(response)
        return response

    def _address(self, address: str) -> str:
        """The URL that a request is sent to."""
        if self._origin is None:
            return address
        url = urlsplit(address)
        # A test server may have its instance at another port of this machine.
        own = is_loopback(self._origin.hostname or "") and is_loopback(url.hostname or "")
        netloc = url.netloc if own else self._origin.netloc
        return url._replace(scheme=self._origin.scheme, netloc=netloc).geturl()

    def _response_error(self, response: requests.Response) -> Exception:
        """The error to raise for a response that is no success."""
        return response_error(response)

    def _attempt(
        self, request: requests.PreparedRequest, options: SendOptions
    ) -> requests.Response:
        response = self._exchange(request, options)
        if is_error(response):
            api_error = read_api_error(response)
            if is_retried_response(response, api_error):
                raise RetryableError(response, api_error)
        return response

    def _exchange(
        self, request: requests.PreparedRequest, options: SendOptions
    ) -> requests.Response:
        """Send a request once."""
        if getattr(request, "_body_position", None) is not None:
            rewind_body(request)
        self._counts.count_call()
        response = super().send(request, **options)
        if not options.get("stream"):
            require_whole(response)
        return response

    def _note_retry(self, state: RetryCallState) -> None:
        failure = state.outcome and state.outcome.exception()
        answered = isinstance(failure, RetryableError)
        _log.warning(
            "Salesforce %s, trying again (%d of %d)",
            f"answers with a temporary error ({failure})" if answered else "does not answer",
            state.attempt_number + 1,
            REQUESTS.attempts,
        )
        self._counts.count_retry()


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
