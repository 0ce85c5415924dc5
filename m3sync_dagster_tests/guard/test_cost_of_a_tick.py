"""What a tick of the guard takes where nothing has changed: it comes every half minute."""

from m3sync_dagster_tests.guard.fixtures import Fleet, Status, tick
from m3sync_dagster_tests.sql_statements import counted_statements

STATEMENTS, DAGSTER_STATEMENTS, CONNECTIONS = 23, 5, 2
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
