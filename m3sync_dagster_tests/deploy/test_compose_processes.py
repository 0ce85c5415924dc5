"""The commands and health checks of the Compose file, run as processes of this machine.

As in its containers, they have no capability and cannot write into their folders.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg
import httpx
import psutil
import pytest

from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.cli.conftest import child_environment
from m3sync_dagster_tests.conftest import (
    INTEGRATION,
    PATIENCE,
    ROOT,
    DefsFolder,
    Sandbox,
    sandbox_of,
)
from m3sync_dagster_tests.deploy.compose_file import FOLDER, service
from m3sync_dagster_tests.deploy.many_integrations import (
    HeldAnswers,
    Hours,
    assert_equal,
    organization_of,
    write_integrations,
)
from m3sync_dagster_tests.guard.test_disabling import CLOCK, set_clock
from m3sync_dagster_tests.live.conftest import free_port, until
from m3sync_dagster_tests.postgres.own_server import OwnServer, own_server

pytestmark = pytest.mark.slow

PROGRAMS = Path(sys.executable).parent
# Without capabilities, root too may write only where the mode of a folder allows it.
NO_RIGHTS = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []


@dataclass
class Services:
    """The services as processes, each with what a container of it would have.

    Args:
        home: what is at ``/opt/m3sync`` in a container.
        ports: free ports of this machine, by those in the file.
        environment: that of every service.
        env_file: what the file ``.env`` adds for those that it is for.
        processes: those that were started.
    """

    home: Path
    ports: dict[str, str]
    environment: dict[str, str]
    env_file: dict[str, str]
    processes: dict[str, psutil.Popen] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The webserver's address."""
        return f"http://127.0.0.1:{self.ports['3000']}"

    def here(self, words: list[str]) -> list[str]:
        """A command with this machine's programs, folders, ports and addresses."""
        program, *rest = words
        return [*NO_RIGHTS, str(PROGRAMS / program), *map(self._here, rest)]

    def _here(self, word: str) -> str:
        for port, ours in self.ports.items():
            word = word.replace(port, ours)
        return word.replace("/opt/m3sync", str(self.home)).replace("0.0.0.0", "127.0.0.1")  # noqa: S104 - in the file

    def environment_of(self, name: str) -> dict[str, str]:
        """The variables of a service."""
        return self.environment | (self.env_file if "env_file" in service(name) else {})

    def run(self, name: str, words: list[str]) -> subprocess.CompletedProcess[str]:
        """Run a command of a service to its end."""
        return subprocess.run(
            self.here(words),
            cwd=self.home,
            env=self.environment_of(name),
            capture_output=True,
            text=True,
            check=False,
        )

    def is_healthy(self, name: str) -> bool:
        """Run the service's health check once."""
        return self.run(name, service(name)["healthcheck"]["test"][1:]).returncode == 0

    def start(self, name: str) -> None:
        """Start a service."""
        with (self.home.parent / f"{name}.log").open("a") as log:
            self.processes[name] = psutil.Popen(
                self.here(service(name)["command"]),
                cwd=self.home,
                env=self.environment_of(name),
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def kill(self, name: str) -> None:
        """Kill a service with all its processes, as the end of its container does."""
        process = self.processes.pop(name)
        processes = [process, *process.children(recursive=True)]
        for one in processes:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(processes)
        process.wait()


@dataclass
class Stage:
    """The services, and what they work with."""

    services: Services
    server: OwnServer
    sandbox: Sandbox
    answers: HeldAnswers
    hours: Hours


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """All services, healthy."""
    organization, answers = organization_of(5), HeldAnswers()
    folder = tmp_path_factory.mktemp("compose")
    home, clock = folder / "home", folder / "clock"
    with ExitStack() as stack:
        server = stack.enter_context(own_server())
        sandbox = stack.enter_context(sandbox_of(organization, before_salesforce=answers.before))
        environment = child_environment(
            DAGSTER_HOME=str(home),
            M3SYNC_DEFS=str(home / "defs"),
            M3SYNC_POSTGRES_URL=server.url,
            M3SYNC_TEST_CLOCK=str(clock),
            PYTHONPATH=str(CLOCK),
        )
        ports = {"4000": str(free_port()), "3000": str(free_port())}
        services = Services(home, ports, environment, sandbox.environment)
        stack.enter_context(_files(services, organization))
        set_clock(clock, datetime.now(UTC))
        migrated = services.run("migration", service("migration")["command"])
        assert migrated.returncode == 0, migrated.stderr
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        patch.setenv("M3SYNC_POSTGRES_URL", server.url)
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(home)))
        hours = Hours(organization, clock, instance)
        for name in STARTED:
            stack.callback(services.kill, name)
            services.start(name)
        for name in STARTED:
            until(partial(services.is_healthy, name), name)
        yield Stage(services, server, sandbox, answers, hours)


@contextmanager
def _files(services: Services, organization: Organization) -> Iterator[None]:
    """The files of the containers, in folders that nobody may write to."""
    home, defs = services.home, DefsFolder(services.home / "defs")
    defs.write("acme", INTEGRATION)
    write_integrations(organization, defs)
    (home / "dagster.yaml").write_text((ROOT / "dagster.yaml").read_text())
    workspace = services._here((FOLDER / "workspace.yaml").read_text())
    (home / "workspace.yaml").write_text(workspace.replace("code-server", "127.0.0.1"))
    folders = [home, *(path for path in home.rglob("*") if path.is_dir())]
    for folder in folders:
        folder.chmod(0o555)
    yield
    for folder in folders:
        folder.chmod(0o755)


AT_ONCE = 4
"""Runs at a time: max_concurrent_runs in dagster.yaml."""
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


def test_the_services_are_healthy_and_a_run_syncs(stage: Stage) -> None:
    """Healthy they are by the fixture."""
    url = stage.services.url
    launched = ask(url, LAUNCH, params=PARAMS)["launchRun"]
    assert "run" in launched, launched
    run = launched["run"]["runId"]
    until(lambda: status(url, run) in {"SUCCESS", "FAILURE", "CANCELED"}, "the run")
    assert status(url, run) == "SUCCESS"
    assert_equal(stage.hours.organization, stage.sandbox)


def test_their_folders_are_read_only(stage: Stage) -> None:
    home = stage.services.home
    for folder in (home, home / "defs", home / "defs" / "acme"):
        command = [*NO_RIGHTS, "touch", str(folder / "new")]
        assert subprocess.run(command, capture_output=True, check=False).returncode == 1
    names = {str(path.relative_to(home)) for path in home.iterdir()}
    assert names == {"dagster.yaml", "defs", "workspace.yaml"}


def test_no_hour_is_lost_or_doubled_if_daemon_database_and_code_server_are_killed(
    stage: Stage,
) -> None:
    services, hours, answers = stage.services, stage.hours, stage.answers
    hours.start_schedules(services.url)
    hours.change_accounts()
    answers.hold()
    hours.turn(3, later=1)
    hour = hours.hour
    until(lambda: answers.held, "a run that waits for Salesforce")
    services.kill("daemon")
    services.start("daemon")
    until(lambda: len(answers.held) == AT_ONCE, "as many runs as the daemon launches at once")
    stage.server.kill()
    stage.server.start()
    answers.hold()
    until(lambda: len(answers.held) > AT_ONCE, "another run that waits for Salesforce")
    services.kill("code-server")
    services.start("code-server")
    answers.release()
    until(lambda: services.is_healthy("code-server"), "the code server")
    hours.next_hours(hour)
    assert_equal(hours.organization, stage.sandbox)
    hours.assert_synced_once()
    assert hours.count(dg.DagsterRunStatus.FAILURE) > 0


def ask(url: str, query: str, **variables: object) -> dict[str, dict[str, Any]]:
    answer = httpx.post(
        f"{url}/graphql", json={"query": query, "variables": variables}, timeout=PATIENCE
    )
    answered: dict[str, dict[str, Any]] = answer.json()["data"]
    return answered


def status(url: str, run: str) -> str:
    return str(ask(url, STATUS, id=run)["runOrError"]["status"])
