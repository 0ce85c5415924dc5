"""What we take for granted of Dagster's half-private ways with schedules."""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.selector import InstigatorSelector
from dagster._core.remote_origin import RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
)
from dagster._core.test_utils import freeze_time

from m3sync_dagster.guard.schedules import (
    Schedule,
    read_schedules,
    start,
    start_again,
    stop,
    stop_for_good,
)
from m3sync_dagster_tests.conftest import DefsFolder
from m3sync_dagster_tests.guard.daemon_clock import IN_ITS_OWN_PROCESS, workspace_of
from m3sync_dagster_tests.guard.fixtures import LOCATION

NAME, CRON = "acme_hourly", "3 * * * *"
NOON, SECOND = datetime(2026, 11, 24, 12, tzinfo=UTC), timedelta(seconds=1)


def known(instance: dg.DagsterInstance) -> Schedule | None:
    return read_schedules(instance, "m3sync").get(NAME)


def test_a_schedule_starts_and_stops(instance: dg.DagsterInstance) -> None:
    assert known(instance) is None
    start(instance, LOCATION, NAME, CRON)
    first = known(instance)
    assert first
    assert first.running
    assert first.started
    stop(instance, first)
    stopped = known(instance)
    assert stopped
    assert not stopped.running
    assert stopped.started is None
    stop(instance, stopped)
    start(instance, LOCATION, NAME, CRON)
    again = known(instance)
    assert again
    assert again.started
    assert again.started > first.started


def test_what_is_left_to_the_code_s_default_is_not_enabled(instance: dg.DagsterInstance) -> None:
    """As after Reset in the UI: our schedules are stopped unless somebody starts them."""
    state = start(instance, LOCATION, NAME, CRON).state
    instance.update_instigator_state(state.with_status(InstigatorStatus.DECLARED_IN_CODE))
    found = known(instance)
    assert found
    assert not found.enabled


def test_what_is_written_of_a_schedule(instance: dg.DagsterInstance) -> None:
    """Dagster's own state of it, with the cron string of the newest start by our code."""
    origin = RemoteRepositoryOrigin(LOCATION, "__repository__").get_instigator_origin(NAME)
    sensor = InstigatorState(
        RemoteRepositoryOrigin(LOCATION, "__repository__").get_instigator_origin("guard"),
        InstigatorType.SENSOR,
        InstigatorStatus.STOPPED,
    )
    instance.add_instigator_state(sensor)

    def written(started: float | None, cron: str = CRON) -> Schedule:
        status = InstigatorStatus.STOPPED if started is None else InstigatorStatus.RUNNING
        data = ScheduleInstigatorData(cron, started)
        found = Schedule(InstigatorState(origin, InstigatorType.SCHEDULE, status, data))
        assert read_schedules(instance, "m3sync") == {NAME: found}
        return found

    with freeze_time(NOON):
        assert start(instance, LOCATION, NAME, CRON) == written(NOON.timestamp())
    stop_for_good(instance, LOCATION, NAME, "4 * * * *")
    stopped = written(None)
    with freeze_time(NOON + SECOND):
        assert start_again(instance, stopped) == written(NOON.timestamp() + 1)
    with freeze_time(NOON + 2 * SECOND):
        begun = start(instance, LOCATION, NAME, "4 * * * *")
    assert begun == written(NOON.timestamp() + 2, "4 * * * *")
    stop(instance, begun)
    written(None, "4 * * * *")
    instance.delete_instigator_state(begun.state.instigator_origin_id, begun.state.selector_id)
    stop_for_good(instance, LOCATION, NAME, CRON)
    written(None)
    with pytest.raises(dg.DagsterInvariantViolationError, match="already present"):
        stop_for_good(instance, LOCATION, "guard", CRON)


def test_starting_what_runs_already_is_a_new_start(instance: dg.DagsterInstance) -> None:
    first = start(instance, LOCATION, NAME, CRON).started
    second = start(instance, LOCATION, NAME, CRON).started
    assert first
    assert second
    assert second > first


def test_a_schedule_that_nobody_has_started_can_be_stopped(instance: dg.DagsterInstance) -> None:
    stop_for_good(instance, LOCATION, NAME, CRON)
    found = known(instance)
    assert found
    assert not found.running


def test_another_code_location_s_schedules_are_not_ours(instance: dg.DagsterInstance) -> None:
    start(instance, LOCATION, NAME, CRON)
    assert read_schedules(instance, "elsewhere") == {}
    assert set(read_schedules(instance, None)) == {NAME}


@pytest.mark.slow
def test_dagster_takes_our_start_for_its_own(
    instance: dg.DagsterInstance, defs_folder: DefsFolder
) -> None:
    """The state is found under the same key as by the webserver and the daemon."""
    with workspace_of(instance, IN_ITS_OWN_PROCESS) as workspace:
        request = workspace.create_request_context()
        repository = request.get_code_location("m3sync").get_repository("__repository__")
        remote = repository.get_schedule(NAME)
        selector = InstigatorSelector(
            location_name="m3sync", repository_name="__repository__", name=NAME
        )
        assert remote.selector_id == selector.get_id()
        start(instance, LOCATION, NAME, str(remote.cron_schedule))
        (state,) = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
        assert remote.get_current_instigator_state(state).status is InstigatorStatus.RUNNING
        # And theirs for ours: a person stops and starts it in the UI.
        instance.stop_schedule(remote.get_remote_origin_id(), remote.selector_id, remote)
        stopped = known(instance)
        assert stopped
        assert not stopped.running
        instance.start_schedule(remote)
        started = known(instance)
        assert started
        assert started.started
