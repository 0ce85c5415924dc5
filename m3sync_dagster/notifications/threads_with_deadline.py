"""Tasks in threads of their own, which the guard's tick waits for only so long.

A name look-up by the operating system cannot be interrupted, nor can a receiver that answers a byte
at a time be trusted to end. So whatever talks to another system runs here. A task that the tick no
longer waits for goes on; while it does, the same task is not started again.
"""

import threading
import time
from collections.abc import Callable, Iterable

_running: dict[tuple[str, str], "BackgroundTask"] = {}
_registry = threading.Lock()


class BackgroundTask:
    """A task in a thread.

    Args:
        name: what it is called in messages.
        work: what it does; it gives lines for the tick.
    """

    def __init__(self, name: str, work: Callable[[], Iterable[str]]) -> None:
        self.name = name
        self.lines: list[str] = []
        self._work = work
        self._thread = threading.Thread(target=self._run, name=f"m3sync {name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to wait for."""
        return not self._thread.is_alive()

    def wait(self, deadline: float) -> bool:
        """Wait for its end, but not longer than until then (``time.monotonic``)."""
        self._thread.join(max(0.0, deadline - time.monotonic()))
        return self.ended

    def _run(self) -> None:
        try:
            self.lines += self._work()
        except Exception as error:  # noqa: BLE001 - nobody else would report it
            self.lines.append(f"{self.name}: {type(error).__name__}: {error}")


def start_task(
    database: str, name: str, work: Callable[[], Iterable[str]]
) -> BackgroundTask | None:
    """Start a task; ``None`` where the same one is still running.

    Args:
        database: the database that it works for.
        name: its name, unique in the database.
        work: what it does.
    """
    with _registry:
        before = _running.get((database, name))
        if before and not before.ended:
            return None
        task = _running[database, name] = BackgroundTask(name, work)
        task.start()
        return task


def wait_for_all(tasks: Iterable[BackgroundTask], deadline: float) -> list[str]:
    """Wait for tasks until a deadline; give their lines, and one for each that still runs."""
    lines: list[str] = []
    for task in tasks:
        lines += task.lines if task.wait(deadline) else [still_running(task.name)]
    return lines


def still_running(name: str) -> str:
    """The line for a task that has not ended."""
    return f"{name}: no answer yet; it goes on in the background"
