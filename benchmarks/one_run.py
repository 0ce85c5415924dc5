"""Measures the CPU time of one unchanged run, from the start of its process to its end.

Run: ``python benchmarks/one_run.py [INTEGRATIONS ...] [--rounds N]``. The run is one of four entity
types of a sample organization, in turn: a process of Dagster's command that loads all integrations;
one that loads the run's integration alone, by ``M3SYNC_ONLY_INTEGRATION``; and one of the run
launcher, which does so too and begins with all imports done. It needs only the project.
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
from queue import SimpleQueue

import dagster as dg
import psutil
from code_location import write_defs
from dagster._grpc.types import ExecuteRunArgs
from rich.console import Console
from rich.table import Table

from m3sync_dagster.cli.in_process_run import _create_run, _job
from m3sync_dagster.cli.migrate import migrate_tables
from m3sync_dagster.components.integration_definitions import asset_key
from m3sync_dagster.dagster_internals import make_new_run_id
from m3sync_dagster.runs.dead_runs import PROCESS_TAG
from m3sync_dagster.runs.fork_server import ARGUMENTS, Request
from m3sync_dagster.runs.run_processes import RunProcesses
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
    table = Table("integrations", "all loaded, CPU s", "one loaded, CPU s", "launcher, CPU s")
    with _project() as defs, _fork_server() as processes:
        for number in arguments.integrations:
            shutil.rmtree(defs, ignore_errors=True)
            defs.mkdir()
            write_defs(defs, number, 1)
            _run({ONLY: NAME})  # the first one sends the records
            rounds = [
                (_run({}), _run({ONLY: NAME}), _forked_run(processes))
                for _ in range(arguments.rounds)
            ]
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


@contextmanager
def _fork_server() -> Iterator[RunProcesses]:
    processes = RunProcesses(sys.executable)
    yield processes
    processes.close()


def _run(environment: dict[str, str]) -> float:
    """The CPU time of the process of a new run, with its children."""
    with _new_run() as (_, arguments):
        process = subprocess.Popen(
            [sys.executable, "-m", "dagster", "api", "execute_run"],
            env={**os.environ, **environment, ARGUMENTS: arguments},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        _, process.returncode, used = os.wait4(process.pid, 0)
    return used.ru_utime + used.ru_stime


def _forked_run(processes: RunProcesses) -> float:
    """The same of a process of the run launcher, with what its fork server needs for it."""
    before, ended = _used_by(processes.server_id), SimpleQueue[int]()
    with _new_run() as (run_id, arguments):
        processes.start(Request(NAME, run_id, arguments), ended.put)
        ended.get()
    return _used_by(processes.server_id) - before


def _used_by(process_id: int) -> float:
    return sum(psutil.Process(process_id).cpu_times()[:4])


@contextmanager
def _new_run() -> Iterator[tuple[str, str]]:
    """The id of a run on record and the arguments of Dagster's command; it has to succeed."""
    with dg.DagsterInstance.get() as instance:
        run = _recorded(instance)
        arguments = ExecuteRunArgs(_job().get_python_origin(), run.run_id, instance.get_ref())
        yield run.run_id, arguments.get_command_args()[-1]
        (ended,) = instance.get_runs(dg.RunsFilter(run_ids=[run.run_id]))
        if not ended.is_success:
            sys.exit(f"The run {run.run_id} has ended as {ended.status.value}.")


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
