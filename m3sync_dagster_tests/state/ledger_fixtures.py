"""The ledger of one entity of one integration, and rows for it."""

from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest

from m3sync_dagster.state import PostgresLedger, connect
from m3sync_dagster.sync.row_results import Acknowledged
from m3sync_dagster.sync.row_types import RecordHash, Row, StagedRow


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with connect(postgres_url) as connection:
        yield connection


@pytest.fixture
def ledger(connection: psycopg.Connection) -> PostgresLedger:
    ledger = PostgresLedger(connection, "acme", "account", "run-1")
    ledger.clear()
    return ledger


def seen(m3ter_id: str, content: str = "v1") -> RecordHash:
    return RecordHash(m3ter_id, f"row {content}".encode(), f"json {m3ter_id} {content}".encode())


def staged(
    m3ter_id: str,
    content: str = "v1",
    *,
    group_key: int = 0,
    parent: str = "",
    sibling: str | None = None,
) -> StagedRow:
    row = Row(m3ter_id, [m3ter_id, Decimal("1.10"), None, True])
    return StagedRow(seen(m3ter_id, content), row, group_key, parent, sibling)


def acknowledge(ledger: PostgresLedger, *ids: str) -> None:
    ledger.record([Acknowledged(m3ter_id, f"a01{m3ter_id}", created=True) for m3ter_id in ids])
