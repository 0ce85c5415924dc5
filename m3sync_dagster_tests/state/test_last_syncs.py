import psycopg

from m3sync_dagster.state import read_entity_syncs, record_entity_sync
from m3sync_dagster_tests.state.ledger_fixtures import connection

__all__ = ["connection"]  # a fixture


def test_the_last_complete_sync_of_each_entity_is_kept(connection: psycopg.Connection) -> None:
    assert read_entity_syncs(connection) == {}
    record_entity_sync(connection, "acme", "account", "run-1", (100, 4))
    first = read_entity_syncs(connection)["acme"]["account"]
    record_entity_sync(connection, "acme", "account", "run-2", (101, 5))
    record_entity_sync(connection, "acme", "contract", "run-2", (7, 0))
    record_entity_sync(connection, "other", "account", "run-3", (1, 1))
    found = read_entity_syncs(connection)
    counts = {
        (one.integration, one.entity): (one.run_id, one.read, one.rejected)
        for syncs in found.values()
        for one in syncs.values()
    }
    assert counts == {
        ("acme", "account"): ("run-2", 101, 5),
        ("acme", "contract"): ("run-2", 7, 0),
        ("other", "account"): ("run-3", 1, 1),
    }
    assert found["acme"]["account"].ended_at > first.ended_at
