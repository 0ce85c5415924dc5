"""Which requests and rows are retried within a run, how often, and after which delay."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import requests
import urllib3
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from m3sync_dagster.salesforce.error_classification import ApiError
from m3sync_dagster.sync.row_results import ErrorClass, Rejected, RowResult
from m3sync_dagster.tls_and_proxy import is_certificate_error

_Failure = TypeVar("_Failure")

LONGEST_WAIT = 60
"""Longest ``Retry-After``, in seconds, that a run waits for; after a longer one it stops."""
RETRIED_STATUSES = frozenset({420, 429, 500, 502, 503, 504})
RETRIED_ROWS = frozenset({ErrorClass.TRANSIENT, ErrorClass.COLLATERAL})


class RetryableError(Exception):
    """A response with an error that may be temporary.

    Args:
        response: the response.
        api_error: its error.

    Attributes:
        wait: the seconds of its ``Retry-After``.
    """

    def __init__(self, response: requests.Response, api_error: ApiError) -> None:
        super().__init__(str(api_error))
        self.response = response
        self.wait = _seconds(response.headers.get("Retry-After", ""))


@dataclass(frozen=True, slots=True)
class RetryPolicy(Generic[_Failure]):
    """How often something is tried, and after which delays.

    Args:
        attempts: all attempts, including the first.
        first: seconds before the second try.
        factor: growth of the delay from one attempt to the next.
        longest: the longest delay in seconds.
        retried: whether a failure is retried.
    """

    attempts: int
    first: float
    factor: float
    longest: float
    retried: Callable[[_Failure], bool]

    def delay(self, failures: int) -> float:
        """Seconds to wait after so many failures, randomly changed by up to a half.

        So writers that locked each other out do not retry at the same moment.
        """
        seconds = min(self.first * self.factor ** (failures - 1), self.longest)
        return seconds * random.uniform(0.5, 1.5)  # noqa: S311 - not a secret


def is_retried_response(response: requests.Response, api_error: ApiError) -> bool:
    """Whether the error of a response may be temporary."""
    transient = api_error.meaning.error_class is ErrorClass.TRANSIENT
    return transient or response.status_code in RETRIED_STATUSES


def _is_retried_error(error: BaseException) -> bool:
    if isinstance(error, RetryableError):
        return error.wait <= LONGEST_WAIT
    if is_certificate_error(error) or is_proxy_refusal(error):
        return False
    broken = (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
    )
    return isinstance(error, broken)


def is_proxy_refusal(error: BaseException) -> bool:
    """Whether a proxy has refused the connection, which a retry would not change.

    Source of the message: Python's ``http.client``, ``HTTPConnection._tunnel``.
    """
    is_proxy_error = isinstance(error, requests.exceptions.ProxyError)
    return is_proxy_error and "Tunnel connection failed: 4" in str(error)


def _is_retried_row(result: RowResult) -> bool:
    return isinstance(result, Rejected) and result.error_class in RETRIED_ROWS


REQUESTS: RetryPolicy[BaseException] = RetryPolicy(
    attempts=5, first=0.5, factor=2, longest=30, retried=_is_retried_error
)
"""For requests that failed, or whose response has a temporary error."""
ROWS: RetryPolicy[RowResult] = RetryPolicy(
    attempts=4, first=1, factor=3, longest=9, retried=_is_retried_row
)
"""For rows that Salesforce rejected with a temporary error, such as a lock."""


def retrying_requests(
    sleep: Callable[[float], None], before_sleep: Callable[[RetryCallState], None]
) -> Retrying:
    """Retries a request by the policy ``REQUESTS``; the last failure is raised unchanged."""
    return Retrying(
        retry=retry_if_exception(REQUESTS.retried),
        stop=stop_after_attempt(REQUESTS.attempts),
        wait=_wait,
        sleep=sleep,
        before_sleep=before_sleep,
        reraise=True,
    )


def _wait(state: RetryCallState) -> float:
    """Seconds before the next attempt: ``Retry-After``, but never less than the policy's delay."""
    error = state.outcome and state.outcome.exception()
    asked = error.wait if isinstance(error, RetryableError) else 0
    return max(asked, REQUESTS.delay(state.attempt_number))


def _seconds(retry_after: str) -> float:
    """Read ``Retry-After``, a number of seconds or a date; 0 where it is neither."""
    try:
        return urllib3.Retry().parse_retry_after(retry_after)
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return 0.0
