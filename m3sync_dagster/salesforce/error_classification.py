"""Salesforce's errors: reading them, and what each means for a row, a request or a run.

The same code comes in three spellings (``INVALID_JOB_STATE``, ``INVALIDJOBSTATE``,
``InvalidJobState``), so codes are compared by letters and digits alone.

Sources: SOAP API Developer Guide, "Core Data Types Used in API Calls", StatusCode; Bulk API 2.0
Developer Guide, "Bulk API 2.0 Errors"; REST API Developer Guide, "Status Codes and Error
Responses"; Salesforce Help, "OAuth Error Codes".
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from m3sync_dagster.salesforce._error_codes import (
    LOGIN_WITHOUT_CODE,
    MEANINGS,
    MEANINGS_BY_MESSAGE,
    UNKNOWN,
    UNKNOWN_LOGIN,
    ErrorMeaning,
)
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    ConfigurationError,
    RateLimitError,
    RemoteError,
    SyncError,
)
from m3sync_dagster.sync.printable_text import one_line
from m3sync_dagster.sync.row_results import ErrorClass, Rejected, RowResult

LOGIN = "the login"
"""The name of a login in messages."""


NO_CODE = "NO_CODE"
"""Our code for an error that Salesforce gives none."""


class NotFoundError(ConfigurationError):
    """Salesforce has no resource at the requested address."""


class JobStateError(RemoteError):
    """A job is not in the state that the request needs."""


class UnreadableBodyError(RemoteError):
    """Salesforce could not parse a value of the body, and so rejected all of its rows."""


@dataclass(frozen=True, slots=True)
class ApiError:
    """One error of a Salesforce response.

    Args:
        code: the status code.
        message: the message.
        fields: API names of the fields concerned.
    """

    code: str
    message: str
    fields: tuple[str, ...] = ()

    @property
    def meaning(self) -> ErrorMeaning:
        """The class of the error, and its remedy."""
        return look_up_code(self.code, self.message)

    def __str__(self) -> str:
        return one_line(f"{self.code}: {self.message}" if self.message else self.code)

    def reject(self, m3ter_id: str) -> Rejected:
        """Make it the result of a row."""
        meaning, message = self.meaning, self.message
        if meaning is UNKNOWN:
            message = f"{message} (a code m3sync does not know)"
        return Rejected(m3ter_id, meaning.error_class, self.code, message, self.fields)


def normalise(code: str) -> str:
    """Reduce a status code to its letters and digits, which all spellings have in common."""
    return re.sub(r"[^A-Z0-9]", "", code.upper())


def look_up_code(code: str, message: str = "") -> ErrorMeaning:
    """Look up the class and the remedy of an error code.

    An unknown code counts as permanent, and its remedy says that it is unknown.
    """
    key = normalise(code)
    for words, meaning in MEANINGS_BY_MESSAGE.get(key, ()):
        if words.lower() in message.lower():
            return meaning
    return MEANINGS.get(key, UNKNOWN)


def parse_row_error(text: str) -> ApiError:
    """Read the ``sf__Error`` of a failed row, ``CODE:message:field list --``.

    Source: Bulk API 2.0 Developer Guide, "Get Job Failed Record Results".
    """
    code, colon, rest = text.strip().partition(":")
    if not colon or not re.fullmatch(r"\w+", code):
        return ApiError(NO_CODE, text.strip())
    message, _, tail = rest.rpartition(":")
    if not tail.endswith("--"):
        return ApiError(code, rest)
    return ApiError(code, message, tuple(re.findall(r"[\w.]+", tail)))


def parse_job_error(text: str) -> ApiError:
    """Read the ``errorMessage`` of a failed job, ``Code : message``."""
    code, colon, message = text.partition(":")
    if not colon or not re.fullmatch(r"\w+", code.strip()):
        return ApiError("JOB_FAILED", text.strip())
    return ApiError(code.strip(), message.strip())


def parse_error_body(status: int, body: object) -> ApiError:
    """Read the body of an error response: a list of errors, one error, or a token error.

    Args:
        status: the HTTP status, which is the code when the body is none of these.
        body: the decoded JSON, or ``None``.
    """
    first = body[0] if isinstance(body, list) and body else body
    if not isinstance(first, dict):
        return ApiError(f"HTTP_{status}", "")
    code = first.get("errorCode") or first.get("statusCode") or first.get("error")
    message = first.get("message") or first.get("error_description") or ""
    fields = first.get("fields")
    return ApiError(
        str(code or f"HTTP_{status}"),
        str(message),
        tuple(map(str, fields)) if isinstance(fields, list) else (),
    )


def to_sync_error(api_error: ApiError, where: str, status: int | None = None) -> SyncError:
    """Make the error of a whole request, job or login one that stops the sync.

    Args:
        api_error: Salesforce's error.
        where: the request or job, such as ``GET /limits`` or ``the job 750… of Account``.
        status: the HTTP status of the response, if there was one.
    """
    meaning = _login_meaning(api_error) if where == LOGIN else api_error.meaning
    if meaning is UNKNOWN:
        meaning = MEANINGS.get(f"HTTP{status}", UNKNOWN)
    cause = f"Salesforce refused {where}: {api_error}"
    if status is not None:
        cause = f"{cause} (HTTP {status})"
    return _error_type(api_error, meaning, status)(cause, meaning.remedy)


def _login_meaning(api_error: ApiError) -> ErrorMeaning:
    """The meaning of a failed login; without a code it is never about objects or permissions."""
    meaning = api_error.meaning
    codeless = api_error.code.startswith("HTTP_4")
    if codeless and meaning.error_class in {ErrorClass.CONFIGURATION, ErrorClass.AUTHENTICATION}:
        return LOGIN_WITHOUT_CODE
    return UNKNOWN_LOGIN if meaning is UNKNOWN else meaning


def _error_type(
    api_error: ApiError, meaning: ErrorMeaning, status: int | None
) -> Callable[[str, str], SyncError]:
    special = _BY_CODE.get(normalise(api_error.code))
    if special is not None:
        return special
    if status == 404 and meaning is not LOGIN_WITHOUT_CODE:
        return NotFoundError
    return _BY_CLASS.get(meaning.error_class, RemoteError)


def blocking_error(results: Iterable[RowResult], where: str) -> SyncError | None:
    """The first error of a row that concerns all later rows too, as one that stops the sync.

    Args:
        results: results of some rows.
        where: their object, for messages.
    """
    for result in results:
        if isinstance(result, Rejected) and (
            result.error_class in _STOPPING or normalise(result.code) == "STORAGELIMITEXCEEDED"
        ):
            return to_sync_error(ApiError(result.code, result.message), f"rows of {where}")
    return None


_STOPPING = {ErrorClass.QUOTA, ErrorClass.AUTHENTICATION}
_BY_CODE: dict[str, type[SyncError]] = {
    "INVALIDJOBSTATE": JobStateError,
    "JSONPARSERERROR": UnreadableBodyError,
}
_BY_CLASS: dict[ErrorClass, type[SyncError]] = {
    ErrorClass.AUTHENTICATION: AuthenticationError,
    ErrorClass.CONFIGURATION: ConfigurationError,
    ErrorClass.QUOTA: RateLimitError,
}
