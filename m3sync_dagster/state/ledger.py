"""The ledger in PostgreSQL: acknowledged rows, staged rows, rejects and ingest jobs.

Every statement handles a batch, and only one entity of one integration.
"""

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from typing import Any

import msgspec
import psycopg

from m3sync_dagster.state import _ledger_sql as sql
from m3sync_dagster.state.database_identity import database_identity
from m3sync_dagster.state.record_matches import PostgresRecordMatches
from m3sync_dagster.state.reject_values import reject_values
from m3sync_dagster.state.sent_changes import SentChanges
from m3sync_dagster.sync.fingerprint_basis import BasisChange, FingerprintBasis
from m3sync_dagster.sync.row_results import (
    Acknowledged,
    ErrorClass,
    Rejected,
    RowResult,
)
from m3sync_dagster.sync.row_types import (
    RecordHash,
    ReplacedRecord,
    Row,
    StagedRow,
    UnfinishedJob,
    Value,
)
from m3sync_dagster.sync.salesforce_schema import Organization

_ENCODE = msgspec.json.Encoder(decimal_format="number").encode
_DECODE = msgspec.json.Decoder(float_hook=Decimal).decode

MANY = 1_000
"""Written rows after which a table is analyzed, a growing one during the first load too.

Until then, PostgreSQL may plan a full scan for each batch, because it still assumes an empty table:
minutes instead of a second. Autovacuum analyzes it up to a minute later.
Source: PostgreSQL documentation, "Populating a Database", "Run ANALYZE Afterwards".
"""
_SEPARATOR = "\x1f"  # no m3ter id contains it


class PostgresLedger:
    """A ``Ledger`` in the schema ``m3sync``.

    Args:
        connection: the connection to write with, which holds the integration's lock.
        integration, entity: the owner of the state.
        run_id: the Dagster run that writes.
    """

    def __init__(
        self, connection: psycopg.Connection, integration: str, entity: str, run_id: str
    ) -> None:
        self._connection = connection
        self._key = {"integration": integration, "entity": entity, "run_id": run_id}
        self._not_analyzed: Counter[str] = Counter()
        self._is_synced_analyzed = False
        self._history: SentChanges | None = None

    def keep_history(self, fields: Sequence[str], masked: Collection[str]) -> SentChanges:
        """Record what is sent from now on; see ``SentChanges``."""
        self._history = SentChanges(self._connection, self._key, fields, masked)
        return self._history

    def matches(self) -> PostgresRecordMatches:
        """The records of the staged rows; none are known yet."""
        return PostgresRecordMatches(self._connection, self._key)

    def basis(self) -> FingerprintBasis | None:
        """The basis of the stored fingerprints; ``None`` if none is stored."""
        identity = database_identity(self._connection)
        found = self._execute(sql.BASIS, database_identity=identity).fetchone()
        return FingerprintBasis(*found) if found else None

    def set_basis(
        self, basis: FingerprintBasis, change: BasisChange, organization: Organization | None = None
    ) -> None:
        """Store the basis of fingerprints, and withdraw those of another basis."""
        with self._connection.transaction():
            self._execute(sql.DELETE_ALL_STAGED)
            self._execute(sql.END_PAUSES)
            other_place = change is BasisChange.OTHER_PLACE
            self._execute(sql.DELETE_ALL_SYNCED if other_place else sql.WITHDRAW_ALL)
            self._execute(
                sql.SET_BASIS,
                salesforce_org_id=basis.salesforce_org_id,
                m3ter_org_id=basis.m3ter_org_id,
                object=basis.object_name,
                external_id_field=basis.external_id_field,
                database_identity=database_identity(self._connection),
                org_name=organization.name if organization else None,
                is_sandbox=organization.is_sandbox if organization else None,
            )

    def withdraw_all(self) -> None:
        """Withdraw every fingerprint of the entity, and end the pauses of its rejected rows."""
        with self._connection.transaction():
            self._execute(sql.WITHDRAW_ALL)
            self._execute(sql.END_PAUSES)

    def withdraw(self, ids: Sequence[str]) -> None:
        """Withdraw the fingerprints of these records, so that the next run sends them."""
        self._execute(sql.WITHDRAW, ids=list(ids))

    def delete_synced(self, ids: Sequence[str]) -> None:
        """Delete the stored state of these records: they are no longer in Salesforce."""
        self._execute(sql.DELETE_SYNCED, ids=list(ids))

    def synced_ids(self, size: int) -> Iterator[dict[str, str]]:
        """Yield the m3ter ids of the records in Salesforce by Salesforce Id, ``size`` at a time."""
        after = ""
        while found := self._execute(sql.SYNCED_IDS, after=after, size=size).fetchall():
            yield dict(found)
            after = found[-1][1]

    def has_cut_rows(self) -> bool:
        """Whether a synced row has a text that was cut to its field's length."""
        return bool(self._one(sql.HAS_CUT_ROWS))

    def clear(self) -> None:
        """Delete the rows that an earlier run left staged."""
        self._execute(sql.DELETE_ALL_STAGED)

    def unknown_digests(self, digests: Sequence[bytes]) -> list[int]:
        """Return the positions of the JSON texts that do not belong to acknowledged rows."""
        return [place for (place,) in self._execute(sql.UNKNOWN_DIGESTS, digests=list(digests))]

    def acknowledged(self, ids: Sequence[str]) -> dict[str, bytes | None]:
        """Return the fingerprints of the records that are in Salesforce, by m3ter id."""
        return dict(self._execute(sql.ACKNOWLEDGED, ids=list(ids)).fetchall())

    def count_in_salesforce(self) -> int:
        """Count the records that are in Salesforce, whatever is known of their values."""
        return int(self._one(sql.COUNT_IN_SALESFORCE))

    def salesforce_ids(self, ids: Sequence[str]) -> dict[str, str]:
        """Return the Salesforce Ids of those of these records that are in Salesforce."""
        return dict(self._execute(sql.SALESFORCE_IDS, ids=list(ids)).fetchall())

    def confirm(self, seen: Sequence[RecordHash]) -> None:
        """Store the digests of JSON texts whose rows are equal to the acknowledged ones."""
        if seen:
            self._execute(sql.CONFIRM, **_hashes(seen), digests=[one.digest for one in seen])

    def paused(self, seen: Sequence[RecordHash]) -> list[Rejected]:
        """Return the rejects whose row is unchanged and whose next attempt is not due."""
        found = self._execute(sql.PAUSED, **_hashes(seen)) if seen else ()
        return [
            Rejected(m3ter_id, ErrorClass(error_class), code, message, tuple(fields))
            for m3ter_id, error_class, code, message, fields in found
        ]

    def without_record(self, entity: str, ids: Sequence[str]) -> set[str]:
        """Return those of these records that may only update a Salesforce record, and have none."""
        found = self._execute(sql.WITHOUT_RECORD, parent_entity=entity, ids=list(ids))
        return {m3ter_id for (m3ter_id,) in found}

    def keep_paused(self, rejected: Sequence[Rejected]) -> None:
        """Record that this run has read these paused records, so that they stay rejected."""
        if rejected:
            self._execute(sql.KEEP_PAUSED, ids=[one.m3ter_id for one in rejected])

    def stage(self, rows: Sequence[StagedRow]) -> None:
        """Store rows to send, and withdraw their records' fingerprints, in one transaction."""
        if not rows:
            return
        self._not_analyzed["outgoing_record"] += len(rows)
        self._execute(
            sql.STAGE,
            **_hashes([staged.seen for staged in rows]),
            digests=[staged.seen.digest for staged in rows],
            group_keys=[staged.group_key for staged in rows],
            parents=[staged.parent for staged in rows],
            siblings=[staged.sibling for staged in rows],
            payloads=[_ENCODE(staged.row.values) for staged in rows],
            pointers=[_SEPARATOR.join(staged.parents) for staged in rows],
            cuts=[staged.row.cut for staged in rows],
        )

    def ready(self, *, all_rows: bool) -> list[tuple[int, int]]:
        """Return the group keys of staged rows that can be sent next, with their row counts."""
        self._analyze("outgoing_record")
        return self._execute(sql.READY if all_rows else sql.READY_LEVEL).fetchall()

    def staged(self, group_keys: Sequence[int], *, all_rows: bool) -> Iterator[Row]:
        """Read the staged rows of these groups, sorted by parent.

        The cursor outlives its transaction, so none is open while Salesforce is asked.
        """
        query = sql.STAGED if all_rows else sql.STAGED_LEVEL
        with self._connection.cursor("staged", binary=True, withhold=True) as cursor:
            cursor.itersize = 1_000
            cursor.execute(query, self._key | {"group_keys": list(group_keys)})
            for m3ter_id, payload in cursor:
                yield Row(m3ter_id, _DECODE(payload))

    def staged_values(self, ids: Sequence[str]) -> dict[str, list[Value]]:
        """Return the values of the staged rows of these records, by m3ter id."""
        found = self._execute(sql.STAGED_VALUES, ids=list(ids))
        return {m3ter_id: _DECODE(payload) for m3ter_id, payload in found}

    def synced_parents(
        self, ids: Sequence[str], entities: Sequence[str]
    ) -> list[tuple[str, str, str]]:
        """Return the parents of staged rows that earlier runs have synced to Salesforce."""
        found = self._execute(sql.SYNCED_PARENTS, ids=list(ids), entities=list(entities))
        return found.fetchall()

    def record(self, results: Sequence[RowResult]) -> list[ReplacedRecord]:
        """Store results of rows in one transaction, and delete these rows from the staged ones."""
        acknowledged = [result for result in results if isinstance(result, Acknowledged)]
        rejected = [result for result in results if isinstance(result, Rejected)]
        with self._connection.transaction():
            if self._history:
                self._history.record(results)
            replaced = self._record_acknowledged(acknowledged) if acknowledged else []
            if rejected:
                self._record_rejected(rejected)
        if not self._is_synced_analyzed:
            self._is_synced_analyzed = self._analyze("synced_record")
        return replaced

    def mark_rejects_stale(self) -> None:
        """Let ``delete_stale_rejects`` delete what is recorded so far, unless it is again."""
        self._execute(sql.MARK_STALE)

    def delete_stale_rejects(self) -> None:
        """Delete rejects that this run has not recorded again."""
        self._execute(sql.DELETE_STALE)
        self._analyze("synced_record")

    def record_job_requested(self, object_name: str, rows: int, sha256: str) -> None:
        """Record that an ingest job is about to be created."""
        self._execute(
            sql.JOB_REQUESTED,
            job_id=self._requested_job,
            object=object_name,
            rows=rows,
            sha256=sha256,
        )

    def record_job_created(self, job_id: str, object_name: str, rows: int, sha256: str) -> None:
        """Record the id of the created job, which replaces the requested one."""
        with self._connection.transaction():
            self._execute(sql.JOB_NOT_CREATED, job_id=self._requested_job)
            self._execute(
                sql.JOB_CREATED, job_id=job_id, object=object_name, rows=rows, sha256=sha256
            )

    def record_job_finished(self, job_id: str | None, state: str) -> None:
        """Record that all results of a job are stored, or that the requested job does not exist."""
        if job_id is None:
            self._execute(sql.JOB_NOT_CREATED, job_id=self._requested_job)
        else:
            self._execute(sql.JOB_FINISHED, job_id=job_id, state=state)

    def unknown_jobs(self, job_ids: Sequence[str]) -> list[str]:
        """Return those of these jobs that no integration has recorded."""
        return [job_id for (job_id,) in self._execute(sql.JOBS_UNKNOWN, job_ids=list(job_ids))]

    def is_other_job_requested(self, object_name: str) -> bool:
        """Whether another integration has requested a job on an object whose id is unknown."""
        found = self._execute(
            sql.OTHER_JOB_REQUESTED, object=object_name, job_id=self._requested_job
        )
        return any(requested for (requested,) in found)

    def unfinished_jobs(self) -> list[UnfinishedJob]:
        """Return the ingest jobs in this org whose results are not all recorded, oldest first."""
        return [
            UnfinishedJob(None if job_id == self._requested_job else job_id, *about)
            for job_id, *about in self._execute(sql.JOBS_UNFINISHED)
        ]

    @property
    def _requested_job(self) -> str:
        """The stored id of a job that has none yet; there is one such job at a time."""
        return f"announced for {self._key['integration']}.{self._key['entity']}"

    def _analyze(self, table: str) -> bool:
        """Analyze a table if many rows were written since the last time; gives whether it was."""
        if self._not_analyzed[table] < MANY:
            return False
        del self._not_analyzed[table]
        self._connection.execute(f"ANALYZE m3sync.{table}")
        return True

    def _record_acknowledged(self, rows: Sequence[Acknowledged]) -> list[ReplacedRecord]:
        self._not_analyzed["synced_record"] += len(rows)
        ids = [row.m3ter_id for row in rows]
        answered = {"ids": ids, "salesforce_ids": [row.salesforce_id for row in rows]}
        found = self._execute(sql.REPLACED, **answered).fetchall()
        if found:
            self._execute(sql.WITHDRAW_CHILDREN, ids=[m3ter_id for m3ter_id, _ in found])
        sent_fields = self._history.fields_id if self._history else None
        self._execute(sql.ACKNOWLEDGE, **answered, sent_fields=sent_fields)
        self._execute(sql.DELETE_STAGED, ids=ids)
        self._execute(sql.DELETE_REJECTS, ids=ids)
        return [ReplacedRecord(m3ter_id, _DECODE(payload)) for m3ter_id, payload in found]

    def _record_rejected(self, rejected: Sequence[Rejected]) -> None:
        with self._connection.cursor() as cursor:
            for query, staged in ((sql.REJECT_STAGED, True), (sql.REJECT_NOT_STAGED, False)):
                rows = [r for r in rejected if r.was_staged is staged]
                if rows:
                    cursor.executemany(query, [self._key | reject_values(row) for row in rows])
        if orphans := [r.m3ter_id for r in rejected if r.waits_for_parent]:
            self._execute(sql.WITHDRAW_PARENTS_ELSEWHERE, ids=orphans)
        ids = [row.m3ter_id for row in rejected]
        self._execute(sql.SET_RETRY_TIME, ids=ids)
        self._execute(sql.DELETE_STAGED, ids=ids)

    def _execute(self, query: str, **values: object) -> psycopg.Cursor:
        return self._connection.execute(query, self._key | values)

    def _one(self, query: str) -> Any:  # noqa: ANN401 - the type depends on the query
        [(found,)] = self._execute(query)
        return found


def _hashes(seen: Sequence[RecordHash]) -> dict[str, list[object]]:
    return {
        "ids": [one.m3ter_id for one in seen],
        "fingerprints": [one.fingerprint for one in seen],
    }
