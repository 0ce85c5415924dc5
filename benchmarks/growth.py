"""Measures the disk that Dagster's storage takes: of one hourly run, and after a year with purges.

Run: ``python benchmarks/growth.py [--days N]``. It starts sandbox servers, PostgreSQL and Dagster's
daemon, and waits for the schedule to start one run in which nothing has changed. Then it copies the
rows of this run: 24 for each day of a year, with a purge after each day. It needs only the project,
and takes about ten minutes.
"""

import argparse
import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import psycopg
from psycopg import sql

from m3sync_dagster.cli.migrate import migrate_tables
from m3sync_dagster.components.integration_definitions import asset_key
from m3sync_dagster.components.purge_job import PURGE_JOB
from m3sync_dagster.components.schedule import JOB
from m3sync_dagster.definitions import defs
from m3sync_dagster.guard.failure_history import oldest_failure_read
from m3sync_dagster.runs.old_runs import DEFAULT_DAYS, OldRuns, delete_old_runs
from m3sync_dagster.sandbox.demo_servers import serving
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.state import connect, delete_old_check_executions, postgres_url
from m3sync_dagster.state import embedded_postgres as embedded

ROOT = Path(__file__).parents[1]
ENTITIES = ("account", "contract", "commitment", "balance")
HOURS = 24
KEY = "%Y-%m-%d-%H:00"
PATIENCE = 600.0
TABLES = ("runs", "run_tags", "event_logs", "asset_check_executions")
"""Tables with the run's id; ``asset_event_tags`` has the ids of its events."""
SIZE_OF = (*TABLES, "asset_event_tags", "job_ticks", "snapshots", "asset_keys")
CREDENTIALS = """\
type: m3sync_dagster.M3terCredential
attributes:
  name: m3ter_production
---
type: m3sync_dagster.SalesforceCredential
attributes:
  name: salesforce_production
"""
INTEGRATION = """\
type: m3sync_dagster.SalesforceSync
attributes:
  name: {name}
  m3ter_credential: m3ter_production
  salesforce_credential: salesforce_production
  namespace: custom_objects
  minute_of_hour: {minute}
  start: {start}
  entities:
    account: {{}}
    contract: {{}}
    commitment: {{}}
    balance: {{}}
"""


def main() -> None:
    """Measure one run, then a year."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--days", type=int, default=365, help="days of the simulation")
    days = parser.parse_args().days
    os.environ["DAGSTER_HOME"] = str(ROOT)
    with (
        tempfile.TemporaryDirectory(prefix="m3s") as folder,
        serving(Organization.sample()) as sandbox,
    ):
        os.environ.update(sandbox.environment)
        os.environ["M3SYNC_DEFS"] = folder + "/defs"
        os.environ["M3SYNC_POSTGRES_URL"] = embedded.start(Path(folder) / "pg")
        migrate_tables()
        with dg.DagsterInstance.get() as instance, connect(postgres_url()) as connection:
            run = _scheduled_run(instance, Path(folder) / "defs")
            _show_rows(connection, run.run_id)
            _simulate(instance, connection, run, days)


def _scheduled_run(instance: dg.DagsterInstance, folder: Path) -> dg.DagsterRun:
    """A run of the schedule in which nothing has changed since the hour before it."""
    due = datetime.now(UTC) + timedelta(minutes=2)
    last = due.replace(minute=0) - timedelta(hours=1)
    before = (last - timedelta(hours=1)).strftime(KEY)
    for name, text in (
        ("credentials", CREDENTIALS),
        ("acme", INTEGRATION.format(name="acme", minute=due.minute, start=before)),
    ):
        (folder / name).mkdir(parents=True)
        (folder / name / "defs.yaml").write_text(text)
    first = (
        defs()
        .resolve_job_def(JOB)
        .execute_in_process(
            instance=instance,
            partition_key=before,
            asset_selection=[asset_key("acme", entity) for entity in ENTITIES],
        )
    )
    subprocess.run([program("m3sync"), "enable", "acme"], check=True, capture_output=True)  # noqa: S603 - our own
    with daemon():
        return _wait_for_run(instance, first.run_id)


def program(name: str) -> str:
    """The path of a program of this Python environment."""
    return str(Path(sys.executable).with_name(name))


@contextlib.contextmanager
def daemon() -> Iterator[int]:
    """Dagster's daemon, while the block runs; gives its process id."""
    command = [program("dagster-daemon"), "run", "--workspace", str(ROOT / "workspace.yaml")]
    with subprocess.Popen(  # noqa: S603 - Dagster's own
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            yield process.pid
        finally:
            process.terminate()


def _wait_for_run(instance: dg.DagsterInstance, first: str) -> dg.DagsterRun:
    """The run that the schedule starts.

    Raises:
        TimeoutError: it has not succeeded in time.
    """
    deadline = time.monotonic() + PATIENCE
    wanted = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS], job_name=JOB)
    while time.monotonic() < deadline:
        for run in instance.get_runs(wanted):
            if run.run_id != first:
                time.sleep(5)  # The daemon records the tick, and what follows the run's end.
                return run
        time.sleep(1)
    raise TimeoutError(f"no run in {PATIENCE:.0f} s")


def _show_rows(connection: psycopg.Connection, run_id: str) -> None:
    """Print what one run writes: its events by type, and its other rows."""
    print("rows of one unchanged run that the schedule has started:")
    for kind, rows, size in connection.execute(
        "SELECT coalesce(dagster_event_type, 'log line'), count(*), sum(octet_length(event)) "
        "FROM event_logs WHERE run_id = %s GROUP BY 1 ORDER BY 3 DESC",
        (run_id,),
    ):
        print(f"  {rows:4} {size:8,} bytes  {kind}")
    for table in TABLES:
        query = sql.SQL("SELECT count(*) FROM {} WHERE run_id = %s").format(sql.Identifier(table))
        (rows,) = connection.execute(query, (run_id,)).fetchone() or (0,)
        print(f"  {rows:4} rows in {table}")


def _simulate(
    instance: dg.DagsterInstance, connection: psycopg.Connection, run: dg.DagsterRun, days: int
) -> None:
    """Write the runs of each day, purge, and print the sizes."""
    empty, deleted, seconds = _sizes(connection), 0, 0.0
    print(f"{'day':>4} {'runs':>6} {'MB':>8}   growth of each table, KB")
    for day in range(1, days + 1):
        ago = days - day
        _write_day(connection, run, ago)
        begun = time.process_time()
        deleted += _purge(instance, connection, ago)
        seconds += time.process_time() - begun
        if day % 7 == 0 or day in {DEFAULT_DAYS, days}:
            connection.execute("VACUUM ANALYZE")  # As autovacuum does, but at once.
        if day % DEFAULT_DAYS == 0 or day == days:
            _show_sizes(connection, day, empty)
    if deleted:
        each = 1_000 * seconds / deleted
        print(f"{deleted} runs deleted, {each:.1f} ms CPU each in this process")


def _purge(instance: dg.DagsterInstance, connection: psycopg.Connection, ago: int) -> int:
    """The purge of so many days ago; gives the number of deleted runs."""
    before = datetime.now(UTC) - timedelta(days=ago + DEFAULT_DAYS)
    old = OldRuns({JOB, PURGE_JOB}, before, oldest_failure_read(instance))
    deleted = delete_old_runs(instance, old, float("inf"))
    delete_old_check_executions(connection, ago + DEFAULT_DAYS, float("inf"))
    connection.execute("DELETE FROM job_ticks WHERE timestamp < %s", (before,))
    return deleted.runs


def _sizes(connection: psycopg.Connection) -> dict[str, int]:
    found = connection.execute(
        "SELECT name, pg_total_relation_size(name::regclass) FROM unnest(%s::text[]) AS name",
        (list(SIZE_OF),),
    )
    return dict(found.fetchall())


def _show_sizes(connection: psycopg.Connection, day: int, empty: dict[str, int]) -> None:
    sizes = _sizes(connection)
    grown = {table: sizes[table] - empty[table] for table in SIZE_OF}
    (runs,) = connection.execute("SELECT count(*) FROM runs").fetchone() or (0,)
    each = ", ".join(f"{table} {size // 1024:,}" for table, size in grown.items() if size)
    print(f"{day:4} {runs:6} {sum(sizes.values()) / 1e6:8.1f}   {each}", flush=True)


def _write_day(connection: psycopg.Connection, run: dg.DagsterRun, ago: int) -> None:
    """Copy the run to each hour of the day that was so many days ago."""
    with connection.transaction():
        connection.execute(
            "CREATE TEMPORARY TABLE copy ON COMMIT DROP AS "
            "SELECT gen_random_uuid()::text AS new_id, "
            "make_interval(days => %(ago)s, hours => hour) AS earlier, "
            "to_char(to_timestamp(%(key)s, 'YYYY-MM-DD-HH24:00') "
            "- make_interval(days => %(ago)s, hours => hour), 'YYYY-MM-DD-HH24:00') AS key "
            "FROM generate_series(%(hours)s, 1, -1) AS hour",
            {"ago": ago, "hours": HOURS, "key": run.tags["dagster/partition"]},
        )
        for table in (*TABLES, "job_ticks"):
            _copy(connection, table, run)
        connection.execute(
            "INSERT INTO asset_event_tags (event_id, asset_key, key, value, event_timestamp) "
            "SELECT copied.id, tag.asset_key, tag.key, tag.value, copied.timestamp FROM copy "
            "JOIN event_logs AS copied ON copied.run_id = new_id "
            "AND copied.dagster_event_type = 'ASSET_MATERIALIZATION' "
            "JOIN asset_event_tags AS tag USING (asset_key) "
            "JOIN event_logs AS original ON original.id = tag.event_id AND original.run_id = %s",
            (run.run_id,),
        )


def _copy(connection: psycopg.Connection, table: str, run: dg.DagsterRun) -> None:
    """Copy the run's rows of a table, with their own ids and times."""
    columns = connection.execute(
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_name = %s AND column_name <> 'id' AND table_schema = 'public'",
        (table,),
    ).fetchall()
    owner = "tick_body LIKE '%%' || {} || '%%'" if table == "job_ticks" else "run_id = {}"
    connection.execute(
        sql.SQL(
            "INSERT INTO {0} ({1}) SELECT {2} FROM copy, {0} AS original WHERE {3} "
            "ORDER BY earlier DESC, original.id"
        ).format(
            sql.Identifier(table),
            sql.SQL(", ").join(sql.Identifier(name) for name, _ in columns),
            sql.SQL(", ").join(_value(name, kind, run) for name, kind in columns),
            sql.SQL(owner).format(sql.Literal(run.run_id)),
        )
    )


def _value(column: str, kind: str, run: dg.DagsterRun) -> sql.Composable:
    """A column of a copy: other times, another id and another hour."""
    name = sql.Identifier("original", column)
    if kind.startswith("timestamp"):
        return sql.SQL("{} - earlier").format(name)
    if kind == "double precision":
        return sql.SQL("{} - extract(epoch FROM earlier)").format(name)
    if kind not in {"text", "character varying"}:
        return name
    return sql.SQL("replace(replace({}, {}, new_id), {}, copy.key)").format(
        name, sql.Literal(run.run_id), sql.Literal(run.tags["dagster/partition"])
    )


if __name__ == "__main__":
    main()
