"""State to be purged: rows of any age, and all that an integration leaves."""

from typing import Any

import psycopg
from psycopg import sql

from m3sync_dagster.state import PostgresLedger
from m3sync_dagster.sync.fingerprint_basis import BasisChange, FingerprintBasis
from m3sync_dagster.sync.row_results import Acknowledged
from m3sync_dagster.sync.row_types import RecordHash, Row, StagedRow


def insert(connection: psycopg.Connection, table: str, **values: object) -> None:
    """Write a row. A number of hours under the name of a time is how long ago that was."""
    ago = {name: sql.SQL("now() - {} * interval '1 hour'") for name in values if _is_time(name)}
    columns = sql.SQL(", ").join(map(sql.Identifier, values))
    given = [
        ago[name].format(sql.Literal(value)) if name in ago else sql.Literal(value)
        for name, value in values.items()
    ]
    connection.execute(
        sql.SQL("INSERT INTO m3sync.{} ({}) VALUES ({})").format(
            sql.Identifier(table), columns, sql.SQL(", ").join(given)
        )
    )


def _is_time(name: str) -> bool:
    return name.endswith(("_at", "_since", "time", "actioned"))


ROWS: dict[str, dict[str, object]] = {
    "ingest_job": {
        "integration": "acme",
        "entity": "account",
        "object": "A__c",
        "rows": 1,
        "sha256": "",
        "run_id": "r",
    },
    "integration_event": {"integration": "acme", "name": "x", "message": "", "remedy": ""},
    "notice": {"integration": "acme", "target": "dagster", "content": "{}"},
    "credential_login": {"identity": "digest"},
    "describe_cache": {"asked_by": "us", "body": b"{}", "last_modified": ""},
    "removed_record": {
        "integration": "acme",
        "entity": "account",
        "salesforce_id": "a01",
        "run_id": "r",
    },
}
"""A row of each table that has a window, but for its times and its key."""
KEYS = {
    "ingest_job": "job_id",
    "integration_event": "run_id",
    "notice": "change",
    "credential_login": "credential",
    "describe_cache": "object",
    "removed_record": "m3ter_id",
}


_NOT_A_PARTITION = (
    "table_schema = 'm3sync' AND NOT (SELECT relispartition FROM pg_class "
    "WHERE oid = format('%I.%I', table_schema, table_name)::regclass)"
)


def keys(connection: psycopg.Connection, table: str) -> list[str]:
    query = sql.SQL("SELECT {} FROM m3sync.{} ORDER BY 1").format(
        sql.Identifier(KEYS[table]), sql.Identifier(table)
    )
    return [key for (key,) in connection.execute(query)]


def staged(m3ter_id: str) -> StagedRow:
    return StagedRow(RecordHash(m3ter_id, b"f", m3ter_id.encode()), Row(m3ter_id, ["x"]), 0)


def write_state(connection: psycopg.Connection, integration: str) -> PostgresLedger:
    """Everything that a living integration needs, all of it old."""
    ledger = PostgresLedger(connection, integration, "account", "run")
    ledger.set_basis(FingerprintBasis("00D", "org", "A__c", "Id__c"), BasisChange.UNKNOWN)
    ledger.keep_history(["Name"], [])
    ledger.clear()
    ledger.stage([staged("a"), staged("b"), staged("c")])
    ledger.record([Acknowledged("a", "a01", created=True)])
    ledger.record_job_requested("A__c", 1, "")
    ledger.record_job_created(f"750-{integration}", "A__c", 2, "")
    ledger.record_job_requested("A__c", 1, "")
    insert(connection, "integration_state", integration=integration, count_from=7, notified_level=0)
    insert(
        connection,
        "rejected_record",
        integration=integration,
        entity="account",
        m3ter_id="r",
        **{"class": "permanent"},
        code="X",
        message="",
        fields=[],
        run_id="run",
    )
    age(connection)
    return ledger


def age(connection: psycopg.Connection, days: int = 10_000) -> None:
    """Make all that is on record older."""
    found = connection.execute(
        "SELECT table_name, column_name FROM information_schema.columns "  # noqa: S608 - constants
        f"WHERE {_NOT_A_PARTITION} AND data_type = 'timestamp with time zone'"
    ).fetchall()
    for table, column in found:
        connection.execute(
            sql.SQL("UPDATE m3sync.{0} SET {1} = {1} - make_interval(days => {2})").format(
                sql.Identifier(table), sql.Identifier(column), sql.Literal(days)
            )
        )


def all_rows(connection: psycopg.Connection, integration: str) -> dict[str, list[Any]]:
    found = connection.execute(
        "SELECT table_name FROM information_schema.columns "  # noqa: S608 - constants
        f"WHERE {_NOT_A_PARTITION} AND column_name = 'integration'"
    ).fetchall()
    rows = {}
    for (table,) in found:
        query = sql.SQL("SELECT * FROM m3sync.{} WHERE integration = %s").format(
            sql.Identifier(table)
        )
        if held := connection.execute(query, (integration,)).fetchall():
            rows[table] = held
    return rows
