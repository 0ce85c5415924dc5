"""Runs that exceed a quota end in good order, and the next one sends the rest."""

import re
from collections.abc import Callable, Iterator
from datetime import datetime

import dagster as dg
import pytest

from m3sync_dagster.components.integration import Integration
from m3sync_dagster.runs.failure_tags import STATUS_TAG
from m3sync_dagster.state import connect, postgres_url
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster_tests.conftest import Sandbox, sync

Run = Callable[[], dg.ExecuteInProcessResult]


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.fixture
def run(environment: Sandbox, instance: dg.DagsterInstance) -> Run:
    def execute() -> dg.ExecuteInProcessResult:
        return sync(instance, "account")

    return execute


def failure_of(result: dg.ExecuteInProcessResult) -> tuple[str, str]:
    """The status word of a failed run, and its message."""
    assert not result.success
    (event,) = [event for event in result.all_events if event.is_step_failure]
    failure = event.step_failure_data.user_failure_data
    assert failure
    assert failure.description
    return str(failure.metadata["status"].value), failure.description


def put_off(run: Run, sandbox: Sandbox, instance: dg.DagsterInstance) -> str:
    """Assert that a run sends nothing and is recorded as one to repeat; gives its message."""
    result = run()
    status, text = failure_of(result)
    assert status == "RATE_LIMIT_RETRY"
    ended = instance.get_run_by_id(result.run_id)
    assert ended
    assert ended.tags[STATUS_TAG] == status
    assert re.search(r"due again at \d{4}-\d\d-\d\d \d\d:\d\d UTC", text)
    assert sandbox.records("m3ter_Account__c") == {}
    with connect(postgres_url()) as connection:
        events = connection.execute("SELECT name, remedy FROM m3sync.integration_event").fetchall()
    assert [name for name, _ in events] == ["integration.perform.error"]
    assert "due again at" in events[0][1]
    return text


def check_going_on(run: Run, sandbox: Sandbox) -> None:
    """Assert that a run without the fault sends everything."""
    sandbox.salesforce.delete("/sandbox/faults")
    assert run().success
    assert len(sandbox.records("m3ter_Account__c")) == sandbox.organization.count("accounts")


def test_a_run_past_the_share_of_the_quota_ends_in_good_order_and_says_when_it_goes_on(
    run: Run, environment: Sandbox, instance: dg.DagsterInstance
) -> None:
    budget = {"budget": {"max": 1_000, "used": 900}}
    environment.salesforce.post("/sandbox/faults", json=budget).raise_for_status()
    assert "m3sync stops at 80%" in put_off(run, environment, instance)
    check_going_on(run, environment)


def test_a_quota_that_ends_amid_the_rows_keeps_what_was_acknowledged(
    run: Run, environment: Sandbox
) -> None:
    ids = environment.organization.ids("accounts")
    rows = {"external_ids": ids[:1], "code": "EXCEEDED_QUOTA", "message": "full"}
    fault = {"rows": rows, "times": None}
    environment.salesforce.post("/sandbox/faults", json=fault).raise_for_status()
    status, _ = failure_of(run())
    assert status == "RATE_LIMIT_RETRY"
    with connect(postgres_url()) as connection:
        on_record = connection.execute("SELECT m3ter_id FROM m3sync.synced_record").fetchall()
    assert on_record
    assert {row[0] for row in on_record} == set(environment.records("m3ter_Account__c"))
    check_going_on(run, environment)


def test_a_run_that_m3ter_keeps_too_many_requests_from_goes_on_at_the_next_tick(
    run: Run, environment: Sandbox, instance: dg.DagsterInstance
) -> None:
    busy = {"kind": "respond", "status": 429, "headers": {"retry-after-ms": "1"}}
    body = {"action": busy, "path": "*/accounts", "times": None}
    environment.m3ter.post("/sandbox/faults", json=body).raise_for_status()
    assert "m3ter answered accounts with 429" in put_off(run, environment, instance)
    environment.m3ter.delete("/sandbox/faults")
    check_going_on(run, environment)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        ("2026-11-24T10:02:59+00:00", "2026-11-24 10:03 UTC"),
        ("2026-11-24T10:03:00+00:00", "2026-11-24 11:03 UTC"),
        ("2026-12-31T23:30:00+00:00", "2027-01-01 00:03 UTC"),
    ],
)
def test_the_next_tick_is_that_of_the_schedule(now: str, due: str) -> None:
    integration = Integration(
        "acme",
        "m3ter",
        minute_of_hour=3,
        namespace="custom_objects",
        entities={"account": EntityOptions()},
    )
    assert integration.next_due(datetime.fromisoformat(now)) == due
