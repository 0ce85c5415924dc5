"""Starting the installed program, reading what it says, and ending it."""

import queue
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from m3sync_dagster_tests.cli.conftest import child_environment

PROGRAM = Path(sys.executable).parent / "m3sync"
PATIENCE = 120.0


class Program:
    """A running ``m3sync``, line by line."""

    def __init__(self, *args: str, **environment: str) -> None:
        self.process = subprocess.Popen(
            [PROGRAM, *args],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=child_environment(**environment),
            start_new_session=True,
        )
        self.said: list[str] = []
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_for(self, words: str) -> str:
        """The first line with these words in it."""
        while (line := self._lines.get(timeout=PATIENCE)) is not None:
            self.said.append(line)
            if words in line:
                return line
        raise AssertionError("".join(self.said))

    def stop(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        return self.process.wait(PATIENCE)

    def end(self) -> None:
        """Let it stop what it has started; kill it only if it does not."""
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
def program(*args: str, **environment: str) -> Iterator[Program]:
    running = Program(*args, **environment)
    try:
        yield running
    finally:
        running.end()


def is_free(port: int) -> bool:
    """Whether nobody listens there any longer."""
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) != 0
