"""The identity of the state database, also if its user may not read the server's."""

from dataclasses import replace

import psycopg

from m3sync_dagster.state import PostgresLedger, restored_integrations
from m3sync_dagster.state.database_identity import database_identity
from m3sync_dagster.sync.fingerprint_basis import BasisChange, FingerprintBasis
from m3sync_dagster_tests.state.ledger_fixtures import connection

__all__ = ["connection"]  # a fixture


def test_without_the_right_the_server_is_left_out(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        whole = database_identity(connection)
        connection.execute("REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC")
        connection.execute("CREATE ROLE reader")
        connection.execute("SET LOCAL ROLE reader")
        part = database_identity(connection)
        connection.rollback()
    assert (whole.count("/"), part.count("/")) == (3, 1)
    assert whole.endswith(f"/{part}")


def test_integrations_are_restored_until_a_run_has_written_to_this_database(
    connection: psycopg.Connection,
) -> None:
    ledgers = {
        name: PostgresLedger(connection, name, "account", "run") for name in ("b", "a", "here")
    }
    basis = FingerprintBasis("00D", "org", "A__c", "Id__c")
    for ledger in ledgers.values():
        ledger.set_basis(basis, BasisChange.UNKNOWN)
    assert restored_integrations(connection) == []
    connection.execute(
        "UPDATE m3sync.fingerprint_basis SET database_identity = 'x' WHERE integration <> 'here'"
    )
    assert restored_integrations(connection) == ["a", "b"]
    stored = {name: ledger.basis() for name, ledger in ledgers.items()}
    moved = replace(basis, restored=True)
    assert stored == {"a": moved, "b": moved, "here": basis}
    ledgers["a"].set_basis(basis, BasisChange.OTHER_DATABASE)
    assert restored_integrations(connection) == ["b"]
