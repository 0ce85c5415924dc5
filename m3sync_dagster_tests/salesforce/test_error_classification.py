"""Salesforce's errors are read from rows, jobs and responses."""

import pytest

from m3sync_dagster.salesforce.error_classification import (
    LOGIN,
    NO_CODE,
    ApiError,
    JobStateError,
    NotFoundError,
    UnreadableBodyError,
    blocking_error,
    look_up_code,
    normalise,
    parse_error_body,
    parse_job_error,
    parse_row_error,
    to_sync_error,
)
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    ConfigurationError,
    RateLimitError,
    RemoteError,
    SyncError,
)
from m3sync_dagster.sync.row_results import Acknowledged, ErrorClass, Rejected, RowResult


@pytest.mark.parametrize("code", ["InvalidJobState", "INVALIDJOBSTATE", "INVALID_JOB_STATE"])
def test_all_spellings_are_one_code(code: str) -> None:
    assert normalise(code) == "INVALIDJOBSTATE"


@pytest.mark.parametrize(
    ("code", "message", "expected"),
    [
        ("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access", ErrorClass.TRANSIENT),
        ("TooManyLockFailure", "", ErrorClass.TRANSIENT),
        ("TXN_SECURITY_METERING_ERROR", "", ErrorClass.TRANSIENT),
        ("ENTITY_IS_LOCKED", "", ErrorClass.TRANSIENT),
        ("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.", ErrorClass.QUOTA),
        (
            "REQUEST_LIMIT_EXCEEDED",
            "ConcurrentPerOrgLongTxn Limit exceeded.",
            ErrorClass.TRANSIENT,
        ),
        ("ExceededQuota", "", ErrorClass.QUOTA),
        ("EXCEEDED_QUOTA", "", ErrorClass.QUOTA),
        ("INVALID_SESSION_ID", "", ErrorClass.AUTHENTICATION),
        ("invalid_grant", "authentication failure", ErrorClass.AUTHENTICATION),
        (
            "INVALID_FIELD",
            "Foreign key external ID: a1 not found for field m3ter_Id__c in entity P__c",
            ErrorClass.DEPENDENCY,
        ),
        ("INVALID_FIELD", "No such column 'X' on sobject of type Y", ErrorClass.CONFIGURATION),
        ("InvalidBatch", "Field name not found : X__c", ErrorClass.CONFIGURATION),
        ("STORAGE_LIMIT_EXCEEDED", "", ErrorClass.CONFIGURATION),
        ("INSUFFICIENT_ACCESS_OR_READONLY", "", ErrorClass.CONFIGURATION),
        ("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", ErrorClass.PERMANENT),
        ("STRING_TOO_LONG", "", ErrorClass.PERMANENT),
        ("NUMBER_OUTSIDE_VALID_RANGE", "", ErrorClass.PERMANENT),
        ("DUPLICATE_VALUE", "duplicate value found", ErrorClass.PERMANENT),
        ("ALL_OR_NONE_OPERATION_ROLLED_BACK", "", ErrorClass.COLLATERAL),
    ],
)
def test_code_and_message_determine_the_class(
    code: str, message: str, expected: ErrorClass
) -> None:
    meaning = look_up_code(code, message)
    assert meaning.error_class is expected
    assert meaning.remedy.endswith((".", ")."))


def test_an_unknown_code_is_permanent_and_reported_as_unknown() -> None:
    refused = ApiError("BRAND_NEW_CODE", "what now", ("A__c",)).reject("r1")
    assert refused == Rejected(
        "r1",
        ErrorClass.PERMANENT,
        "BRAND_NEW_CODE",
        "what now (a code m3sync does not know)",
        ("A__c",),
    )
    assert "does not know" in look_up_code("BRAND_NEW_CODE").remedy


def test_the_message_of_a_known_code_is_salesforces() -> None:
    refused = ApiError("STRING_TOO_LONG", "data value too large", ("A__c",)).reject("r1")
    assert refused == Rejected(
        "r1", ErrorClass.PERMANENT, "STRING_TOO_LONG", "data value too large", ("A__c",)
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --",
            ApiError("REQUIRED_FIELD_MISSING", "Required fields are missing: [Name]", ("Name",)),
        ),
        (
            "INVALID_FIELD:Foreign key external ID: x:y not found for field E__c in entity P__c:--",
            ApiError(
                "INVALID_FIELD",
                "Foreign key external ID: x:y not found for field E__c in entity P__c",
            ),
        ),
        (
            "FIELD_CUSTOM_VALIDATION_EXCEPTION:two\nlines, „quoted“:A__c, B__c --",
            ApiError("FIELD_CUSTOM_VALIDATION_EXCEPTION", "two\nlines, „quoted“", ("A__c", "B__c")),
        ),
        ("SOME_CODE:no tail: at all", ApiError("SOME_CODE", "no tail: at all")),
        ("something went wrong", ApiError(NO_CODE, "something went wrong")),
        ("", ApiError(NO_CODE, "")),
        (" two words: and more ", ApiError(NO_CODE, "two words: and more")),
        (" CODE:message:A__c --\n", ApiError("CODE", "message", ("A__c",))),
    ],
)
def test_the_error_of_a_bulk_row_is_read(text: str, expected: ApiError) -> None:
    assert parse_row_error(text) == expected


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        (
            "InvalidBatch : Field name not found : X__c",
            "InvalidBatch",
            "Field name not found : X__c",
        ),
        ("the lights went out", "JOB_FAILED", "the lights went out"),
        (" two words : and more ", "JOB_FAILED", "two words : and more"),
        ("", "JOB_FAILED", ""),
    ],
)
def test_the_error_of_a_job_is_read(text: str, code: str, message: str) -> None:
    assert parse_job_error(text) == ApiError(code, message)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            [{"errorCode": "NOT_FOUND", "message": "no", "fields": ["A__c"]}],
            ApiError("NOT_FOUND", "no", ("A__c",)),
        ),
        ([{"statusCode": "X", "message": None}], ApiError("X", "")),
        ({"errorCode": "INVALIDJOB", "message": "m"}, ApiError("INVALIDJOB", "m")),
        (
            {"error": "invalid_grant", "error_description": "user is locked"},
            ApiError("invalid_grant", "user is locked"),
        ),
        (["/services/data/v67.0/sobjects/A/1"], ApiError("HTTP_418", "")),
        ([], ApiError("HTTP_418", "")),
        (None, ApiError("HTTP_418", "")),
        ({}, ApiError("HTTP_418", "")),
    ],
)
def test_the_body_of_an_error_response_is_read(body: object, expected: ApiError) -> None:
    assert parse_error_body(418, body) == expected


@pytest.mark.parametrize(
    ("api_error", "where", "status", "kind", "remedy"),
    [
        (ApiError("INVALID_SESSION_ID", "x"), "GET /a", 401, AuthenticationError, "scope"),
        (ApiError("WHATEVER", "x"), "GET /a", 401, AuthenticationError, "scope"),
        (
            ApiError("REQUEST_LIMIT_EXCEEDED", "TotalRequests"),
            "GET /a",
            403,
            RateLimitError,
            "hour",
        ),
        (ApiError("HTTP_429", ""), "GET /a", 429, RateLimitError, "hour"),
        (ApiError("NOT_FOUND", "x"), "GET /a", 404, NotFoundError, "Deploy"),
        (ApiError("INVALID_FIELD", "No such column"), "PATCH /a", 400, ConfigurationError, "map"),
        (ApiError("INVALIDJOBSTATE", "x"), "PATCH /a", 400, JobStateError, "Bulk"),
        (ApiError("JSON_PARSER_ERROR", "x"), "PATCH /a", 400, UnreadableBodyError, "value"),
        (ApiError("UNSUPPORTED_API_VERSION", ""), "GET /a", 410, ConfigurationError, "version"),
        (ApiError("HTTP_503", ""), "GET /a", 503, RemoteError, "status.salesforce"),
        (ApiError("WHATEVER", ""), "GET /a", 400, RemoteError, "does not know"),
        (ApiError("WHATEVER", ""), "GET /a", 403, ConfigurationError, "permission"),
        (ApiError("new_trouble", ""), LOGIN, 400, AuthenticationError, "app"),
        (
            ApiError("invalid_grant", "no client credentials user enabled"),
            LOGIN,
            400,
            AuthenticationError,
            "Run-As",
        ),
        (
            ApiError("invalid_grant", "user is not admin approved to access this app"),
            LOGIN,
            400,
            AuthenticationError,
            "Pre-authorize",
        ),
        (
            ApiError("OAUTH_APP_ACCESS_DENIED", "user is not admin approved to access this app"),
            LOGIN,
            400,
            AuthenticationError,
            "Pre-authorize",
        ),
        (
            ApiError("invalid_grant", "invalid assertion"),
            LOGIN,
            400,
            AuthenticationError,
            "certificate that belongs to this private key",
        ),
        (
            ApiError("invalid_client", "app cert expired"),
            LOGIN,
            400,
            AuthenticationError,
            "app",
        ),
        (
            ApiError("invalid_grant", "expired authorization code"),
            LOGIN,
            400,
            AuthenticationError,
            "clock",
        ),
        (
            ApiError("API_CURRENTLY_DISABLED", "API is disabled for this User"),
            "GET /a",
            403,
            ConfigurationError,
            "API Enabled",
        ),
        (ApiError("HTTP_404", ""), LOGIN, 404, AuthenticationError, "login URL"),
        (ApiError("HTTP_403", ""), LOGIN, 403, AuthenticationError, "login URL"),
        (ApiError("HTTP_301", ""), LOGIN, 301, ConfigurationError, "My Domain"),
        (ApiError("HTTP_503", ""), LOGIN, 503, RemoteError, "status.salesforce"),
        (
            ApiError("InvalidBatch", "Field name not found : X"),
            "the job",
            None,
            ConfigurationError,
            "",
        ),
    ],
)
def test_what_stops_a_sync(
    api_error: ApiError, where: str, status: int | None, kind: type[SyncError], remedy: str
) -> None:
    error = to_sync_error(api_error, where, status)
    assert type(error) is kind
    assert api_error.code in error.cause
    assert where in error.cause
    assert remedy in error.remedy


@pytest.mark.parametrize(
    ("api_error", "status", "cause"),
    [
        (ApiError("X", "first\nsecond"), 400, "GET /a: X: first second (HTTP 400)"),
        (ApiError("HTTP_503", ""), 503, "GET /a: HTTP_503 (HTTP 503)"),
        (ApiError("X", "m"), None, "GET /a: X: m"),
    ],
)
def test_the_cause_of_what_stops_a_sync(
    api_error: ApiError, status: int | None, cause: str
) -> None:
    assert to_sync_error(api_error, "GET /a", status).cause == f"Salesforce refused {cause}"


ACCEPTED = Acknowledged("a", "001", created=True)
TOO_LONG = Rejected("b", ErrorClass.PERMANENT, "STRING_TOO_LONG", "m")
USED_UP = Rejected("c", ErrorClass.QUOTA, "EXCEEDED_QUOTA", "m")
LOGGED_OUT = Rejected("d", ErrorClass.AUTHENTICATION, "INVALID_SESSION_ID", "m")
FULL = Rejected("e", ErrorClass.CONFIGURATION, "StorageLimitExceeded", "m")
NO_RIGHT = Rejected("f", ErrorClass.CONFIGURATION, "INSUFFICIENT_ACCESS_OR_READONLY", "m")


@pytest.mark.parametrize(
    ("results", "kind", "code"),
    [
        ([ACCEPTED, TOO_LONG, USED_UP, LOGGED_OUT], RateLimitError, "EXCEEDED_QUOTA"),
        ([LOGGED_OUT, USED_UP], AuthenticationError, "INVALID_SESSION_ID"),
        ([NO_RIGHT, FULL], ConfigurationError, "StorageLimitExceeded"),
    ],
)
def test_the_first_row_error_that_concerns_all_rows_stops_a_sync(
    results: list[RowResult], kind: type[SyncError], code: str
) -> None:
    error = blocking_error(results, "Account")
    assert type(error) is kind
    assert error.cause == f"Salesforce refused rows of Account: {code}: m"


def test_errors_of_single_rows_do_not_stop_a_sync() -> None:
    assert blocking_error([ACCEPTED, TOO_LONG, NO_RIGHT], "Account") is None
