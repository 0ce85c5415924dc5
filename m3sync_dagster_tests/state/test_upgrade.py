"""A database of an earlier version, dumped by ``pg_dump``, under this version of the program."""

from pathlib import Path

import psycopg
import pytest

from m3sync_dagster.state import (
    PostgresLedger,
    connect,
    migrate,
    read_guard_states,
)
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.fingerprint_basis import BasisChange, FingerprintBasis
from m3sync_dagster_tests.state.test_migrate import require_tables

DUMPS = sorted((Path(__file__).parent / "dumps").glob("*.sql"))
TABLES = {
    # Kept columns that people may query, of tables as they were in version 0005.
    "synced_record": "integration, entity, m3ter_id, fingerprint, digest, salesforce_id, run_id, "
    "synced_at",
    "rejected_record": "integration, entity, m3ter_id, class, code, message, fields, attempts, "
    "run_id, first_seen, last_seen, fingerprint, retry_at",
    "ingest_job": "job_id, integration, entity, object, rows, sha256, state, run_id, opened_at, "
    "ended_at",
    "integration_event": "id, name, time, integration, entity, run_id, message, remedy, actioned",
    "notice": "id, change, target, integration, content, created_at, attempts",
    "removed_record": "id, integration, entity, m3ter_id, salesforce_id, action, run_id",
}


@pytest.fixture(params=DUMPS, ids=lambda path: path.stem)
def old_database(request: pytest.FixtureRequest, empty_postgres_url: str) -> str:
    with psycopg.connect(empty_postgres_url, autocommit=True) as connection:
        connection.execute(request.param.read_text())
    return empty_postgres_url


def content(url: str) -> dict[str, list[tuple[object, ...]]]:
    with psycopg.connect(url) as connection:
        return {
            table: connection.execute(
                f"SELECT {columns} FROM m3sync.{table} ORDER BY 1, 2, 3"  # noqa: S608 - constants
            ).fetchall()
            for table, columns in TABLES.items()
        }


def test_an_older_database_is_refused_until_it_is_migrated(old_database: str) -> None:
    with pytest.raises(ConfigurationError, match="Run: m3sync migrate"):
        require_tables(old_database)
    migrate(old_database)
    require_tables(old_database)


def test_a_migration_keeps_every_row(old_database: str) -> None:
    before = content(old_database)
    assert all(before.values())
    migrate(old_database)
    assert content(old_database) == before


def test_a_migration_keeps_the_state_of_the_guard(old_database: str) -> None:
    migrate(old_database)
    with connect(old_database) as connection:
        states = read_guard_states(connection)
    assert {name: state.disabled_until for name, state in states.items()} == {"acme": None}
    assert states["acme"].notified_level == 5


def test_records_of_an_older_database_are_sent_once_and_keep_their_salesforce_ids(
    old_database: str,
) -> None:
    migrate(old_database)
    with connect(old_database) as connection:
        ledger = PostgresLedger(connection, "acme", "account", "run")
        ids = {m3ter_id: key for page in ledger.synced_ids(100) for key, m3ter_id in page.items()}
        assert ids
        assert ledger.basis() is None
        assert [job.job_id for job in ledger.unfinished_jobs()] == ["750000000000001AAA"]
        basis = FingerprintBasis("00D000000000001", "org", "m3ter_Account__c", "m3ter_Id__c")
        ledger.set_basis(basis, BasisChange.UNKNOWN)
        assert ledger.acknowledged(list(ids)) == dict.fromkeys(ids)
        assert {key: i for page in ledger.synced_ids(9) for i, key in page.items()} == ids
