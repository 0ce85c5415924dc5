"""Measures one tick of the guard for many integrations: its time, and its number of queries.

Run: ``python benchmarks/guard_tick.py [INTEGRATIONS] [FAILING]``. Each integration has run for 24
hours; the failing ones have failed in the last ten of them. So ``guard_tick.py 1000 1000`` has
10,000 failed runs. It needs only the project.
"""

import argparse
import contextlib
import os
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.scheduler.instigation import ScheduleInstigatorData
from dagster._core.storage.runs.schema import RunsTable, RunTagsTable
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._serdes import serialize_value
from sqlalchemy import event
from sqlalchemy.engine import Engine

from m3sync_dagster.cli.migrate import migrate_tables
from m3sync_dagster.guard.guarded_integration import Directory, GuardedIntegration, UserDirectory
from m3sync_dagster.guard.schedules import start
from m3sync_dagster.guard.sensor import tick
from m3sync_dagster.runs.failure_tags import STATUS_TAG
from m3sync_dagster.runs.run_status import INTEGRATION_TAG
from m3sync_dagster.state import connect, postgres_url, record_entity_sync
from m3sync_dagster.state import embedded_postgres as embedded
from m3sync_dagster.sync.errors import RemoteError

ROOT = Path(__file__).parents[1]
HOURS = 24
FAILED_HOURS = 10
BATCH = 2_000


def main() -> None:
    """Write runs, run three ticks, and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("integrations", type=int, nargs="?", default=1_000)
    parser.add_argument("failing", type=int, nargs="?", default=30)
    given = parser.parse_args()
    os.environ["DAGSTER_HOME"] = str(ROOT)
    with tempfile.TemporaryDirectory(prefix="m3s") as folder:
        os.environ["M3SYNC_POSTGRES_URL"] = embedded.start(Path(folder) / "pg")
        migrate_tables()
        with dg.DagsterInstance.get() as instance:
            _measure(instance, given.integrations, given.failing)


def _measure(instance: dg.DagsterInstance, integrations: int, failing: int) -> None:
    watched = {f"integration_{n}": _watched(f"integration_{n}") for n in range(integrations)}
    (location,) = WorkspaceFileTarget([str(ROOT / "workspace.yaml")]).create_origins()
    # Runs from before the start of a schedule do not count.
    begun = ScheduleInstigatorData("3 * * * *", time.time() - (HOURS + 1) * 3600)
    for one in watched.values():
        state = start(instance, location, one.schedule, "3 * * * *").state
        instance.update_instigator_state(state.with_data(begun))
    _write_runs(instance, list(watched), failing)
    with connect(postgres_url()) as connection:
        for name in list(watched)[failing:]:
            record_entity_sync(connection, name, "account", "the newest", (1, 0))
    print(f"{integrations} integrations, {failing} of them failing, {HOURS} runs of each")
    for name in ("the first, which disables", "the second", "the third"):
        with _counted() as queries:
            begun, used = time.perf_counter(), time.process_time()
            tick(instance, watched)
            seconds, cpu = time.perf_counter() - begun, time.process_time() - used
        of_runs = sum("FROM runs" in query for query in queries)
        print(
            f"{name}: {seconds:.2f} s ({cpu:.2f} s CPU), {len(queries)} queries to Dagster's "
            f"storage, {of_runs} of them for runs"
        )


def _watched(name: str) -> GuardedIntegration:
    return GuardedIntegration(
        name,
        f"{name}_hourly",
        (dg.AssetKey([name, "salesforce_account"]),),
        (),
        UserDirectory("none", _none),
    )


def _none() -> contextlib.AbstractContextManager[Directory]:
    raise AssertionError


def _write_runs(instance: dg.DagsterInstance, names: list[str], failing: int) -> None:
    """Write runs as Dagster does, but many at once."""
    rows: list[dict[str, object]] = []
    tags: list[dict[str, str]] = []
    first = datetime.now(UTC) - timedelta(hours=HOURS)
    for hour in range(HOURS):
        moment = (first + timedelta(hours=hour)).replace(tzinfo=None)
        for place, name in enumerate(names):
            failed = place < failing and hour >= HOURS - FAILED_HOURS
            status = {STATUS_TAG: RemoteError.status} if failed else {}
            run = dg.DagsterRun(
                job_name="salesforce_sync",
                status=dg.DagsterRunStatus.FAILURE if failed else dg.DagsterRunStatus.SUCCESS,
                tags={INTEGRATION_TAG: name, "dagster/schedule_name": f"{name}_hourly"} | status,
            )
            rows.append(
                {
                    "run_id": run.run_id,
                    "pipeline_name": run.job_name,
                    "status": run.status.value,
                    "run_body": serialize_value(run),
                    "create_timestamp": moment,
                    "update_timestamp": moment,
                    "start_time": moment.timestamp(),
                    "end_time": moment.timestamp(),
                }
            )
            tags += [{"run_id": run.run_id, "key": k, "value": v} for k, v in run.tags.items()]
    with instance.run_storage.connect() as connection:  # type: ignore[attr-defined] # SQL storages have it
        for table, given in ((RunsTable, rows), (RunTagsTable, tags)):
            for begin in range(0, len(given), BATCH):
                connection.execute(table.insert(), given[begin : begin + BATCH])


@contextlib.contextmanager
def _counted() -> Iterator[list[str]]:
    """Collect the SQL statements to Dagster's storage in the block, and not those to our tables."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(Engine, "before_cursor_execute", note)


if __name__ == "__main__":
    main()
