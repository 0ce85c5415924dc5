"""What Salesforce complains of, and what that means for a row, a request or a run.

The same word comes in three spellings (``INVALID_JOB_STATE``, ``INVALIDJOBSTATE``,
``InvalidJobState``), so codes are compared by letters and digits alone.

Sources: SOAP API Developer Guide, "Core Data Types Used in API Calls", StatusCode; Bulk API 2.0
Developer Guide, "Bulk API 2.0 Errors"; REST API Developer Guide, "Status Codes and Error
Responses"; Salesforce Help, "OAuth Error Codes".
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from m3sync_dagster.salesforce._error_codes import (
    ADVICE,
    CODELESS_LOGIN,
    EXCEPTIONS,
    UNKNOWN,
    UNKNOWN_LOGIN,
    Advice,
)
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    ConfigurationError,
    RateLimitError,
    RemoteError,
    SyncError,
)
from m3sync_dagster.sync.results import ErrorClass, Rejected, RowResult

LOGIN = "the login"
"""What a login is called where something was refused."""


NO_CODE = "NO_CODE"
"""Our code for an error that Salesforce gives none."""


class NotFoundError(ConfigurationError):
    """Salesforce knows nothing at the address that was asked."""


class JobStateError(RemoteError):
    """An ingest job is not in the state that the request needs."""


class UnreadableBodyError(RemoteError):
    """Salesforce could not read a value of the body, and so took none of its rows."""


@dataclass(frozen=True, slots=True)
class ApiError:
    """One error as Salesforce words it.

    Args:
        code: its status code as spelled.
        message: its words.
        fields: API names of the fields it names.
    """

    code: str
    message: str
    fields: tuple[str, ...] = ()

    @property
    def advice(self) -> Advice:
        """What to do about it."""
        return advise(self.code, self.message)

    def __str__(self) -> str:
        return f"{self.code}: {self.message}" if self.message else self.code

    def refuse(self, m3ter_id: str) -> Rejected:
        """Turn it into the fate of a row."""
        advice = self.advice
        message = f"{self.message} (a code m3sync does not know)" if advice is UNKNOWN else None
        return Rejected(
            m3ter_id, advice.error_class, self.code, message or self.message, self.fields
        )


def normalise(code: str) -> str:
    """Reduce a status code to what its three spellings have in common."""
    return re.sub(r"[^A-Z0-9]", "", code.upper())


def advise(code: str, message: str = "") -> Advice:
    """Look up what an error code means, and what a person can do about it.

    An unknown code counts as permanent, and its remedy says that it is unknown.
    """
    key = normalise(code)
    for words, advice in EXCEPTIONS.get(key, ()):
        if words.lower() in message.lower():
            return advice
    return ADVICE.get(key, UNKNOWN)


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
    return ApiError(code, message, tuple(re.findall(r"[\w.]+", tail.removesuffix("--"))))


def parse_job_error(text: str) -> ApiError:
    """Read the ``errorMessage`` of a failed job, ``Code : message``."""
    code, colon, message = text.partition(":")
    if not colon or not re.fullmatch(r"\w+", code.strip()):
        return ApiError("JOB_FAILED", text.strip())
    return ApiError(code.strip(), message.strip())


def parse_answer(status: int, body: object) -> ApiError:
    """Read the body of an error answer: a list of errors, one error, or a token error.

    Args:
        status: the HTTP status, all there is to say when the body is none of these.
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


def to_sync_error(complaint: ApiError, where: str, status: int | None = None) -> SyncError:
    """Turn a complaint about a whole request, job or login into what stops the sync.

    Args:
        complaint: what Salesforce says.
        where: what was asked of it, such as ``GET /limits`` or ``the job 750… of Account``.
        status: the HTTP status of the answer, if there was one.
    """
    advice = _login_advice(complaint) if where == LOGIN else complaint.advice
    if advice is UNKNOWN:
        advice = ADVICE.get(f"HTTP{status}", UNKNOWN)
    cause = f"Salesforce refused {where}: {complaint}"
    if status is not None:
        cause = f"{cause} (HTTP {status})"
    return _kind(complaint, advice, status)(cause, advice.remedy)


def _login_advice(complaint: ApiError) -> Advice:
    """What a login's refusal means; one without a code says nothing of objects or rights."""
    advice = complaint.advice
    codeless = complaint.code.startswith("HTTP_4")
    if codeless and advice.error_class in {ErrorClass.CONFIGURATION, ErrorClass.AUTHENTICATION}:
        return CODELESS_LOGIN
    return UNKNOWN_LOGIN if advice is UNKNOWN else advice


def _kind(
    complaint: ApiError, advice: Advice, status: int | None
) -> Callable[[str, str], SyncError]:
    special = _SPECIAL.get(normalise(complaint.code))
    if special is not None:
        return special
    if status == 404 and advice is not CODELESS_LOGIN:
        return NotFoundError
    return _BY_CLASS.get(advice.error_class, RemoteError)


def blocking_error(results: Iterable[RowResult], where: str) -> SyncError | None:
    """What a row's refusal says of all the rows that would come after it, if anything.

    Args:
        results: Salesforce's word on some rows.
        where: where they went, such as ``the object Account``.
    """
    for result in results:
        if isinstance(result, Rejected) and (
            result.error_class in _STOPPING or normalise(result.code) == "STORAGELIMITEXCEEDED"
        ):
            return to_sync_error(ApiError(result.code, result.message), f"rows of {where}")
    return None


_STOPPING = {ErrorClass.QUOTA, ErrorClass.AUTHENTICATION}
_SPECIAL: dict[str, type[SyncError]] = {
    "INVALIDJOBSTATE": JobStateError,
    "JSONPARSERERROR": UnreadableBodyError,
}
_BY_CLASS: dict[ErrorClass, type[SyncError]] = {
    ErrorClass.AUTHENTICATION: AuthenticationError,
    ErrorClass.CONFIGURATION: ConfigurationError,
    ErrorClass.QUOTA: RateLimitError,
}
