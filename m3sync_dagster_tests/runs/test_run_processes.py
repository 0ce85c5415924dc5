"""Processes of runs: how they begin, and what happens when one of the processes ends.

Dagster's command gets arguments that it cannot read, so it ends at once with an error.
"""

import contextlib
import os
import signal
import sys
from collections.abc import Iterator
from functools import partial
from queue import SimpleQueue

import psutil
import pytest

from m3sync_dagster.runs.fork_server import Request
from m3sync_dagster.runs.run_processes import RunProcesses
from m3sync_dagster_tests.conftest import PATIENCE

pytestmark = pytest.mark.slow  # a fork server imports all that a run needs


@pytest.fixture(params=[True, False], ids=["copies", "new"])
def processes(request: pytest.FixtureRequest) -> Iterator[RunProcesses]:
    started = RunProcesses(sys.executable, copies=request.param)
    yield started
    started.close()
    assert not psutil.pid_exists(started.server_id)


def test_each_process_ends_with_its_own_exit_code(processes: RunProcesses) -> None:
    ends = SimpleQueue[tuple[str, int]]()

    def has_ended(name: str, code: int) -> None:
        ends.put((name, code))

    for name in ("acme", "globex"):
        request = Request(name, f"run-of-{name}", "not \n arguments")
        process_id = processes.start(request, partial(has_ended, name))
        with contextlib.suppress(psutil.NoSuchProcess):  # It may have ended.
            shown = " ".join(psutil.Process(process_id).cmdline())
            assert not shown or f"run-of-{name}" in shown  # Empty while it begins or ends.
        # Ctrl-C in a terminal reaches all processes.
        os.kill(processes.server_id, signal.SIGINT)
    assert {ends.get(timeout=PATIENCE) for _ in range(2)} == {("acme", 1), ("globex", 1)}
    assert processes.can_start


def test_without_its_fork_server_no_process_starts(processes: RunProcesses) -> None:
    os.kill(processes.server_id, signal.SIGKILL)
    with pytest.raises(ChildProcessError, match="has not started"):
        processes.start(Request("acme", "any", ""), lambda _: None)
    assert not processes.can_start
