"""What a run writes about its integration, next to the ledgers."""

import psycopg

from m3sync_dagster.state import (
    PostgresLedger,
    RunState,
    list_events,
    read_entity_syncs,
)
from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster_tests.state.ledger_fixtures import acknowledge, connection, ledger, seen, staged

__all__ = ["connection", "ledger"]  # fixtures


def test_all_fingerprints_are_withdrawn_once_in_a_run(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    ledger.stage([staged("a")])
    acknowledge(ledger, "a")
    run = RunState(connection, "acme")
    run.withdraw_all(["contract"], "run-2")
    assert ledger.acknowledged(["a"]) == {"a": seen("a").fingerprint}
    RunState(connection, "other").withdraw_all(["account"], "run-2")
    assert ledger.acknowledged(["a"]) == {"a": seen("a").fingerprint}
    full = RunState(connection, "acme")
    full.withdraw_all(["account", "contract"], "run-2")
    assert ledger.acknowledged(["a"]) == {"a": None}
    ledger.stage([staged("a")])
    acknowledge(ledger, "a")
    full.withdraw_all(["account"], "run-2")
    assert ledger.acknowledged(["a"]) == {"a": seen("a").fingerprint}


def test_a_ledger_writes_as_its_run(connection: psycopg.Connection) -> None:
    RunState(connection, "acme").ledger("account", "run-7").record_job_created("750", "A", 1, "x")
    query = "SELECT integration, entity, run_id FROM m3sync.ingest_job"
    assert connection.execute(query).fetchall() == [("acme", "account", "run-7")]


def test_a_complete_sync_is_recorded_and_closes_events(connection: psycopg.Connection) -> None:
    run = RunState(connection, "acme")

    def events() -> set[tuple[str | None, str | None, str]]:
        return {(one.entity, one.run_id, one.message) for one in list_events(connection, "acme")}

    run.event(None, "run-1", RemoteError("killed", "Wait."))
    run.event("account", "run-1", RemoteError("a lock", "Wait."))
    run.event("account", "run-0", RemoteError("a person", "Wait."), lasting=True)
    lasting = ("account", "run-0", "a person")
    assert events() == {(None, "run-1", "killed"), ("account", "run-1", "a lock"), lasting}
    run.synced("account", "run-2", (5, 1), ["account", "contract"])
    assert events() == {(None, "run-1", "killed"), lasting}
    run.synced("contract", "run-2", (7, 0), iter(["account", "contract"]))
    assert events() == {lasting}
    syncs = read_entity_syncs(connection)["acme"].values()
    assert {(one.entity, one.run_id, one.read, one.rejected) for one in syncs} == {
        ("account", "run-2", 5, 1),
        ("contract", "run-2", 7, 0),
    }
