"""The Salesforce records of staged rows, in a temporary table of the run's connection."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice

import msgspec
import psycopg

from m3sync_dagster.state import _record_matches_sql as sql
from m3sync_dagster.state._ledger_sql import STAGED_VALUES
from m3sync_dagster.state._sent_changes_sql import SET_PAYLOADS
from m3sync_dagster.sync.row_types import MatchedRecord, Row

NOT_SENT = b"{}"
"""The mark of a value that is not sent, in the encoded values of a row; no value is an object."""
_BATCH = 1_000
_RAW_VALUES = msgspec.json.Decoder(list[msgspec.Raw])


class PostgresRecordMatches:
    """A ``RecordMatches`` in PostgreSQL.

    Args:
        connection: the connection of the ledger.
        key: integration and entity, as the ledger names them.
    """

    def __init__(self, connection: psycopg.Connection, key: Mapping[str, str]) -> None:
        self._connection = connection
        self._key = {name: key[name] for name in ("integration", "entity")}
        connection.execute(sql.CREATE)
        self.forget()

    def forget(self) -> None:
        """Forget all of them, so that every staged row is matched again."""
        self._execute(sql.FORGET)

    def count_unmatched(self) -> int:
        """Count the staged rows that were not matched."""
        [(count,)] = self._execute(sql.COUNT_UNMATCHED)
        return int(count)

    def unmatched(self) -> dict[str, str | None]:
        """Return the m3ter ids of these rows, with the Salesforce Id that is stored for each."""
        return dict(self._execute(sql.UNMATCHED).fetchall())

    def add(self, found: Sequence[MatchedRecord]) -> None:
        """Add the records of staged rows; those of other rows are left out."""
        # One statement cannot insert the same id twice; the last record of it is noted.
        records = {one.m3ter_id: one for one in found}.values()
        self._execute(
            sql.ADD,
            ids=[one.m3ter_id for one in records],
            salesforce_ids=[one.salesforce_id for one in records],
        )
        if kept := {one.m3ter_id: one.kept for one in records if one.kept}:
            self._mark_kept(kept)

    def finish(self) -> None:
        """Note that Salesforce has no record for the rows that are still unmatched."""
        self._execute(sql.FINISH)
        self._connection.execute(sql.ANALYZE)

    def without_record(self, size: int) -> Iterator[list[str]]:
        """Yield the m3ter ids of staged rows without a record, ``size`` at a time."""
        after = ""
        while found := self._execute(sql.WITHOUT_RECORD, after=after, size=size).fetchall():
            ids = [m3ter_id for (m3ter_id,) in found]
            yield ids
            after = ids[-1]

    def complete(self, rows: Iterable[Row]) -> Iterator[Row]:
        """Add to staged rows their Salesforce Ids and the values that are not sent."""
        iterator = iter(rows)
        while batch := list(islice(iterator, _BATCH)):
            found = self._execute(sql.MATCHES, ids=[row.m3ter_id for row in batch])
            salesforce_ids: dict[str, str | None] = dict(found.fetchall())
            for row in batch:
                yield _complete(row, salesforce_ids[row.m3ter_id])

    def _mark_kept(self, kept: Mapping[str, Sequence[int]]) -> None:
        """Replace values in staged rows by a mark that they are not sent.

        The rows keep the mark until their results are recorded, by whichever run that is. So these
        values are neither stored as acknowledged nor in the history of what was sent.
        """
        found = self._execute(STAGED_VALUES, ids=list(kept)).fetchall()
        payloads = [_without(payload, kept[m3ter_id]) for m3ter_id, payload in found]
        ids = [m3ter_id for m3ter_id, _ in found]
        self._execute(SET_PAYLOADS, ids=ids, payloads=payloads)

    def _execute(self, query: str, **values: object) -> psycopg.Cursor:
        return self._connection.execute(query, self._key | values)


def _complete(row: Row, salesforce_id: str | None) -> Row:
    """A row with its Salesforce Id, and with nothing in the place of values that are not sent."""
    kept = frozenset(place for place, value in enumerate(row.values) if value == {})
    values = [None if place in kept else value for place, value in enumerate(row.values)]
    return replace(row, values=values, salesforce_id=salesforce_id, kept=kept)


def _without(payload: bytes, kept: Sequence[int]) -> bytes:
    """Encoded values without those at the kept positions."""
    values = _RAW_VALUES.decode(payload)
    for place in kept:
        values[place] = msgspec.Raw(NOT_SENT)
    return msgspec.json.encode(values)
