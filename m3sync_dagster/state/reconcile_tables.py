"""The two sides of a reconciliation in PostgreSQL, and what a repair does about differences."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec
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

_TYPES = ("text", "text", "bool", "bool", "bytea", "bool", "text[]")


class PostgresReconciliation:
    """A ``Reconciliation`` in temporary tables, which no other session sees.

    Comparing writes to temporary tables only. ``withdraw_fingerprints`` and ``record_removal``
    write to the schema ``m3sync``: their caller holds the integration's lock.

    Args:
        connection: the connection whose temporary tables are used; it serves one comparison at a
            time.
        integration, entity: whose records are compared.
    """

    def __init__(self, connection: psycopg.Connection, integration: str, entity: str) -> None:
        self._connection = connection
        self._key: dict[str, object] = {"integration": integration, "entity": entity}

    def begin(self, salesforce_org_id: str) -> None:
        """Start with both sides empty; rows synced to other orgs are ignored."""
        self._key["salesforce_org_id"] = salesforce_org_id
        self._connection.execute(sql.BEGIN)
        self._key["began"] = self._one(sql.NOW)

    def add_salesforce(self, rows: Sequence[SalesforceRecord]) -> None:
        """Add records of Salesforce."""
        with self._connection.cursor() as cursor, cursor.copy(sql.COPY_SALESFORCE) as copy:
            copy.set_types(_TYPES)
            for row in rows:
                copy.write_row(
                    (
                        row.m3ter_id,
                        row.salesforce_id,
                        row.in_scope,
                        row.flagged,
                        row.payload,
                        row.external_id_changed,
                        list(row.empty),
                    )
                )

    def add_m3ter(self, rows: Sequence[M3terRecord]) -> None:
        """Add records of m3ter. A record that is added again replaces the earlier one."""
        self._connection.execute(
            sql.ADD_M3TER,
            self._key
            | {
                "ids": [row.m3ter_id for row in rows],
                "fingerprints": [row.fingerprint for row in rows],
                "payloads": [row.payload for row in rows],
                "final": [row.final for row in rows],
                "filled": [_json(row.filled) for row in rows],
            },
        )

    def missing_ids(self, size: int) -> Iterator[list[str]]:
        """Yield the ids that only m3ter has, ``size`` at a time."""
        return self._stream(sql.MISSING_IDS, size)

    def match_by_salesforce_id(self) -> None:
        """Give records whose external ID was edited the m3ter id under which they were synced.

        They are recognized by their Salesforce Id. A record whose external ID is the id of another
        record of m3ter keeps it.
        """
        self._connection.execute(sql.ANALYZE)
        self._connection.execute(sql.MATCH_BY_SALESFORCE_ID, self._key)

    def missing_salesforce_ids(self, size: int) -> Iterator[list[str]]:
        """Yield the Salesforce Ids that the records of ``missing_ids`` were synced to."""
        return self._stream(sql.MISSING_SALESFORCE_IDS, size)

    def m3ter_ids_of_missing(self, salesforce_ids: Sequence[str]) -> dict[str, str]:
        """Return those that ``missing_salesforce_ids`` yields, with the m3ter id of each."""
        given = self._key | {"ids": list(salesforce_ids)}
        return dict(self._connection.execute(sql.M3TER_IDS_OF_MISSING, given).fetchall())

    def _stream(self, query: str, size: int) -> Iterator[list[str]]:
        self._connection.execute(sql.ANALYZE)
        # The cursor outlives its transaction, because the caller queries Salesforce in between.
        with self._connection.cursor("stream", withhold=True) as cursor:
            cursor.execute(query, self._key)
            while found := cursor.fetchmany(size):
                yield [identity for (identity,) in found]

    def ids_in_m3ter(self, ids: Sequence[str]) -> set[str]:
        """Return those of these ids that m3ter has."""
        found = self._connection.execute(sql.IDS_IN_M3TER, {"ids": list(ids)})
        return {m3ter_id for (m3ter_id,) in found}

    def remove_salesforce(self, salesforce_ids: Sequence[str]) -> None:
        """Remove records from Salesforce's side again."""
        self._connection.execute(sql.REMOVE_SALESFORCE, {"ids": list(salesforce_ids)})

    def compare(self) -> DiffCounts:
        """Compare both sides; call it again after more records were added."""
        self._connection.execute(sql.ANALYZE)
        self._connection.execute(sql.DROP_DIFFERENCES)
        self._connection.execute(sql.COMPARE, self._key)
        self._connection.execute(sql.DROP_OTHERS, self._key)
        with self._connection.cursor(row_factory=class_row(DiffCounts)) as cursor:
            return cursor.execute(sql.COUNT_DIFFERENCES).fetchone() or DiffCounts()

    def extra_records(self, ids: Sequence[str]) -> dict[str, str]:
        """Return those of these ids that are only in Salesforce, with the Salesforce Id of each."""
        return dict(self._connection.execute(sql.EXTRA_RECORDS, {"ids": list(ids)}).fetchall())

    def differences(self, most: int) -> list[Difference]:
        """Return the first records that differ, at most ``most`` of each kind."""
        with self._connection.cursor(row_factory=class_row(Difference)) as cursor:
            return cursor.execute(sql.DIFFERENCES, {"most": most}).fetchall()

    def withdraw_fingerprints(self) -> int:
        """Withdraw the fingerprints of missing and changed records, and return their number.

        The next run then sends these rows.
        """
        return self._connection.execute(sql.WITHDRAW_FINGERPRINTS, self._key).rowcount

    def count_repaired(self) -> int:
        """Count the rows that differed and that Salesforce has acknowledged since ``begin``."""
        return int(self._one(sql.COUNT_REPAIRED))

    def changed_external_ids(self, size: int) -> Iterator[list[SyncedRecord]]:
        """Yield the records whose external ID is not m3ter's id, ``size`` at a time."""
        return self._read_synced(sql.CHANGED_EXTERNAL_IDS, size)

    def record_restored(self, ids: Sequence[str]) -> None:
        """Note that records have their m3ter ids as external IDs again."""
        self._connection.execute(sql.RECORD_RESTORED, {"ids": list(ids)})

    def deleted_in_m3ter(self, size: int) -> Iterator[list[SyncedRecord]]:
        """Yield the records that m3ter no longer has, ``size`` at a time."""
        return self._read_synced(sql.DELETED_IN_M3TER, size)

    def _read_synced(self, query: str, size: int) -> Iterator[list[SyncedRecord]]:
        after = ""
        with self._connection.cursor(row_factory=class_row(SyncedRecord)) as cursor:
            while found := cursor.execute(query, {"after": after, "size": size}).fetchall():
                yield found
                after = found[-1].m3ter_id

    def record_removal(self, rows: Sequence[SyncedRecord], action: WhenGone, run_id: str) -> None:
        """Record what was flagged or deleted; it is no longer an acknowledged row."""
        ids = {"ids": [row.m3ter_id for row in rows]}
        removal = {"salesforce_ids": [row.salesforce_id for row in rows], "action": action.value}
        given = self._key | ids | removal | {"run_id": run_id}
        with self._connection.transaction():
            for query in (sql.DELETE_SYNCED, sql.RECORD_REMOVAL, sql.RECORD_SENT):
                self._connection.execute(query, given)

    def has_deleted(self) -> bool:
        """Whether this integration has deleted records of this entity before."""
        return bool(self._one(sql.HAS_DELETED))

    def _one(self, query: str) -> Any:  # noqa: ANN401 - the type depends on the query
        [(found,)] = self._connection.execute(query, self._key)
        return found


def _json(filled: Mapping[str, str | bool | float]) -> str:
    """Values as ``jsonb`` can store them: without the NUL character."""
    return msgspec.json.encode(filled).decode().replace("\\u0000", "\\ufffd")
