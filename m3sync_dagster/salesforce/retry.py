"""What is tried again within a run, how often, and after how long: requests, and rows."""

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import requests
import urllib3
from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt

from m3sync_dagster.http_settings import is_certificate_error
from m3sync_dagster.salesforce.errors import ApiError
from m3sync_dagster.sync.results import ErrorClass, Rejected, RowResult

_Failure = TypeVar("_Failure")

LONGEST_WAIT = 60
"""Seconds beyond which an answer's ``Retry-After`` is for the next run to heed."""
RETRIED_STATUSES = frozenset({420, 429, 500, 502, 503, 504})
RETRIED_ROWS = frozenset({ErrorClass.TRANSIENT, ErrorClass.COLLATERAL})


class RetryableError(Exception):
    """An answer that may be better next time.

    Args:
        response: the answer.
        complaint: what it says.

    Attributes:
        wait: seconds that it asks to be given.
    """

    def __init__(self, response: requests.Response, complaint: ApiError) -> None:
        super().__init__(str(complaint))
        self.response = response
        self.wait = _seconds(response.headers.get("Retry-After", ""))


@dataclass(frozen=True, slots=True)
class RetryPolicy(Generic[_Failure]):
    """How often something is tried, and after how long.

    Args:
        attempts: tries in all.
        first: seconds before the second try.
        factor: by which each later wait is longer than the one before.
        longest: most seconds of a wait.
        retried: whether another try makes sense after this failure.
    """

    attempts: int
    first: float
    factor: float
    longest: float
    retried: Callable[[_Failure], bool]

    def delay(self, failures: int) -> float:
        """Seconds to wait after so many failures, varied by half.

        Several writers that met each other do not meet again at the same moment.
        """
        seconds = min(self.first * self.factor ** (failures - 1), self.longest)
        return seconds * random.uniform(0.5, 1.5)  # noqa: S311 - nothing secret hangs on it


def is_retried_answer(response: requests.Response, complaint: ApiError) -> bool:
    """Whether an answer that refuses a request may be better next time."""
    transient = complaint.advice.error_class is ErrorClass.TRANSIENT
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
    """Whether a proxy has refused to connect us: it will do so again.

    Source: Python's ``http.client``, ``HTTPConnection._tunnel``, which has these words.
    """
    is_proxy_error = isinstance(error, requests.exceptions.ProxyError)
    return is_proxy_error and "Tunnel connection failed: 4" in str(error)


def _is_retried_row(result: RowResult) -> bool:
    return isinstance(result, Rejected) and result.error_class in RETRIED_ROWS


REQUESTS: RetryPolicy[BaseException] = RetryPolicy(
    attempts=5, first=0.5, factor=2, longest=30, retried=_is_retried_error
)
"""A request that broke, or whose answer may be better next time."""
ROWS: RetryPolicy[RowResult] = RetryPolicy(
    attempts=4, first=1, factor=3, longest=9, retried=_is_retried_row
)
"""A row that Salesforce refused for a passing reason, such as a lock."""


def retrying_requests(
    sleep: Callable[[float], None], before_sleep: Callable[[RetryCallState], None]
) -> Retrying:
    """What repeats a request as ``REQUESTS`` says; the last failure is raised as it is."""
    return Retrying(
        retry=retry_if_exception(REQUESTS.retried),
        stop=stop_after_attempt(REQUESTS.attempts),
        wait=_wait,
        sleep=sleep,
        before_sleep=before_sleep,
        reraise=True,
    )


def _wait(state: RetryCallState) -> float:
    """Seconds before the next try: what the answer asks for, and never less than our own."""
    error = state.outcome and state.outcome.exception()
    asked = error.wait if isinstance(error, RetryableError) else 0
    return max(asked, REQUESTS.delay(state.attempt_number))


def _seconds(retry_after: str) -> float:
    """Read ``Retry-After``, a number of seconds or a date; 0 where it is neither."""
    try:
        return urllib3.Retry().parse_retry_after(retry_after)
    except (urllib3.exceptions.InvalidHeader, ValueError, OverflowError):
        return 0.0
