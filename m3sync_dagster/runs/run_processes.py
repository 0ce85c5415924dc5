"""Starts processes of runs by a fork server, and says when they have ended."""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import IO

from m3sync_dagster.runs.fork_server import COPIES, NEW, Request

CAN_COPY = sys.platform != "darwin"
"""Whether a copy of a process works. On macOS, system libraries may fail in it.

Source: Python documentation, "multiprocessing", "Contexts and start methods"."""
OnEnd = Callable[[int], None]
"""Called with the exit code of a process, which is negative if a signal has ended it."""


class RunProcesses:
    """Processes of runs on this machine. They go on when this one ends, or the fork server does.

    Args:
        interpreter: the path of the Python that they run.
        copies: whether they begin as copies of the fork server, with its imports done.
    """

    def __init__(self, interpreter: str, *, copies: bool = CAN_COPY) -> None:
        kind = COPIES if copies else NEW
        answers, written = os.pipe()
        self._server = subprocess.Popen(  # noqa: S603 - the code server's interpreter
            [interpreter, "-m", "m3sync_dagster.runs.fork_server", str(written), kind],
            stdin=subprocess.PIPE,
            pass_fds=[written],
        )
        os.close(written)
        self._started = SimpleQueue[int | None]()
        self._on_end: dict[int, OnEnd] = {}
        self._next_on_end: OnEnd = _ignore
        self._lock = threading.Lock()
        self._reader = threading.Thread(target=self._read, args=(answers,), daemon=True)
        self._reader.start()

    @property
    def server_id(self) -> int:
        """The fork server's process id."""
        return self._server.pid

    @property
    def can_start(self) -> bool:
        """Whether the fork server is alive."""
        return self._reader.is_alive()

    def start(self, request: Request, on_end: OnEnd) -> int:
        """Start a process. The first one takes as long as the fork server needs to import.

        Args:
            request: the run.
            on_end: called in a thread of its own.

        Returns:
            The process's id.

        Raises:
            ChildProcessError: it has not started.
        """
        with self._lock:
            self._next_on_end = on_end
            if self._send(request) and (process_id := self._started.get()) is not None:
                return process_id
        raise ChildProcessError("The run's process has not started. The daemon's output says why.")

    def close(self) -> None:
        """End the fork server; what it has started goes on."""
        with contextlib.suppress(BrokenPipeError):
            _input_of(self._server).close()
        self._server.wait()
        self._reader.join()

    def _send(self, request: Request) -> bool:
        try:
            _input_of(self._server).write(f"{json.dumps(request)}\n".encode())
            _input_of(self._server).flush()
        except (BrokenPipeError, ValueError):  # It has ended, or its input is closed.
            self._reader.join()
            return False
        return True

    def _read(self, answers: int) -> None:
        with open(answers, encoding="ascii") as lines:
            for line in lines:
                kind, *numbers = line.split()
                if kind == "started":
                    process_id = int(numbers[0])
                    self._on_end[process_id] = self._next_on_end
                    self._started.put(process_id)
                else:
                    self._report_end(*map(int, numbers))
        self._started.put(None)

    def _report_end(self, process_id: int, code: int) -> None:
        on_end = self._on_end.pop(process_id, None)
        if on_end is None:  # It has ended before it was a run's process.
            self._started.put(None)
        else:
            threading.Thread(target=on_end, args=(code,), daemon=True).start()


def _input_of(server: "subprocess.Popen[bytes]") -> IO[bytes]:
    assert server.stdin  # noqa: S101 - it is a pipe
    return server.stdin


def _ignore(_code: int) -> None:
    pass
