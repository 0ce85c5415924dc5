"""The command, as it is typed, over a real PostgreSQL and the real sandbox."""

import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
import psycopg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableJob
from sqlalchemy.engine import make_url
from typer.testing import CliRunner

from m3sync_dagster.cli import app
from m3sync_dagster.cli.migrate import migrate_tables
from m3sync_dagster.cli.prepare_environment import project_root
from m3sync_dagster.sandbox.demo_servers import START, Sandbox, serving
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.cli.admin import INTEGRATION, Admin
from m3sync_dagster_tests.cli.defs_folder import DEFS
from m3sync_dagster_tests.databases import Databases, end_connections, new_database

HOUR = "2026-01-01-00:00"


Write = Callable[..., None]
"""Writes the integration's ``defs.yaml`` with options."""


@dataclass
class Answer:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.out)


def invoke(*args: str) -> Answer:
    """Run a command in this process."""
    # A process runs one command; these caches would outlive it here.
    ReconstructableJob.get_repository_definition.cache_clear()
    ReconstructableJob.get_definition.cache_clear()
    result = CliRunner().invoke(app, list(args))
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Answer(result.exit_code, result.stdout, result.stderr)


def invoke_in(folder: Path, environment: Mapping[str, str], /, *args: str) -> Answer:
    """Run a command in this process, as if it had this working directory and environment."""
    with mock.patch.dict(os.environ, environment, clear=True), chdir(folder):
        return invoke(*args)


@dataclass
class Stage:
    sandbox: Sandbox

    def run(self, *args: str) -> Answer:
        return invoke(*args)

    def salesforce(self, path: str, body: object) -> None:
        url = f"{self.sandbox.salesforce_url}/sandbox/{path}"
        httpx.post(url, json=body).raise_for_status()

    def records(self, name: str) -> list[dict[str, Any]]:
        url = f"{self.sandbox.salesforce_url}/sandbox/records/{name}"
        found: list[dict[str, Any]] = httpx.get(url).json()
        return found

    def calls(self) -> int:
        return int(httpx.get(f"{self.sandbox.salesforce_url}/sandbox/calls").json()["total"])


def url_of(server: str, database: str) -> str:
    return make_url(server).set(database=database).render_as_string(hide_password=False)


@pytest.fixture(scope="session")
def migrated(postgres_server: str) -> Iterator[str]:
    """The name of a database with Dagster's tables and ours, for copies."""
    with new_database(postgres_server) as url:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("DAGSTER_HOME", str(project_root()))
            patch.setenv("M3SYNC_POSTGRES_URL", url)
            migrate_tables()
        name = str(make_url(url).database)
        with psycopg.connect(postgres_server, autocommit=True) as server:
            end_connections(server, name)
        yield name


@pytest.fixture
def migrated_url(databases: Databases, migrated: str) -> Iterator[str]:
    """The URL of a new database with Dagster's tables and ours."""
    with databases.copy(migrated) as url:
        yield url


@pytest.fixture
def stage(migrated_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    """The integration ``acme``, the sandbox that it syncs, and tables."""
    organization = Organization.generate(6, contracts=5, commitments=4, balances=7)
    with staged(organization, DEFS, migrated_url, monkeypatch) as found:
        yield found


@contextmanager
def staged(
    organization: Organization, defs: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    """The sandbox with an organization; its environment is this process's while the block lasts."""
    with serving(organization) as sandbox:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("DAGSTER_HOME", str(project_root()))
        monkeypatch.setenv("M3SYNC_POSTGRES_URL", database)
        monkeypatch.setenv("M3SYNC_DEFS", str(defs))
        monkeypatch.setenv(START, HOUR)
        yield Stage(sandbox)


@pytest.fixture
def defs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of ``defs.yaml`` folders with the sandbox's credentials and nothing else."""
    write(tmp_path, "credentials", (DEFS / "credentials" / "defs.yaml").read_text())
    monkeypatch.setenv("M3SYNC_DEFS", str(tmp_path))
    return tmp_path


@pytest.fixture
def admin(stage: Stage) -> Iterator[Admin]:
    environment = stage.sandbox.environment
    with httpx.Client(base_url=stage.sandbox.salesforce_url) as http:
        token = http.post(
            "/services/oauth2/token",
            data={
                "grant_type": "client_credentials",
                "client_id": environment["SALESFORCE_CLIENT_ID"],
                "client_secret": environment["SALESFORCE_CLIENT_SECRET"],
            },
        ).json()["access_token"]
        http.headers["Authorization"] = f"Bearer {token}"
        yield Admin(http, stage)


@pytest.fixture
def integration(defs: Path) -> Callable[..., None]:
    """Writes an integration with options."""

    def write_it(*, scope: str = "", account: str = "{}", balance: str = "{}") -> None:
        text = INTEGRATION.format(scope=scope, account=account, balance=balance)
        write(defs, "acme", text)

    return write_it


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name / "defs.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


@pytest.fixture
def empty_folder() -> Iterator[Path]:
    """A new folder for the embedded server, whose files belong to another user.

    Each start of pytest makes its own temporary folders readable by one user alone.
    """
    with tempfile.TemporaryDirectory(prefix="m3s", ignore_cleanup_errors=True) as folder:
        yield Path(folder)


def child_environment(**given: str) -> dict[str, str]:
    """The environment of a child process, with only the given variables of m3sync."""
    ours = ("M3SYNC_", "M3TER_", "SALESFORCE_", "DAGSTER_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return kept | given
