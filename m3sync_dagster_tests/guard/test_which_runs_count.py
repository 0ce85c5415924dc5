"""Which runs count towards disabling, over Dagster's real storage."""

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test

from m3sync_dagster.runs.failure_tags import record_failure, recorded_failure
from m3sync_dagster.runs.run_status import INTEGRATION_TAG, status_word
from m3sync_dagster.state import IntegrationLock, connect, postgres_url
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    DeadlineError,
    IntegrationLockedError,
    RemoteError,
    SyncError,
)
from m3sync_dagster_tests.conftest import Sandbox, sync
from m3sync_dagster_tests.guard.fixtures import (
    JOB,
    Fleet,
    Status,
    asset,
    changes,
    events,
    tick,
)

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("counts", "tags"),
    [
        pytest.param(False, {"dagster/backfill": "abcdefgh"}, id="backfill"),
        pytest.param(False, {"dagster/will_retry": "true"}, id="an attempt that is made again"),
        pytest.param(False, {"m3sync/status": "RATE_LIMIT_RETRY"}, id="a quota"),
        pytest.param(
            False, {"dagster/asset_partition_range_start": "2026-11-24-10:00"}, id="a range by hand"
        ),
        pytest.param(
            True,
            {
                "dagster/asset_partition_range_start": "2026-11-24-10:00",
                "dagster/schedule_name": "acme_hourly",
            },
            id="hours that the schedule catches up on",
        ),
        pytest.param(True, {"dagster/partition": "2026-11-24-10:00"}, id="one hour by hand"),
        pytest.param(True, {"dagster/failure_reason": "START_TIMEOUT"}, id="it never started"),
    ],
)
def test_which_failures_count(fleet: Fleet, counts: bool, tags: dict[str, str]) -> None:
    fleet.add("acme")
    fleet.fail("acme", 9)
    fleet.run("acme", tags=tags)
    tick(fleet)
    assert fleet.schedule("acme").running is not counts


@pytest.mark.parametrize(
    ("error", "counts"),
    [
        (DeadlineError("the job is slow", "Wait.", advanced=True), False),
        (DeadlineError("the job hangs", "Abort it."), True),
        (IntegrationLockedError("another run is writing", "Wait."), False),
        (RemoteError("Salesforce is down", "Wait."), True),
    ],
)
def test_ten_failures_of_one_kind_disable_where_they_count(
    fleet: Fleet, error: SyncError, counts: bool
) -> None:
    fleet.add("acme")
    for run in fleet.fail("acme", 10):
        record_failure(fleet.instance, run.run_id, error, "acme/account")
    tick(fleet)
    assert fleet.schedule("acme").running is not counts


def test_a_refused_lock_is_no_failure_of_the_integration(
    fleet: Fleet, environment: Sandbox
) -> None:
    """The run that holds the lock is fine; the one that was refused says so in its tags."""
    assert environment
    with connect(postgres_url()) as connection, IntegrationLock(connection, "acme"):
        result = sync(fleet.instance, "account")
    assert not result.success
    run = fleet.instance.get_run_by_id(result.run_id)
    assert run
    recorded = recorded_failure(run)
    assert recorded
    assert (recorded.entities, recorded.counts) == (frozenset({"acme/account"}), False)


def test_failures_while_a_long_run_goes_on_are_over_when_it_succeeds(fleet: Fleet) -> None:
    fleet.add("acme")
    long = fleet.run("acme", Status.STARTED)
    fleet.fail("acme", 9)
    fleet.end(long, Status.SUCCESS)
    fleet.fail("acme")
    tick(fleet)
    assert fleet.schedule("acme").running


def test_the_first_start_clears_the_count(fleet: Fleet) -> None:
    """Ten runs by hand fail, and the person corrects the file and starts the schedule in the UI."""
    fleet.add("acme", started=False)
    fleet.fail("acme", 10)
    tick(fleet)
    fleet.start("acme")
    tick(fleet)
    assert fleet.schedule("acme").running
    fleet.fail("acme", 10)
    tick(fleet)
    assert not fleet.schedule("acme").running


def test_a_success_of_another_entity_is_no_success_of_what_failed(fleet: Fleet) -> None:
    fleet.add("acme", entities=["account", "contract"])
    for _ in range(10):
        run = fleet.run("acme", entities=["account", "contract"])
        error = RemoteError("contracts cannot be read", "Wait.")
        record_failure(fleet.instance, run.run_id, error, "acme/contract")
        fleet.run("acme", Status.SUCCESS, entities=["account"])
    tick(fleet)
    assert not fleet.schedule("acme").running
    assert changes() == ["acme:disabled-10"]
    fleet.start("acme")
    tick(fleet)
    fleet.run("acme", Status.SUCCESS, entities=["account"])
    tick(fleet)
    assert changes() == ["acme:disabled-10"]
    fleet.run("acme", Status.SUCCESS, entities=["contract"])
    tick(fleet)
    assert changes() == ["acme:disabled-10", "acme:recovered"]


def test_a_run_that_is_executed_again_and_dies_is_recorded_for_itself(fleet: Fleet) -> None:
    fleet.add("acme")
    (first,) = fleet.fail("acme")
    refused = AuthenticationError("the secret is wrong", "Correct it.")
    record_failure(fleet.instance, first.run_id, refused, "acme/account")
    stored = fleet.instance.get_run_by_id(first.run_id)
    assert stored
    again = fleet.run("acme", Status.STARTED, root=first.run_id, tags=dict(stored.tags))
    fleet.instance.report_run_failed(again, "The process is gone.")
    tick(fleet)
    found = fleet.instance.get_run_by_id(again.run_id)
    assert found
    assert status_word(found) == "ERROR"
    assert events("acme") == ["integration.perform.error"]


def test_what_does_not_count_does_not_hide_what_does(fleet: Fleet) -> None:
    fleet.add("acme")
    for _ in range(10):
        fleet.run("acme", Status.CANCELED)
        fleet.fail("acme")
        fleet.run("acme", tags={"dagster/backfill": "abcdefgh"})
    tick(fleet)
    assert not fleet.schedule("acme").running


def test_the_retries_of_one_run_are_one_failure(fleet: Fleet) -> None:
    fleet.add("acme")
    (first,) = fleet.fail("acme")
    for _ in range(9):
        fleet.run("acme", root=first.run_id)
    tick(fleet)
    assert fleet.schedule("acme").running


def test_the_runs_of_one_tick_are_one_failure(fleet: Fleet) -> None:
    """A tick requests a run for each gap."""
    fleet.add("acme")
    for number in range(5):
        tags = {"m3sync/scheduled_for": f"2026-11-24T1{number}:03"}
        fleet.run("acme", tags=tags)
        fleet.run("acme", tags=tags)
    tick(fleet)
    assert fleet.schedule("acme").running
    assert changes() == ["acme:failing-5"]


def test_a_run_of_two_integrations_is_a_success_of_both(fleet: Fleet) -> None:
    """A person launches it, and it has the tag of one alone."""
    for name in ("acme", "globex"):
        fleet.add(name)
        fleet.fail(name, 9)
    assets = [dg.asset(key=asset(name))(lambda: None) for name in ("acme", "globex")]
    tags = {INTEGRATION_TAG: "globex"}
    assert dg.materialize(assets, instance=fleet.instance, tags=tags).success
    for name in ("acme", "globex"):
        fleet.fail(name, 9)
    tick(fleet)
    assert fleet.schedule("acme").running
    assert fleet.schedule("globex").running


def test_a_run_of_two_integrations_is_a_failure_of_both(fleet: Fleet) -> None:
    for name in ("acme", "globex"):
        fleet.add(name)
        fleet.fail(name, 9)
    both = create_run_for_test(
        fleet.instance,
        job_name=JOB,
        status=Status.STARTED,
        tags={INTEGRATION_TAG: "globex"},
        asset_selection=frozenset([asset("acme"), asset("globex")]),
    )
    fleet.end(both)
    tick(fleet)
    assert not fleet.schedule("acme").running
    assert not fleet.schedule("globex").running
