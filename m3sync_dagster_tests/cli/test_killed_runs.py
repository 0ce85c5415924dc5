"""A run that is killed at any step of a large load, and the run after it."""

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import psycopg
import pytest

from m3sync_dagster.cli.prepare_environment import project_root
from m3sync_dagster.sandbox import m3ter, salesforce
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.server import running
from m3sync_dagster.state import connect, is_locked
from m3sync_dagster_tests.cli.conftest import write
from m3sync_dagster_tests.cli.kill_points import Killer, Runner, Step, is_waiting, waiting_at
from m3sync_dagster_tests.conftest import CREDENTIALS, PATIENCE
from m3sync_dagster_tests.databases import new_database

pytestmark = pytest.mark.slow

ROWS = 8_200
CHANGED = 1_500
INTEGRATION = """\
type: m3sync_dagster.SalesforceSync
attributes:
  name: acme
  m3ter_credential: m3ter_production
  salesforce_credential: salesforce_production
  namespace: custom_objects
  entities: {account: {}}
"""
ACCOUNTS = "m3ter_Account__c"
JOB = "/jobs/ingest/750[^/]+$"


@dataclass
class Load:
    """A load of accounts, of which three levels go one after the other, each by an ingest job."""

    runner: Runner
    killer: Killer
    org: Org
    organization: Organization
    connection: psycopg.Connection
    expected: dict[str, Any] = field(default_factory=dict)
    _jobs: set[str] = field(default_factory=set)

    def forget(self) -> None:
        """Go back to before the first run."""
        self.org.clear_records()
        self.connection.execute(
            "TRUNCATE m3sync.synced_record, m3sync.outgoing_record, m3sync.rejected_record, "
            "m3sync.ingest_job"
        )

    def start(self, step: Step | None = None) -> None:
        """Start a run that is killed at a step, and count jobs and rows from now on."""
        self._jobs = set(self.org.jobs)
        self.killer.arm(step)
        self.killer.pid = self.runner.start("run", "acme", "--json")

    def kill(self) -> None:
        os.kill(self.killer.pid, signal.SIGKILL)

    def dies(self) -> None:
        """Wait until the run is killed and its lock is free."""
        status, output = self.runner.end()
        assert status == -signal.SIGKILL, output
        eventually(lambda: not is_locked(self.connection, "acme"))

    def run(self) -> dict[str, int]:
        """Run to the end, and give the counts."""
        self.killer.step, self.killer.pid = None, 0
        self.runner.start("run", "acme", "--json")
        return self.run_on()

    def run_on(self) -> dict[str, int]:
        """Wait for the end of a run, and give its counts."""
        status, output = self.runner.end()
        assert status == 0, output
        counts: dict[str, int] = json.loads(output)["entities"]["account"]
        return counts

    @property
    def jobs(self) -> list[str]:
        """The states of the jobs since the start."""
        made = (job for job_id, job in self.org.jobs.items() if job_id not in self._jobs)
        return [str(job.progress.state) for job in made]

    def repeated(self) -> dict[str, int]:
        """Rows that have arrived more than once since the start, and how often."""
        return {key: times for key, times in self.killer.sent.items() if times > 1}

    def acknowledged(self) -> set[str]:
        """Rows that are stored as acknowledged."""
        rows = self.connection.execute("SELECT m3ter_id FROM m3sync.synced_record")
        return {row[0] for row in rows}

    def content(self) -> dict[str, Any]:
        """Salesforce's records, without times and in no order."""
        records = self.org.records(ACCOUNTS)
        names = {record["Id"]: record["m3ter_Id__c"] for record in records}
        assert len(names) == len(set(names.values())), "a duplicate"
        stamps = ("Id", "CreatedDate", "LastModifiedDate", "SystemModstamp")
        for record in records:
            for name in stamps:
                del record[name]
            record["Parent_Account__c"] = names.get(record["Parent_Account__c"])
        return {record["m3ter_Id__c"]: record for record in records}


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture(scope="module")
def organization() -> Organization:
    return Organization.generate(ROWS)


@pytest.fixture(scope="module")
def load(
    organization: Organization,
    postgres_server: str,
    migrated: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Load]:
    folder = tmp_path_factory.mktemp("kill")
    (folder / "defs").mkdir()
    write(folder / "defs", "credentials", CREDENTIALS)
    write(folder / "defs", "acme", INTEGRATION)
    m3ter_keys, salesforce_keys = m3ter.Credentials(), salesforce.Credentials()
    app = salesforce.create_app(credentials=salesforce_keys)
    killer = Killer(app)
    with (
        new_database(postgres_server, migrated) as url,
        connect(url) as connection,
        running(m3ter.create_app(organization, m3ter_keys)) as m3ter_url,
        running(killer) as salesforce_url,
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
            "M3SYNC_POSTGRES_URL": url,
            "M3SYNC_DEFS": str(folder / "defs"),
            # The rows that a killed run leaves are deleted with the test.
            "TMPDIR": str(folder),
        }
        with closing(Runner(folder, environment)) as runner:
            found = Load(runner, killer, app.state.org, organization, connection)
            found.start()
            assert found.run_on()["created"] == ROWS
            found.expected = found.content()
            assert found.jobs == ["JobComplete"] * 3
            yield found


STEPS = {
    "before create": Step("POST", "/jobs/ingest$", "before"),
    "after create": Step("POST", "/jobs/ingest$", "after"),
    "mid-upload": Step("PUT", "/batches$", "midway"),
    "after upload": Step("PUT", "/batches$", "after"),
    "after close": Step("PATCH", JOB, "after"),
    "while polling": Step("GET", JOB, "after", skip=2),
    "between result sets": Step("GET", "/failedResults", "before"),
}
UNCLOSED = {"after create", "mid-upload", "after upload"}
"""Steps at which a job was created and not closed: it is aborted, and another replaces it."""


@pytest.mark.parametrize("name", STEPS)
def test_a_load_goes_on_where_it_was_killed_at_a_request(load: Load, name: str) -> None:
    load.forget()
    load.start(STEPS[name])
    load.dies()
    counts = load.run()
    assert load.content() == load.expected
    assert counts["read"] == ROWS == sum(counts[fate] for fate in ("created", "unchanged"))
    aborted = ["Aborted"] if name in UNCLOSED else []
    assert sorted(load.jobs) == [*aborted, *["JobComplete"] * 3]
    # Only what was uploaded and never closed has to be uploaded again.
    first_level = sum(record["Parent_Account__c"] is None for record in load.expected.values())
    again = load.repeated()
    assert len(again) == (first_level if name == "after upload" else 0)
    assert set(again.values()) <= {2}


RECORDS = {
    "mid-recording": (
        "INSERT",
        "synced_record",
        "(SELECT count(*) FROM m3sync.synced_record) >= 2000",
        2_000,
    ),
    "after recording": (
        "UPDATE",
        "ingest_job",
        "EXISTS (SELECT 1 FROM m3sync.synced_record)",
        ROWS // 2,
    ),
}
"""Statements at which a run is killed: kind, table, from when on, and the rows stored then."""


@pytest.mark.parametrize("name", RECORDS)
def test_a_load_goes_on_where_it_was_killed_at_a_record(load: Load, name: str) -> None:
    event, table, when, recorded = RECORDS[name]
    load.forget()
    load.start()
    with waiting_at(load.connection, event, table, when):
        eventually(lambda: is_waiting(load.connection))
        load.kill()
    load.dies()
    assert len(load.acknowledged()) == recorded
    load.run()
    assert load.content() == load.expected
    assert load.jobs == ["JobComplete"] * 3
    assert load.repeated() == {}


def test_changes_go_on_where_they_were_killed_amid_collections(load: Load) -> None:
    ids = load.organization.ids("accounts")[:CHANGED]
    for number, m3ter_id in enumerate(ids):
        load.organization.change("accounts", m3ter_id, purchaseOrderNumber=f"Changed {number}")
    load.start(Step("PATCH", "/composite/", "after", skip=3))
    load.dies()
    query = "SELECT count(*) FROM m3sync.outgoing_record"
    left = load.connection.execute(query).fetchone()
    assert left
    counts = load.run()
    assert (counts["updated"], counts["unchanged"]) == (left[0], ROWS - left[0])
    held = load.content()
    orders = [held[m3ter_id]["Purchase_Order_Number__c"] for m3ter_id in ids]
    assert orders == [f"Changed {number}" for number in range(CHANGED)]
    others = load.expected.keys() - set(ids)
    assert all(held[key] == load.expected[key] for key in others)
    load.expected = held  # for the tests that come later, in whatever order
    assert load.jobs == []
    # The second run sends rows without a stored result, part of which had arrived before.
    arrived = load.killer.sent.total() - left[0]
    on_record = CHANGED - left[0]
    assert on_record < arrived <= CHANGED
    assert len(load.repeated()) == arrived - on_record
    assert set(load.repeated().values()) == {2}
