from psycopg.pq import TransactionStatus

from m3sync_dagster.state import PostgresReconciliation, connect
from m3sync_dagster.sync.reconcile_types import M3terRecord


def test_no_transaction_is_open_while_salesforce_is_asked(postgres_url: str) -> None:
    """A server ends a transaction that is idle for long, and cannot clean up meanwhile."""
    ids = [f"id-{number}" for number in range(5)]
    with connect(postgres_url) as connection:
        tables = PostgresReconciliation(connection, "acme", "account")
        tables.begin("00D000000000001")
        tables.add_m3ter([M3terRecord(one, b"f", b"{}") for one in ids])
        seen = []
        for batch in tables.missing_ids(2):
            assert connection.info.transaction_status is TransactionStatus.IDLE
            assert len(batch) <= 2
            seen += batch
    assert sorted(seen) == ids
