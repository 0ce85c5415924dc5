"""What the hourly schedule asks for, by its tick alone."""

import logging
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.remote_origin import RemoteRepositoryOrigin
from dagster._core.test_utils import create_run_for_test
from dagster._core.workspace.load_target import WorkspaceFileTarget
from sqlalchemy import event
from sqlalchemy.engine import Engine

from m3sync_dagster.components.schedule import JOB, LONGEST_CATCH_UP
from m3sync_dagster.definitions import defs
from m3sync_dagster.runs.dead_runs import SILENCE
from m3sync_dagster.state import IntegrationLock, connect, postgres_url
from m3sync_dagster_tests.conftest import INTEGRATION, ROOT, DefsFolder

pytestmark = pytest.mark.slow

FORMAT = "%Y-%m-%d-%H:%M"
KEYS = [
    dg.AssetKey(["acme", f"salesforce_{name}"])
    for name in ("account", "contract", "commitment", "balance")
]
NOW = datetime(2026, 11, 24, 15, 3, tzinfo=UTC)
LAST = "2026-11-24-14:00"
TAGS = {"m3sync/integration": "acme", "m3sync/salesforce_credential": "salesforce_production"}
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")

Status = dg.DagsterRunStatus
Tick = Callable[..., dg.RunRequest | str]
Requests = Callable[..., list[dg.RunRequest]]


@pytest.fixture
def tick(instance: dg.DagsterInstance, defs_folder: DefsFolder) -> Tick:
    """What a tick gives: the one request, or why there is none."""

    def evaluate(at: datetime = NOW) -> dg.RunRequest | str:
        loaded = defs()
        context = dg.build_schedule_context(
            instance=instance,
            scheduled_execution_time=at,
            repository_def=loaded.get_repository_def(),
        )
        schedule = loaded.get_repository_def().get_schedule_def("acme_hourly")
        result = schedule.evaluate_tick(context)
        if result.skip_message is not None:
            assert not result.run_requests
            return result.skip_message
        assert result.run_requests is not None
        (request,) = result.run_requests
        return request

    return evaluate


@pytest.fixture
def requests(instance: dg.DagsterInstance, defs_folder: DefsFolder) -> Requests:
    """All that a tick requests, as first and last hour."""

    def evaluate(at: datetime = NOW) -> list[dg.RunRequest]:
        repository = defs().get_repository_def()
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=at, repository_def=repository
        )
        result = repository.get_schedule_def("acme_hourly").evaluate_tick(context)
        return list(result.run_requests or ())

    return evaluate


def hour(back: int) -> str:
    """The hour so many hours before the last complete one."""
    return (NOW.replace(minute=0) - timedelta(hours=back + 1)).strftime(FORMAT)


def fill(instance: dg.DagsterInstance, *hours: str, keys: list[dg.AssetKey] | None = None) -> None:
    for key in keys or KEYS:
        for name in hours:
            materialization = dg.AssetMaterialization(asset_key=key, partition=name)
            instance.report_runless_asset_event(materialization)


def a_run(
    instance: dg.DagsterInstance,
    status: Status,
    hours: str | tuple[str, str] = LAST,
    *,
    keys: Sequence[dg.AssetKey] = KEYS,
    integration: str = "acme",
) -> dg.DagsterRun:
    of_hours = (
        {"dagster/partition": hours}
        if isinstance(hours, str)
        else dict(zip(RANGE, hours, strict=True))
    )
    (location,) = WorkspaceFileTarget([str(ROOT / "workspace.yaml")]).create_origins()
    run: dg.DagsterRun = create_run_for_test(
        instance,
        job_name=JOB,
        status=status,
        tags={**TAGS, "m3sync/integration": integration, **of_hours},
        asset_selection=frozenset(keys),
        remote_job_origin=RemoteRepositoryOrigin(location, "__repository__").get_job_origin(JOB),
    )
    return run


def say(instance: dg.DagsterInstance, run: dg.DagsterRun, *, ago: timedelta) -> None:
    """Let a run have said its last word so long ago."""
    instance.store_event(
        dg.EventLogEntry(  # type: ignore[no-untyped-call] # Dagster leaves it untyped
            error_info=None,
            user_message="at work",
            level=logging.INFO,
            run_id=run.run_id,
            timestamp=time.time() - ago.total_seconds(),
            job_name=run.job_name,
        )
    )


def covered(request: dg.RunRequest | str) -> tuple[str, str]:
    assert isinstance(request, dg.RunRequest), request
    assert request.partition_key is None
    return request.tags[RANGE[0]], request.tags[RANGE[1]]


def test_a_new_integration_begins_with_the_last_hour(tick: Tick) -> None:
    request = tick()
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == LAST
    assert request.run_key == f"{LAST} at 2026-11-24T15:03"
    assert request.asset_selection == KEYS
    assert request.tags.items() >= TAGS.items()
    assert request.tags["dagster/partition"] == LAST
    assert not request.tags.keys() & set(RANGE)


def test_an_integration_with_another_start_changes_nothing(
    tick: Tick, defs_folder: DefsFolder
) -> None:
    late = INTEGRATION.replace("acme", "late").replace("2026-11-01", "2026-11-24")
    defs_folder.write("late", late)
    request = tick()
    assert isinstance(request, dg.RunRequest)
    assert request.tags["dagster/partition"] == LAST


def test_each_hour_is_asked_for_once(tick: Tick, instance: dg.DagsterInstance) -> None:
    fill(instance, hour(1))
    request = tick()
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == LAST
    fill(instance, LAST)
    assert tick() == f"the hour {LAST} is filled already"


def test_missed_hours_are_one_request(tick: Tick, instance: dg.DagsterInstance) -> None:
    fill(instance, hour(4))
    request = tick()
    assert covered(request) == (hour(3), LAST)
    assert isinstance(request, dg.RunRequest)
    assert request.run_key == f"{hour(3)}...{LAST} at 2026-11-24T15:03"
    assert request.asset_selection == KEYS
    assert request.tags.items() >= TAGS.items()


def hours_of(request: dg.RunRequest) -> tuple[str, str]:
    if request.partition_key:
        return request.partition_key, request.partition_key
    return covered(request)


def test_hours_before_one_that_was_filled_by_hand_are_requested(
    requests: Requests, instance: dg.DagsterInstance
) -> None:
    """After an outage, somebody runs an hour in the middle."""
    fill(instance, hour(9), hour(5), hour(4), hour(1))
    found = requests()
    assert [hours_of(request) for request in found] == [
        (hour(8), hour(6)),
        (hour(3), hour(2)),
        (LAST, LAST),
    ]
    assert len({request.run_key for request in found}) == 3
    # The guard counts the runs of one tick as one.
    assert {request.tags["m3sync/scheduled_for"] for request in found} == {"2026-11-24T15:03"}


def test_every_gap_of_the_week_is_requested_and_no_older_one(
    requests: Requests, instance: dg.DagsterInstance
) -> None:
    old = [hour(LONGEST_CATCH_UP + back) for back in (50, 30)]
    fill(instance, *old, *(hour(back) for back in range(LONGEST_CATCH_UP - 1)))
    assert [hours_of(one) for one in requests()] == [(hour(LONGEST_CATCH_UP - 1),) * 2]


def test_an_hour_that_one_asset_lacks_is_a_gap(
    requests: Requests, instance: dg.DagsterInstance
) -> None:
    fill(instance, *(hour(back) for back in (5, 4, 2, 1, 0)))
    fill(instance, hour(3), keys=KEYS[:3])
    assert [hours_of(one) for one in requests()] == [(hour(3), hour(3))]


def test_hours_that_failed_before_the_first_success_are_requested(
    requests: Requests, instance: dg.DagsterInstance
) -> None:
    for back in (4, 3, 2):
        a_run(instance, Status.FAILURE, hour(back))
    fill(instance, hour(1))
    assert [hours_of(one) for one in requests()] == [(hour(4), hour(2)), (LAST, LAST)]


def test_a_second_tick_in_the_hour_requests_a_failed_hour_again(tick: Tick) -> None:
    """``minute_of_hour`` has changed; Dagster would not launch a run key for the second time."""
    keys = set()
    for minute in (3, 40):
        request = tick(NOW.replace(minute=minute))
        assert isinstance(request, dg.RunRequest)
        assert request.partition_key == LAST
        keys.add(request.run_key)
    assert len(keys) == 2


def test_a_failed_hour_is_in_the_next_request(tick: Tick, instance: dg.DagsterInstance) -> None:
    fill(instance, hour(2))
    a_run(instance, Status.FAILURE, hour(1))
    assert covered(tick()) == (hour(1), LAST)


def test_hours_that_failed_from_the_start_are_in_the_next_request(
    tick: Tick, instance: dg.DagsterInstance
) -> None:
    a_run(instance, Status.FAILURE, hour(3))
    a_run(instance, Status.FAILURE, (hour(3), hour(2)))
    a_run(instance, Status.FAILURE, (hour(3), hour(1)))
    assert covered(tick()) == (hour(3), LAST)


def test_an_hour_far_before_the_window_is_not_waited_for(
    tick: Tick, instance: dg.DagsterInstance
) -> None:
    a_run(instance, Status.FAILURE, "2026-11-02-00:00")
    assert covered(tick()) == (hour(LONGEST_CATCH_UP - 1), LAST)


def test_a_week_is_the_most(tick: Tick, instance: dg.DagsterInstance) -> None:
    fill(instance, hour(LONGEST_CATCH_UP + 50))
    assert covered(tick()) == (hour(LONGEST_CATCH_UP - 1), LAST)
    assert LONGEST_CATCH_UP == 168


def test_hours_before_the_start_are_no_hours(
    tick: Tick, instance: dg.DagsterInstance, defs_folder: DefsFolder
) -> None:
    defs_folder.write("acme", INTEGRATION.replace("2026-11-01-00:00", hour(2)))
    a_run(instance, Status.FAILURE, hour(2))
    assert covered(tick()) == (hour(2), LAST)


@pytest.mark.parametrize("start", ["2026-11-24-15:00", "2027-01-01-00:00"])
def test_a_start_that_is_not_over_is_waited_for(
    tick: Tick, defs_folder: DefsFolder, start: str
) -> None:
    defs_folder.write("acme", INTEGRATION.replace("2026-11-01-00:00", start))
    assert tick() == f"the first hour, {start}, is not over yet"


@pytest.mark.parametrize("hours_ago", [0, 1])
def test_a_first_hour_that_was_synced_before_its_end_is_synced_again(
    tick: Tick, instance: dg.DagsterInstance, defs_folder: DefsFolder, hours_ago: int
) -> None:
    first = datetime.now(UTC).replace(minute=0, second=0) - timedelta(hours=hours_ago)
    start = first.strftime(FORMAT)
    defs_folder.write("acme", INTEGRATION.replace("2026-11-01-00:00", start))
    fill(instance, start)
    request = tick(first + timedelta(hours=1, minutes=3))
    if hours_ago:
        assert request == f"the hour {start} is filled already"
    else:
        assert isinstance(request, dg.RunRequest)
        assert request.partition_key == start


@pytest.mark.parametrize(
    ("at", "last"),
    [
        (datetime(2026, 11, 24, 15, 0, tzinfo=UTC), "2026-11-24-14:00"),
        (datetime(2026, 11, 24, 14, 59, 59, tzinfo=UTC), "2026-11-24-13:00"),
        (datetime(2027, 1, 1, 0, 3, tzinfo=UTC), "2026-12-31-23:00"),
    ],
)
def test_the_last_hour_is_the_last_that_is_over(tick: Tick, at: datetime, last: str) -> None:
    request = tick(at)
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == last


def test_an_entity_that_is_behind_sets_the_first_hour(
    tick: Tick, instance: dg.DagsterInstance
) -> None:
    fill(instance, hour(4), hour(3), hour(2), hour(1), LAST, keys=KEYS[:2])
    fill(instance, hour(4), hour(3), keys=KEYS[2:])
    assert covered(tick()) == (hour(2), LAST)


def test_a_new_entity_does_not_bring_the_old_hours_back(
    tick: Tick, instance: dg.DagsterInstance
) -> None:
    for back in (3, 2, 1):
        fill(instance, hour(back), keys=KEYS[:3])
        a_run(instance, Status.SUCCESS, hour(back), keys=KEYS[:3])
    request = tick()
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == LAST


def test_an_entity_that_has_never_succeeded_is_caught_up_with(
    tick: Tick, instance: dg.DagsterInstance
) -> None:
    for back in (3, 2, 1):
        fill(instance, hour(back), keys=KEYS[:3])
        a_run(instance, Status.FAILURE, hour(back))
    assert covered(tick()) == (hour(3), LAST)


def test_another_integrations_hours_are_its_own(tick: Tick, instance: dg.DagsterInstance) -> None:
    fill(instance, LAST, keys=[dg.AssetKey(["globex", "salesforce_account"])])
    a_run(instance, Status.QUEUED, integration="globex")
    request = tick()
    assert isinstance(request, dg.RunRequest)
    assert request.partition_key == LAST


def test_not_connected_is_said(tick: Tick, defs_folder: DefsFolder) -> None:
    line = "  salesforce_credential: salesforce_production\n"
    defs_folder.write("acme", INTEGRATION.replace(line, ""))
    assert tick() == "acme is NOT CONNECTED. Run: m3sync connect acme CREDENTIAL."


@pytest.mark.parametrize(
    "status", [Status.NOT_STARTED, Status.QUEUED, Status.STARTING, Status.STARTED]
)
def test_a_run_under_way_is_waited_for(
    tick: Tick, instance: dg.DagsterInstance, status: Status
) -> None:
    run = a_run(instance, status)
    assert tick() == f"run {run.run_id} of acme is under way"


@pytest.mark.parametrize("status", [Status.SUCCESS, Status.FAILURE, Status.CANCELED])
def test_a_run_that_has_ended_is_not(
    tick: Tick, instance: dg.DagsterInstance, status: Status
) -> None:
    a_run(instance, status, LAST)
    assert isinstance(tick(), dg.RunRequest)


def test_a_silent_run_that_holds_the_lock_is_alive(
    tick: Tick, instance: dg.DagsterInstance
) -> None:
    run = a_run(instance, Status.STARTED)
    say(instance, run, ago=SILENCE * 10)
    with connect(postgres_url()) as connection, IntegrationLock(connection, "acme"):
        assert tick() == f"run {run.run_id} of acme is under way"
    assert status_of(instance, run) is Status.STARTED


@pytest.mark.parametrize("status", [Status.STARTED, Status.NOT_STARTED])
def test_a_dead_run_is_reported_and_stops_nothing(
    tick: Tick, instance: dg.DagsterInstance, status: Status
) -> None:
    fill(instance, hour(2))
    run = a_run(instance, status, hour(1))
    say(instance, run, ago=SILENCE + timedelta(seconds=5))
    assert covered(tick()) == (hour(1), LAST)
    assert status_of(instance, run) is Status.FAILURE
    said = [entry.message for entry in instance.all_logs(run.run_id)]
    assert "The run's process is gone: it logs nothing, and its integration's lock is free." in said


def test_a_dead_run_beside_a_living_one_waits_for_its_turn(
    tick: Tick, instance: dg.DagsterInstance
) -> None:
    dead, living = a_run(instance, Status.STARTED), a_run(instance, Status.STARTED)
    say(instance, dead, ago=SILENCE * 2)
    say(instance, living, ago=timedelta(0))
    assert tick() == f"run {living.run_id} of acme is under way"


@pytest.mark.parametrize("status", [Status.QUEUED, Status.STARTING])
def test_dagster_itself_ends_what_does_not_start(
    tick: Tick, instance: dg.DagsterInstance, status: Status
) -> None:
    run = a_run(instance, status)
    say(instance, run, ago=SILENCE * 100)
    assert tick() == f"run {run.run_id} of acme is under way"


def test_whoever_holds_the_lock_is_waited_for(tick: Tick) -> None:
    with connect(postgres_url()) as connection, IntegrationLock(connection, "acme"):
        assert tick() == "another run of acme is under way"
    assert isinstance(tick(), dg.RunRequest)


def status_of(instance: dg.DagsterInstance, run: dg.DagsterRun) -> Status:
    found = instance.get_run_by_id(run.run_id)
    assert found is not None
    return found.status


def test_a_tick_asks_for_each_asset_and_for_the_runs_once(
    tick: Tick, instance: dg.DagsterInstance
) -> None:
    asked: list[str] = []

    def note(*arguments: object) -> None:
        asked.append(str(arguments[2]))

    fill(instance, *(hour(back) for back in range(20, 1, -1)))
    for back in range(20, 1, -1):
        a_run(instance, Status.SUCCESS, hour(back))
    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert covered(tick()) == (hour(1), LAST)
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    tables = ("FROM runs", "FROM asset_keys", "FROM event_logs")
    ours = [text for text in asked if any(table in text for table in tables)]
    assert len(ours) == 2 + 2 * len(KEYS), ours
