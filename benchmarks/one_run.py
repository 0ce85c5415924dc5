"""Measures the CPU time of one unchanged run, from the start of its process to its end.

Run: ``python benchmarks/one_run.py [INTEGRATIONS ...] [--rounds N]``. The run is one of four entity
types of a sample organization, and the process is the one that the run launcher starts: once with
all integrations, once with ``M3SYNC_ONLY_INTEGRATION``, in turn. It needs only the project.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
from code_location import write_defs
from dagster._grpc.types import ExecuteRunArgs
from rich.console import Console
from rich.table import Table

from m3sync_dagster.cli.in_process_run import _create_run, _job
from m3sync_dagster.cli.migrate import migrate_tables
from m3sync_dagster.components.integration_definitions import asset_key
from m3sync_dagster.dagster_internals import make_new_run_id
from m3sync_dagster.runs.dead_runs import PROCESS_TAG
from m3sync_dagster.sandbox.demo_servers import serving
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.state import embedded_postgres

SIZES = [1, 100, 1_000]
NAME = "integration_0"
ENTITIES = ("account", "contract", "commitment", "balance")
HOUR = "2026-11-24-10:00"
ONLY = "M3SYNC_ONLY_INTEGRATION"


def main() -> None:
    """Measure each number of integrations, and print a table with a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("integrations", type=int, nargs="*", default=SIZES)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind")
    arguments = parser.parse_args()
    table = Table("integrations", "all loaded, CPU s", "one loaded, CPU s")
    with _project() as defs:
        for number in arguments.integrations:
            shutil.rmtree(defs, ignore_errors=True)
            defs.mkdir()
            write_defs(defs, number, 1)
            _run({ONLY: NAME})  # the first one sends the records
            rounds = [(_run({}), _run({ONLY: NAME})) for _ in range(arguments.rounds)]
            table.add_row(
                f"{number:,}", *(f"{min(of_kind):.2f}" for of_kind in zip(*rounds, strict=True))
            )
    Console().print(table, "The least of all rounds, in a machine that may do other work.")


@contextmanager
def _project() -> Iterator[Path]:
    """An environment with all that a run needs; gives the folder for its ``defs.yaml`` files."""
    with (
        tempfile.TemporaryDirectory(prefix="m3s") as folder,
        serving(Organization.sample()) as sandbox,
    ):
        shutil.copy(Path(__file__).parents[1] / "dagster.yaml", folder)
        os.environ |= sandbox.environment | {
            "DAGSTER_HOME": folder,
            "M3SYNC_DEFS": f"{folder}/defs",
            "M3SYNC_POSTGRES_URL": embedded_postgres.start(Path(folder) / "postgres"),
        }
        migrate_tables()
        yield Path(folder) / "defs"


def _run(environment: dict[str, str]) -> float:
    """The CPU time of the process of a new run, with its children."""
    with dg.DagsterInstance.get() as instance:
        run = _recorded(instance)
        arguments = ExecuteRunArgs(_job().get_python_origin(), run.run_id, instance.get_ref())
        values = {"DAGSTER_EXECUTE_RUN_ARGS": arguments.get_command_args()[-1]}
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster", "api", "execute_run"],
            env={**os.environ, **environment, **values},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, code, used = os.wait4(process.pid, 0)
        process.returncode = code
        (ended,) = instance.get_runs(dg.RunsFilter(run_ids=[run.run_id]))
        if not ended.is_success:
            sys.exit(f"The run {run.run_id} has ended as {ended.status.value}.")
    return used.ru_utime + used.ru_stime


def _recorded(instance: dg.DagsterInstance) -> dg.DagsterRun:
    """A run on record, as the daemon would launch it."""
    run_id = make_new_run_id()
    keys = [asset_key(NAME, entity) for entity in ENTITIES]
    tags = {"m3sync/integration": NAME, "dagster/partition": HOUR, PROCESS_TAG: run_id}
    os.environ[ONLY] = NAME  # this process need not load all of them
    try:
        return _create_run(instance, _job(), keys, tags, None)
    finally:
        del os.environ[ONLY]


if __name__ == "__main__":
    main()
