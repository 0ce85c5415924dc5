"""The queries of ``docs/history.md``, each run on a history in which it finds something."""

from collections.abc import Iterator

import psycopg
import pytest

from m3sync_dagster.state import PostgresLedger, PostgresReconciliation, connect
from m3sync_dagster.sync.entity_options import WhenGone
from m3sync_dagster.sync.reconcile_types import SyncedRecord
from m3sync_dagster.sync.row_results import Acknowledged, ErrorClass, Rejected, RowResult
from m3sync_dagster.sync.row_types import RecordHash, Row, StagedRow
from m3sync_dagster_tests.conftest import ROOT
from m3sync_dagster_tests.docs.blocks import Block, blocks_of

RECORD = "0a1b2c3d-0000-4000-8000-000000000001"
RUN = "61ad90fb-14ce-4ea7-93b9-ebd160ae61be"
QUERIES = [b for b in blocks_of(ROOT / "docs" / "history.md") if b.language == "sql"]
FIELDS = ["Name", "Email_Address__c"]


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    """A history with each kind of row."""
    with connect(postgres_url) as connection:
        ledger = PostgresLedger(connection, "acme", "account", RUN)
        ledger.keep_history(FIELDS, [])
        rows: list[tuple[list[str | None], RowResult]] = [
            (["Acme", "a@acme.example"], Acknowledged(RECORD, "a01", created=True)),
            (["Acme GmbH", None], Acknowledged(RECORD, "a01", created=False)),
            (["Taken", None], Rejected(RECORD, ErrorClass.PERMANENT, "DUPLICATE_VALUE", "")),
        ]
        for values, result in rows:
            digest = repr(values).encode()
            ledger.stage([StagedRow(RecordHash(RECORD, digest, digest), Row(RECORD, [*values]), 0)])
            ledger.record([result])
        connection.execute("UPDATE m3sync.sent_change SET time = time - interval '1 hour'")
        records = PostgresReconciliation(connection, "acme", "account")
        records.record_removal([SyncedRecord(RECORD, "a01")], WhenGone.DELETE, RUN)
        yield connection


def test_there_is_a_query_for_each_of_ten_questions() -> None:
    assert len(QUERIES) >= 10


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_a_query_finds_what_it_asks_for(connection: psycopg.Connection, query: Block) -> None:
    assert connection.execute(query.text.encode()).fetchall()


@pytest.mark.parametrize(
    ("column", "row"),
    [
        ("AS after", ("Acme", "Acme GmbH")),
        ("AS since", ("Acme GmbH",)),
        ("'null'", (RECORD, "a@acme.example")),
    ],
)
def test_the_values_of_a_field(
    connection: psycopg.Connection, column: str, row: tuple[object, ...]
) -> None:
    (query,) = (one for one in QUERIES if column in one.text)
    (found,) = connection.execute(query.text.encode()).fetchall()
    assert set(row) <= set(found)
