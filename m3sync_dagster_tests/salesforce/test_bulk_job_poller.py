"""Waiting for jobs: the limits, what counts as progress, and jobs that an admin aborts."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from m3sync_dagster.salesforce import SalesforceClient
from m3sync_dagster.salesforce.bulk_job_poller import (
    LONGEST_STALL,
    LONGEST_WAIT,
    JobInfo,
    JobKind,
    JobPoller,
)
from m3sync_dagster.sync.errors import DeadlineError, RemoteError
from m3sync_dagster.sync.row_results import RowResult
from m3sync_dagster.sync.row_types import UnfinishedJob
from m3sync_dagster_tests.salesforce.conftest import (
    ACCOUNTS,
    Jobs,
    Sandbox,
    Scripted,
    Time,
    accounts,
    created,
    group,
    outcome,
)

REMEDY = "Look at it."


def many(count: int) -> Any:  # noqa: ANN401 - a group
    return group(accounts(*(f"a{i}" for i in range(count))), large=True)


@dataclass(frozen=True)
class Case:
    """A job that processes a row per interval in minutes, and when a run stops waiting for it."""

    ends: float
    every: float
    stops: float | None = None
    advanced: bool = False


class Progress:
    """A server with one job, whose state depends on the minutes that have passed."""

    def __init__(self, time: Time, case: Case) -> None:
        self._time, self._case = time, case

    def __call__(self, _request: Request, _body: bytes) -> Response:
        minutes = self._time.now / 60
        state = "JobComplete" if minutes >= self._case.ends else "InProgress"
        processed = int(minutes // self._case.every) if self._case.every else 0
        return JSONResponse({"id": "7501", "state": state, "numberRecordsProcessed": processed})


@pytest.mark.parametrize("kind", JobKind)
@pytest.mark.parametrize(
    "case",
    [
        Case(ends=40, every=19),
        Case(ends=19, every=0),
        Case(ends=60, every=0, stops=LONGEST_STALL),
        Case(ends=60, every=21, stops=LONGEST_STALL),
        Case(ends=60, every=5, stops=LONGEST_WAIT, advanced=True),
    ],
)
def test_waiting_ends_without_progress_or_at_the_limit_of_a_run(
    scripted: Scripted, time: Time, kind: JobKind, case: Case
) -> None:
    org, _ = scripted(Progress(time, case))
    poller = JobPoller(org.transport, time.sleep, time.clock)
    began = JobInfo("7501", "InProgress")
    if case.stops is None:
        assert poller.wait(kind, began, "Account", REMEDY).state == "JobComplete"
        return
    with pytest.raises(DeadlineError, match=f"{kind} job 7501 of Account") as caught:
        poller.wait(kind, began, "Account", REMEDY)
    assert caught.value.advanced is case.advanced
    assert caught.value.with_remedy("Other.").advanced is case.advanced
    assert case.stops - 16 <= time.now <= case.stops


def test_a_job_with_progress_is_waited_for_longer_than_20_minutes(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, time: Time
) -> None:
    sandbox.inside.faults.add({"job": {"polls_per_chunk": 30}})
    results = outcome(org.upsert(ACCOUNTS, many(600), jobs))
    assert len(created(results)) == 600
    assert time.now > LONGEST_STALL
    assert jobs.states == ["created", "JobComplete"]


@pytest.fixture
def admin(sandbox: Sandbox, time: Time) -> Iterator[Any]:
    """An org in which an admin aborts each job that has saved 200 rows."""

    def watch(seconds: float) -> None:
        time.sleep(seconds)
        for job in sandbox.inside.jobs.values():
            if job.processed == 200 and not job.progress.ended:
                job.abort()

    org = SalesforceClient(sandbox.credential(), sleep=watch, clock=time.clock)
    sandbox.inside.faults.add({"job": {"hang_after": 200}, "times": None})
    yield org
    org.close()


def posted(sandbox: Sandbox) -> int:
    return sandbox.inside.calls.counts["POST /services/data/{version}/jobs/ingest"]


@pytest.mark.parametrize("tries", [0, 3])
def test_a_job_that_an_admin_aborts_is_reported_and_not_sent_again(
    admin: SalesforceClient, sandbox: Sandbox, jobs: Jobs, tries: int
) -> None:
    handed: list[RowResult] = []
    rows = group(accounts(*(f"a{i}" for i in range(600))), large=True, tries=tries)
    with pytest.raises(RemoteError, match=r"The ingest job 750.* was aborted") as caught:
        handed.extend(chain.from_iterable(admin.upsert(ACCOUNTS, rows, jobs)))
    assert "Bulk Data Load Jobs" in caught.value.remedy
    assert len(handed) == 200
    assert jobs.states == ["created", "Aborted"]
    assert posted(sandbox) == 1


def test_a_job_that_an_admin_aborts_while_a_later_run_waits_for_it_is_reported(
    admin: SalesforceClient, org: SalesforceClient, jobs: Jobs
) -> None:
    with pytest.raises(DeadlineError):
        list(org.upsert(ACCOUNTS, many(600), jobs))
    job_id = jobs.events[0][1]
    left = UnfinishedJob(job_id, "m3ter_Account__c", datetime.now(UTC), "m3ter_Id__c")
    handed: list[RowResult] = []
    with pytest.raises(RemoteError, match=f"The ingest job {job_id}.* was aborted"):
        handed.extend(chain.from_iterable(admin.resume(left, jobs)))
    assert len(handed) == 600
    assert jobs.states == ["created", "Aborted"]


def test_a_job_that_an_admin_aborts_before_its_upload_is_not_replaced(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = jobs.record_job_created

    def abort(job_id: str, *about: Any) -> None:  # noqa: ANN401 - as recorded
        record(job_id, *about)
        sandbox.inside.jobs[job_id].abort()

    monkeypatch.setattr(jobs, "record_job_created", abort)
    with pytest.raises(RemoteError, match=r"The ingest job .* was aborted"):
        list(org.upsert(ACCOUNTS, many(3), jobs))
    assert posted(sandbox) == 1
    assert jobs.states == ["created", "Aborted"]
