"""The two sides of a reconciliation in PostgreSQL, and what a repair does about differences."""

from collections.abc import Iterator, Sequence
from typing import Any

import psycopg
from psycopg.rows import class_row

from m3sync_dagster.state import _reconcile_sql as sql
from m3sync_dagster.sync.entity_options import WhenGone
from m3sync_dagster.sync.reconcile_types import (
    DiffCounts,
    Difference,
    M3terRecord,
    SalesforceRecord,
    SyncedRecord,
)

_TYPES = ("text", "text", "bool", "bool", "bytea", "bool")


class PostgresReconciliation:
    """A ``Reconciliation`` in temporary tables, which nobody else sees.

    Comparing writes nothing that lasts. ``forget`` and ``removed`` do: whoever calls them holds
    the integration's lock.

    Args:
        connection: the connection whose temporary tables are used; it serves one comparison at a
            time.
        integration, entity: whose records are compared.
    """

    def __init__(self, connection: psycopg.Connection, integration: str, entity: str) -> None:
        self._connection = connection
        self._key: dict[str, Any] = {"integration": integration, "entity": entity}

    def begin(self, salesforce_org_id: str) -> None:
        """Start with nothing on either side; what is stored of other orgs does not count."""
        self._key["salesforce_org_id"] = salesforce_org_id
        self._connection.execute(sql.BEGIN)
        self._key["began"] = self._one(sql.NOW)

    def hold(self, rows: Sequence[SalesforceRecord]) -> None:
        """Put down records of Salesforce."""
        with self._connection.cursor() as cursor, cursor.copy(sql.HOLD) as copy:
            copy.set_types(_TYPES)
            for row in rows:
                copy.write_row(
                    (
                        row.m3ter_id,
                        row.salesforce_id,
                        row.in_scope,
                        row.flagged,
                        row.payload,
                        row.displaced,
                    )
                )

    def want(self, rows: Sequence[M3terRecord]) -> None:
        """Put down records of m3ter. One that comes again takes the later row."""
        self._connection.execute(
            sql.WANT,
            self._key
            | {
                "ids": [row.m3ter_id for row in rows],
                "fingerprints": [row.fingerprint for row in rows],
                "payloads": [row.payload for row in rows],
                "settled": [row.settled for row in rows],
            },
        )

    def unheld(self, size: int) -> Iterator[list[str]]:
        """Give the ids that only m3ter's side has, so many at a time."""
        return self._stream(sql.UNHELD, size)

    def displace(self) -> None:
        """Take records that go by another external ID for those that this integration has written.

        Those whose external ID is of a record on m3ter's side stay what they are.
        """
        self._connection.execute(sql.ANALYZE)
        self._connection.execute(sql.DISPLACE, self._key)

    def lost(self, size: int) -> Iterator[list[str]]:
        """Give the Salesforce Ids that those of ``unheld`` had when they were written."""
        return self._stream(sql.LOST, size)

    def lost_among(self, salesforce_ids: Sequence[str]) -> dict[str, str]:
        """Tell which of these are such Ids, and the m3ter id of each."""
        given = self._key | {"ids": list(salesforce_ids)}
        return dict(self._connection.execute(sql.LOST_AMONG, given).fetchall())

    def _stream(self, query: str, size: int) -> Iterator[list[str]]:
        self._connection.execute(sql.ANALYZE)
        # Held beyond its transaction: whoever reads this asks Salesforce in between.
        with self._connection.cursor("stream", withhold=True) as cursor:
            cursor.execute(query, self._key)
            while found := cursor.fetchmany(size):
                yield [identity for (identity,) in found]

    def wants(self, ids: Sequence[str]) -> set[str]:
        """Tell which of these ids m3ter's side has."""
        found = self._connection.execute(sql.WANTS, {"ids": list(ids)})
        return {m3ter_id for (m3ter_id,) in found}

    def let_go(self, salesforce_ids: Sequence[str]) -> None:
        """Take records off Salesforce's side again."""
        self._connection.execute(sql.LET_GO, {"ids": list(salesforce_ids)})

    def compare(self) -> DiffCounts:
        """Compare; again after more has been put down."""
        self._connection.execute(sql.ANALYZE)
        self._connection.execute(sql.DROP_DIFFERENCES)
        self._connection.execute(sql.COMPARE, self._key)
        self._connection.execute(sql.DROP_OTHERS, self._key)
        with self._connection.cursor(row_factory=class_row(DiffCounts)) as cursor:
            return cursor.execute(sql.TALLY).fetchone() or DiffCounts()

    def extras(self, ids: Sequence[str]) -> dict[str, str]:
        """Tell which of these ids were found extra, and the Salesforce Id of each."""
        return dict(self._connection.execute(sql.EXTRAS, {"ids": list(ids)}).fetchall())

    def differences(self, most: int) -> list[Difference]:
        """Give the first records that differ, of each kind up to so many."""
        with self._connection.cursor(row_factory=class_row(Difference)) as cursor:
            return cursor.execute(sql.DIFFERENCES, {"most": most}).fetchall()

    def forget(self) -> int:
        """Withdraw the fingerprints of what is missing or changed, and tell how many.

        The next run then sends these rows.
        """
        return self._connection.execute(sql.FORGET, self._key).rowcount

    def mended(self) -> int:
        """Tell how many rows that differed Salesforce has acknowledged since ``begin``."""
        return int(self._one(sql.MENDED))

    def displaced(self, size: int) -> Iterator[list[SyncedRecord]]:
        """Give the records that go by another external ID than m3ter's id, so many at a time."""
        return self._known(sql.DISPLACED, size)

    def replaced(self, ids: Sequence[str]) -> None:
        """Note that records go by their m3ter ids again."""
        self._connection.execute(sql.REPLACED, {"ids": list(ids)})

    def gone(self, size: int) -> Iterator[list[SyncedRecord]]:
        """Give the records that m3ter no longer has, so many at a time."""
        return self._known(sql.GONE, size)

    def _known(self, query: str, size: int) -> Iterator[list[SyncedRecord]]:
        after = ""
        with self._connection.cursor(row_factory=class_row(SyncedRecord)) as cursor:
            while found := cursor.execute(query, {"after": after, "size": size}).fetchall():
                yield found
                after = found[-1].m3ter_id

    def removed(self, rows: Sequence[SyncedRecord], action: WhenGone, run_id: str) -> None:
        """Write down what was flagged or deleted; it is no longer an acknowledged row."""
        ids = {"ids": [row.m3ter_id for row in rows]}
        told = {"salesforce_ids": [row.salesforce_id for row in rows], "action": action.value}
        with self._connection.transaction():
            self._connection.execute(sql.FORGET_GONE, self._key | ids)
            self._connection.execute(sql.REMOVED, self._key | ids | told | {"run_id": run_id})

    def has_deleted(self) -> bool:
        """Whether this integration has deleted records of this entity before."""
        return bool(self._one(sql.EVER_DELETED))

    def _one(self, query: str) -> Any:  # noqa: ANN401 - whatever the query gives
        (found,) = self._connection.execute(query, self._key).fetchone() or (None,)
        return found
