"""Measures an hour of the scheduler: many integrations are due at once, and nothing has changed.

Run: ``python benchmarks/hour.py [INTEGRATIONS] [--records N]``. Dagster's real daemon, with its
schedules, its run queue and the run launcher of ``dagster.yaml``, starts a run of each integration
at the same minute. An integration has four entity types with N records each. One more integration,
which is not due, sends the records before; what it recorded is copied for the others, which have
the same records. Each integration counts as having an organization of its own: no limit of m3ter's
requests is shared. It needs only the project.
"""

import argparse
import contextlib
import os
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import httpx
import psutil
import psycopg
from compare import stand_in
from dagster._core.workspace.load_target import WorkspaceFileTarget
from growth import CREDENTIALS, INTEGRATION, KEY, ROOT, daemon, program
from process_figures import server_cpu
from psycopg import sql

from m3sync_dagster.cli.migrate import migrate_tables
from m3sync_dagster.guard.schedules import start
from m3sync_dagster.runs.run_status import INTEGRATION_TAG
from m3sync_dagster.state import connect, postgres_url
from m3sync_dagster.state import embedded_postgres as embedded

PATIENCE = 3_600.0
"""Seconds for all runs: the next hour's runs would be due then."""
LEAD = timedelta(minutes=2)
"""Time from the start of the schedules to their first tick."""
UNLIMITED = CREDENTIALS.replace(
    "  name: m3ter_production\n", "  name: m3ter_production\n  requests_per_second: 1000000\n"
)


@dataclass(frozen=True, slots=True)
class Hour:
    """What is known when all runs have ended.

    Args:
        runs: the runs of the schedules.
        daemon_cpu, postgres_cpu: CPU seconds of all processes of the daemon, and of PostgreSQL.
        idle_cpu: those of both, from the start of the daemon to the first run.
    """

    runs: list[dg.RunRecord]
    daemon_cpu: float
    postgres_cpu: float
    idle_cpu: float


def main() -> None:
    """Prepare, wait for the tick and for the end of all runs, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("integrations", type=int, nargs="?", default=60)
    parser.add_argument("--records", type=int, default=50, help="records of each entity type")
    given = parser.parse_args()
    names = [f"integration_{number}" for number in range(given.integrations + 1)]
    with _project(given.records) as (folder, postgres), dg.DagsterInstance.get() as instance:
        due = datetime.now(UTC) + LEAD
        _write_defs(folder / "defs", names, due)
        _start_schedules(instance, names[1:], due.minute)
        subprocess.run(  # noqa: S603 - our own
            [program("m3sync"), "run", names[0]], cwd=ROOT, check=True, capture_output=True
        )
        with connect(postgres_url()) as connection:
            _copy_state(connection, names)
        hour = _run_hour(instance, postgres, given.integrations)
    _show(hour, given.integrations)


@contextlib.contextmanager
def _project(records: int) -> Iterator[tuple[Path, psutil.Process]]:
    """A folder, and PostgreSQL; its address and the stand-in's are in the environment."""
    with tempfile.TemporaryDirectory(prefix="m3s") as name, stand_in() as url:
        folder = Path(name)
        httpx.post(f"{url}/control", json={"records": records}).raise_for_status()
        os.environ |= {
            "DAGSTER_HOME": str(ROOT),
            "M3SYNC_DEFS": str(folder / "defs"),
            "M3SYNC_POSTGRES_URL": embedded.start(folder / "postgres"),
            "M3TER_BASE_URL": url,
            "M3TER_ORG_ID": "organization",
            "M3TER_API_KEY": "key",
            "M3TER_API_SECRET": "secret",
            "SALESFORCE_LOGIN_URL": url,
            "SALESFORCE_CLIENT_ID": "client",
            "SALESFORCE_CLIENT_SECRET": "secret",
        }
        migrate_tables()
        postmaster = int((folder / "postgres" / "postmaster.pid").read_text().split()[0])
        yield folder, psutil.Process(postmaster)


def _write_defs(folder: Path, names: list[str], due: datetime) -> None:
    first = (due.replace(minute=0) - timedelta(hours=1)).strftime(KEY)
    texts = {"credentials": UNLIMITED}
    for name in names:
        texts[name] = INTEGRATION.format(name=name, minute=due.minute, start=first)
    for name, text in texts.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "defs.yaml").write_text(text)


def _start_schedules(instance: dg.DagsterInstance, names: list[str], minute: int) -> None:
    (location,) = WorkspaceFileTarget([str(ROOT / "workspace.yaml")]).create_origins()
    for name in names:
        start(instance, location, f"{name}_hourly", f"{minute} * * * *")


def _copy_state(connection: psycopg.Connection, names: list[str]) -> None:
    """Copy what the first integration has recorded, in each table that is kept by integration."""
    tables = connection.execute(
        "SELECT table_name FROM information_schema.key_column_usage "
        "WHERE table_schema = 'm3sync' AND column_name = 'integration'"
    ).fetchall()
    for (table,) in tables:
        columns = [
            name
            for (name,) in connection.execute(
                "SELECT column_name FROM information_schema.columns "
                "WHERE table_schema = 'm3sync' AND table_name = %s "
                "AND is_generated = 'NEVER' AND is_identity = 'NO'",
                (table,),
            )
        ]
        connection.execute(
            sql.SQL(
                "INSERT INTO m3sync.{table} ({columns}) SELECT {values} "
                "FROM m3sync.{table}, unnest(%s::text[]) AS other(name) WHERE integration = %s"
            ).format(
                table=sql.Identifier(table),
                columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
                values=sql.SQL(", ").join(
                    sql.SQL("other.name" if name == "integration" else "{}").format(
                        sql.Identifier(name)
                    )
                    for name in columns
                ),
            ),
            (names[1:], names[0]),
        )


def _run_hour(instance: dg.DagsterInstance, postgres: psutil.Process, expected: int) -> Hour:
    """Start the daemon, and wait until every integration's run has ended."""
    postgres_before = server_cpu(postgres)
    with daemon() as process_id:
        process = psutil.Process(process_id)
        idle = 0.0
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            runs = _scheduled_runs(instance)
            if not runs:
                idle = server_cpu(process) + server_cpu(postgres) - postgres_before
            if len(runs) >= expected and all(run.dagster_run.is_finished for run in runs):
                break
            time.sleep(1)
        used = server_cpu(process), server_cpu(postgres) - postgres_before
    return Hour(_scheduled_runs(instance), *used, idle)


def _scheduled_runs(instance: dg.DagsterInstance) -> list[dg.RunRecord]:
    """The runs that schedules have started."""
    records = instance.get_run_records(dg.RunsFilter(job_name="salesforce_sync"))
    return [one for one in records if "dagster/schedule_name" in one.dagster_run.tags]


def _show(hour: Hour, expected: int) -> None:
    done = [one for one in hour.runs if one.dagster_run.is_success]
    integrations = {one.dagster_run.tags[INTEGRATION_TAG] for one in done}
    print(f"integrations due: {expected}; runs: {len(hour.runs)}")
    print(f"runs that succeeded: {len(done)}, of {len(integrations)} integrations")
    if not done:
        return
    begun = min(one.create_timestamp.timestamp() for one in hour.runs)
    seconds = max(one.end_time or 0.0 for one in hour.runs) - begun
    cpu = hour.daemon_cpu + hour.postgres_cpu - hour.idle_cpu
    print(f"from the first run in the queue to the last end: {seconds:.0f} s")
    print(f"runs a minute: {60 * len(done) / seconds:.1f}")
    print(f"CPU-s a run: {cpu / len(done):.2f}, of daemon, runs and PostgreSQL together")
    print(f"CPU-s before the first run, for the daemon to start and wait: {hour.idle_cpu:.1f}")
    print(f"calculated, not run: at this rate an hour holds {3_600 * len(done) / seconds:.0f} runs")


if __name__ == "__main__":
    main()
