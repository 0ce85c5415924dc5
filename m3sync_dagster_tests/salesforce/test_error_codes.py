"""Every error code that we know, on its way through both ways of writing: what it does to a row, to
a request, to a job and to a login, and what happens next.
"""

from dataclasses import dataclass
from typing import Any

import pytest

from m3sync_dagster.salesforce import SalesforceClient, look_up_code
from m3sync_dagster.salesforce._error_codes import MEANINGS
from m3sync_dagster.salesforce.error_classification import normalise
from m3sync_dagster.salesforce.retry import REQUESTS
from m3sync_dagster.sync.engine import count_of
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    ConfigurationError,
    RateLimitError,
    RemoteError,
    SyncError,
)
from m3sync_dagster.sync.row_results import (
    NO_PARENT_RECORD,
    NO_RECORD,
    Acknowledged,
    Count,
    ErrorClass,
    Rejected,
    RowResult,
)
from m3sync_dagster.sync.row_types import Row
from m3sync_dagster_tests.salesforce.conftest import ACCOUNTS, Jobs, Sandbox, group, send_all

TRANSIENT, QUOTA, AUTHENTICATION = ErrorClass.TRANSIENT, ErrorClass.QUOTA, ErrorClass.AUTHENTICATION
CONFIGURATION, PERMANENT = ErrorClass.CONFIGURATION, ErrorClass.PERMANENT
DEPENDENCY, COLLATERAL = ErrorClass.DEPENDENCY, ErrorClass.COLLATERAL
VALIDATION, PERFORM = "integration.validation.error", "integration.perform.error"
MISSING = "integration.missingaccountmapping.error"


@dataclass(frozen=True)
class Next:
    """What becomes of a row of a class, and of a run that is stopped by a code of it.

    Args:
        again: whether the row goes again in the same run.
        count: how it counts in the end.
        event: the event that tells of it.
        stops: what stops a run whose request, job or login is refused so; its status word and its
            event are in the class.
        row_stops: whether the refusal of one row stops the run as well, after the others.
    """

    again: bool
    count: Count
    event: str
    stops: type[SyncError]
    row_stops: bool = False


NEXT = {
    TRANSIENT: Next(True, Count.REJECTED, VALIDATION, RemoteError),
    COLLATERAL: Next(True, Count.REJECTED, VALIDATION, RemoteError),
    QUOTA: Next(False, Count.REJECTED, VALIDATION, RateLimitError, row_stops=True),
    AUTHENTICATION: Next(False, Count.REJECTED, VALIDATION, AuthenticationError, row_stops=True),
    CONFIGURATION: Next(False, Count.REJECTED, VALIDATION, ConfigurationError),
    PERMANENT: Next(False, Count.REJECTED, VALIDATION, RemoteError),
    DEPENDENCY: Next(False, Count.WAITING, MISSING, RemoteError),
}
STATUS = {
    RemoteError: ("ERROR", PERFORM),
    RateLimitError: ("RATE_LIMIT_RETRY", PERFORM),
    AuthenticationError: ("AUTH_FAILED", "integration.authentication.error"),
    ConfigurationError: ("ERROR", VALIDATION),
}

CODES: dict[ErrorClass, str] = {
    TRANSIENT: """
        UNABLE_TO_LOCK_ROW TooManyLockFailure TOO_MANY_APEX_REQUESTS Timeout
        TXN_SECURITY_METERING_ERROR UNPROCESSED ENTITY_IS_LOCKED RECORD_IN_USE_BY_WORKFLOW
        REQUEST_RUNNING_TOO_LONG QUERY_TIMEOUT SERVER_UNAVAILABLE UNKNOWN_EXCEPTION INTERNAL_ERROR
        UNKNOWN_ERROR CANNOT_EXECUTE_FLOW_TRIGGER""",
    COLLATERAL: "ALL_OR_NONE_OPERATION_ROLLED_BACK PROCESSING_HALTED",
    QUOTA: """
        REQUEST_LIMIT_EXCEEDED ExceededQuota EXCEEDED_QUOTA TOO_MANY_JOBS
        INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE API_CURRENTLY_DISABLED""",
    AUTHENTICATION: """
        INACTIVE_USER INACTIVE_ORG PASSWORD_LOCKOUT INVALID_LOGIN InvalidUser
        INVALID_OPERATION_WITH_EXPIRED_PASSWORD LOGIN_MUST_USE_SECURITY_TOKEN
        LOGIN_DURING_RESTRICTED_DOMAIN LOGIN_DURING_RESTRICTED_TIME INVALID_SESSION_ID
        INVALID_AUTH_HEADER""",
    CONFIGURATION: """
        API_DISABLED_FOR_ORG FUNCTIONALITY_NOT_ENABLED FeatureNotEnabled TXN_SECURITY_NO_ACCESS
        TXN_SECURITY_APEX_ERROR TXN_SECURITY_RUNTIME_ERROR INSUFFICIENT_ACCESS
        INSUFFICIENT_ACCESS_OR_READONLY INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY
        CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY INVALIDJOB INVALID_EXTERNAL_ID_FIELD_NAME
        INVALID_ENTITY_FOR_UPSERT INVALID_TYPE NOT_FOUND INVALID_TYPE_FOR_OPERATION INVALIDENTITY
        InvalidBatch INVALID_FIELD INVALID_FIELD_FOR_INSERT_UPDATE INACTIVE_OWNER_OR_USER
        MIXED_DML_OPERATION UNSUPPORTED_API_VERSION ClientInputError InvalidVersion""",
    PERMANENT: """
        REQUIRED_FIELD_MISSING STRING_TOO_LONG INVALID_TYPE_ON_FIELD_IN_RECORD
        NUMBER_OUTSIDE_VALID_RANGE INVALID_EMAIL_ADDRESS DATE_OUT_OF_RANGE
        TEXT_DATA_OUTSIDE_SUPPORTED_CHARSET INVALID_CURRENCY_ISO
        INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST DUPLICATE_VALUE DUPLICATE_EXTERNAL_ID
        DUPLICATES_DETECTED FIELD_CUSTOM_VALIDATION_EXCEPTION FIELD_FILTER_VALIDATION_EXCEPTION
        FIELD_INTEGRITY_EXCEPTION INVALID_CROSS_REFERENCE_KEY MALFORMED_ID INVALID_ID_FIELD
        ENTITY_IS_DELETED JobAborted JobFailed A_CODE_THAT_NOBODY_KNOWS""",
}
"""Codes of rows, requests and jobs, as Salesforce spells them."""
ELSEWHERE = {"STORAGE_LIMIT_EXCEEDED", "JSON_PARSER_ERROR", "INVALIDJOBSTATE"}
"""Codes that other tests cover."""
MESSAGES = {
    ("REQUEST_LIMIT_EXCEEDED", QUOTA): "TotalRequests Limit exceeded.",
    ("REQUEST_LIMIT_EXCEEDED", TRANSIENT): "ConcurrentPerOrgLongTxn Limit exceeded.",
    ("INVALID_FIELD", DEPENDENCY): "Foreign key external ID: a not found for field b in entity c",
    ("INVALID_FIELD", CONFIGURATION): "No such column 'X' on sobject of type Y",
    ("API_CURRENTLY_DISABLED", CONFIGURATION): "API is disabled for this User",
    ("DUPLICATE_VALUE", PERMANENT): "Duplicate external id specified: x",
    ("InvalidBatch", CONFIGURATION): "Field name not found : X__c",
}
"""Messages that determine the class or the remedy."""
ANSWERS: dict[ErrorClass, tuple[int, ...]] = {
    TRANSIENT: (420, 500, 502, 503, 504),
    QUOTA: (429,),
    AUTHENTICATION: (401,),
    CONFIGURATION: (301, 302, 303, 307, 308, 403, 404, 405, 409, 410, 412, 413, 414, 415, 428, 431),
    PERMANENT: (300,),
}
"""HTTP statuses of responses without a code."""
LOGINS = """
    invalid_client invalid_client_id invalid_client_credentials invalid_app unauthorized_client
    invalid_grant invalid_request unsupported_grant_type OAUTH_APP_BLOCKED OAUTH_APP_ACCESS_DENIED
    OAUTH_EC_APP_BLOCKED invalid_app_access inactive_user inactive_org rate_limit_exceeded
    login_rate_exceeded"""
LOGINS_THAT_PASS = "temporarily_unavailable server_error"

TABLE = [(code, kind) for kind, codes in CODES.items() for code in codes.split()]
TABLE += [("REQUEST_LIMIT_EXCEEDED", TRANSIENT), ("INVALID_FIELD", DEPENDENCY)]
TABLE += [("API_CURRENTLY_DISABLED", CONFIGURATION)]
WRITES = {
    False: ("PATCH", "/composite/", "composite/sobjects/{object}/{field}"),
    True: ("POST", "/jobs/ingest$", "jobs/ingest"),
}
"""The request that a way of writing begins with: its method, its path as a fault and as counted."""
both_ways = pytest.mark.parametrize("large", [False, True], ids=["collections", "ingest"])


def message(code: str, kind: ErrorClass) -> str:
    return MESSAGES.get((code, kind), "said of it")


def test_no_code_is_left_out() -> None:
    told = {code for code, _ in TABLE} | ELSEWHERE | {*LOGINS.split(), *LOGINS_THAT_PASS.split()}
    told |= {f"HTTP_{status}" for statuses in ANSWERS.values() for status in statuses}
    not_sent = {normalise(NO_RECORD), normalise(NO_PARENT_RECORD)}
    known = {
        code
        for code, meaning in MEANINGS.items()
        if meaning.error_class != ErrorClass.INVALID and code not in not_sent
    }
    assert known - {normalise(code) for code in told} == set()
    assert {normalise(code) for code in told} - known == {"ACODETHATNOBODYKNOWS"}


@pytest.mark.parametrize(("code", "kind"), TABLE)
def test_a_code_has_its_class_and_a_remedy_in_words(code: str, kind: ErrorClass) -> None:
    meaning = look_up_code(code, message(code, kind))
    assert meaning.error_class is kind
    assert meaning.remedy.endswith((".", ")."))
    assert ("does not know" in meaning.remedy) is (code == "A_CODE_THAT_NOBODY_KNOWS")


def upsert(org: SalesforceClient, ids: list[str], jobs: Jobs, *, large: bool) -> list[RowResult]:
    """All results, also those before an error that stops the upsert."""
    rows = [Row(key, [f"Account {key}", None]) for key in ids]
    handed: list[RowResult] = []
    for results in org.upsert(ACCOUNTS, group(rows, large=large), jobs):
        handed.extend(results)
    return handed


@both_ways
@pytest.mark.parametrize("kind", NEXT)
def test_what_each_code_does_to_a_row(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, kind: ErrorClass, large: bool
) -> None:
    """Each code is the error of one row; the rows between them are written."""
    then = NEXT[kind]
    codes = {f"bad-{n}": code for n, (code, of) in enumerate(TABLE) if of is kind}
    for key, code in codes.items():
        fault = {"external_ids": [key], "code": code, "message": message(code, kind)}
        sandbox.inside.faults.add({"rows": fault | {"fields": ["Name"]}, "times": None})
    handed: list[RowResult] = []
    rows = [Row(key, [key, None]) for key in [*codes, *(f"good-{key}" for key in codes)]]
    batches = send_all(org, ACCOUNTS, rows, jobs, large=large)
    if then.row_stops:
        with pytest.raises(then.stops):
            handed.extend(result for results in batches for result in results)
    else:
        handed.extend(result for results in batches for result in results)
    found = {result.m3ter_id: result for result in handed}
    assert len(found) == len(handed) == 2 * len(codes)
    for key, code in codes.items():
        refused = found[key]
        assert isinstance(refused, Rejected)
        assert (refused.error_class, refused.code, refused.fields) == (kind, code, ("Name",))
        assert refused.message.startswith(message(code, kind))
        assert count_of(refused) is then.count
        assert isinstance(found[f"good-{key}"], Acknowledged)
    assert writes(sandbox, large=large) == (4 if then.again else 1)


@both_ways
@pytest.mark.parametrize("kind", [TRANSIENT, COLLATERAL])
def test_a_row_with_a_temporary_error_is_written_in_the_same_run(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, kind: ErrorClass, large: bool
) -> None:
    codes = {f"bad-{n}": code for n, (code, of) in enumerate(TABLE) if of is kind}
    for key, code in codes.items():
        fault = {"external_ids": [key], "code": code, "message": message(code, kind)}
        sandbox.inside.faults.add({"rows": fault, "times": 2})
    assert all(isinstance(r, Acknowledged) for r in upsert(org, list(codes), jobs, large=large))


@both_ways
@pytest.mark.parametrize("said", TABLE, ids="-".join)
def test_what_a_code_does_to_a_request(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, said: tuple[str, ErrorClass], large: bool
) -> None:
    code, kind = said
    body = [{"errorCode": code, "message": message(code, kind)}]
    refuse_writes(sandbox, 400, body, large=large)
    error = stopped(org, jobs, NEXT[kind].stops, large=large)
    assert code in error.cause
    assert error.remedy == look_up_code(code, message(code, kind)).remedy
    assert writes(sandbox, large=large) == (REQUESTS.attempts if kind is TRANSIENT else 1)
    assert sandbox.records(ACCOUNTS) == {}


@both_ways
@pytest.mark.parametrize(
    "said",
    [(status, kind) for kind, all_ in ANSWERS.items() for status in all_],
    ids=lambda said: str(said[0]),
)
def test_what_a_response_without_a_code_does_to_a_request(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, said: tuple[int, ErrorClass], large: bool
) -> None:
    status, kind = said
    refuse_writes(sandbox, status, [], large=large)
    error = stopped(org, jobs, NEXT[kind].stops, large=large)
    assert str(status) in error.cause
    assert error.remedy == look_up_code(f"HTTP_{status}").remedy
    expected = REQUESTS.attempts if kind in {TRANSIENT, QUOTA} else 2 if status == 401 else 1
    assert writes(sandbox, large=large) == expected


@pytest.mark.parametrize(("code", "kind"), TABLE)
def test_what_a_code_does_to_a_job(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, code: str, kind: ErrorClass
) -> None:
    told = f"{code} : {message(code, kind)}"
    sandbox.inside.faults.add({"job": {"fail_after": 0, "message": told}})
    error = stopped(org, jobs, NEXT[kind].stops, large=True)
    assert code in error.cause
    assert error.remedy == look_up_code(code, message(code, kind)).remedy
    assert jobs.states == ["created", "Failed"]


@pytest.mark.parametrize("code", LOGINS.split())
def test_what_a_code_does_to_a_login(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, code: str
) -> None:
    refuse_logins(sandbox, code)
    for _ in range(2):
        error = stopped(org, jobs, AuthenticationError, large=False)
        assert code in error.cause
        assert error.remedy
    # A refused credential is not tried again: that could lock the user.
    assert org.calls == 1


@pytest.mark.parametrize("code", LOGINS_THAT_PASS.split())
def test_a_login_with_a_temporary_error_is_retried(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, code: str
) -> None:
    refuse_logins(sandbox, code)
    assert code in stopped(org, jobs, RemoteError, large=False).cause
    assert org.calls == REQUESTS.attempts


def refuse_logins(sandbox: Sandbox, code: str) -> None:
    body = {"error": code, "error_description": "said of it"}
    fault: dict[str, Any] = {"path": "oauth2/token", "status": 400, "body": body, "times": None}
    sandbox.inside.faults.add(fault)


def stopped(org: SalesforceClient, jobs: Jobs, kind: type[SyncError], *, large: bool) -> SyncError:
    """What stops an upsert, with the status word and the event of its class."""
    with pytest.raises(kind) as caught:
        upsert(org, ["a1", "a2"], jobs, large=large)
    assert (caught.value.status, caught.value.event) == STATUS[kind]
    return caught.value


def refuse_writes(sandbox: Sandbox, status: int, body: object, *, large: bool) -> None:
    method, path, _ = WRITES[large]
    fault = {"method": method, "path": path, "status": status, "body": body, "times": None}
    sandbox.inside.faults.add(fault)


def writes(sandbox: Sandbox, *, large: bool) -> int:
    """How often a way of writing has begun since the last reset."""
    method, _, template = WRITES[large]
    return sandbox.inside.calls.counts[f"{method} /services/data/{{version}}/{template}"]
