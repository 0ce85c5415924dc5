"""The org's daily limits, and when writing stops."""

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from m3sync_dagster.salesforce import SalesforceClient
from m3sync_dagster.salesforce.quota import Limit, Limits, Quota
from m3sync_dagster.sync.errors import ConfigurationError, RateLimitError
from m3sync_dagster.sync.row_results import ErrorClass, Rejected, RowResult
from m3sync_dagster.sync.row_types import Row
from m3sync_dagster_tests.salesforce.conftest import (
    ACCOUNTS,
    Jobs,
    Sandbox,
    Script,
    Scripted,
    created,
    group,
    outcome,
)

ROWS = [Row("r1", ["Name", None])]
TAKEN = [{"id": "001", "success": True, "created": True, "errors": []}]


def left(maximum: int, remaining: int) -> Response:
    return JSONResponse({"DailyApiRequests": {"Max": maximum, "Remaining": remaining, "App": {}}})


def silent(scripted: Scripted, limits: Response) -> tuple[SalesforceClient, Script]:
    """An org whose responses have no usage header."""

    def handler(request: Request, _body: bytes) -> Response:
        return limits if request.url.path.endswith("/limits") else JSONResponse(TAKEN)

    org, script = scripted(handler)
    script.usage = None
    return org, script


def send(org: SalesforceClient, jobs: Jobs, times: int = 1) -> None:
    for _ in range(times):
        assert created(outcome(org.upsert(ACCOUNTS, group(ROWS), jobs))) == {"r1"}


def test_the_limits_are_read_once_where_no_header_has_them(scripted: Scripted, jobs: Jobs) -> None:
    org, script = silent(scripted, left(1_000, 900))
    send(org, jobs, 4)
    assert sum(request.endswith("/limits") for request in script.requests) == 1
    assert org.usage == (103, 1_000)


def test_the_limits_are_not_read_where_a_header_has_them(scripted: Scripted, jobs: Jobs) -> None:
    org, script = silent(scripted, left(1_000, 0))
    script.usage = "api-usage=5/1000"
    send(org, jobs, 3)
    assert sum(request.endswith("/limits") for request in script.requests) == 0


def test_writing_stops_past_the_share_of_the_limits(scripted: Scripted, jobs: Jobs) -> None:
    org, _ = silent(scripted, left(1_000, 199))
    send(org, jobs)
    with pytest.raises(RateLimitError, match="801 of its 1000") as caught:
        send(org, jobs)
    assert caught.value.status == "RATE_LIMIT_RETRY"


@pytest.mark.parametrize(
    "answer",
    [
        JSONResponse([{"errorCode": "INSUFFICIENT_ACCESS", "message": "no"}], 403),
        JSONResponse([{"errorCode": "NOT_FOUND", "message": "no"}], 404),
        JSONResponse({"something": "else"}),
    ],
)
def test_unknown_limits_stop_nothing(scripted: Scripted, jobs: Jobs, answer: Response) -> None:
    org, script = silent(scripted, answer)
    send(org, jobs, 3)
    assert sum(request.endswith("/limits") for request in script.requests) == 1


@pytest.mark.parametrize(
    ("header", "usage"),
    [
        ("api-usage=18/5000", (18, 5_000)),
        ("api-usage=18/5000; per-app-api-usage=17/250(appName=sample)", (18, 5_000)),
        ("per-app-api-usage=17/250(appName=sample)", None),
        ("api-usage=many/5000", None),
        ("", None),
    ],
)
def test_the_header_is_read(header: str, usage: tuple[int, int] | None) -> None:
    quota = Quota(0.8)
    quota.read_headers({"Sforce-Limit-Info": header})
    assert quota.usage == usage
    assert quota.header_missing is (usage is None)


@pytest.mark.parametrize(("used", "stops"), [(79, False), (80, False), (81, True), (100, True)])
def test_the_share_is_the_last_that_is_used(used: int, stops: bool) -> None:
    quota = Quota(0.8)
    quota.set_limits(Limits(Limit(100, 100 - used)))
    if stops:
        with pytest.raises(RateLimitError):
            quota.check()
    else:
        quota.check()


def test_writing_stops_at_the_share_of_the_apps_own_limit(scripted: Scripted, jobs: Jobs) -> None:
    org, script = silent(scripted, left(1_000, 900))
    script.usage = "api-usage=18/5000; per-app-api-usage=201/250(appName=m3sync)"
    send(org, jobs)
    with pytest.raises(RateLimitError, match="used 201 of its 250 API calls"):
        send(org, jobs)


@pytest.mark.parametrize(("remaining", "stops"), [(3_000, False), (2_999, True), (0, True)])
def test_the_limit_of_batches_is_read_before_a_job(
    scripted: Scripted, remaining: int, stops: bool
) -> None:
    limits = {
        "DailyApiRequests": {"Max": 1_000, "Remaining": 999},
        "DailyBulkApiBatches": {"Max": 15_000, "Remaining": remaining},
    }
    org, script = scripted(lambda _request, _body: JSONResponse(limits))
    for _ in range(2):
        org.transport.check_quota()
        if stops:
            with pytest.raises(RateLimitError, match="of its 15000 Bulk API batches") as caught:
                org.transport.check_quota(batches=True)
            assert "next hour" in caught.value.remedy
        else:
            org.transport.check_quota(batches=True)
    assert sum(request.endswith("/limits") for request in script.requests) == 1
    assert org.usage == (1, 100_000)


def test_an_unknown_limit_of_batches_stops_nothing(scripted: Scripted) -> None:
    for answer in (left(1_000, 900), JSONResponse([{"errorCode": "INSUFFICIENT_ACCESS"}], 403)):
        org, script = silent(scripted, answer)
        org.transport.check_quota(batches=True)
        org.transport.check_quota(batches=True)
        assert len(script.requests) == 1


@pytest.mark.parametrize("large", [False, True], ids=["collections", "ingest"])
@pytest.mark.parametrize(
    "code", ["EXCEEDED_QUOTA", "INSERT_UPDATE_DELETE_NOT_ALLOWED_DURING_MAINTENANCE"]
)
def test_rows_rejected_for_the_quota_are_results_and_stop_the_run(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, large: bool, code: str
) -> None:
    fault = {"object": "m3ter_Account__c", "external_ids": ["r2"], "code": code, "message": "full"}
    sandbox.inside.faults.add({"rows": fault, "times": None})
    rows = [Row(f"r{number}", ["Name", None]) for number in range(300)]
    handed: list[RowResult] = []
    batches = org.upsert(ACCOUNTS, group(rows, large=large), jobs)
    with pytest.raises(RateLimitError, match=code):
        handed.extend(result for results in batches for result in results)
    assert len(handed) == 300
    assert Rejected("r2", ErrorClass.QUOTA, code, "full") in handed
    assert jobs.states == (["created", "JobComplete"] if large else [])


def test_full_data_storage_stops_the_run(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    fault = {"external_ids": ["r1"], "code": "STORAGE_LIMIT_EXCEEDED", "message": "full"}
    sandbox.inside.faults.add({"rows": fault, "times": None})
    with pytest.raises(ConfigurationError, match="STORAGE_LIMIT_EXCEEDED") as caught:
        list(org.upsert(ACCOUNTS, group(ROWS), jobs))
    assert "storage" in caught.value.remedy
