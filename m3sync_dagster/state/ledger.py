"""The ledger in PostgreSQL: acknowledged rows, rows on their way, rejects and ingest jobs.

Every statement works on a batch at a time, and on one integration's one entity.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from decimal import Decimal

import msgspec
import psycopg

from m3sync_dagster.state import _ledger_sql as sql
from m3sync_dagster.state.database import connect
from m3sync_dagster.sync.interfaces import RecordHash, StagedRow, UnfinishedJob
from m3sync_dagster.sync.results import Acknowledged, ErrorClass, Rejected, Row, RowResult

_ENCODE = msgspec.json.Encoder(decimal_format="number").encode
_DECODE = msgspec.json.Decoder(float_hook=Decimal).decode

MANY = 1_000
"""Rows after which PostgreSQL is told to count a table again.

Until it has, it reads the whole of a table that it takes for empty, once for each batch: minutes
instead of a second. By itself it counts a minute later.
Source: PostgreSQL documentation, "Populating a Database", "Run ANALYZE Afterwards".
"""
LONGEST_MESSAGE = 2_000
"""Salesforce repeats the offending value in its message; this much of it is kept."""


class PostgresLedger:
    """A ``Ledger`` in the schema ``m3sync``.

    Args:
        url: PostgreSQL's address; rows are read over a connection of their own, since a cursor
            lives only as long as its transaction.
        connection: the connection to write with, which holds the integration's lock.
        integration, entity: whose state this is.
        run_id: the Dagster run that writes.
    """

    def __init__(
        self, url: str, connection: psycopg.Connection, integration: str, entity: str, run_id: str
    ) -> None:
        self._url = url
        self._connection = connection
        self._key = {"integration": integration, "entity": entity, "run_id": run_id}
        self._uncounted: Counter[str] = Counter()
        self._any_rest = False

    def clear(self) -> None:
        """Forget the rows that an earlier run left unsent."""
        self._connection.execute(sql.CLEAR, self._key)
        self._started = self._one(sql.NOW)
        self._any_rest = bool(self._one(sql.ANY_REST))

    def unseen(self, digests: Sequence[bytes]) -> list[int]:
        """Tell which JSON texts are not those of acknowledged rows, by their positions."""
        found = self._connection.execute(sql.UNSEEN, self._key | {"digests": list(digests)})
        return [place for (place,) in found]

    def acknowledged(self, ids: Sequence[str]) -> dict[str, bytes]:
        """Give the fingerprints of those records' acknowledged rows, by m3ter id."""
        found = self._connection.execute(sql.ACKNOWLEDGED, self._key | {"ids": list(ids)})
        return {m3ter_id: bytes(fingerprint) for m3ter_id, fingerprint in found}

    def changed(self, seen: Sequence[RecordHash]) -> set[str]:
        """Tell which records' rows Salesforce has not acknowledged as they are now."""
        ids = [record.m3ter_id for record in seen]
        if not ids:
            return set()
        same = self._connection.execute(
            sql.NOTE_SAME,
            self._key
            | {
                "ids": ids,
                "fingerprints": [record.fingerprint for record in seen],
                "digests": [record.digest for record in seen],
            },
        )
        return set(ids).difference(m3ter_id for (m3ter_id,) in same)

    def paused(self, seen: Sequence[RecordHash]) -> list[Rejected]:
        """Tell which records' rows Salesforce has refused as they are, and may rest for now."""
        if not seen or not self._any_rest:
            return []
        given = {
            "ids": [record.m3ter_id for record in seen],
            "fingerprints": [record.fingerprint for record in seen],
        }
        return [
            Rejected(m3ter_id, ErrorClass(error_class), code, message, tuple(fields))
            for m3ter_id, error_class, code, message, fields in self._connection.execute(
                sql.PAUSED, self._key | given
            )
        ]

    def stage(self, rows: Sequence[StagedRow]) -> None:
        """Put rows up to be sent. A record that is staged again takes the later row."""
        if not rows:
            return
        self._uncounted["outgoing_record"] += len(rows)
        self._connection.execute(
            sql.STAGE,
            self._key
            | {
                "ids": [staged.seen.m3ter_id for staged in rows],
                "fingerprints": [staged.seen.fingerprint for staged in rows],
                "digests": [staged.seen.digest for staged in rows],
                "shapes": [staged.shape for staged in rows],
                "parents": [staged.parent for staged in rows],
                "siblings": [staged.sibling for staged in rows],
                "payloads": [_ENCODE(staged.row.values) for staged in rows],
            },
        )

    def ready(self, *, all_rows: bool) -> list[tuple[int, int]]:
        """Name the shapes of staged rows that can go next, and how many rows each has."""
        self._count("outgoing_record")
        query = sql.READY if all_rows else sql.READY_LEVEL
        return self._connection.execute(query, self._key).fetchall()

    def staged(self, shapes: Sequence[int], *, all_rows: bool) -> Iterator[Row]:
        """Read the staged rows of these shapes, those of one parent next to each other."""
        query = sql.STAGED if all_rows else sql.STAGED_LEVEL
        with (
            connect(self._url) as reader,
            reader.transaction(),
            reader.cursor("staged", binary=True) as cursor,
        ):
            cursor.itersize = 1_000
            cursor.execute(query, self._key | {"shapes": list(shapes)})
            for m3ter_id, payload in cursor:
                yield Row(m3ter_id, _DECODE(payload))

    def record(self, results: Sequence[RowResult]) -> None:
        """Write down what Salesforce said of rows, or why they were not sent, as one change."""
        taken = [result for result in results if isinstance(result, Acknowledged)]
        refused = [result for result in results if isinstance(result, Rejected)]
        with self._connection.transaction():
            if taken:
                self._record_acknowledged(taken)
            if refused:
                self._record_refused(refused)

    def delete_stale_rejects(self) -> None:
        """Drop rejects that were not written down again since ``clear``: they are no more."""
        self._connection.execute(sql.FORGET, self._key | {"started": self._started})
        self._count("synced_record")

    def record_job_requested(self, object_name: str, rows: int, sha256: str) -> None:
        """Write down that an ingest job is about to be created."""
        job = {"job_id": self._announced_job, "object": object_name, "rows": rows, "sha256": sha256}
        self._connection.execute(sql.JOB_ANNOUNCED, self._key | job)

    def record_job_created(self, job_id: str, object_name: str, rows: int, sha256: str) -> None:
        """Write down the ingest job that Salesforce has created in the place of the announced."""
        job = {"job_id": job_id, "object": object_name, "rows": rows, "sha256": sha256}
        with self._connection.transaction():
            self.record_job_finished(None, "Open")
            self._connection.execute(sql.JOB_OPENED, self._key | job)

    def record_job_finished(self, job_id: str | None, state: str) -> None:
        """Write down that all of a job's results are on record, or that there is no such job."""
        if job_id is None:
            self._connection.execute(sql.JOB_UNANNOUNCED, {"job_id": self._announced_job})
        else:
            self._connection.execute(sql.JOB_ENDED, {"job_id": job_id, "state": state})

    def unknown_jobs(self, job_ids: Sequence[str]) -> list[str]:
        """Tell which of these jobs no integration has written down."""
        found = self._connection.execute(sql.JOB_STRANGERS, {"job_ids": list(job_ids)})
        return [job_id for (job_id,) in found]

    def unfinished_jobs(self) -> list[UnfinishedJob]:
        """Name the ingest jobs whose results are not all on record, the oldest first."""
        found = self._connection.execute(sql.JOBS_LEFT, self._key)
        return [
            UnfinishedJob(None if job_id == self._announced_job else job_id, object_name, since)
            for job_id, object_name, since in found
        ]

    @property
    def _announced_job(self) -> str:
        """What stands for the id that a job does not have yet; there is one such job at a time."""
        return f"announced for {self._key['integration']}.{self._key['entity']}"

    def _count(self, table: str) -> None:
        if self._uncounted.pop(table, 0) >= MANY:
            self._connection.execute(f"ANALYZE m3sync.{table}")

    def _record_acknowledged(self, taken: Sequence[Acknowledged]) -> None:
        self._uncounted["synced_record"] += len(taken)
        self._connection.execute(
            sql.ACKNOWLEDGE,
            self._key
            | {
                "ids": [row.m3ter_id for row in taken],
                "salesforce_ids": [row.salesforce_id for row in taken],
            },
        )
        ids = {"ids": [row.m3ter_id for row in taken]}
        self._connection.execute(sql.UNSTAGE, self._key | ids)
        self._connection.execute(sql.UNREJECT, self._key | ids)

    def _record_refused(self, refused: Sequence[Rejected]) -> None:
        with self._connection.cursor() as cursor:
            for query, unsent in ((sql.REJECT_SENT, False), (sql.REJECT_UNSENT, True)):
                rows = [r for r in refused if (r.error_class is ErrorClass.INVALID) is unsent]
                if rows:
                    cursor.executemany(query, [self._key | _reject(row) for row in rows])
        ids = {"ids": [row.m3ter_id for row in refused]}
        self._connection.execute(sql.REST, self._key | ids)
        self._connection.execute(sql.UNSTAGE, self._key | ids)

    def _one(self, query: str) -> object:
        found = self._connection.execute(query, self._key).fetchone()
        return found[0] if found else None


def _reject(row: Rejected) -> dict[str, object]:
    return {
        "m3ter_id": row.m3ter_id,
        "class": row.error_class.value,
        "code": row.code,
        "message": storable(row.message),
        "fields": list(row.fields),
    }


def storable(message: str) -> str:
    """A message as PostgreSQL can hold it: not endless, and without the NUL character."""
    return message.replace("\0", "�")[:LONGEST_MESSAGE]
