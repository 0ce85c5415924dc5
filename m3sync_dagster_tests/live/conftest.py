"""A webserver and a daemon with the sandbox, queried only with GraphQL."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psycopg
import pytest
from psycopg.sql import SQL, Identifier
from sqlalchemy.engine import make_url

from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.conftest import (
    CREDENTIALS,
    INTEGRATION,
    PATIENCE,
    ROOT,
    DefsFolder,
    Sandbox,
    sandbox_of,
)
from m3sync_dagster_tests.databases import new_database

DAEMON = ("dagster._daemon", "run")
PASSWORD = "the-password-of-the-database"
REPOSITORY = {"repositoryName": "__repository__", "repositoryLocationName": "m3sync"}
LOCATION = """
query { locationStatusesOrError { ... on WorkspaceLocationStatusEntries {
  entries { name loadStatus } } } }
"""
DAEMONS = """
query { instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }
"""
REFUSED = {
    "method": "POST",
    "path": "/services/oauth2/token",
    "status": 400,
    "body": {"error": "invalid_client", "error_description": "invalid client credentials"},
    "times": None,
}
"""The fault of a Salesforce that refuses every login."""

_Found = TypeVar("_Found")


def until(look: Callable[[], _Found | None], what: str) -> _Found:
    """Repeat a call until it returns a value.

    The pauses grow to a second: with each look the servers have work, and wait for it themselves.

    Raises:
        AssertionError: there is nothing by the deadline.
    """
    begin = time.monotonic()
    while (waited := time.monotonic() - begin) < PATIENCE:
        if found := look():
            return found
        time.sleep(min(max(waited / 3, 0.1), 1))
    raise AssertionError(f"{what}: nothing after {PATIENCE:.0f} s")


@dataclass
class Live:
    """The servers while they run.

    Args:
        url: the webserver's; empty if there is none.
        sandbox: both sandbox servers.
        database: the URL of the database that all share.
        home: ``DAGSTER_HOME``.
        environment: that of both.
        daemon: the daemon.
        answers: every answer that GraphQL has given.
    """

    url: str
    sandbox: Sandbox
    database: str
    home: Path
    environment: dict[str, str]
    daemon: subprocess.Popen[bytes]
    answers: list[str] = field(default_factory=list)

    def ask(self, query: str, **variables: object) -> Any:  # noqa: ANN401 - JSON
        """The data of a GraphQL answer; an error is a failed test."""
        answer = httpx.post(
            f"{self.url}/graphql", json={"query": query, "variables": variables}, timeout=PATIENCE
        )
        self.answers.append(answer.text)
        answered = answer.json()
        assert "errors" not in answered, answered["errors"]
        return answered["data"]

    @property
    def secrets(self) -> list[str]:
        """The secrets, which must never be written anywhere."""
        return [*self.sandbox.secrets, PASSWORD]

    def written(self) -> Iterator[tuple[str, str]]:
        """Everything that is written, by its place: logs, files, answers, every table's rows."""
        for path in self.home.rglob("*"):
            if path.is_file():
                yield str(path), path.read_text(errors="replace")
        yield "GraphQL", "\n".join(self.answers)
        with psycopg.connect(self.database) as connection:
            tables = connection.execute(
                "SELECT table_schema, table_name FROM information_schema.tables "
                "WHERE table_type = 'BASE TABLE' "
                "AND table_schema NOT IN ('pg_catalog', 'information_schema')"
            ).fetchall()
            for names in tables:
                rows = connection.execute(
                    SQL("SELECT t::text FROM {} t").format(Identifier(*names))
                )
                yield ".".join(names), "\n".join(row[0] for row in rows)


@pytest.fixture(scope="package")
def live(
    postgres_server: str, dagster_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Live]:
    """One webserver and one daemon for all tests that use them."""
    home = tmp_path_factory.mktemp("live")
    shutil.copy(ROOT / "dagster.yaml", home)
    defs = DefsFolder(home / "defs")
    defs.write("credentials", CREDENTIALS)
    defs.write("acme", INTEGRATION)
    with new_database(postgres_server, dagster_template) as plain:
        url = make_url(plain).set(password=PASSWORD).render_as_string(hide_password=False)
        with sandbox_of(Organization.sample()) as sandbox, serving(home, url, sandbox) as servers:
            yield servers


@contextmanager
def serving(home: Path, database: str, sandbox: Sandbox, **more: str) -> Iterator[Live]:
    """A webserver and a daemon over the ``defs`` in their home, while the block lasts."""
    port = free_port()
    webserver = ("dagster_webserver", "-h", "127.0.0.1", "-p", str(port))
    with (
        daemon_alone(home, database, sandbox, **more) as servers,
        process(webserver, servers.environment, home / "webserver.log"),
    ):
        servers.url = f"http://127.0.0.1:{port}"
        until(lambda: _is_up(servers), "the webserver and the daemon")
        yield servers


@contextmanager
def daemon_alone(home: Path, database: str, sandbox: Sandbox, **more: str) -> Iterator[Live]:
    """A daemon that was started, and no webserver."""
    environment = _environment(
        **sandbox.environment,
        DAGSTER_HOME=str(home),
        M3SYNC_POSTGRES_URL=database,
        M3SYNC_DEFS=str(home / "defs"),
        **more,
    )
    with process(DAEMON, environment, home / "daemon.log") as daemon:
        yield Live("", sandbox, database, home, environment, daemon)


def _environment(**ours: str) -> dict[str, str]:
    """The environment of a child process, with only the given variables of the project."""
    names = ("M3SYNC_", "M3TER_", "SALESFORCE_", "DAGSTER_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(names)}
    return kept | ours


def free_port() -> int:
    """A port of this machine that nothing listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextmanager
def process(
    command: tuple[str, ...], environment: dict[str, str], log: Path
) -> Iterator[subprocess.Popen[bytes]]:
    """A module that runs in a separate process group, which is killed at the end."""
    with log.open("w") as output:
        running = subprocess.Popen(
            [sys.executable, "-m", *command, "-w", str(ROOT / "workspace.yaml")],
            cwd=log.parent,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield running
    finally:
        running.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            running.wait(20)
        with suppress(ProcessLookupError):
            os.killpg(running.pid, signal.SIGKILL)
        running.wait()


def _is_up(servers: Live) -> bool:
    """Whether the location is loaded and every daemon has sent a heartbeat."""
    try:
        entries = servers.ask(LOCATION)["locationStatusesOrError"]["entries"]
        daemons = servers.ask(DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"]
    except httpx.TransportError:
        return False
    loaded = [(entry["name"], entry["loadStatus"]) for entry in entries] == [("m3sync", "LOADED")]
    return loaded and all(daemon["healthy"] for daemon in daemons if daemon["required"])
