"""Runs that the schedule starts: a real daemon, whose clock a file sets."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg

from m3sync_dagster.components.schedule import PARTITION, RANGE_END, RANGE_START
from m3sync_dagster.runs.dead_runs import PROCESS_TAG
from m3sync_dagster.state import is_run_locked
from m3sync_dagster_tests.chaos.disturbed_world import BEFORE_THE_HOUR, DisturbedWorld
from m3sync_dagster_tests.conftest import Sandbox
from m3sync_dagster_tests.guard.test_disabling import CLOCK, Hours, set_clock
from m3sync_dagster_tests.live.conftest import DAEMON, daemon_alone, process, until
from m3sync_dagster_tests.model.reference import ENTITIES
from m3sync_dagster_tests.model.runs import Run

LAST_MINUTE = 9
"""By this minute of the hour every schedule is due."""
MOST_SKIPPED = 3
"""Hours that the schedule may skip, because a run whose process is dead counts as alive for it."""
OVER = {"SUCCESS", "FAILURE", "CANCELED"}
DEAD, SKIPPED = "DEAD", "SKIPPED"
HOUR_FORMAT = "%Y-%m-%d-%H:00"
"""A partition, as the time of its beginning."""
SYNC, ANY_JOB = "salesforce_sync", "%"
"""Patterns of a job's name. Every night there are runs of other jobs too."""
_RUNS = "SELECT run_id, status FROM runs WHERE pipeline_name LIKE %s"
_TICKS = """
SELECT status FROM job_ticks WHERE tick_body::json ->> 'job_name' = 'acme_hourly' ORDER BY id
"""
_SYNCED = """
SELECT asset_key::json ->> 1, partition FROM event_logs
WHERE dagster_event_type = 'ASSET_MATERIALIZATION' AND partition IS NOT NULL
"""
_SUCCEEDED = """
SELECT min(value) FILTER (WHERE key = ANY(%(first)s)),
    min(value) FILTER (WHERE key = ANY(%(last)s))
FROM run_tags JOIN runs USING (run_id) WHERE status = 'SUCCESS'
AND key = ANY(%(first)s::text[] || %(last)s::text[]) GROUP BY run_id
"""


@dataclass
class DaemonRuns:
    """The hours of a daemon, which can be killed.

    Args:
        hours: the daemon and its clock.
        database: the URL of the database.
        stack: ends the daemons that are started here.
    """

    hours: Hours
    database: str
    stack: ExitStack
    begin: datetime = field(init=False)
    _kill_at: str | None = None
    _killed: int = 0
    _killed_in_this_hour: bool = False

    def __post_init__(self) -> None:
        self.begin = self.hours.now

    def jump(self, hours: int) -> None:
        """Let the clock jump forward; the next run is due an hour later and covers all of them."""
        self.hours.now += timedelta(hours=abs(hours))

    def kill_at(self, moment: str) -> None:
        """Let the daemon be killed in the next hour, at ``BEFORE_THE_HOUR`` or during the tick."""
        self._kill_at = moment

    def kill(self) -> None:
        """Kill the daemon with SIGKILL, and start another one.

        Not while a run is starting: whether its process was started then only Dagster's monitoring
        finds out, minutes later by a clock that the test does not set.
        """
        self._end_daemon()
        self._start_daemon()

    def _end_daemon(self) -> None:
        daemon = self.hours.live.daemon

        def stopped() -> bool:
            daemon.send_signal(signal.SIGSTOP)
            if "STARTING" not in _runs(self.database, ANY_JOB).values():
                return True
            daemon.send_signal(signal.SIGCONT)
            return False

        until(stopped, "a moment at which no run is starting")
        daemon.kill()
        daemon.wait()
        self._killed_in_this_hour = True

    def _start_daemon(self) -> None:
        live, self._killed = self.hours.live, self._killed + 1
        log = live.home / f"daemon-{self._killed}.log"
        live.daemon = self.stack.enter_context(process(DAEMON, live.environment, log))

    def next_hour(self) -> Run:
        """Let the clock go on to the next hour, and wait for the scheduled run."""
        ends = self._hour()
        for _ in range(MOST_SKIPPED):
            ends = ends if ends != [SKIPPED] else self._hour()
        errors = [end for end in ends if end not in {"SUCCESS", DEAD}]
        return Run(errors=errors, killed=DEAD in ends)

    def _hour(self) -> list[str]:
        """Begin an hour, and wait for the ends of its runs."""
        known = until(lambda: {*_runs(self.database, SYNC)} or {""}, "the runs so far")
        ticks = len(_ticks(self.database))
        self._begin_hour(ticks)
        ends = until(lambda: self._ends(known, ticks), f"the run of {self.hours.now}")
        self._await_tick(ticks)
        return ends

    def _begin_hour(self, ticks: int) -> None:
        self._killed_in_this_hour = False
        moment, self._kill_at = self._kill_at, None
        if moment == BEFORE_THE_HOUR:
            self._end_daemon()
        self.hours.at(LAST_MINUTE, later=1)
        if moment == BEFORE_THE_HOUR:
            self._start_daemon()
        elif moment:
            self._await_tick(ticks)
            self.kill()

    def _await_tick(self, before: int) -> None:
        until(lambda: len(_ticks(self.database)) > before, f"the tick of {self.hours.now}")

    def _ends(self, known: set[str], ticks: int) -> list[str]:
        """How the runs of this hour have ended; empty until then."""
        runs = _runs(self.database, SYNC)
        found = {run: end for run, end in runs.items() if run not in known}
        if self._killed_in_this_hour:
            found |= dict.fromkeys(_dead(self.database, found), DEAD)
        if not found:
            return [SKIPPED] if _ticks(self.database)[ticks:] == [SKIPPED] else []
        return list(found.values()) if {*OVER, DEAD}.issuperset(found.values()) else []

    def check_hours(self) -> None:
        """See that every hour until now was synced, and none by two runs that have succeeded.

        Only hours of the daemon's clock count: other parts sync the machine's own hour repeatedly.
        """
        hours = _hours(self.begin, self.hours.now - timedelta(hours=1))
        synced, succeeded = _synced(self.database), _succeeded(self.database)
        wanted = {(f"salesforce_{entity}", hour) for entity in ENTITIES for hour in hours}
        assert wanted <= synced, f"hours that are lost: {sorted(wanted - synced)}"
        twice = [hour for hour in hours if succeeded[hour] > 1]
        assert not twice, f"hours that two runs have synced: {twice}"


@contextmanager
def scheduled(home: Path, disturbed: DisturbedWorld) -> Iterator[DaemonRuns]:
    """A daemon, and the schedule of ``acme`` turned on.

    Args:
        home: ``DAGSTER_HOME``, with the folder ``defs``.
        disturbed: the world.
    """
    clock = home / "clock"
    now = set_clock(clock, _begin(clock))
    world, url = disturbed.world, disturbed.database.server.url
    org, m3ter = world.orgs[0], world.m3ter[0]
    secrets = ("M3TER_", "SALESFORCE_")
    environment = {k: v for k, v in world.environment.items() if k.startswith(secrets)}
    sandbox = Sandbox(m3ter.organization, org.http, org.http, environment)
    more = {"M3SYNC_TEST_CLOCK": str(clock), "PYTHONPATH": str(CLOCK)}
    with daemon_alone(home, url, sandbox, **more) as live, ExitStack() as stack:
        hours = Hours(live, clock, now)
        hours.m3sync("enable", "acme")
        disturbed.database.daemon = daemon = DaemonRuns(hours, url, stack)
        yield daemon
        disturbed.database.daemon = None


def _begin(clock: Path) -> datetime:
    """The time at which the clock begins: that of an earlier attempt, or a noon days ago.

    A time ahead of the machine's would make the daemon load the code every hour. At noon the jobs
    of the night are far away, which call Salesforce too.
    """
    if clock.exists():
        now = datetime.fromtimestamp(float(clock.read_text()), UTC)
    else:
        now = (datetime.now(UTC) - timedelta(days=20)).replace(hour=12)
    return now.replace(minute=0, second=59, microsecond=500_000)


def _runs(url: str, job: str) -> dict[str, str]:
    """The status of every run of such jobs; none while PostgreSQL is restarted."""
    with suppress(psycopg.OperationalError), psycopg.connect(url) as connection:
        return dict(connection.execute(_RUNS, [job]).fetchall())
    return {}


def _ticks(url: str) -> list[str]:
    """The status of every tick of the hourly schedule, the first one first."""
    with suppress(psycopg.OperationalError), psycopg.connect(url) as connection:
        return [status for (status,) in connection.execute(_TICKS)]
    return []


def _dead(url: str, runs: dict[str, str]) -> list[str]:
    """Those of these runs that have started, and whose process is dead."""
    with suppress(psycopg.OperationalError), psycopg.connect(url) as connection:
        tags = connection.execute(
            "SELECT run_id FROM run_tags WHERE key = %s AND value = run_id", [PROCESS_TAG]
        ).fetchall()
        started = [run for (run,) in tags if runs.get(run) == "STARTED"]
        return [run for run in started if not is_run_locked(connection, run)]
    return []


def _synced(url: str) -> set[tuple[str, str]]:
    """The assets and hours that are materialized."""
    with psycopg.connect(url) as connection:
        return {(asset, hour) for asset, hour in connection.execute(_SYNCED)}


def _succeeded(url: str) -> Counter[str]:
    """How many runs that have succeeded cover each hour."""
    found: Counter[str] = Counter()
    keys = {"first": [PARTITION, RANGE_START], "last": [PARTITION, RANGE_END]}
    with psycopg.connect(url) as connection:
        for first, last in connection.execute(_SUCCEEDED, keys):
            begin, end = (datetime.strptime(text, HOUR_FORMAT) for text in (first, last))  # noqa: DTZ007
            found.update(_hours(begin, end))
    return found


def _hours(first: datetime, last: datetime) -> list[str]:
    """The hours from the one of a time to the one of another time."""
    count = (last - first) // timedelta(hours=1) + 1
    return [(first + timedelta(hours=later)).strftime(HOUR_FORMAT) for later in range(count)]
