"""A run whose database crashes or is restored from a backup, and the run after it."""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from m3sync_dagster.cli.prepare_environment import project_root
from m3sync_dagster.sandbox import m3ter, salesforce
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.server import running
from m3sync_dagster.state import connect
from m3sync_dagster_tests.cli.conftest import write
from m3sync_dagster_tests.cli.kill_points import Runner
from m3sync_dagster_tests.conftest import CREDENTIALS
from m3sync_dagster_tests.postgres.own_server import OwnServer, own_server

pytestmark = pytest.mark.slow

ROWS = 5_000
CHANGED = 900
ACCOUNTS = "m3ter_Account__c"
INTEGRATION = """\
type: m3sync_dagster.SalesforceSync
attributes:
  name: acme
  m3ter_credential: m3ter_production
  salesforce_credential: salesforce_production
  namespace: custom_objects
  entities: {account: {fields: {version: null, dtLastModified: null}}}
"""
"""Without m3ter's version, a row can get its earlier values again."""


@dataclass(frozen=True)
class Crash:
    """How and when PostgreSQL crashes.

    Args:
        at, skip: as for ``CrashingOrg``.
        crash: what makes it crash.
        more: further arguments of the run.
    """

    at: str
    skip: int
    crash: Callable[[OwnServer], None]
    more: tuple[str, ...] = ()


@dataclass
class CrashingOrg:
    """An org at whose requests PostgreSQL crashes; they are answered nevertheless.

    Args:
        app: the org.
        server: PostgreSQL.
        crash: how PostgreSQL crashes; ``None`` afterwards.
    """

    app: ASGIApp
    server: OwnServer
    crash: Crash | None = None
    _passed: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        crash = self.crash
        if crash and re.search(crash.at, f"{scope.get('method')} {scope.get('path')}"):
            self._passed += 1
            if self._passed > crash.skip:
                self.crash, self._passed = None, 0
                crash.crash(self.server)
        await self.app(scope, receive, send)


@dataclass
class Setup:
    runner: Runner
    server: OwnServer
    organization: Organization
    gate: CrashingOrg
    org: Org

    def run(self, *args: str) -> tuple[int, str]:
        self.runner.start(*args)
        return self.runner.end()

    def sync(self, *more: str) -> dict[str, int]:
        code, output = self.run("run", "acme", "--json", *more)
        assert code == 0, output
        counts: dict[str, int] = json.loads(output)["entities"]["account"]
        return counts

    def staged(self) -> int:
        with connect(self.server.url) as connection:
            row = connection.execute("SELECT count(*) FROM m3sync.outgoing_record").fetchone()
        return int(row[0]) if row else 0

    def orders(self) -> dict[str, Any]:
        records = self.org.records(ACCOUNTS)
        found = {one["m3ter_Id__c"]: one["Purchase_Order_Number__c"] for one in records}
        assert len(found) == len(records), "a duplicate"
        return found

    def change(self, text: str) -> list[str]:
        ids = self.organization.ids("accounts")[:CHANGED]
        for number, m3ter_id in enumerate(ids):
            self.organization.change("accounts", m3ter_id, purchaseOrderNumber=f"{text} {number}")
        return ids


@pytest.fixture(scope="module")
def setup(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setup]:
    folder = tmp_path_factory.mktemp("crash")
    (folder / "defs").mkdir()
    write(folder / "defs", "credentials", CREDENTIALS)
    write(folder / "defs", "acme", INTEGRATION)
    organization = Organization.generate(ROWS)
    m3ter_keys, salesforce_keys = m3ter.Credentials(), salesforce.Credentials()
    app = salesforce.create_app(credentials=salesforce_keys)
    with own_server() as server:
        gate = CrashingOrg(app, server)
        with (
            running(m3ter.create_app(organization, m3ter_keys)) as m3ter_url,
            running(gate) as salesforce_url,
        ):
            environment = {
                "M3TER_BASE_URL": m3ter_url,
                "M3TER_ORG_ID": m3ter_keys.organization_id,
                "M3TER_API_KEY": m3ter_keys.access_key_id,
                "M3TER_API_SECRET": m3ter_keys.api_secret,
                "SALESFORCE_LOGIN_URL": salesforce_url,
                "SALESFORCE_CLIENT_ID": salesforce_keys.client_id,
                "SALESFORCE_CLIENT_SECRET": salesforce_keys.client_secret,
                "DAGSTER_HOME": str(project_root()),
                "M3SYNC_POSTGRES_URL": server.url.replace("@", ":hunter2@"),
                "M3SYNC_DEFS": str(folder / "defs"),
                "TMPDIR": str(folder),
            }
            with closing(Runner(folder, environment)) as runner:
                made = Setup(runner, server, organization, gate, app.state.org)
                code, output = made.run("migrate")
                assert code == 0, output
                yield made


CRASHES = {
    "and is back at once, in a bulk load": Crash(
        # All rows, also if a test before has sent them.
        "GET .*/jobs/ingest/750[^/]+$",
        0,
        OwnServer.kill_backend,
        ("--full",),
    ),
    "and stays away, in small changes": Crash(
        "PATCH .*/composite/", 1, lambda server: server.stop("immediate")
    ),
}


@pytest.mark.parametrize("name", CRASHES)
def test_a_run_after_a_crash_of_the_database_ends_right(setup: Setup, name: str) -> None:
    ids = None
    if "small" in name:
        setup.sync()
        ids = setup.change(name)
    setup.gate.crash = CRASHES[name]
    code, output = setup.run("run", "acme", "--json", *CRASHES[name].more)
    assert setup.gate.crash is None, "it has not crashed"
    assert code == 1
    assert "PostgreSQL" in output
    assert "Traceback" not in output
    assert "Retrying" not in output
    assert "hunter2" not in output
    if not setup.server.runs():
        setup.server.start()
    assert setup.staged() == 0  # the crash has emptied the table of staged rows
    (shown,) = json.loads(setup.run("status", "--json")[1])
    assert shown["last_run"]["status"] == "ERROR"
    assert setup.sync()["read"] == ROWS
    held = setup.orders()
    assert len(held) == ROWS
    if ids:
        assert [held[m3ter_id] for m3ter_id in ids] == [f"{name} {n}" for n in range(CHANGED)]
    assert setup.sync()["unchanged"] == ROWS


def test_a_full_run_ends_right_after_a_restore_from_a_backup(setup: Setup) -> None:
    """The backup has fingerprints of values that Salesforce no longer has."""
    ids = setup.change("as backed up")
    setup.sync()
    with psycopg.connect(setup.server.url, autocommit=True) as admin:
        admin.execute("CREATE TABLE backup AS SELECT * FROM m3sync.synced_record")
    setup.change("after the backup")
    setup.sync()
    setup.change("as backed up")
    with psycopg.connect(setup.server.url, autocommit=True) as admin:
        admin.execute("DELETE FROM m3sync.synced_record")
        admin.execute("INSERT INTO m3sync.synced_record SELECT * FROM backup")
        admin.execute("DROP TABLE backup")
    # The database does not show that it is an old backup, so a full sync is asked for.
    assert setup.sync()["unchanged"] == ROWS
    assert setup.orders()[ids[0]] == "after the backup 0"
    assert setup.sync("--full")["updated"] == ROWS
    held = setup.orders()
    assert [held[one] for one in ids] == [f"as backed up {n}" for n in range(CHANGED)]
