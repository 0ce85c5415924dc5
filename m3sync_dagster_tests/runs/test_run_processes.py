"""Processes of runs: how they begin, and what happens when one of the processes ends.

Dagster's command gets arguments that it cannot read, so it ends at once with an error.
"""

import contextlib
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
    server = fork_server()
    yield started
    started.close()
    assert not server.is_running()


def fork_server() -> psutil.Process:
    """The newest one: other tests of this process may have started others."""
    servers = filter(_is_fork_server, psutil.Process().children())
    return max(servers, key=psutil.Process.create_time)


def _is_fork_server(process: psutil.Process) -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):  # It may have ended.
        return "m3sync_dagster.runs.fork_server" in process.cmdline()
    return False


def test_each_process_ends_with_its_own_exit_code(processes: RunProcesses) -> None:
    ends = SimpleQueue[tuple[str, int]]()

    def has_ended(name: str, code: int) -> None:
        ends.put((name, code))

    for name in ("acme", "globex"):
        request = Request(name, f"run-of-{name}", "not \n arguments")
        process_id = processes.start(request, partial(has_ended, name))
        with contextlib.suppress(psutil.NoSuchProcess):  # It may have ended.
            assert f"run-of-{name}" in " ".join(psutil.Process(process_id).cmdline())
        # Ctrl-C in a terminal reaches all processes.
        fork_server().send_signal(signal.SIGINT)
    assert {ends.get(timeout=PATIENCE) for _ in range(2)} == {("acme", 1), ("globex", 1)}
    assert processes.can_start


def test_without_its_fork_server_no_process_starts(processes: RunProcesses) -> None:
    fork_server().kill()
    with pytest.raises(ChildProcessError, match="has not started"):
        processes.start(Request("acme", "any", ""), lambda _: None)
    assert not processes.can_start
