"""A requests session that repeats what fails for a passing reason, and raises our errors."""

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
from tenacity import RetryCallState, before_sleep_log

from m3sync_dagster.http_settings import proxies_for
from m3sync_dagster.loopback import is_loopback
from m3sync_dagster.salesforce.answers import (
    check_is_no_web_page,
    complaint_of,
    is_refused,
    refusal,
    unreachable,
)
from m3sync_dagster.salesforce.retry import RetryableError, is_retried_answer, retrying_requests

TIMEOUT = (10, 120)
"""Seconds to connect, and between two parts of an answer."""
PROXY_STATUSES = frozenset({403, 407, 511})
"""With what a proxy or a network's sign-in page refuses, in a web page of its own."""
_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Traffic:
    """What has been sent over the sessions that share it.

    Attributes:
        calls: requests sent, repetitions included.
        repetitions: how many of them were sent again, since they failed or their answer was lost.
    """

    calls: int = 0
    repetitions: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count_call(self) -> None:
        """Count a request that is sent."""
        with self._lock:
            self.calls += 1

    def count_repetition(self) -> None:
        """Count a request that is about to be sent again."""
        with self._lock:
            self.repetitions += 1


@dataclass(frozen=True, slots=True)
class Connection:
    """What a session is made of.

    Args:
        adapter: how requests get there.
        traffic: where they are counted.
        sleep: waits a number of seconds.
        origin: the scheme, host and port that every request goes to, whatever host it names;
            ``None``: the host that it names, by https.
    """

    adapter: HTTPAdapter
    traffic: Traffic
    sleep: Callable[[float], None]
    origin: str | None = None


class RetryingSession(requests.Session):
    """A session for one system.

    Every request that is made over it may be repeated: reads, upserts by external ID, and job
    requests that do no harm twice. ``send_once`` is for the others.
    """

    def __init__(self, connection: Connection) -> None:
        super().__init__()
        self._origin = urlsplit(connection.origin) if connection.origin else None
        self._traffic = connection.traffic
        self.retrying = retrying_requests(connection.sleep, self._note_repetition)
        # Neither .netrc nor cookies change a request; proxies and certificates are ours to name.
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
        """Send a request until it is answered for good.

        Raises:
            SyncError: it was refused, or nothing came back.
        """
        return self._finish(request, options, repeat=True)

    def send_once(
        self,
        request: requests.PreparedRequest,
        **options: Any,  # noqa: ANN401 - as requests has it
    ) -> requests.Response:
        """Do as ``send``, but not again where what became of the first time is not known.

        Raises:
            SyncError: it was refused, or nothing came back; in the latter case it may have been
                carried out all the same.
        """
        return self._finish(request, options, repeat=False)

    def _finish(
        self, request: requests.PreparedRequest, options: dict[str, Any], *, repeat: bool
    ) -> requests.Response:
        # A redirect could carry the token elsewhere; Salesforce's API documents none.
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
            raise refusal(error.response) from None
        except requests.RequestException as error:
            raise unreachable(request, error) from error
        refused = is_refused(response)
        if not refused or response.status_code in PROXY_STATUSES:
            check_is_no_web_page(response, stream=bool(options.get("stream")))
        if refused:
            raise self._refusal(response)
        return response

    def _address(self, address: str) -> str:
        """Where a request goes."""
        if self._origin is None:
            return address
        url = urlsplit(address)
        # A stand-in may have its instance at another port of this machine.
        own = is_loopback(self._origin.hostname or "") and is_loopback(url.hostname or "")
        netloc = url.netloc if own else self._origin.netloc
        return url._replace(scheme=self._origin.scheme, netloc=netloc).geturl()

    def _refusal(self, response: requests.Response) -> Exception:
        """What a refusal stops the sync with."""
        return refusal(response)

    def _attempt(
        self, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> requests.Response:
        response = self._exchange(request, options)
        if is_refused(response):
            complaint = complaint_of(response)
            if is_retried_answer(response, complaint):
                raise RetryableError(response, complaint)
        return response

    def _exchange(
        self, request: requests.PreparedRequest, options: dict[str, Any]
    ) -> requests.Response:
        """Send a request once."""
        if getattr(request, "_body_position", None) is not None:
            rewind_body(request)
        self._traffic.count_call()
        return super().send(request, **options)

    def _note_repetition(self, state: RetryCallState) -> None:
        before_sleep_log(_log, logging.WARNING)(state)
        self._traffic.count_repetition()


def _unchanged(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
