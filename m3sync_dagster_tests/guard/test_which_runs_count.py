"""Which runs count towards disabling, over Dagster's real storage."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test, freeze_time

from m3sync_dagster.runs.failure_tags import record_failure, recorded_failure
from m3sync_dagster.runs.run_list import list_runs
from m3sync_dagster.runs.run_status import INTEGRATION_TAG, status_word
from m3sync_dagster.state import IntegrationLock, connect, postgres_url
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    DeadlineError,
    IntegrationLockedError,
    RateLimitError,
    RemoteError,
    SyncError,
)
from m3sync_dagster_tests.conftest import Sandbox, sync
from m3sync_dagster_tests.guard.fixtures import (
    JOB,
    Fleet,
    Status,
    about_failures,
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


def test_an_entity_without_quota_is_no_failure_beside_one_that_fails(fleet: Fleet) -> None:
    fleet.add("acme", entities=["account", "contract"])
    quota, down = RateLimitError("the quota is used up", "Wait."), RemoteError("down", "Wait.")
    for order in (
        [("account", quota), ("contract", down)],
        [("contract", down), ("account", quota)],
    ):
        for _ in range(3):
            run = fleet.run("acme", entities=["account", "contract"])
            for entity, error in order:
                record_failure(fleet.instance, run.run_id, error, f"acme/{entity}")
    fleet.run("acme", Status.SUCCESS, entities=["contract"])
    tick(fleet)
    assert changes() == []


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


def test_a_run_in_which_several_entities_fail_is_one_failure(fleet: Fleet) -> None:
    fleet.add("acme", entities=["account", "contract"])
    for run in [fleet.run("acme", entities=["account", "contract"]) for _ in range(5)]:
        for entity in ("account", "contract"):
            error = RemoteError("Salesforce is down", "Wait.")
            record_failure(fleet.instance, run.run_id, error, f"acme/{entity}")
    tick(fleet)
    assert changes() == ["acme:failing-5"]


def test_a_failure_more_than_a_week_before_the_newest_does_not_count(fleet: Fleet) -> None:
    now = datetime.now(UTC)
    with freeze_time(now - timedelta(days=30)):
        fleet.add("acme")
        fleet.add("globex")
    for days, failures in ((10, 1), (6, 8), (0, 1)):
        with freeze_time(now - timedelta(days=days)):
            fleet.fail("acme", failures)
    tick(fleet)
    assert about_failures() == ["acme:failing-8"]
    assert fleet.schedule("acme").running


def test_a_run_that_was_created_before_the_start_and_fails_after_it_does_not_count(
    fleet: Fleet,
) -> None:
    fleet.add("acme")
    long = [fleet.run("acme", Status.STARTED) for _ in range(5)]
    fleet.start("acme")
    fleet.fail("acme", 5)
    for run in long:
        fleet.end(run)
    tick(fleet)
    assert changes() == ["acme:failing-5"]


def test_the_retries_of_one_run_are_one_failure(fleet: Fleet) -> None:
    fleet.add("acme")
    (first,) = fleet.fail("acme")
    for _ in range(9):
        fleet.run("acme", root=first.run_id)
    tick(fleet)
    assert fleet.schedule("acme").running


def test_runs_that_count_as_one_may_fail_in_different_entities(fleet: Fleet) -> None:
    """A success of what failed last leaves what failed first."""
    fleet.add("acme", entities=["account", "contract"])
    for number in range(5):
        for entity in ("contract", "account"):
            run = fleet.run(
                "acme", tags={"m3sync/scheduled_for": f"tick {number}"}, entities=[entity]
            )
            error = RemoteError("Salesforce is down", "Wait.")
            record_failure(fleet.instance, run.run_id, error, f"acme/{entity}")
    fleet.run("acme", Status.SUCCESS, entities=["account"])
    tick(fleet)
    assert changes() == ["acme:failing-5"]


def test_a_run_that_ends_long_after_the_start_hides_no_failure_after_it(fleet: Fleet) -> None:
    """It was created before the start, so it does not count itself."""
    fleet.add("acme")
    long = fleet.run("acme", Status.STARTED)
    fleet.start("acme")
    fleet.fail("acme", 5)
    fleet.end(long)
    tick(fleet)
    assert changes() == ["acme:failing-5"]


def test_a_week_is_measured_by_the_ends_of_runs(fleet: Fleet) -> None:
    """Not by the order in which runs were created, nor by tags that are written later."""
    now = datetime.now(UTC)
    with freeze_time(now - timedelta(days=30)):
        fleet.add("acme")
    with freeze_time(now - timedelta(days=8)):
        old = fleet.fail("acme", 4)
    with freeze_time(now - timedelta(days=2)):
        long = fleet.run("acme", Status.STARTED)
        fleet.fail("acme", 3)
    with freeze_time(now):
        fleet.end(long)
        for run in old:
            fleet.instance.add_run_tags(run.run_id, {"note": "looked at"})
    tick(fleet)
    assert about_failures() == []


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
    (listed,) = [
        one
        for one in list_runs(fleet.instance, ["acme", "globex"])
        if one.summary.run_id == both.run_id
    ]
    assert listed.integration == "globex"
