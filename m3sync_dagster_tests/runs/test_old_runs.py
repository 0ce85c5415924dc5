"""Which runs a purge deletes and which it keeps, in Dagster's real storage."""

import time
from dataclasses import dataclass, field
from itertools import count as numbers

import dagster as dg
import pytest
from dagster._core.test_utils import create_run_for_test
from sqlalchemy import event
from sqlalchemy.engine import Engine

from m3sync_dagster.guard.failure_history import oldest_failure_read
from m3sync_dagster.runs import old_runs
from m3sync_dagster.runs.old_runs import (
    DAYS,
    DeletedRuns,
    OldRuns,
    age_limit,
    days_to_keep,
    delete_old_runs,
)
from m3sync_dagster.state import connect, postgres_url
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster_tests.guard.fixtures import JOB, Fleet, Status, asset
from m3sync_dagster_tests.runs.old_run_fixtures import age, count, materialize

FOREVER = float("inf")
STATEMENTS, STATEMENTS_OF_A_RUN = 30, 8
"""SQL statements of a purge, and those that delete a run without a materialization."""
BOTH = ("account", "contract")


@dataclass(frozen=True)
class Run:
    """A run of a case: when it ended, how, and of what."""

    days: float
    status: Status = Status.SUCCESS
    entities: tuple[str, ...] = ("account",)
    integration: str = "acme"
    tags: dict[str, str] = field(default_factory=dict)


def purge(
    instance: dg.DagsterInstance, until: float = FOREVER, *, dry_run: bool = False
) -> DeletedRuns:
    old = OldRuns({JOB}, age_limit(30), oldest_failure_read(instance))
    return delete_old_runs(instance, old, until, dry_run=dry_run)


def write(fleet: Fleet, *runs: Run) -> list[dg.DagsterRun]:
    written = [
        fleet.run(one.integration, one.status, tags=one.tags, entities=one.entities) for one in runs
    ]
    for run, given in zip(written, runs, strict=True):
        age(run, given.days)
    return written


def kept(instance: dg.DagsterInstance, runs: list[dg.DagsterRun]) -> list[int]:
    """The places of the runs that are still there."""
    there = {run.run_id for run in instance.get_runs()}
    return [place for place, run in enumerate(runs) if run.run_id in there]


@pytest.mark.parametrize(
    ("runs", "expected"),
    [
        pytest.param([Run(60), Run(40), Run(31), Run(29)], [2, 3], id="the newest that is old"),
        pytest.param([Run(29), Run(20)], [0, 1], id="none is old"),
        pytest.param([Run(400)], [0], id="the only one"),
        pytest.param(
            [Run(60, Status.CANCELED), Run(50, Status.CANCELED), Run(40)],
            [1, 2],
            id="the newest of each status",
        ),
        pytest.param(
            [Run(60), Run(50, entities=BOTH), Run(40, entities=BOTH)],
            [0, 2],
            id="the newest of each selection",
        ),
        pytest.param(
            [Run(60), Run(50, integration="other"), Run(40)],
            [1, 2],
            id="the newest of each integration",
        ),
        pytest.param(
            [Run(60, Status.STARTED), Run(59, Status.QUEUED), Run(58, Status.STARTED), Run(40)],
            [0, 1, 2, 3],
            id="runs that have not ended",
        ),
        pytest.param(
            [Run(60, Status.CANCELING), Run(59, Status.CANCELING), Run(40)],
            [0, 1, 2],
            id="runs that are being canceled",
        ),
        pytest.param([Run(40), Run(60), Run(50)], [0, 2], id="one that ended last, and the last"),
        pytest.param(
            [Run(days, Status.FAILURE) for days in (60, 48, 45, 44, 40)],
            [1, 2, 3, 4],
            id="failures of the week before the newest one",
        ),
        pytest.param(
            [Run(days, Status.FAILURE) for days in (60, 48, 45, 44, 5)],
            [3, 4],
            id="old failures, with a new one",
        ),
        pytest.param(
            [Run(60, tags={"dagster/backfill": "b"}), Run(50, tags={"dagster/backfill": "b"})],
            [1],
            id="runs of a backfill",
        ),
    ],
)
def test_which_runs_are_kept(fleet: Fleet, runs: list[Run], expected: list[int]) -> None:
    written = write(fleet, *runs)
    assert purge(fleet.instance, dry_run=True) == purge(fleet.instance)
    assert kept(fleet.instance, written) == expected


def test_a_deleted_run_leaves_nothing(fleet: Fleet) -> None:
    runs = write(fleet, Run(60), Run(50), Run(40))
    for run in runs:
        materialize(fleet.instance, run, asset("acme"), "2026-10-01-00:00")
    before = [count(table, runs[2]) for table in ("event_logs", "run_tags")]
    assert purge(fleet.instance) == DeletedRuns(2, finished=True)
    for table in ("runs", "event_logs", "run_tags"):
        assert [count(table, run) for run in runs[:2]] == [0, 0]
    assert [count(table, runs[2]) for table in ("event_logs", "run_tags")] == before


def test_a_dry_run_deletes_nothing(fleet: Fleet) -> None:
    runs = write(fleet, Run(60), Run(50), Run(40))
    assert purge(fleet.instance, dry_run=True) == DeletedRuns(2, finished=True)
    assert kept(fleet.instance, runs) == [0, 1, 2]


def test_the_newest_materialization_of_each_asset_is_kept(fleet: Fleet) -> None:
    """A run that failed in one entity may have materialized another one, and be the last to do so.

    The failures are older than the week before the newest one.
    """
    failed = [Run(days, Status.FAILURE, BOTH) for days in (70, 60, 50, 9)]
    runs = write(fleet, *failed)
    materialize(fleet.instance, runs[0], asset("acme"), "2026-09-17-00:00")
    materialize(fleet.instance, runs[0], asset("acme", "contract"), "2026-09-17-00:00")
    materialize(fleet.instance, runs[1], asset("acme"), "2026-09-27-00:00")
    assert purge(fleet.instance) == DeletedRuns(0, finished=True)
    materialize(fleet.instance, runs[3], asset("acme", "contract"), "2026-11-17-00:00")
    assert purge(fleet.instance) == DeletedRuns(1, finished=True)
    assert kept(fleet.instance, runs) == [1, 2, 3]
    assert fleet.instance.get_materialized_partitions(asset("acme")) == {"2026-09-27-00:00"}
    latest = fleet.instance.get_latest_materialization_event(asset("acme"))
    assert latest
    assert latest.run_id == runs[1].run_id


@pytest.mark.parametrize(
    ("job", "tags", "left"),
    [
        ("theirs", {}, 3),
        (JOB, {}, 1),
        ("__ASSET_JOB", {"m3sync/integration": "acme"}, 1),
        ("__ASSET_JOB", {"m3sync/another": "acme"}, 3),
    ],
)
def test_only_our_own_runs_are_deleted(
    instance: dg.DagsterInstance, job: str, tags: dict[str, str], left: int
) -> None:
    for days in (60, 50, 40):
        run = create_run_for_test(instance, job_name=job, status=Status.SUCCESS, tags=tags)
        age(run, days)
    purge(instance)
    assert instance.get_runs_count() == left


def test_many_pages(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last run of a page may be kept, or be replaced by one of the next page."""
    monkeypatch.setattr(old_runs, "PAGE", 2)
    pattern = [Run(60), Run(59, integration="other"), Run(58, Status.STARTED), Run(57)]
    runs = write(fleet, *pattern * 3)
    assert purge(fleet.instance) == DeletedRuns(7, finished=True)
    assert kept(fleet.instance, runs) == [2, 6, 9, 10, 11]


def test_what_is_left_when_the_time_is_over_is_deleted_by_the_next_purge(fleet: Fleet) -> None:
    runs = write(fleet, *[Run(days) for days in (60, 50, 40)])
    assert purge(fleet.instance, until=time.monotonic()) == DeletedRuns(0, finished=False)
    assert kept(fleet.instance, runs) == [0, 1, 2]
    assert purge(fleet.instance) == DeletedRuns(2, finished=True)


def test_a_purge_that_is_killed_at_any_statement_is_continued_by_the_next(fleet: Fleet) -> None:
    runs = write(fleet, *[Run(days) for days in (60, 55, 50, 45, 40)])
    broken_off = 0
    for place in numbers():
        try:
            with Interruption(place):
                purge(fleet.instance)
        except InterruptedError:
            broken_off += 1
        else:
            break
    assert broken_off > len(runs)
    assert kept(fleet.instance, runs) == [4]
    assert [count("event_logs", run) for run in runs[:4]] == [0] * 4


def test_deleting_a_run_takes_few_statements(fleet: Fleet) -> None:
    """24,000 runs a day, of 1,000 integrations, are deleted within the purge's time."""
    write(fleet, *[Run(60)] * 2)
    purge(fleet.instance)  # Dagster then knows which tables there are.
    write(fleet, *[Run(60)] * 10)
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        assert purge(fleet.instance).runs == 10
    finally:
        event.remove(Engine, "before_cursor_execute", note)
    assert len(statements) <= STATEMENTS + 10 * STATEMENTS_OF_A_RUN, statements


class Interruption:
    """Ends the purge before the statement at a place."""

    def __init__(self, place: int) -> None:
        self.left = place

    def __enter__(self) -> None:
        event.listen(Engine, "before_cursor_execute", self._note)

    def __exit__(self, *_: object) -> None:
        event.remove(Engine, "before_cursor_execute", self._note)

    def _note(self, *_: object) -> None:
        if self.left == 0:
            raise InterruptedError
        self.left -= 1


def test_deleting_waits_for_nobody_and_nobody_waits_for_it(fleet: Fleet) -> None:
    """Another session may read and write the tables of runs while a run is deleted."""
    runs = write(fleet, *[Run(days) for days in (60, 50, 40)])
    with connect(postgres_url()) as other, other.transaction():
        other.execute("SELECT * FROM runs, event_logs LIMIT 1")
        other.execute("UPDATE runs SET status = status WHERE run_id = %s", (runs[2].run_id,))
        assert purge(fleet.instance) == DeletedRuns(2, finished=True)


@pytest.mark.parametrize(("given", "days"), [(None, 30), ("", 30), ("8", 8), (" 400 ", 400)])
def test_the_number_of_days(monkeypatch: pytest.MonkeyPatch, given: str | None, days: int) -> None:
    monkeypatch.delenv(DAYS, raising=False)
    if given is not None:
        monkeypatch.setenv(DAYS, given)
    assert days_to_keep() == days


@pytest.mark.parametrize("given", ["7", "0", "-30", "30.5", "a month", "1e9", "²", "10001"])
def test_a_number_of_days_that_is_not_valid(monkeypatch: pytest.MonkeyPatch, given: str) -> None:
    monkeypatch.setenv(DAYS, given)
    with pytest.raises(ConfigurationError) as raised:
        days_to_keep()
    assert DAYS in raised.value.cause
    assert "from 8 to 10000" in raised.value.remedy
