"""Starts the processes of runs: each is a copy of this process, which has imported everything.

Most CPU time of a short run would be imports. A copy is isolated as any new process is: this one
makes no connection, no definition and no thread that a copy could inherit.

Run as ``python -m m3sync_dagster.runs.fork_server FD copies``; with ``new`` in place of ``copies``,
each process begins anew. Each line of its standard input, a JSON array of integration, run id and
arguments of Dagster's command, starts a process. It writes the lines ``started PID`` and ``ended
PID EXITCODE`` into the file descriptor, and ends with its input.
"""

import contextlib
import gc
import importlib
import json
import os
import runpy
import select
import signal
import sys
import threading
from pathlib import Path
from typing import NamedTuple

from setproctitle import setproctitle

from m3sync_dagster.gc_settings import collect_less_often
from m3sync_dagster.project_folder import ONLY_INTEGRATION

ARGUMENTS = "DAGSTER_EXECUTE_RUN_ARGS"
"""Where Dagster's command takes its arguments from. They may have the password of a database."""
COPIES, NEW = "copies", "new"
_THIS_MODULE, _RUN = "m3sync_dagster.runs.fork_server", "run"
_COMMAND = ("dagster", "api", "execute_run")
"""Dagster's own command for a run, as its launchers for containers start it."""
NEEDED = (
    "m3sync_dagster.definitions",
    "m3sync_dagster.m3ter.client",
    "m3sync_dagster.state.dagster_storage",
    # Libraries that are imported when they are first used.
    "httpcore",
    "jinja2.nativetypes",
    "m3ter.types",
    "psycopg2.extras",
    "simple_salesforce",
    "upath",
)
"""The modules that a run imports."""


class Request(NamedTuple):
    """A run to be started; ``arguments`` are those of Dagster's command."""

    integration: str
    run_id: str
    arguments: str


def title(integration: str, run_id: str) -> str:
    """What the system shows as the command line of a run's process."""
    return f"m3sync: run {run_id} of {integration}"


class _Server:
    """Makes copies of this process."""

    def __init__(self, answers: int) -> None:
        self._answers = answers
        self._child_has_ended, self._signals = os.pipe()
        os.set_blocking(self._signals, False)
        signal.set_wakeup_fd(self._signals)
        signal.signal(signal.SIGCHLD, lambda *_: None)  # Without a handler, nothing is written.

    def serve(self) -> Request | None:
        """Make copies until the input ends; a copy returns its request."""
        received = b""
        while True:
            ready, _, _ = select.select([0, self._child_has_ended], [], [])
            if self._child_has_ended in ready:
                os.read(self._child_has_ended, 4096)
                self._report_ended()
            if 0 in ready:
                if not (part := os.read(0, 65_536)):
                    return None
                *lines, received = (received + part).split(b"\n")
                for line in lines:
                    if os.fork() == 0:
                        return self._begin(Request(*json.loads(line)))

    def _begin(self, request: Request) -> Request:
        """Become the process of a run, and answer only then: others know it by its title."""
        setproctitle(title(request.integration, request.run_id))
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._answer(f"started {os.getpid()}")
        for descriptor in (self._answers, self._child_has_ended, self._signals):
            os.close(descriptor)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        return request

    def _report_ended(self) -> None:
        with contextlib.suppress(ChildProcessError):  # There is none.
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                self._answer(f"ended {found[0]} {os.waitstatus_to_exitcode(found[1])}")

    def _answer(self, line: str) -> None:
        os.write(self._answers, f"{line}\n".encode())


def main(answers: int, *, copies: bool) -> None:
    """Serve, and in the process of a run execute it.

    Args:
        answers: the file descriptor for what it answers.
        copies: whether a run's process goes on with what is imported here.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal reaches all processes.
    if copies:
        _import_all()
    request = None
    with contextlib.suppress(BrokenPipeError):  # The process that has started this one has ended.
        request = _Server(answers).serve()
    if not request:
        return
    os.environ |= {ONLY_INTEGRATION: request.integration, ARGUMENTS: request.arguments}
    if copies:
        _dagster()
    else:
        shown = title(request.integration, request.run_id)
        os.execv(sys.executable, [sys.executable, "-m", _THIS_MODULE, _RUN, shown])  # noqa: S606


def _import_all() -> None:
    """Import what a run needs.

    Raises:
        RuntimeError: an import has started a thread, which a copy would not have.
    """
    for module in NEEDED:
        importlib.import_module(module)
    with (
        Path(os.devnull).open("w") as nowhere,
        contextlib.redirect_stdout(nowhere),
        contextlib.suppress(SystemExit),
    ):
        _dagster("--help")
    if threading.active_count() > 1:
        raise RuntimeError(f"imports have started threads: {threading.enumerate()}")
    # The copies share the memory of these objects as long as the collector does not write into it.
    gc.collect()
    gc.freeze()


def _dagster(*options: str) -> None:
    sys.argv = [*_COMMAND, *options]
    runpy.run_module(_COMMAND[0], run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    collect_less_often()
    if sys.argv[1] == _RUN:
        _dagster()
    else:
        main(int(sys.argv[1]), copies=sys.argv[2] == COPIES)
