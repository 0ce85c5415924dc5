"""Runs that the schedule starts: a real daemon and webserver, whose clock a file sets."""

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from m3sync_dagster_tests.chaos.disturbed_world import DisturbedWorld
from m3sync_dagster_tests.chaos.play_history import RunOnce
from m3sync_dagster_tests.conftest import Sandbox
from m3sync_dagster_tests.guard.test_disabling import CLOCK, Hours, set_clock
from m3sync_dagster_tests.live.conftest import serving, until
from m3sync_dagster_tests.model.runs import Run

LAST_MINUTE = 9
"""By this minute of the hour every schedule is due."""
OVER = {"SUCCESS", "FAILURE", "CANCELED"}


@contextmanager
def scheduled(home: Path, disturbed: DisturbedWorld) -> Iterator[RunOnce]:
    """A function that lets the clock go on to the next hour, and waits for the scheduled run.

    Args:
        home: ``DAGSTER_HOME``, with the folder ``defs``.
        disturbed: the world.
    """
    clock = home / "clock"
    # Days ago: a time ahead of the machine's would make the daemon load the code every hour.
    now = (datetime.now(UTC) - timedelta(days=20)).replace(minute=0, second=59, microsecond=500_000)
    set_clock(clock, now)
    world, url = disturbed.world, disturbed.database.server.url
    org, m3ter = world.orgs[0], world.m3ter[0]
    secrets = ("M3TER_", "SALESFORCE_")
    environment = {k: v for k, v in world.environment.items() if k.startswith(secrets)}
    sandbox = Sandbox(m3ter.organization, org.http, org.http, environment)
    more = {"M3SYNC_TEST_CLOCK": str(clock), "PYTHONPATH": str(CLOCK)}
    with serving(home, url, sandbox, **more) as live:
        hours = Hours(live, clock, now)
        hours.m3sync("enable", "acme")
        disturbed.database.daemon_jump = lambda later: _jump(hours, later)
        yield lambda **_: _next_hour(hours, url)
        disturbed.database.daemon_jump = None


def _jump(hours: Hours, later: int) -> None:
    """Let the clock jump forward; the next run is due an hour later and covers all of them."""
    hours.now += timedelta(hours=abs(later))


def _next_hour(hours: Hours, url: str) -> Run:
    known = until(lambda: _runs(url) or {""}, "the runs so far")
    hours.at(LAST_MINUTE, later=1)

    def over() -> list[str] | None:
        found = {run_id: status for run_id, status in _runs(url).items() if run_id not in known}
        return list(found.values()) if found and OVER.issuperset(found.values()) else None

    ends = until(over, f"the run of {hours.now}")
    return Run(errors=[end for end in ends if end != "SUCCESS"])


def _runs(url: str) -> dict[str, str]:
    """The status of every run; none while PostgreSQL is restarted."""
    with suppress(psycopg.OperationalError), psycopg.connect(url) as connection:
        return dict(connection.execute("SELECT run_id, status FROM runs").fetchall())
    return {}
