"""Kills a run at a chosen step from outside, without any code in the product."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psycopg
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m3sync_dagster.sandbox.server import DROP
from m3sync_dagster_tests.cli.conftest import child_environment

KEY = 4711
"""Key of the advisory lock at which a run waits to be killed."""


class Runner:
    """Runs commands in separate processes; see ``command_processes``.

    Args:
        folder: where what they print goes.
        environment: their environment variables.
        module: the program that starts them.
    """

    def __init__(
        self,
        folder: Path,
        environment: dict[str, str],
        module: str = "m3sync_dagster_tests.cli.command_processes",
    ) -> None:
        self._output = folder / "output"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=child_environment(**environment),
        )

    def start(self, *args: str) -> int:
        """Start a command and give its process's id."""
        assert self._process.stdin
        print(json.dumps([args, str(self._output)]), file=self._process.stdin, flush=True)
        return int(self._line())

    def end(self) -> tuple[int, str]:
        """Wait for the command; gives its exit status and its output."""
        return int(self._line()), self._output.read_text()

    def close(self) -> None:
        self._process.communicate()

    def _line(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline()


@dataclass(frozen=True)
class Step:
    """A request at which the client dies.

    Args:
        method, path: which one; the path is a regular expression.
        when: ``before`` anything is done, ``midway`` through its body, or ``after`` it is done and
            before the answer.
        skip: how many such requests pass first.
    """

    method: str
    path: str
    when: str
    skip: int = 0


@dataclass
class Killer:
    """A proxy of an org that counts the rows, and kills the sending process at a step."""

    app: ASGIApp
    step: Step | None = None
    pid: int = 0
    sent: Counter[str] = field(default_factory=Counter)
    _passed: int = 0

    def arm(self, step: Step | None) -> None:
        """Begin to count again, and wait for a step."""
        self.step, self._passed = step, 0
        self.sent.clear()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        body: list[bytes] = []
        when = self._when(scope)
        if when == "before":
            self._kill()
            scope["extensions"][DROP]()
            return

        async def receiving() -> Message:
            message = await receive()
            body.append(message.get("body", b""))
            if when == "midway":
                self._kill()
            elif message["type"] == "http.request" and not message.get("more_body"):
                self.sent.update(_ids(scope, b"".join(body)))
            return message

        async def sending(message: Message) -> None:
            if when is None:
                await send(message)
            elif when == "after":
                self._kill()
                scope["extensions"][DROP]()

        await self.app(scope, receiving, sending)

    def _when(self, scope: Scope) -> str | None:
        step = self.step
        if (
            step is None
            or scope["method"] != step.method
            or not re.search(step.path, scope["path"])
        ):
            return None
        self._passed += 1
        return step.when if self._passed == step.skip + 1 else None

    def _kill(self) -> None:
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
            self.pid = 0


def _ids(scope: Scope, body: bytes) -> list[str]:
    """The external IDs of the rows in a request."""
    if scope["method"] == "PUT":
        return [row[0] for row in csv.reader(body.decode().splitlines(keepends=True))][1:]
    if scope["method"] == "PATCH" and "/composite/" in scope["path"]:
        records = json.loads(body)["records"]
        return [record["m3ter_Id__c"] for record in records if "m3ter_Id__c" in record]
    return []


@contextmanager
def waiting_at(connection: psycopg.Connection, event: str, table: str, when: str) -> Iterator[None]:
    """Make every statement of a kind wait for a lock, once a condition holds."""
    connection.execute("SELECT pg_advisory_lock(%s)", [KEY])
    connection.execute(
        f"CREATE FUNCTION m3sync.wait() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
        f"IF {when} THEN PERFORM pg_advisory_xact_lock({KEY}); END IF; RETURN NULL; END $$"
    )
    connection.execute(
        f"CREATE TRIGGER wait BEFORE {event} ON m3sync.{table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION m3sync.wait()"
    )
    try:
        yield
    finally:
        connection.execute("SELECT pg_advisory_unlock(%s)", [KEY])
        connection.execute(f"DROP TRIGGER wait ON m3sync.{table}")
        connection.execute("DROP FUNCTION m3sync.wait()")


def is_waiting(connection: psycopg.Connection) -> bool:
    """Whether a statement waits for the lock."""
    query = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objid = %s AND NOT granted"
    )
    row = connection.execute(query, [KEY]).fetchone()
    return bool(row and row[0])
