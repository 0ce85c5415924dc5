"""Many integrations with one account each, hours that the test begins, and what they have done."""

import asyncio
import json
import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import httpx
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m3sync_dagster.runs.run_status import INTEGRATION_TAG
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.conftest import CREDENTIALS, INTEGRATION, PATIENCE, DefsFolder, Sandbox
from m3sync_dagster_tests.guard.test_disabling import set_clock
from m3sync_dagster_tests.live.conftest import REPOSITORY, until
from m3sync_dagster_tests.live.test_graphql import START

ENDED = {dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE}


@dataclass
class Hours:
    """The integrations of an organization, one for each account, and the time.

    Args:
        organization: m3ter's.
        clock: the file with the time for all processes.
        instance: what Dagster has stored.
        now: the time; at first two days ago, and before the hour's ticks.
    """

    organization: Organization
    clock: Path
    instance: dg.DagsterInstance
    now: datetime = field(init=False)

    def __post_init__(self) -> None:
        """Set the clock, to a time at which nothing is due once a day."""
        now = datetime.now(UTC) - timedelta(days=2)
        self.now = now.replace(hour=10, second=59, microsecond=500_000)
        self.turn(1)

    @property
    def names(self) -> list[str]:
        """The names of the integrations."""
        return names_of(self.organization)

    @property
    def hour(self) -> str:
        """The last hour that is over."""
        return (self.now - timedelta(hours=1)).strftime("%Y-%m-%d-%H:00")

    def turn(self, minute: int, *, later: int = 0) -> None:
        """Set the time to the end of a minute, so many hours later."""
        self.now = (self.now + timedelta(hours=later)).replace(minute=minute)
        set_clock(self.clock, self.now)

    def start_schedules(self, url: str) -> None:
        """Start the schedules, as the UI does."""
        for name in self.names:
            selector = {"scheduleName": f"{name}_hourly", **REPOSITORY}
            asked = {"query": START, "variables": {"s": selector}}
            answer = httpx.post(f"{url}/graphql", json=asked, timeout=PATIENCE).json()
            assert answer["data"]["startSchedule"]["__typename"] == "ScheduleStateResult", answer

    def runs(self) -> list[dg.DagsterRun]:
        """All runs of the integrations, the newest first."""
        return [*self.instance.get_runs(dg.RunsFilter(tags={INTEGRATION_TAG: self.names}))]

    def count(self, *statuses: dg.DagsterRunStatus) -> int:
        """How many runs are in one of these statuses."""
        return sum(run.status in statuses for run in self.runs())

    def change_accounts(self) -> None:
        """Change every account in m3ter, so that each integration has something to send."""
        for one in self.organization.ids("accounts"):
            self.organization.change("accounts", one, name=f"Changed {self.now} {one}")

    def next_hours(self, hour: str) -> None:
        """Begin hours, until all integrations have this one and no run is under way; at most three.

        A schedule skips an hour while Dagster still takes a run whose process is dead for alive.
        """
        for _ in range(3):
            self.turn(3, later=1)
            until(self._is_over, f"the end of the runs at {self.now}")
            if all(hour in one for one in self.synced().values()):
                return
        raise AssertionError(self.synced())

    def _is_over(self) -> bool:
        """Whether no run is under way, and most integrations have the last hour."""
        if any(run.status not in ENDED for run in self.runs()):
            return False
        return sum(self.hour in hours for hours in self.synced().values()) > len(self.names) / 2

    def synced(self) -> Mapping[str, Counter[str]]:
        """How often each hour of each integration was synced."""
        return {name: self._synced(name) for name in self.names}

    def assert_synced_once(self) -> None:
        """No hour of an integration was synced a second time."""
        assert all(set(one.values()) == {1} for one in self.synced().values()), self.synced()

    def _synced(self, name: str) -> Counter[str]:
        key = dg.AssetKey([name, "salesforce_account"])
        records = self.instance.fetch_materializations(key, limit=100).records
        return Counter(str(record.partition_key) for record in records)


class HeldAnswers:
    """Middleware that holds back Salesforce's answers to upserts; their records are written.

    Attributes:
        held: the upserts whose answers were held back so far, each once although it is repeated.
    """

    def __init__(self) -> None:
        self.held: set[bytes] = set()
        self._free = 0
        self._released = threading.Event()
        self._released.set()

    def hold(self, *, after: int = 0) -> None:
        """Give the answers held so far and so many more, and hold back the next ones."""
        self.release()
        self._free = after
        self._released = threading.Event()

    def release(self) -> None:
        """Give all answers."""
        self._released.set()

    def before(self, app: ASGIApp) -> ASGIApp:
        """The application, with this before it."""

        async def answer(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http" or scope["method"] != "PATCH":
                await app(scope, receive, send)
                return
            body = await Request(scope, receive).body()

            async def received() -> Message:
                return {"type": "http.request", "body": body, "more_body": False}

            await app(scope, received, self._late(send, body))

        return answer

    def _late(self, send: Send, body: bytes) -> Send:
        released = self._released
        self._free -= 1
        if self._free >= 0 or released.is_set():
            return send

        async def send_once_released(message: Message) -> None:
            if message["type"] == "http.response.start":
                self.held.add(body)
                await asyncio.to_thread(released.wait, PATIENCE)
            await send(message)

        return send_once_released


def organization_of(accounts: int) -> Organization:
    """An organization with accounts that have no parent, so that no record waits for another."""
    organization = Organization.generate(accounts)
    for one in organization.ids("accounts"):
        organization.change("accounts", one, parentAccountId=None)
    return organization


def names_of(organization: Organization) -> list[str]:
    """The names of the integrations, one for each account."""
    return [f"integration_{number}" for number, _ in enumerate(organization.ids("accounts"))]


def write_integrations(organization: Organization, defs: DefsFolder) -> None:
    """Write an integration for each account, all of them due at the same minute."""
    defs.write("credentials", CREDENTIALS)
    only_accounts = INTEGRATION.partition("    contract")[0]
    for name, account in zip(names_of(organization), organization.ids("accounts"), strict=True):
        given = f"  minute_of_hour: 3\n  account_ids: [{json.dumps(account)}]\n  entities:"
        text = only_accounts.replace("  entities:", given).replace("name: acme", f"name: {name}")
        defs.write(name, text)


def assert_equal(organization: Organization, sandbox: Sandbox) -> None:
    """Each account is one record in Salesforce, with m3ter's name of it."""
    records = sandbox.salesforce.get("/sandbox/records/m3ter_Account__c").json()
    ids = organization.ids("accounts")
    expected = {one: organization.get("accounts", one)["name"] for one in ids}
    assert sorted(record["m3ter_Id__c"] for record in records) == sorted(ids)
    assert {record["m3ter_Id__c"]: record["Account_Name__c"] for record in records} == expected
