"""Hours of a moving organization in which everything at the boundaries fails at some time.

By default some hours of always the same seeds are played. ``make chaos HOURS=200`` plays more, of
other seeds each time.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import psycopg
import pytest
from hypothesis import strategies as st

from m3sync_dagster_tests.chaos import faults
from m3sync_dagster_tests.chaos.boundary import SALESFORCE
from m3sync_dagster_tests.chaos.disturbed_world import (
    BEFORE_THE_HOUR,
    DisturbedScenario,
    DisturbedWorld,
    disturbed_world,
)
from m3sync_dagster_tests.chaos.faults import (
    BY_THE_DAEMON,
    IN_OWN_PROCESS,
    IN_THIS_PROCESS,
    Answered,
    DaemonKilled,
    ProcessStruck,
)
from m3sync_dagster_tests.chaos.history import (
    SETTINGS_OF_A_PROCESS,
    History,
    Hour,
    Record,
    histories,
)
from m3sync_dagster_tests.chaos.play_history import Player, check_waiting
from m3sync_dagster_tests.chaos.run_by_daemon import HOUR_FORMAT, DaemonRuns, scheduled
from m3sync_dagster_tests.chaos.run_commands import commands
from m3sync_dagster_tests.chaos.try_seeds import try_seed
from m3sync_dagster_tests.model import runs
from m3sync_dagster_tests.model.reference import ACCOUNT, FIRST_KEY, Settings

pytestmark = pytest.mark.slow

USUAL = {"taken_back": False, "quiet_next": True, "full": False}
"""How an hour goes on."""
HOURS = int(os.environ.get("M3SYNC_CHAOS_HOURS") or 0)
"""How many hours to play; 0: those of every day."""
SEED = int(os.environ.get("M3SYNC_CHAOS_SEED") or (random.randrange(10**6) if HOURS else 1))  # noqa: S311 - no secret


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DisturbedWorld]:
    home = tmp_path_factory.mktemp("chaos")
    with pytest.MonkeyPatch.context() as patch, disturbed_world(home, patch) as made:
        yield made


def share(sixths: int, every_day: int) -> int:
    """The hours of a part: so many sixths of all, and at least one; without ``HOURS``, others."""
    return max(HOURS * sixths // 6, 1) if HOURS else every_day


def play_hours(
    player: Player,
    hours: int,
    possible: st.SearchStrategy[History],
    said: pytest.CaptureFixture[str],
) -> None:
    """Play the histories of one seed after the other until so many hours are played."""
    struck, number = player.disturbed.boundary.struck, SEED
    struck.clear()
    try:
        while player.summary.hours < hours:
            try_seed(number, possible, player.play)
            number += 1
    finally:
        with said.disabled():
            print(f"\nSeeds {SEED} to {number}. Repeat one with: make chaos HOURS=1 SEED={SEED}")
            print("\n".join(player.summary.lines(struck)))


def test_salesforce_equals_m3ter_after_each_quiet_hour(
    disturbed: DisturbedWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    possible = histories(IN_THIS_PROCESS, (4, 10))
    play_hours(Player(disturbed, runs.quick, settles=True), share(4, 12), possible, capsys)


def test_it_does_so_when_the_processes_of_runs_are_struck(
    disturbed: DisturbedWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disturbed.world.enter(Settings())
    possible = histories(IN_OWN_PROCESS, (2, 5), SETTINGS_OF_A_PROCESS)
    with commands(tmp_path, disturbed) as run_once:
        play_hours(Player(disturbed, run_once), share(1, 3), possible, capsys)


@pytest.mark.skipif(not HOURS, reason="make chaos runs it; live/ has daemons for every day")
def test_it_does_so_when_a_daemon_starts_the_runs(
    disturbed: DisturbedWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    disturbed.world.enter(Settings())
    possible = histories(BY_THE_DAEMON, (2, 4), SETTINGS_OF_A_PROCESS)
    with scheduled(disturbed.home, disturbed) as daemon:
        player = Player(disturbed, lambda **_: daemon.next_hour())
        play_hours(player, share(1, 0), possible, capsys)


@pytest.mark.skipif(bool(HOURS), reason="make chaos plays arbitrary hours of a daemon")
def test_it_does_so_when_the_daemon_is_killed(disturbed: DisturbedWorld) -> None:
    """No hour is lost either, and none is synced twice."""
    disturbed.world.enter(Settings())
    both = ProcessStruck(SALESFORCE, 2, acted=True, how="daemon and run killed")
    hours = [
        Hour([edited("First")], both, **USUAL | {"taken_back": True}),
        Hour([edited("Second")], DaemonKilled(BEFORE_THE_HOUR), **USUAL | {"quiet_next": False}),
    ]
    with scheduled(disturbed.home, disturbed) as daemon:
        player = Player(disturbed, lambda **_: daemon.next_hour())
        player.play(History(2_000, hours))
        assert player.summary.ends == {"complete": 4, "killed": 1}
        _see_that_hours_are_checked(daemon, disturbed.world.connection)


def _see_that_hours_are_checked(daemon: DaemonRuns, connection: psycopg.Connection) -> None:
    # A day: in a second attempt, those of the first one are the hours before.
    daemon.begin -= timedelta(days=1)
    with pytest.raises(AssertionError, match="hours that are lost"):
        daemon.check_hours()
    daemon.begin += timedelta(days=1)
    connection.execute(
        "UPDATE run_tags SET value = %s WHERE key = 'dagster/partition'",
        [daemon.begin.strftime(HOUR_FORMAT)],
    )
    with pytest.raises(AssertionError, match="hours that two runs have synced"):
        daemon.check_hours()


def edited(name: str) -> Record:
    """An account gets another name."""
    return Record("move", "account", 1, {"name": name})


@dataclass(frozen=True)
class EditedUnseen:
    """Somebody edits a record in Salesforce, of which the scenario is not told."""

    def run(self, scenario: DisturbedScenario, *, full: bool = False) -> None:
        scenario.run(full=full)
        (record,) = [one for one in scenario.org.records(ACCOUNT) if one[FIRST_KEY] == "a1"]
        scenario.org.send("PATCH", f"/sobjects/{ACCOUNT}/{record['Id']}", {"Code__c": "by hand"})


def test_a_difference_that_m3sync_does_not_list_fails(disturbed: DisturbedWorld) -> None:
    player = Player(disturbed, runs.quick)
    change = Record("delete", "balance", 1, {})
    hour = Hour([change], EditedUnseen(), **USUAL)
    with pytest.raises(AssertionError, match=r"account a1 differs .*by hand"):
        player.play(History(2_000, [hour]))
    assert player.summary.quiet == 0


def test_a_single_fault_that_ends_a_run_fails(
    disturbed: DisturbedWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(faults, "NOT_REPEATED", frozenset())
    hour = Hour([edited("First")], Answered(SALESFORCE, 1, 1, "HTML"), **USUAL)
    with pytest.raises(AssertionError, match=r"'HTML'\) fails a run: .*web page"):
        Player(disturbed, runs.quick).play(History(2_000, [hour]))


def test_a_record_that_waits_for_a_parent_in_salesforce_fails(disturbed: DisturbedWorld) -> None:
    scenario = Player(disturbed, runs.quick).begin(History(2_000, []))
    check_waiting(scenario)
    disturbed.world.connection.execute(
        "INSERT INTO m3sync.rejected_record (integration, entity, m3ter_id, class, code, message, "
        "fields, run_id) VALUES ('acme', 'contract', 'c1', 'dependency', '', '', '{}', '')"
    )
    with pytest.raises(AssertionError, match="contract c1 waits, and its parents are in Sales"):
        check_waiting(scenario)
