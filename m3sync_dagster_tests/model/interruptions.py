"""What happens to a run at one of its steps: a request to Salesforce, or a statement on our state.

The steps are counted from outside, at the borders of the libraries that do them.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest
import requests

_OURS = re.compile(r"m3sync\.(synced|outgoing|rejected)_record|m3sync\.(ingest_job|describe)")
"""Statements that count. Those of the rate limit depend on how fast the machine is."""


class Killed(BaseException):
    """The process has died. Nothing that it would still do reaches anybody."""


class Steps:
    """Counts the steps of a run, and does something at one of them."""

    def __init__(self) -> None:
        self.count = 0
        self._at: int | None = None
        self._after = False
        self._act: Callable[[], None] = lambda: None
        self._dead = False
        self._busy = False

    @contextmanager
    def interrupted(self, at: int, act: Callable[[], None], *, after: bool) -> Iterator[None]:
        """Do something at a step of what runs in the block.

        Args:
            at: the number of the step.
            act: what is done; it may raise ``Killed``.
            after: once the step is done, and not before.
        """
        self.count, self._at, self._act, self._after = 0, at, act, after
        try:
            yield
        finally:
            self._at, self._dead = None, False

    def step(self, do: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - passed on
        """Do a step of the run."""
        if self._at is None or self._busy:
            return do(*args, **kwargs)
        if self._dead:
            raise Killed
        self.count += 1
        struck = self.count == self._at
        if struck and not self._after:
            self._strike()
        result = do(*args, **kwargs)
        if struck and self._after:
            self._strike()
        return result

    def _strike(self) -> None:
        self._busy = True
        try:
            self._act()
        except Killed:
            self._dead = True
            raise
        finally:
            self._busy = False


def install(patch: pytest.MonkeyPatch) -> Steps:
    """Count the steps of every run of this process."""
    steps = Steps()
    send, execute = requests.Session.send, psycopg.Connection.execute
    executemany = psycopg.Cursor.executemany

    def counted_send(self: requests.Session, request: Any, **options: Any) -> Any:  # noqa: ANN401
        return steps.step(send, self, request, **options)

    def counted_execute(self: Any, query: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        if isinstance(query, str) and _OURS.search(query):
            return steps.step(execute, self, query, *args, **options)
        return execute(self, query, *args, **options)

    def counted_executemany(self: Any, query: Any, *args: Any, **options: Any) -> Any:  # noqa: ANN401
        if isinstance(query, str) and _OURS.search(query):
            return steps.step(executemany, self, query, *args, **options)
        return executemany(self, query, *args, **options)

    patch.setattr(requests.Session, "send", counted_send)
    patch.setattr(psycopg.Connection, "execute", counted_execute)
    patch.setattr(psycopg.Cursor, "executemany", counted_executemany)
    return steps


def die() -> None:
    """End the process, as far as a test can."""
    raise Killed
