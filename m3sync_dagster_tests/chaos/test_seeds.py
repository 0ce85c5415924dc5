"""The history of a seed, and the shortest one if it fails."""

import pytest

from m3sync_dagster.m3ter.source import PAGE_SIZE
from m3sync_dagster_tests.chaos.faults import IN_THIS_PROCESS, Answered, AtStep, Fault
from m3sync_dagster_tests.chaos.history import History, Record, histories
from m3sync_dagster_tests.chaos.try_seeds import history_of, try_seed
from m3sync_dagster_tests.model.ways import Undisturbed

HISTORIES = histories(IN_THIS_PROCESS, (4, 10))


def test_a_seed_has_always_the_same_history_and_another_seed_another_one() -> None:
    first, again, other = (history_of(number, HISTORIES) for number in (7, 7, 8))
    assert first == again
    assert first != other
    assert len(first.hours) >= 4


def test_a_failing_seed_is_cut_down_to_the_shortest_history_that_fails() -> None:
    failed: list[History] = []

    def play(history: History) -> None:
        changes = [change for hour in history.hours for change in hour.changes]
        moved = sum(isinstance(one, Record) and one.how == "move" for one in changes)
        if moved >= 2 and any(hour.full for hour in history.hours):
            failed.append(history)
            raise AssertionError("fails")

    with pytest.raises(AssertionError, match="fails") as caught:
        try_seed(12, HISTORIES, play)
    assert len(failed[0].hours) > len(failed[-1].hours)
    hours = failed[-1].hours
    moves = [one for hour in hours for one in hour.changes if isinstance(one, Record)]
    assert [one.how for one in moves] == ["move", "move"]
    assert {type(hour.fault) for hour in hours} == {Undisturbed}
    assert [hour.full for hour in hours].count(True) == 1
    said = "\n".join(caught.value.__notes__)
    assert str(failed[-1]) in said
    assert "make chaos HOURS=1 SEED=12" in said


def test_histories_take_changes_back_and_have_small_pages() -> None:
    drawn = [history_of(number, HISTORIES) for number in range(1, 31)]
    hours = [hour for history in drawn for hour in history.hours]
    taken_back = [one for one in hours if one.taken_back and one.quiet_next and not one.full]
    unrecorded = [one for one in taken_back if _ends_a_run(one.fault)]
    assert len(unrecorded) > len(drawn)
    assert {history.page for history in drawn} == {PAGE_SIZE, 1, 2}


def _ends_a_run(fault: Fault) -> bool:
    match fault:
        case AtStep(how="run killed at a step"):
            return True
        case Answered(times=12, how="cut after the server acted"):
            return True
    return False
