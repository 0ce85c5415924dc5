"""Starts the installed program, reads its output, and ends it."""

import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from m3sync_dagster_tests.cli.conftest import child_environment
from m3sync_dagster_tests.conftest import PATIENCE

PROGRAM = Path(sys.executable).parent / "m3sync"


class Program:
    """A running ``m3sync``, line by line."""

    def __init__(self, folder: Path | None, /, *args: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [PROGRAM, *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=child_environment(**environment),
            cwd=folder,
            start_new_session=True,
        )
        self.lines: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, text: str) -> str:
        """The first line that contains a text."""
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            self.lines.append(line)
            if text in line:
                return line
        raise AssertionError("".join(self.lines))

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        """Ask it to end; kill it only if it does not."""
        if self.process.poll() is None:
            try:
                self.stop(signal.SIGTERM)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join()

    def _read(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self._lines.put(line)
        self._lines.put(None)
        self.process.stdout.close()


@contextmanager
def program_in(folder: Path | None, /, *args: str, **environment: str) -> Iterator[Program]:
    """The program in a working directory; ``None``: the one of the tests."""
    running = Program(folder, *args, **environment)
    try:
        yield running
    finally:
        running.end()


def program(*args: str, **environment: str) -> AbstractContextManager[Program]:
    return program_in(None, *args, **environment)


def is_free(port: int) -> bool:
    """Whether nothing listens there any longer."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0
