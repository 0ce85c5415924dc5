"""The commands and health checks of the Compose file, run as processes of this machine."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.cli.conftest import child_environment
from m3sync_dagster_tests.conftest import (
    CREDENTIALS,
    INTEGRATION,
    PATIENCE,
    ROOT,
    DefsFolder,
    Sandbox,
    sandbox_of,
)
from m3sync_dagster_tests.deploy.compose_file import FOLDER, service
from m3sync_dagster_tests.live.conftest import free_port, until

pytestmark = pytest.mark.slow

PROGRAMS = Path(sys.executable).parent


@dataclass
class Services:
    """The services as processes, each with what a container of it would have.

    Args:
        home: what is at ``/opt/m3sync`` in a container.
        ports: free ports of this machine, by those in the file.
        environment: that of every service.
    """

    home: Path
    ports: dict[str, str]
    environment: dict[str, str]

    def here(self, words: list[str]) -> list[str]:
        """A command with this machine's programs, folders, ports and addresses."""
        program, *rest = words
        return [str(PROGRAMS / program), *map(self._here, rest)]

    def _here(self, word: str) -> str:
        for port, ours in self.ports.items():
            word = word.replace(port, ours)
        return word.replace("/opt/m3sync", str(self.home)).replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - in the file

    def run(self, words: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.here(words),
            cwd=self.home,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def is_healthy(self, name: str) -> bool:
        """Run the service's health check once."""
        return self.run(service(name)["healthcheck"]["test"][1:]).returncode == 0

    @contextmanager
    def started(self, name: str) -> Iterator[subprocess.Popen[bytes]]:
        """The service, while the block lasts."""
        with (self.home.parent / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                self.here(service(name)["command"]),
                cwd=self.home,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            yield process
        finally:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(60)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture
def services(tmp_path: Path, empty_postgres_url: str) -> Iterator[tuple[Services, Sandbox]]:
    """The files of the containers, an empty database, and the sandbox."""
    home = tmp_path / "home"
    defs = DefsFolder(home / "defs")
    defs.write("credentials", CREDENTIALS)
    defs.write("acme", INTEGRATION)
    (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    ports = {"4000": str(free_port()), "3000": str(free_port())}
    with sandbox_of(Organization.sample()) as sandbox:
        environment = child_environment(
            **sandbox.environment,
            DAGSTER_HOME=str(home),
            M3SYNC_DEFS=str(home / "defs"),
            M3SYNC_POSTGRES_URL=empty_postgres_url,
        )
        found = Services(home, ports, environment)
        workspace = found._here((FOLDER / "workspace.yaml").read_text())
        (home / "workspace.yaml").write_text(workspace.replace("code-server", "127.0.0.1"))
        yield found, sandbox


STARTED = ("webserver", "code-server", "daemon")
"""The services that run on; the daemon is the last to be healthy."""
LAUNCH = """
mutation ($params: ExecutionParams!) { launchRun(executionParams: $params) {
  ... on PythonError { message } ... on LaunchRunSuccess { run { runId } } } }
"""
STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
ASSETS = [["acme", f"salesforce_{one}"] for one in ("account", "contract", "commitment", "balance")]
PARAMS = {
    "mode": "default",
    "selector": {
        "repositoryName": "__repository__",
        "repositoryLocationName": "m3sync",
        "jobName": "salesforce_sync",
        "assetSelection": [{"path": path} for path in ASSETS],
    },
    "executionMetadata": {"tags": [{"key": "dagster/partition", "value": "2026-11-24-10:00"}]},
}


def test_the_services_are_healthy_and_a_run_syncs(services: tuple[Services, Sandbox]) -> None:
    here, sandbox = services
    migrated = here.run(service("migration")["command"])
    assert migrated.returncode == 0, migrated.stderr
    with ExitStack() as stack:
        for name in STARTED:
            stack.enter_context(here.started(name))
        for name in STARTED:
            until(partial(here.is_healthy, name), name)
        url = f"http://127.0.0.1:{here.ports['3000']}/graphql"
        launched = ask(url, LAUNCH, params=PARAMS)["launchRun"]
        assert "run" in launched, launched
        run = launched["run"]["runId"]
        until(lambda: status(url, run) in {"SUCCESS", "FAILURE", "CANCELED"}, "the run")
        assert status(url, run) == "SUCCESS"
    accounts = sandbox.organization.ids("accounts")
    assert set(sandbox.records("m3ter_Account__c")) == set(accounts)


def ask(url: str, query: str, **variables: object) -> dict[str, dict[str, Any]]:
    answer = httpx.post(url, json={"query": query, "variables": variables}, timeout=PATIENCE)
    answered: dict[str, dict[str, Any]] = answer.json()["data"]
    return answered


def status(url: str, run: str) -> str:
    return str(ask(url, STATUS, id=run)["runOrError"]["status"])
