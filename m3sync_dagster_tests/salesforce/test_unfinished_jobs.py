"""Ingest jobs that an earlier run did not finish, and jobs of other tools."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from m3sync_dagster.salesforce import SalesforceClient
from m3sync_dagster.sync.errors import (
    ConfigurationError,
    DeadlineError,
)
from m3sync_dagster.sync.row_types import UnfinishedJob
from m3sync_dagster_tests.salesforce.conftest import (
    ACCOUNTS,
    Jobs,
    Sandbox,
    accounts,
    created,
    group,
    outcome,
    rejected,
)


def open_job(org: SalesforceClient, name: str = "m3ter_Account__c") -> str:
    job = {"object": name, "operation": "upsert", "externalIdFieldName": "m3ter_Id__c"}
    return str(org.transport.call("POST", "/jobs/ingest", json=job).json()["id"])


def states(sandbox: Sandbox) -> dict[str, str]:
    return {job_id: str(job.progress.state) for job_id, job in sandbox.inside.jobs.items()}


def requested() -> UnfinishedJob:
    """A job that an earlier run has just requested, and whose id it did not receive."""
    return UnfinishedJob(None, "m3ter_Account__c", datetime.now(UTC), "m3ter_Id__c")


def test_a_job_whose_id_was_lost_is_found_and_aborted(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    orphan, known = open_job(org), open_job(org)
    strange = open_job(org, "m3ter_Balance__c")
    jobs.record_job_created(known, "m3ter_Account__c", 1, "x" * 64)
    assert list(org.resume(requested(), jobs)) == []
    found = states(sandbox)
    assert (found[orphan], found[known], found[strange]) == ("Aborted", "Open", "Open")
    assert jobs.events[-1] == ("finished", "requested", "Aborted")


@pytest.mark.parametrize(
    "different",
    [
        {"operation": "insert", "externalIdFieldName": None},
        {"operation": "update", "externalIdFieldName": None},
        {"externalIdFieldName": "Id"},
        {"lineEnding": "CRLF"},
        {"columnDelimiter": "TAB"},
    ],
)
def test_a_job_that_differs_from_ours_is_not_aborted(
    org: SalesforceClient,
    sandbox: Sandbox,
    jobs: Jobs,
    caplog: pytest.LogCaptureFixture,
    different: dict[str, str],
) -> None:
    job = {
        "object": "m3ter_Account__c",
        "operation": "upsert",
        "externalIdFieldName": "m3ter_Id__c",
    }
    asked = {name: value for name, value in (job | different).items() if value}
    job_id = str(org.transport.call("POST", "/jobs/ingest", json=asked).json()["id"])
    list(org.resume(requested(), jobs))
    assert states(sandbox)[job_id] == "Open"
    assert job_id not in caplog.text


def test_a_job_of_another_user_is_not_aborted(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    job_id = open_job(org)
    sandbox.inside.jobs[job_id].created_by = "005000000000009AAA"
    list(org.resume(requested(), jobs))
    assert states(sandbox)[job_id] == "Open"


def test_a_user_id_of_15_or_18_characters_is_the_same(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    job_id = open_job(org)
    sandbox.inside.jobs[job_id].created_by = sandbox.inside.identity.user_id[:15]
    list(org.resume(requested(), jobs))
    assert states(sandbox)[job_id] == "Aborted"


UNCLEAR = {
    "our user is not known": "createdById",
    "the external ID field is not known": "externalIdFieldName",
    "another integration has requested one": "another integration has also requested a job",
    "the list does not say when": "createdDate",
}


@pytest.mark.parametrize("case", UNCLEAR)
def test_a_job_that_may_be_ours_is_logged_and_not_aborted(
    org: SalesforceClient,
    sandbox: Sandbox,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    case: str,
) -> None:
    jobs = Jobs()
    left = requested()
    if case == "our user is not known":
        unnamed = replace(sandbox.inside.identity, organization_id="unknown")
        monkeypatch.setattr(sandbox.inside, "identity", unnamed)
    job_id = open_job(org)
    match case:
        case "our user is not known":
            assert org.identity().user_id is None
        case "the external ID field is not known":
            left = replace(left, external_id_field=None)
        case "another integration has requested one":
            jobs.other_requested.add("m3ter_Account__c")
        case _:
            sandbox.inside.jobs[job_id].created = ""
    list(org.resume(left, jobs))
    assert states(sandbox)[job_id] == "Open"
    assert job_id in caplog.text
    assert UNCLEAR[case] in caplog.text
    assert jobs.states == ["Aborted"]


def test_an_insert_job_of_another_tool_is_not_aborted(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    other = {"object": "m3ter_Account__c", "operation": "insert"}
    job_id = str(org.transport.call("POST", "/jobs/ingest", json=other).json()["id"])
    org.describe("m3ter_Account__c")
    sandbox.inside.faults.add({"method": "POST", "path": "/jobs/ingest$", "drop": "after"})
    outcome(org.upsert(ACCOUNTS, group(accounts("a1"), large=True), jobs))
    assert states(sandbox)[job_id] == "Open"


def test_a_job_of_another_hour_is_not_aborted(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    job_id = open_job(org)
    before = datetime.now(UTC) - timedelta(hours=1)
    list(org.resume(replace(requested(), since=before), jobs))
    assert states(sandbox)[job_id] == "Open"


def test_a_job_whose_creation_response_was_lost_is_aborted(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    before = set(states(sandbox))
    org.describe("m3ter_Account__c")
    sandbox.inside.faults.add({"method": "POST", "path": "/jobs/ingest$", "drop": "after"})
    results = outcome(org.upsert(ACCOUNTS, group(accounts("a1"), large=True), jobs))
    assert created(results) == {"a1"}
    made = [state for job_id, state in states(sandbox).items() if job_id not in before]
    assert sorted(made) == ["Aborted", "JobComplete"]


def test_a_list_of_jobs_that_cannot_be_read_stops_nothing(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    body = [{"errorCode": "INSUFFICIENT_ACCESS", "message": "no"}]
    fault = {"method": "GET", "path": "/jobs/ingest$", "status": 403, "body": body}
    sandbox.inside.faults.add(fault)
    assert list(org.resume(requested(), jobs)) == []
    assert jobs.states == ["Aborted"]


def test_a_rejected_job_request_is_recorded_as_finished(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    strange = replace(ACCOUNTS, object="Nothing__c")
    with pytest.raises(ConfigurationError):
        list(org.upsert(strange, group(accounts("a1"), large=True), jobs))
    assert jobs.states == ["Rejected"]


@pytest.mark.parametrize("uploaded", [False, True])
def test_an_open_job_is_aborted_and_its_rows_are_sent_again(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, uploaded: bool
) -> None:
    job_id = open_job(org)
    if uploaded:
        data = b"m3ter_Id__c,Name\na1,x\n"
        org.transport.call("PUT", f"/jobs/ingest/{job_id}/batches", data=data)
    assert (
        list(org.resume(UnfinishedJob(job_id, "m3ter_Account__c", datetime.now(UTC)), jobs)) == []
    )
    assert states(sandbox)[job_id] == "Aborted"
    assert jobs.states == ["Aborted"]
    assert sandbox.records(ACCOUNTS) == {}


def test_the_results_of_a_slow_job_are_read_when_it_has_ended(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    sandbox.inside.faults.add({"job": {"hang_after": 400}})
    rows = accounts(*(f"a{i}" for i in range(600)))
    with pytest.raises(DeadlineError, match="20 minutes") as caught:
        list(org.upsert(ACCOUNTS, group(rows, large=True), jobs))
    assert caught.value.status == "TIMEOUT_LIMIT_EXCEEDED"
    assert not caught.value.advanced
    assert jobs.states == ["created"]
    job_id = jobs.events[0][1]
    org.transport.call("PATCH", f"/jobs/ingest/{job_id}", json={"state": "Aborted"})
    job = UnfinishedJob(job_id, "m3ter_Account__c", datetime.now(UTC))
    results = outcome(org.resume(job, jobs))
    assert len(created(results)) == 400
    assert set(rejected(results).values()) == {"UNPROCESSED"}
    assert jobs.states == ["created", "Aborted"]
