"""One entity's sync: read, find what changed, send, record.

Nothing here holds more than a batch of records: what is to be sent waits in the ledger.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from m3sync_dagster.sync.changes import BatchChanges, ChangeDetector
from m3sync_dagster.sync.interfaces import Destination, Ledger, Source
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.missing_parents import MissingParents
from m3sync_dagster.sync.results import (
    Acknowledged,
    Count,
    Counts,
    ErrorClass,
    Rejected,
    RowResult,
)
from m3sync_dagster.sync.row_groups import RowGroups
from m3sync_dagster.sync.rows import COLLECTION_ROWS, COLLECTIONS_UP_TO, ReplacedRecord
from m3sync_dagster.sync.target_schema import TargetSchema

BATCH = 1_000
"""Records that are looked up in the ledger together: ten of m3ter's pages."""
SHOWN_REJECTS = 20
"""How many of the rows that did not go through are shown with a run; all are recorded."""
SHOWN_REPLACED = 3
"""How many of the records that somebody had deleted in Salesforce are named in the event."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a sync is, for whoever watches it: records read, rows answered by Salesforce."""

    read: int
    answered: int


class EntitySync:
    """The sync of one entity type, once.

    Args:
        mapping: which field goes where, and which accounts are in scope.
        source: m3ter.
        ledger: what Salesforce has acknowledged so far, and where ingest jobs are recorded.
        destination: Salesforce. It gets no row while nothing has changed.
        schema: the mapping's Salesforce object.
        send_parents: sends records of a parent entity type again, by their m3ter ids.

    Attributes:
        counts: what became of the records that were read.
        rejected: the first rows that did not go through.
        replaced: how many records Salesforce no longer held under the Id that they had.
        replaced_names: of the first of them.
    """

    def __init__(  # noqa: PLR0913 - each can be exchanged by a test
        self,
        mapping: FieldMapping,
        source: Source,
        ledger: Ledger,
        destination: Destination,
        schema: TargetSchema,
        *,
        send_parents: Callable[[str, Sequence[str]], None] | None = None,
    ) -> None:
        self.counts = Counts()
        self.rejected: list[Rejected] = []
        self.replaced = 0
        self.replaced_names: list[str] = []
        self._mapping = mapping
        self._source = source
        self._ledger = ledger
        self._destination = destination
        self._schema = schema
        self._detector = ChangeDetector(mapping, ledger, schema)
        self._parents = MissingParents(mapping, ledger, self._send_again, send_parents)
        self._answered = 0
        self._tries: Counter[int] = Counter()

    def run(self, *, full: bool = False) -> Iterator[Progress]:
        """Bring Salesforce to what m3ter holds now, and tell how far it is.

        Afterwards ``counts`` tells what became of all records, and ``rejected`` the first rows
        that did not go through. The ledger's basis has to be this run's, see ``prepare``.

        Args:
            full: withdraw what is stored as acknowledged first, so that every row is sent.

        Raises:
            SyncError: the sync could not reach its end. What Salesforce acknowledged until
                then is recorded, and the next run goes on from there.
        """
        for answered in self._resume():
            yield Progress(0, answered)
        started = self._ledger.clear()
        if full:
            self._ledger.withdraw_all()
        if self._ledger.has_cut_rows():
            self._schema.require_current()
        read = 0
        for batch in batched(self._records()):
            self._take(self._detector.detect(batch))
            read += len(batch)
            yield Progress(read, 0)
        for answered in self._send():
            yield Progress(read, answered)
        self._ledger.delete_stale_rejects(started)

    def send_only(self, ids: Sequence[str]) -> None:
        """Send these records again, whatever is stored about them.

        Raises:
            SyncError: as for ``run``.
        """
        for _ in self._resume():
            pass
        self._ledger.clear()
        self._send_again(ids)
        for _ in self._send():
            pass

    def _resume(self) -> Iterator[int]:
        """Record what became of the rows that an earlier run sent by ingest jobs.

        They count as unchanged in this run, since it finds them as they should be.
        """
        for job in self._ledger.unfinished_jobs():
            for results in self._destination.resume(job, self._ledger):
                self._record(results)
                self._answered += len(results)
                yield self._answered

    def _records(self) -> Iterable[Sequence[bytes]]:
        return self._source.records(self._mapping.entity, self._mapping.scope.fetchable())

    def _send_again(self, ids: Sequence[str]) -> None:
        """Stage records whatever is stored about them; those that m3ter no longer has are not."""
        self._ledger.withdraw(ids)
        found = (self._source.fetch(self._mapping.entity, m3ter_id) for m3ter_id in ids)
        for batch in batched([[raw for raw in found if raw is not None]]):
            changes = self._detector.detect(batch)
            self._stage(changes)
            # When they were read in this run, they looked unchanged.
            again = min(len(changes.rows), self.counts[Count.UNCHANGED])
            self.counts[Count.UNCHANGED] -= again

    def _take(self, changes: BatchChanges) -> None:
        """Count and record what a batch changes, and stage what is to be sent."""
        self.counts[Count.UNCHANGED] += changes.unchanged
        self._ledger.confirm(changes.confirmed)
        self._ledger.keep_paused(changes.paused)
        self._count(changes.paused)
        self._stage(changes)
        self._account(changes.invalid)

    def _stage(self, changes: BatchChanges) -> None:
        if changes.rows:
            groups = self._groups()
            self._ledger.stage([groups.staged(one.seen, one.row) for one in changes.rows])

    def _groups(self) -> RowGroups:
        return RowGroups(self._schema.target, self._mapping.self_lookup)

    def _send(self) -> Iterator[int]:
        """Send siblings level by level; a circle of them has no first, so it goes as it is.

        What is left unanswered is still staged, and so goes again before the next level.
        """
        for all_rows in (False, True):
            while ready := self._ledger.ready(all_rows=all_rows):
                # Few rows travel together whatever their shape; many need a file for each.
                few = sum(n for _, n in ready) <= COLLECTIONS_UP_TO
                together = dict(ready if few else ready[:1])
                yield from self._send_shapes(together, all_rows=all_rows, few=few)
                self._parents.send()

    def _send_shapes(self, ready: dict[int, int], *, all_rows: bool, few: bool) -> Iterator[int]:
        shapes, count = list(ready), sum(ready.values())
        if few and not all_rows:
            count = self._in_full_calls(count)
        rows = islice(self._ledger.staged(shapes, all_rows=all_rows), count)
        tries = max(self._tries[shape] for shape in shapes)
        group = replace(self._groups().group(shapes, rows, count), tries=tries)
        answered = self._answered
        for results in self._destination.upsert(self._schema.target, group, self._ledger):
            self._account(self._parents.keep_back(results))
            self._answered += len(results)
            yield self._answered
        left = self._answered - answered < count
        for shape in shapes:
            self._tries[shape] = tries + 1 if left else 0

    def _in_full_calls(self, count: int) -> int:
        """How many of the ready rows go now: if others wait for them, what fills whole calls.

        The rest of them goes with the next level, and so saves a call.
        """
        waiting = sum(n for _, n in self._ledger.ready(all_rows=True)) - count
        whole = count - count % COLLECTION_ROWS
        return whole if waiting and whole else count

    def _account(self, results: Sequence[RowResult]) -> None:
        """Record results, and count them only then."""
        if results:
            self._record(results)
            self._count(results)

    def _record(self, results: Sequence[RowResult]) -> None:
        replaced = self._ledger.record(results)
        self.replaced += len(replaced)
        room = SHOWN_REPLACED - len(self.replaced_names)
        self.replaced_names.extend(self._name(record) for record in replaced[:room])

    def _name(self, record: ReplacedRecord) -> str:
        """What people call a record: its title, if the mapping carries one, and its id."""
        place = self._mapping.title
        title = None if place is None else record.values[place]
        return f"{title} ({record.m3ter_id})" if title else record.m3ter_id

    def _count(self, results: Sequence[RowResult]) -> None:
        self.counts.update(fate(result) for result in results)
        rejected = (result for result in results if isinstance(result, Rejected))
        self.rejected.extend(list(rejected)[: SHOWN_REJECTS - len(self.rejected)])


def fate(result: RowResult) -> Count:
    """Tell which of the six fates a result is."""
    match result:
        case Acknowledged(created=True):
            return Count.CREATED
        case Acknowledged():
            return Count.UPDATED
        case Rejected(error_class=ErrorClass.INVALID):
            return Count.INVALID
        case Rejected(error_class=ErrorClass.DEPENDENCY):
            return Count.WAITING
    return Count.REJECTED


def batched(pages: Iterable[Sequence[bytes]]) -> Iterator[list[bytes]]:
    """Put pages together into batches of about ``BATCH`` records."""
    batch: list[bytes] = []
    for record in chain.from_iterable(pages):
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
