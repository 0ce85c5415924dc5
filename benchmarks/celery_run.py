"""Measures the CPU time of one unchanged run in a Celery worker, beside that of our run launcher.

Run: ``python benchmarks/celery_run.py [INTEGRATIONS ...] [--rounds N]``. Both execute the same
run of four entity types of a sample organization, in turn. It needs the package's extra ``celery``
and the program ``redis-server``.
"""

import argparse
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dagster as dg
import psutil
from code_location import write_defs
from dagster._core.launcher import LaunchRunContext
from dagster_celery.launcher import CeleryRunLauncher
from one_run import NAME, ONLY, SIZES, _fork_server, _forked_run, _project, _recorded, _run
from rich.console import Console
from rich.table import Table

PATIENCE = 600.0


def main() -> None:
    """Measure each number of integrations, and print a table with a row for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("integrations", type=int, nargs="*", default=SIZES)
    parser.add_argument("--rounds", type=int, default=3, help="runs of each kind")
    arguments = parser.parse_args()
    table = Table("integrations", "run launcher, CPU s", "Celery worker, CPU s")
    with (
        _project() as defs,
        _redis(defs.parent),
        _worker() as worker,
        _fork_server() as processes,
    ):
        for number in arguments.integrations:
            shutil.rmtree(defs, ignore_errors=True)
            defs.mkdir()
            write_defs(defs, number, 1)
            _run({ONLY: NAME})  # the first one sends the records
            rounds = [(_forked_run(processes), _celery(worker)) for _ in range(arguments.rounds)]
            least = (f"{min(of_kind):.2f}" for of_kind in zip(*rounds, strict=True))
            table.add_row(f"{number:,}", *least)
        memory = worker.memory_full_info().uss / 2**20
    Console().print(table, "The least of all rounds, in a machine that may do other work.")
    Console().print(f"The worker holds {memory:.0f} MiB while it waits.")


@contextmanager
def _redis(folder: Path) -> Iterator[None]:
    """A Redis at a socket, which the environment names for launcher and worker."""
    socket = folder / "redis"
    with subprocess.Popen(  # noqa: S603 - the installed program
        [str(shutil.which("redis-server")), "--port", "0", "--unixsocket", str(socket)],
        stdout=subprocess.DEVNULL,
        cwd=folder,
    ) as process:
        os.environ["CELERY_BROKER_URL"] = f"redis+socket://{socket}"
        os.environ["CELERY_RESULT_BACKEND"] = f"redis+socket://{socket}"
        try:
            yield
        finally:
            process.terminate()


@contextmanager
def _worker() -> Iterator[psutil.Process]:
    """A worker with one process, which executes one run at a time."""
    program = Path(sys.executable).with_name("celery")
    with subprocess.Popen(  # noqa: S603 - the installed program
        [program, "--app", "m3sync_dagster.celery_worker", "worker", "--concurrency", "1"],
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    ) as process:
        try:
            yield psutil.Process(process.pid)
        finally:
            process.terminate()


def _celery(worker: psutil.Process) -> float:
    """The CPU time of the worker and its processes for a new run."""
    launcher = CeleryRunLauncher(
        "dagster", os.environ["CELERY_BROKER_URL"], os.environ["CELERY_RESULT_BACKEND"]
    )
    with dg.DagsterInstance.get() as instance:
        launcher.register_instance(instance)
        children = worker.children()
        before = _used(worker)
        run = _recorded(instance)
        launcher.launch_run(LaunchRunContext(run, None))
        _wait_for(instance, run.run_id)
        psutil.wait_procs(children, PATIENCE)  # the process of the run has ended
        return _used(worker) - before


def _used(worker: psutil.Process) -> float:
    """The CPU time of the worker, and of its processes that have ended."""
    times = worker.cpu_times()
    return float(times.user + times.system + times.children_user + times.children_system)


def _wait_for(instance: dg.DagsterInstance, run_id: str) -> None:
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        run = instance.get_run_by_id(run_id)
        if run and run.is_finished:
            if not run.is_success:
                sys.exit(f"The run {run_id} has ended as {run.status.value}.")
            return
        time.sleep(0.1)
    sys.exit(f"The run {run_id} has not ended after {PATIENCE:.0f} s.")


if __name__ == "__main__":
    main()
