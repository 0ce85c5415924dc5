"""When a request is worth sending again, and after how long."""

import time
from email.utils import parsedate_to_datetime

import requests
from tenacity import RetryCallState, wait_exponential, wait_random

from m3sync_dagster.salesforce.errors import ApiError

LONGEST_WAIT = 60
"""Seconds beyond which an answer's ``Retry-After`` is for the next run to heed."""

_backing_off = wait_exponential(multiplier=0.5, max=30) + wait_random(0, 1)


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


def is_retryable(error: BaseException) -> bool:
    """Whether another try in this run makes sense."""
    if isinstance(error, RetryableError):
        return error.wait <= LONGEST_WAIT
    passing = (
        requests.ConnectionError,
        requests.Timeout,
        requests.exceptions.ChunkedEncodingError,
        requests.exceptions.ContentDecodingError,
    )
    return isinstance(error, passing)


def wait(state: RetryCallState) -> float:
    """Seconds before the next try: what the answer asks for, and never less than our own."""
    error = state.outcome and state.outcome.exception()
    asked = error.wait if isinstance(error, RetryableError) else 0
    return max(asked, _backing_off(state))


def _seconds(retry_after: str) -> float:
    """Read ``Retry-After``: a number of seconds or a date. Source: RFC 9110, section 10.2.3."""
    if retry_after.isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0
