"""Failed hours and killed daemons, with servers that run by a clock of ours."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from shutil import copy
from typing import Any

import dagster as dg
import pytest
from dagster._core.test_utils import freeze_time

from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.state import connect, undelivered
from m3sync_dagster_tests.cli.conftest import invoke_in
from m3sync_dagster_tests.conftest import (
    CREDENTIALS,
    INTEGRATION,
    PATIENCE,
    ROOT,
    DefsFolder,
    sandbox_of,
)
from m3sync_dagster_tests.databases import Databases
from m3sync_dagster_tests.guard.fixtures import Fleet, PostOffice
from m3sync_dagster_tests.live.conftest import (
    DAEMON,
    REFUSED,
    REPOSITORY,
    Live,
    process,
    serving,
    until,
)

pytestmark = pytest.mark.slow

CLOCK = Path(__file__).parent / "clock"
DISABLED = "m3sync: acme is disabled"
WARNED = [f"m3sync: acme has failed {count} times in a row" for count in (5, 8)]
STATE = """
query($acme: ScheduleSelector!, $unconnected: ScheduleSelector!, $guard: SensorSelector!) {
  acme: scheduleOrError(scheduleSelector: $acme) { ... on Schedule { scheduleState { status } } }
  unconnected: scheduleOrError(scheduleSelector: $unconnected) { ... on Schedule {
    scheduleState { ticks(limit: 1) { timestamp status skipReason } } } }
  guard: sensorOrError(sensorSelector: $guard) { ... on Sensor {
    sensorState { ticks(limit: 1) { timestamp status error { message } } } } }
  runs: runsOrError(filter: {pipelineName: "salesforce_sync"}) { ... on Runs {
    results { status } } }
}
"""


def set_clock(clock: Path, now: datetime) -> datetime:
    """Set the time, so that nobody reads half of it."""
    new = clock.with_suffix(".new")
    new.write_text(str(now.timestamp()))
    new.replace(clock)
    return now


@dataclass
class Hours:
    """The servers, and what time it is for them."""

    live: Live
    clock: Path
    now: datetime

    def at(self, minute: int, *, later: int = 0) -> float:
        """Set the time to the end of a minute, so that the scheduler looks twice a second."""
        later_on = (self.now + timedelta(hours=later)).replace(minute=minute)
        self.now = set_clock(self.clock, later_on)
        return self.now.timestamp()

    def state(self) -> dict[str, Any]:
        answer: dict[str, Any] = self.live.ask(
            STATE,
            acme=REPOSITORY | {"scheduleName": "acme_hourly"},
            unconnected=REPOSITORY | {"scheduleName": "globex_hourly"},
            guard=REPOSITORY | {"sensorName": "integration_guard"},
        )
        return answer

    def is_on(self) -> bool:
        status: str = self.state()["acme"]["scheduleState"]["status"]
        return status == "RUNNING"

    def ends(self) -> list[str]:
        """The ends of all runs, the first of them first; empty while one is under way."""
        found = [run["status"] for run in reversed(self.state()["runs"]["results"])]
        return found if {"SUCCESS", "FAILURE"}.issuperset(found) else []

    def hour(self) -> None:
        """The next hour, and the run that is due in it."""
        before = len(self.ends())
        self.at(3, later=1)
        until(lambda: len(self.ends()) > before, f"the run of {self.now}")

    def idle_hour(self) -> None:
        """The next hour, seen by the scheduler: the integration beside it has been skipped."""
        due = self.at(3, later=1) // 60 * 60

        def skipped() -> bool:
            (tick,) = self.state()["unconnected"]["scheduleState"]["ticks"]
            return (tick["timestamp"], tick["status"]) == (due, "SKIPPED")

        until(skipped, f"the scheduler at {self.now}")

    def guard(self) -> None:
        """Some minutes later: what the guard makes of the hour."""
        now = self.at(10)

        def ticked() -> bool:
            ticks = self.state()["guard"]["sensorState"]["ticks"]
            assert not [tick["error"] for tick in ticks if tick["error"]]
            return [(tick["timestamp"], tick["status"]) for tick in ticks] == [(now, "SKIPPED")]

        until(ticked, f"the guard at {self.now}")

    def m3sync(self, *args: str) -> str:
        """What the command says, typed with the servers' environment and clock."""
        with freeze_time(self.now):
            answer = invoke_in(self.live.home, self.live.environment, *args)
        assert answer.code == 0, answer
        return answer.out


@pytest.fixture
def hours(
    databases: Databases, dagster_template: str, tmp_path: Path, post_office: PostOffice
) -> Iterator[Hours]:
    organization = Organization.sample()
    users = json.dumps(organization.ids("users")[:2])
    told = f"  minute_of_hour: 3\n  notify_users_if_disabled: {users}\n  entities:"
    acme = INTEGRATION.replace("  entities:", told)
    globex = acme.replace("acme", "globex").replace(
        "  salesforce_credential: salesforce_production\n", ""
    )
    copy(ROOT / "dagster.yaml", tmp_path)
    defs = DefsFolder(tmp_path / "defs")
    for name, text in {"credentials": CREDENTIALS, "acme": acme, "globex": globex}.items():
        defs.write(name, text)
    clock = tmp_path / "clock"
    # Days ago: a time ahead of the machine's would make the daemon load the code every hour.
    now = datetime.now(UTC) - timedelta(days=2)
    now = set_clock(clock, now.replace(minute=0, second=59, microsecond=500_000))
    with (
        databases.copy(dagster_template) as database,
        sandbox_of(organization) as sandbox,
    ):
        more = {"M3SYNC_SMTP_URL": post_office.url, "M3SYNC_TEST_CLOCK": str(clock)}
        with serving(tmp_path, database, sandbox, **more, PYTHONPATH=str(CLOCK)) as live:
            yield Hours(live, clock, now)


@pytest.fixture
def addresses(hours: Hours) -> list[str]:
    """Those of the two users that the integration tells."""
    organization = hours.live.sandbox.organization
    return [organization.get("users", user)["email"] for user in organization.ids("users")[:2]]


def test_ten_failed_hours_disable_and_enabling_begins_anew(
    hours: Hours, addresses: list[str], post_office: PostOffice
) -> None:
    sandbox = hours.live.sandbox
    sandbox.salesforce.post("/sandbox/faults", json=REFUSED).raise_for_status()
    hours.m3sync("enable", "acme")
    hours.m3sync("enable", "globex")
    for _ in range(10):
        assert hours.is_on()
        hours.hour()
        hours.guard()
    assert not hours.is_on()
    for _ in range(2):
        hours.idle_hour()
        hours.guard()
    assert hours.ends() == ["FAILURE"] * 10
    # The other integration never runs. Of acme, people know already that it fails.
    expected = [WARNED[0], "m3sync: globex has had no success for 6 hours", WARNED[1], DISABLED]
    assert [post_office.subjects(one) for one in addresses] == [expected, expected]
    told = {row["name"]: row for row in json.loads(hours.m3sync("status", "--json"))}["acme"]
    assert (told["enabled"], told["failures_in_a_row"]) == (False, 10)
    assert "10 runs in a row" in told["disabled_reason"]

    hours.m3sync("enable", "acme")
    hours.hour()
    hours.guard()
    assert hours.is_on()
    sandbox.salesforce.delete("/sandbox/faults").raise_for_status()
    hours.hour()
    hours.guard()
    assert hours.ends()[10:] == ["FAILURE", "SUCCESS"]
    expected.append("m3sync: acme works again")
    assert [post_office.subjects(one) for one in addresses] == [expected, expected]


def test_a_daemon_that_is_killed_twice_tells_everybody_once(
    hours: Hours, addresses: list[str], post_office: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once before the first mail, and once while its server thinks about the answer."""
    live = hours.live
    hours.m3sync("enable", "acme")
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", live.database)
    with dg.DagsterInstance.from_config(str(live.home)) as instance:
        Fleet(instance).fail("acme", 10)

    post_office.before_mail = lambda: kill(live.daemon)
    hours.at(5)
    live.daemon.wait(PATIENCE)
    assert not hours.is_on()
    assert post_office.mails == []

    post_office.before_mail = lambda: None
    with process(DAEMON, live.environment, live.home / "second.log") as second:
        post_office.before_answer = lambda: kill(second, once_handed_over=live.database)
        hours.at(7)
        second.wait(PATIENCE)
    assert len(post_office.mails) == 1

    post_office.before_answer = lambda: None
    with process(DAEMON, live.environment, live.home / "third.log"):
        hours.guard()
    assert [post_office.subjects(one) for one in addresses] == [[DISABLED], [DISABLED]]
    events = json.loads(hours.m3sync("events", "acme", "--json"))
    assert [event["name"] for event in events].count("integration.disabled.error") == 1


def kill(daemon: subprocess.Popen[bytes], once_handed_over: str | None = None) -> None:
    """Kill a daemon and its code server, once it has noted that a mail has left it."""
    if once_handed_over:
        with connect(once_handed_over) as connection:
            until(lambda: undelivered(connection), "the note of the mail")
    os.killpg(daemon.pid, signal.SIGKILL)
