"""Two m3ter organizations, two Salesforce orgs and a database, all real, for many examples."""

import json
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from httpx._config import create_ssl_context
from httpx._transports import default
from starlette.types import ASGIApp

from m3sync_dagster.cli.prepare_environment import project_root
from m3sync_dagster.salesforce import SalesforceClient
from m3sync_dagster.salesforce import client as salesforce_client
from m3sync_dagster.sandbox import m3ter, salesforce
from m3sync_dagster.sandbox.m3ter.faults import Faults as M3terFaults
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.organization.store import COLLECTIONS
from m3sync_dagster.sandbox.salesforce.faults import Faults
from m3sync_dagster.sandbox.salesforce.job_state import FINAL_STATES, State
from m3sync_dagster.sandbox.salesforce.org import Org, Usage
from m3sync_dagster.sandbox.salesforce.schema import FieldDef
from m3sync_dagster.sandbox.server import running
from m3sync_dagster.state import connect
from m3sync_dagster.sync import engine
from m3sync_dagster_tests.cli.kill_points import Killer
from m3sync_dagster_tests.conftest import CREDENTIALS, DefsFolder
from m3sync_dagster_tests.model import interruptions
from m3sync_dagster_tests.model.reference import (
    ACCOUNT,
    BALANCE,
    OTHER_BALANCE,
    SECOND_KEY,
    Settings,
    yaml,
)

DATA = "/services/data/v67.0"
OTHER_M3TER = "5a4db0e5-0000-4000-8000-000000000002"
"""The second m3ter organization."""
OTHER_CREDENTIALS = m3ter.Credentials(OTHER_M3TER)
OTHER_SERIAL = 10**9
"""The ids of the second org begin here: no id of an ingest job is in two orgs."""
BY_HAND = "Made by hand"
"""The name of the records that somebody else has made."""
_SESSION = "administrator"
_DELETIONS = """
SELECT string_agg(format('DELETE FROM %I.%I', schemaname, tablename), ';') FROM pg_tables
WHERE schemaname = 'm3sync' AND tablename <> 'alembic_version'
"""
"""For few rows, to delete them takes a seventh of what it takes to truncate all tables."""


@dataclass
class SalesforceOrg:
    """One org, as an administrator sees it.

    Args:
        org: the org.
        killer: stands before it, and kills processes.
        url: where it answers.
        http: a client with an administrator's session.
    """

    org: Org
    killer: Killer
    url: str
    http: httpx.Client
    _others: dict[str, Any] = field(default_factory=dict)
    _other_job: str = ""

    def reset(self) -> None:
        """Go back to an org without records of ours, and with what belongs to somebody else."""
        self.settle()
        for job in list(self.org.jobs.values()):
            job.close()
        self.org.jobs.clear()
        self.org.closers.clear()
        self.org.clear_records()
        self.calm()
        self.send("POST", f"/sobjects/{ACCOUNT}", {"Name": BY_HAND})
        self.send("POST", f"/sobjects/{BALANCE}", {"Name": BY_HAND})
        insert = {"object": ACCOUNT, "operation": "insert", "contentType": "CSV"}
        self._other_job = self.send("POST", "/jobs/ingest", insert)["id"]
        self._others = self.others()

    def send(self, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401 - JSON
        """Do something by hand, whatever goes wrong for others."""
        self.org.sessions.add(_SESSION)
        headers = {"Authorization": f"Bearer {_SESSION}"}
        faults, usage = self.org.faults, self.org.usage
        self.org.faults, self.org.usage = Faults(), Usage()
        try:
            answer = self.http.request(method, DATA + path, json=body, headers=headers)
        finally:
            self.org.faults, self.org.usage = faults, usage
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def others(self) -> dict[str, Any]:
        """The records of somebody else."""
        records = [r for name in (ACCOUNT, BALANCE) for r in self.org.records(name)]
        return {record["Id"]: record for record in records if record["Name"] == BY_HAND}

    def check_others(self) -> None:
        """Make sure that nobody has touched what belongs to somebody else."""
        assert self.others() == self._others, "a record of somebody else was touched"
        state = self.org.jobs[self._other_job].progress.state
        assert state is State.OPEN, f"the job of somebody else is {state}"

    def records(self, name: str) -> list[dict[str, Any]]:
        """The records of an object that are not somebody else's."""
        return [record for record in self.org.records(name) if record["Id"] not in self._others]

    def delete(self, name: str, salesforce_id: str) -> None:
        """Delete a record by hand."""
        self.send("DELETE", f"/sobjects/{name}/{salesforce_id}")

    def calm(self) -> None:
        """Let everything work again, and end the jobs that hang."""
        self.org.faults.clear()
        self.org.usage.max, self.org.usage.used = 100_000, 0
        self.abort_jobs(FINAL_STATES | {State.OPEN})

    def abort_jobs(self, spared: Collection[State] = FINAL_STATES) -> None:
        """Abort our jobs, but those in these states."""
        self.settle()
        for job in self.org.jobs.values():
            if job.id != self._other_job and job.progress.state not in spared:
                job.abort()

    def settle(self) -> None:
        """Wait until no job saves rows any more."""
        for job in list(self.org.jobs.values()):
            job.settle()

    def calls(self) -> int:
        """API calls since this was asked last."""
        counted = sum(self.org.calls.counts.values())
        self.org.calls.counts.clear()
        self.org.calls.latest.clear()
        return counted


@dataclass
class M3terOrganization:
    """One organization of m3ter.

    Args:
        organization: its records.
        faults: what goes wrong.
        environment: what leads to it.
    """

    organization: Organization
    faults: M3terFaults
    environment: dict[str, str]

    def reset(self) -> None:
        """Go back to an organization without records."""
        for name in COLLECTIONS:
            for record_id in self.organization.ids(name):
                self.organization.remove(name, record_id)

    def put(self, collection: str, record: dict[str, Any]) -> None:
        """Make a record what m3ter lists."""
        self.organization.put_raw(collection, record["id"], json.dumps(record).encode())


@dataclass
class World:
    """Everything around the product.

    Args:
        m3ter: both organizations of m3ter.
        orgs: both orgs of Salesforce.
        environment: what the product's processes need beside the address of the org.
        connection: to the product's database.
        defs: the folder of ``defs.yaml`` files.
        steps: counts the steps of runs.
        patch: undone at the end.
    """

    m3ter: tuple[M3terOrganization, M3terOrganization]
    orgs: tuple[SalesforceOrg, SalesforceOrg]
    environment: dict[str, str]
    connection: psycopg.Connection
    defs: DefsFolder
    steps: interruptions.Steps
    patch: pytest.MonkeyPatch
    now: float = 0.0

    def reset(self) -> None:
        """Begin a new example."""
        for m3ter_organization in self.m3ter:
            m3ter_organization.reset()
        for org in self.orgs:
            org.reset()
        self.calm()
        (deletions,) = self.connection.execute(_DELETIONS).fetchone() or ("",)
        self.connection.execute(deletions)
        self.send_by_jobs(above=2_000)

    def calm(self) -> None:
        """Let everything work again."""
        for m3ter_organization in self.m3ter:
            m3ter_organization.faults.clear()
        for org in self.orgs:
            org.calm()

    def send_by_jobs(self, above: int) -> None:
        """Have ingest jobs send what is more than so many rows."""
        for module in (engine, salesforce_client):
            self.patch.setattr(module, "COLLECTIONS_UP_TO", above)

    def enter(self, settings: Settings) -> None:
        """Set the integration's YAML, and where its credentials lead to."""
        chosen = self.m3ter[settings.m3ter].environment
        chosen = chosen | {"SALESFORCE_LOGIN_URL": self.orgs[settings.org].url}
        self.environment |= chosen
        for name, value in chosen.items():
            self.patch.setenv(name, value)
        self.defs.write("acme", yaml(settings))

    def sleep(self, seconds: float) -> None:
        """Let time pass; jobs go on meanwhile."""
        self.now += seconds
        for org in self.orgs:
            org.settle()

    def rejects(self) -> dict[tuple[str, str], str]:
        """The class of each row on record as rejected, by entity and m3ter id."""
        found = self.connection.execute(
            "SELECT entity, m3ter_id, class FROM m3sync.rejected_record"
        )
        return {(entity, m3ter_id): error_class for entity, m3ter_id, error_class in found}

    def drop_connections(self) -> None:
        """End every connection of the product to PostgreSQL, as a failing server does."""
        self.connection.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE "
            "datname = current_database() AND application_name = 'm3sync' "
            "AND pid <> pg_backend_pid()"
        )


@contextmanager
def world(
    folder: Path, url: str, before: Callable[[ASGIApp], ASGIApp] = lambda app: app
) -> Iterator[World]:
    """Start everything, for as long as the block lasts.

    Args:
        folder: where ``defs.yaml`` files go.
        url: of a database with Dagster's tables and ours.
        before: puts middleware before each server.
    """
    with ExitStack() as stack:
        patch = stack.enter_context(pytest.MonkeyPatch.context())
        connection = stack.enter_context(connect(url))
        credentials = salesforce.Credentials()
        environment = {
            "SALESFORCE_CLIENT_ID": credentials.client_id,
            "SALESFORCE_CLIENT_SECRET": credentials.client_secret,
            "DAGSTER_HOME": str(project_root()),
            "M3SYNC_POSTGRES_URL": url,
            "M3SYNC_DEFS": str(folder),
        }
        for name, value in environment.items():
            patch.setenv(name, value)
        defs = DefsFolder(folder)
        defs.write("credentials", CREDENTIALS)
        steps = interruptions.install(patch)
        organizations = (
            _m3ter(stack, m3ter.Credentials(), before),
            _m3ter(stack, OTHER_CREDENTIALS, before),
        )
        orgs = (_org(stack, credentials, before), _org(stack, credentials, before))
        orgs[1].org._serial = count(OTHER_SERIAL)
        made = World(organizations, orgs, environment, connection, defs, steps, patch)
        _hurry(made)
        yield made


def _m3ter(
    stack: ExitStack, keys: m3ter.Credentials, before: Callable[[ASGIApp], ASGIApp]
) -> M3terOrganization:
    organization = Organization()
    app = m3ter.create_app(organization, keys, requests_per_second=None)
    environment = {
        "M3TER_BASE_URL": stack.enter_context(running(before(app))),
        "M3TER_ORG_ID": keys.organization_id,
        "M3TER_API_KEY": keys.access_key_id,
        "M3TER_API_SECRET": keys.api_secret,
    }
    return M3terOrganization(organization, app.state.faults, environment)


def _org(
    stack: ExitStack, credentials: salesforce.Credentials, before: Callable[[ASGIApp], ASGIApp]
) -> SalesforceOrg:
    app = salesforce.create_app(credentials=credentials)
    org: Org = app.state.org
    second = FieldDef(
        SECOND_KEY,
        "Second Id",
        "Text",
        length=64,
        unique=True,
        external_id=True,
        case_sensitive=True,
    )
    org.schema.add_field(org.object(ACCOUNT), second)
    _copy_object(org, BALANCE, OTHER_BALANCE)
    killer = Killer(app)
    url = stack.enter_context(running(before(killer)))
    return SalesforceOrg(org, killer, url, stack.enter_context(httpx.Client(base_url=url)))


def _copy_object(org: Org, name: str, copy: str) -> None:
    source = org.object(name)
    target = org.schema.add_object(copy, copy, f"{copy}s", replace(source.fields["Name"]))
    for definition in source.fields.values():
        if definition.name not in target.fields:
            org.schema.add_field(target, replace(definition))


def _hurry(made: World) -> None:
    """Let waits take no time."""
    waits = {"sleep": made.sleep, "clock": lambda: made.now}
    for name, value in waits.items():
        made.patch.setitem(SalesforceClient.__init__.__kwdefaults__, name, value)  # type: ignore[arg-type]
    from m3ter import _base_client  # noqa: PLC0415 - slow to import

    # Reading the certificates that nothing here needs takes longer than a run.
    made.patch.setattr(default, "create_ssl_context", cache(create_ssl_context))
    made.patch.setattr(_base_client, "INITIAL_RETRY_DELAY", 0.001)
    made.patch.setattr(_base_client, "MAX_RETRY_DELAY", 0.001)
