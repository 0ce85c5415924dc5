"""What a tick of the guard takes where nothing has changed: it comes every half minute."""

import pytest

from m3sync_dagster.guard import sensor as guard
from m3sync_dagster_tests.guard.fixtures import Fleet, Status, tick
from m3sync_dagster_tests.sql_statements import counted_statements

STATEMENTS, DAGSTER_STATEMENTS, CONNECTIONS = 23, 5, 1
"""For any number of integrations; see ``Statements``."""
DEARER = "A tick takes more than it should. If this is wanted, change the figures in this file."


def test_a_steady_tick_takes_few_statements(fleet: Fleet) -> None:
    for name in ("acme", "globex", "initech"):
        fleet.add(name)
        fleet.run(name, Status.SUCCESS)
    tick(fleet)  # which writes what is new
    with counted_statements() as found:
        tick(fleet)
    assert len(found.ours) <= STATEMENTS, (DEARER, found.ours)
    assert len(found.dagster) <= DAGSTER_STATEMENTS, (DEARER, found.dagster)
    assert found.connections <= CONNECTIONS, DEARER


@pytest.mark.slow
@pytest.mark.parametrize("failing", [0, 7])
def test_the_number_of_queries_is_the_same_for_one_and_for_many(fleet: Fleet, failing: int) -> None:
    fleet.add("integration_0")
    counts = []
    for number in range(1, 40):
        fleet.add(f"integration_{number}", started=False)
    for number in range(failing):
        fleet.fail(f"integration_{number}", 6)
    some = dict(list(fleet.watched.items())[:1])
    guard.tick(fleet.instance, fleet.watched, "m3sync")  # what is new is told and written once
    for watched in (some, fleet.watched):
        with counted_statements() as found:
            guard.tick(fleet.instance, watched, "m3sync")
        counts.append(len(found.dagster))
    assert counts[0] == counts[1]


@pytest.mark.slow
def test_the_runs_of_many_late_integrations_are_found_by_one_query(fleet: Fleet) -> None:
    asked_for_runs = []
    for names in (["a"], ["b", "c", "d", "e"]):
        fleet.watched.clear()
        for name in names:
            fleet.add(name)
            fleet.fail(name)
        tick(fleet)  # which records the failures
        fleet.let_be_late()
        with counted_statements() as found:
            lines = tick(fleet)
        assert all(f"{name}: late" in lines for name in names)
        asked_for_runs.append(sum("FROM runs" in query for query in found.dagster))
    assert asked_for_runs[0] == asked_for_runs[1]
