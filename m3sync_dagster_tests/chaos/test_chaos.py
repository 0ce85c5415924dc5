"""Hours of a moving organization in which everything at the boundaries fails at some time.

By default some hours of always the same seeds are played. ``make chaos HOURS=200`` plays more, of
other seeds each time.
"""

import os
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import strategies as st

from m3sync_dagster_tests.chaos.disturbed_world import (
    DisturbedScenario,
    DisturbedWorld,
    disturbed_world,
)
from m3sync_dagster_tests.chaos.faults import BY_THE_DAEMON, IN_OWN_PROCESS, IN_THIS_PROCESS
from m3sync_dagster_tests.chaos.history import (
    SETTINGS_OF_A_PROCESS,
    History,
    Hour,
    Record,
    histories,
)
from m3sync_dagster_tests.chaos.play_history import Player
from m3sync_dagster_tests.chaos.run_by_daemon import scheduled
from m3sync_dagster_tests.chaos.run_commands import commands
from m3sync_dagster_tests.chaos.try_seeds import try_seed
from m3sync_dagster_tests.model import runs
from m3sync_dagster_tests.model.reference import ACCOUNT, FIRST_KEY, Settings

pytestmark = pytest.mark.slow

HOURS = int(os.environ.get("M3SYNC_CHAOS_HOURS") or 0)
"""How many hours to play; 0: those of every day."""
SEED = int(os.environ.get("M3SYNC_CHAOS_SEED") or (random.randrange(10**6) if HOURS else 1))  # noqa: S311 - no secret


@pytest.fixture(scope="module")
def disturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DisturbedWorld]:
    home = tmp_path_factory.mktemp("chaos")
    with pytest.MonkeyPatch.context() as patch, disturbed_world(home, patch) as made:
        yield made


def play_hours(
    player: Player,
    hours: int,
    possible: st.SearchStrategy[History],
    said: pytest.CaptureFixture[str],
) -> None:
    """Play the histories of one seed after the other until so many hours are played."""
    faults, number = player.disturbed.boundary.struck, SEED
    faults.clear()
    try:
        while player.summary.hours < hours:
            try_seed(number, possible, player.play)
            number += 1
    finally:
        with said.disabled():
            print(f"\nSeeds {SEED} to {number}. Repeat one with: make chaos HOURS=1 SEED={SEED}")
            print("\n".join(player.summary.lines(faults)))


def test_salesforce_equals_m3ter_after_each_quiet_hour(
    disturbed: DisturbedWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    possible = histories(IN_THIS_PROCESS, (4, 10))
    play_hours(Player(disturbed, runs.quick, settles=True), HOURS * 3 // 4 or 12, possible, capsys)


def test_it_does_so_when_the_processes_of_runs_are_struck(
    disturbed: DisturbedWorld, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    disturbed.world.enter(Settings())
    possible = histories(IN_OWN_PROCESS, (2, 5), SETTINGS_OF_A_PROCESS)
    with commands(tmp_path, disturbed) as run_once:
        play_hours(Player(disturbed, run_once), HOURS // 6 or 3, possible, capsys)


@pytest.mark.skipif(not HOURS, reason="make chaos runs it; live/ has daemons for every day")
def test_it_does_so_when_a_daemon_starts_the_runs(
    disturbed: DisturbedWorld, capsys: pytest.CaptureFixture[str]
) -> None:
    disturbed.world.enter(Settings())
    possible = histories(BY_THE_DAEMON, (2, 4), SETTINGS_OF_A_PROCESS)
    with scheduled(disturbed.home, disturbed) as run_once:
        play_hours(Player(disturbed, run_once), HOURS // 12 or 1, possible, capsys)


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
    hour = Hour([change], EditedUnseen(), taken_back=False, quiet_next=True, full=False)
    with pytest.raises(AssertionError, match=r"account a1 differs .*by hand"):
        player.play(History(2_000, [hour]))
    assert player.summary.quiet == 0
