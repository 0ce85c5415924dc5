"""A purge of old runs changes nothing that the guard, the schedule and the commands read."""

from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value

from m3sync_dagster.components import purge_job
from m3sync_dagster.components.integration_status import IntegrationStatus, read_status
from m3sync_dagster.components.load_project import DefinedNames, load_project
from m3sync_dagster.components.purge_job import (
    CHECK_SECONDS,
    NOT_FINISHED,
    PURGE_JOB,
    RUN_SECONDS,
    PurgeReport,
    purge,
)
from m3sync_dagster.definitions import defs
from m3sync_dagster.guard.failure_history import count_in_a_row
from m3sync_dagster.runs.old_runs import DAYS
from m3sync_dagster.runs.run_list import list_runs
from m3sync_dagster.state import GuardState, connect, postgres_url
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster_tests.conftest import DefsFolder, Sandbox, sync
from m3sync_dagster_tests.guard.fixtures import Fleet, Status, asset
from m3sync_dagster_tests.runs.old_run_fixtures import age, materialize

ENTITIES = ("account", "contract", "commitment", "balance")
NOW = datetime(2026, 11, 24, 15, 3, tzinfo=UTC)
SUCCESS, FAILURE = Status.SUCCESS, Status.FAILURE
Past = tuple[float, Status, tuple[str, ...]]
"""Days ago, how the run ended, and its entities."""
BOTH = ("account", "contract")
RUNS = "runs, with their events in Dagster"


def purge_now(instance: dg.DagsterInstance, *, dry_run: bool = False) -> PurgeReport:
    with connect(postgres_url()) as connection:
        return purge(instance, connection, DefinedNames(frozenset({"acme"})), dry_run=dry_run)


def rows(report: PurgeReport) -> dict[str, int]:
    return {one.what: one.rows for one in report.aged}


def failures_in_a_row(instance: dg.DagsterInstance) -> int:
    assets = {"acme": [asset("acme", entity) for entity in BOTH]}
    return count_in_a_row(instance, {"acme": GuardState("acme")}, assets)["acme"]


@pytest.mark.parametrize(
    ("past", "failures", "left"),
    [
        ([(60 - 0.9 * place, FAILURE, BOTH) for place in range(8)], 8, 8),
        ([(60 - 0.9 * place, FAILURE, BOTH) for place in range(12)], 8, 9),
        ([*[(60.0, FAILURE, BOTH)] * 3, (59, SUCCESS, BOTH), (58, FAILURE, BOTH)], 1, 5),
        (
            [
                (60, FAILURE, BOTH),
                (59, SUCCESS, BOTH),
                (58, SUCCESS, ("account",)),
                (57, SUCCESS, ("account",)),
                (56, FAILURE, BOTH),
            ],
            1,
            4,
        ),
        ([(60, FAILURE, BOTH), (59, SUCCESS, ("account",)), (58, FAILURE, BOTH)], 2, 3),
        ([(60, FAILURE, BOTH), (50, SUCCESS, BOTH), (45, SUCCESS, BOTH), (5, FAILURE, BOTH)], 1, 3),
        ([(60, FAILURE, BOTH), (50, SUCCESS, BOTH), (45, SUCCESS, BOTH)], 0, 2),
    ],
)
def test_the_guard_counts_as_before(
    fleet: Fleet, past: list[Past], failures: int, left: int
) -> None:
    for days, status, entities in past:
        age(fleet.run("acme", status, entities=entities), days)
    before = failures_in_a_row(fleet.instance)
    report = purge_now(fleet.instance)
    assert rows(report)[RUNS] == len(past) - left
    assert failures_in_a_row(fleet.instance) == before == failures


def requested(instance: dg.DagsterInstance) -> list[tuple[str, str]]:
    """The first and the last hour of each run that the schedule's tick requests."""
    repository = defs().get_repository_def()
    context = dg.build_schedule_context(
        instance=instance, scheduled_execution_time=NOW, repository_def=repository
    )
    result = repository.get_schedule_def("acme_hourly").evaluate_tick(context)
    found = []
    for request in result.run_requests or ():
        first = request.tags.get("dagster/asset_partition_range_start", request.partition_key)
        last = request.tags.get("dagster/asset_partition_range_end", request.partition_key)
        found.append((str(first), str(last)))
    return found


Hour = tuple[float, Status, str]
"""Days ago, how the run ended, and its hour."""
WEEK = ("2026-11-17-15:00", "2026-11-24-14:00")


@pytest.mark.parametrize(
    ("past", "expected"),
    [
        pytest.param([], [("2026-11-24-14:00", "2026-11-24-14:00")], id="a new integration"),
        pytest.param(
            [(52, SUCCESS, "2026-11-03-00:00"), (51, SUCCESS, "2026-11-03-01:00")],
            [WEEK],
            id="stopped long ago",
        ),
        pytest.param(
            [(52, FAILURE, "2026-11-03-00:00"), (42, FAILURE, "2026-11-03-01:00")],
            [WEEK],
            id="never succeeded, stopped long ago",
        ),
        pytest.param(
            [
                (52, SUCCESS, "2026-11-03-00:00"),
                (51, SUCCESS, "2026-11-03-01:00"),
                (2, SUCCESS, "2026-11-24-12:00"),
                (1, SUCCESS, "2026-11-24-14:00"),
            ],
            [("2026-11-17-15:00", "2026-11-24-11:00"), ("2026-11-24-13:00", "2026-11-24-13:00")],
            id="runs again, with a gap",
        ),
    ],
)
def test_the_schedule_requests_the_same_hours(
    fleet: Fleet, defs_folder: DefsFolder, past: list[Hour], expected: list[tuple[str, str]]
) -> None:
    for days, status, hour in past:
        run = fleet.run("acme", status, entities=ENTITIES, tags={"dagster/partition": hour})
        if status is SUCCESS:
            for entity in ENTITIES:
                materialize(fleet.instance, run, asset("acme", entity), hour)
        age(run, days)
    before = requested(fleet.instance)
    purge_now(fleet.instance)
    assert requested(fleet.instance) == before == expected


def cached_hours(instance: dg.DagsterInstance) -> set[str]:
    """The hours of the accounts that the pages of Dagster's UI show as filled."""
    node = defs().resolve_asset_graph().get(asset("acme"))
    assert node.partitions_def
    cached = get_and_update_asset_status_cache_value(instance, node.key, node.partitions_def)
    assert cached
    found = cached.deserialize_materialized_partition_subsets(node.partitions_def)
    return set(found.get_partition_keys())


def shown_status(instance: dg.DagsterInstance) -> list[IntegrationStatus]:
    """The status without the next tick, which depends on the time of day."""
    found = read_status(instance, load_project()).integrations
    return [replace(one, next_tick=None) for one in found]


def test_real_runs_are_shown_as_before(
    instance: dg.DagsterInstance,
    sandbox_in_environment: Sandbox,
    defs_folder: DefsFolder,
) -> None:
    """Four hours, the first two of them long ago; of these, only the first run is deleted."""
    hours = [f"2026-11-24-{number}:00" for number in (10, 11, 12, 13)]
    ids = [sync(instance, "account", partition_key=hour).run_id for hour in hours]
    assert cached_hours(instance) == set(hours)
    for run_id, days in zip(ids, (40, 31, 29, 1), strict=True):
        age(run_id, days)
    status = shown_status(instance)
    listed = list_runs(instance, ["acme"])
    key = dg.AssetCheckKey(asset("acme"), "no_rejected_records")
    history = instance.event_log_storage.get_asset_check_execution_history
    checks = history(key, limit=100)
    report = purge_now(instance)
    assert report.finished
    assert rows(report)[RUNS] == 1
    assert [run.run_id for run in instance.get_runs()] == ids[:0:-1]
    assert shown_status(instance) == status
    assert list_runs(instance, ["acme"]) == listed[:3]
    assert instance.get_materialized_partitions(asset("acme")) == set(hours[1:])
    assert cached_hours(instance) >= set(hours[1:])
    recent = [one for one in checks if one.run_id in ids[2:]]
    assert history(key, limit=100) == recent
    assert rows(report)["check executions"] == len(checks) - len(recent) > 0


def test_a_number_of_days_that_is_not_valid_deletes_nothing(
    fleet: Fleet, defs_folder: DefsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for days in (60, 50):
        age(fleet.run("acme", SUCCESS), days)
    monkeypatch.setenv(DAYS, "7")
    with pytest.raises(ConfigurationError):
        purge_now(fleet.instance)
    assert fleet.instance.get_runs_count() == 2
    monkeypatch.setenv(DAYS, "61")
    assert rows(purge_now(fleet.instance))[RUNS] == 0


def test_a_purge_that_is_not_finished_says_so(
    fleet: Fleet, defs_folder: DefsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for days in (60, 50):
        age(fleet.run("acme", SUCCESS), days)
    with monkeypatch.context() as patch:
        patch.setattr(purge_job, "RUN_SECONDS", 0.0)
        assert NOT_FINISHED in purge_log(fleet.instance)
    assert fleet.instance.get_runs_count() == 3
    assert NOT_FINISHED not in purge_log(fleet.instance)
    assert fleet.instance.get_runs_count() == 3


def purge_log(instance: dg.DagsterInstance) -> list[str]:
    """What a run of the job has logged."""
    result = defs().resolve_job_def(PURGE_JOB).execute_in_process(instance=instance)
    return [one.user_message for one in instance.all_logs(result.run_id)]


def test_a_purge_ends_before_run_monitoring_would_end_it(instance: dg.DagsterInstance) -> None:
    assert instance.run_monitoring_max_runtime_seconds > 1.2 * (RUN_SECONDS + CHECK_SECONDS)
