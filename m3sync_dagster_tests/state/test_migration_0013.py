"""The history of what was sent, in a database in which it was not kept."""

from pathlib import Path

from m3sync_dagster.state import (
    PostgresLedger,
    connect,
    migrate,
    read_sent_changes,
    read_synced_row,
)
from m3sync_dagster.sync.row_results import Acknowledged
from m3sync_dagster.sync.row_types import RecordHash, Row, StagedRow

BEFORE = "0012"
RECORD = ("acme", "account", "025b413f-8a9a-421e-a648-a7dd06839eb9")


def test_what_was_sent_before_is_not_known(empty_postgres_url: str) -> None:
    dump = Path(__file__).parent / "dumps" / f"{BEFORE}.sql"
    with connect(empty_postgres_url) as connection:
        connection.execute(dump.read_text())
    migrate(empty_postgres_url)
    with connect(empty_postgres_url) as connection:
        assert read_sent_changes(connection, *RECORD) == []
        known = read_synced_row(connection, *RECORD)
        assert known
        ledger = PostgresLedger(connection, "acme", "account", "run")
        ledger.keep_history(["Name", "Code__c"], ["Code__c"]).delete_masked()
        for name in ("First", "Second"):
            digest = name.encode()
            seen = RecordHash(RECORD[2], digest, digest)
            ledger.stage([StagedRow(seen, Row(RECORD[2], [name, "X"]), 0)])
            ledger.record([Acknowledged(RECORD[2], known.salesforce_id, created=False)])
        second, first = read_sent_changes(connection, *RECORD)
    assert first.changes == {"Name": {"after": "First"}}
    assert second.changes == {"Name": {"before": "First", "after": "Second"}}
