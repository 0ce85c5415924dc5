"""One entity's sync: read, map, compare, send, record.

Nothing here holds more than a batch of records: what is to be sent waits in the ledger.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain

from m3sync_dagster.sync.interfaces import (
    COLLECTIONS_UP_TO,
    Destination,
    Ledger,
    RecordHash,
    Source,
    StagedRow,
)
from m3sync_dagster.sync.mapping import FieldMapping, Mapped
from m3sync_dagster.sync.results import (
    Acknowledged,
    Count,
    Counts,
    ErrorClass,
    Rejected,
    RowResult,
)
from m3sync_dagster.sync.row_groups import RowGroups
from m3sync_dagster.sync.row_validation import RowValidator

BATCH = 1_000
"""Records that are looked up in the ledger together: ten of m3ter's pages."""


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
        ledger: what Salesforce has acknowledged so far, and where ingest jobs are written down.
        destination: Salesforce. It is asked nothing while no row has changed.
        full: send every row, whatever Salesforce has acknowledged.
        preflight: called once, before the first row is staged to be sent; what it raises stops
            the sync.
    """

    def __init__(  # noqa: PLR0913 - each can be exchanged by a test
        self,
        mapping: FieldMapping,
        source: Source,
        ledger: Ledger,
        destination: Destination,
        *,
        full: bool = False,
        preflight: Callable[[], object] = lambda: None,
    ) -> None:
        self.counts = Counts()
        self.refused: list[Rejected] = []
        self._mapping = mapping
        self._source = source
        self._ledger = ledger
        self._destination = destination
        self._full = full
        self._preflight = preflight
        self._fitter: RowValidator | None = None
        self._answered = 0
        self._tries: Counter[int] = Counter()

    def run(self) -> Iterator[Progress]:
        """Bring Salesforce to what m3ter holds now, and tell how far it is.

        Afterwards ``counts`` tells the fates of all records, and ``refused`` the first rows
        that did not go through.

        Raises:
            SyncError: the sync could not reach its end. What Salesforce acknowledged until
                then is on record, and the next run goes on from there.
        """
        for answered in self._resume():
            yield Progress(0, answered)
        self._ledger.clear()
        read = 0
        for batch in batched(self._records()):
            self._take(batch)
            read += len(batch)
            yield Progress(read, 0)
        for answered in self._send():
            yield Progress(read, answered)
        self._ledger.delete_stale_rejects()

    def _resume(self) -> Iterator[int]:
        """Put on record what became of the rows that an earlier run has sent and then lost.

        They count as unchanged in this run, since it finds them as they should be.
        """
        for job in self._ledger.unfinished_jobs():
            for results in self._destination.resume(job, self._ledger):
                self._ledger.record(results)
                self._answered += len(results)
                yield self._answered

    def _records(self) -> Iterable[Sequence[bytes]]:
        return self._source.records(self._mapping.entity, self._mapping.scope.fetchable())

    def _take(self, batch: Sequence[bytes]) -> None:
        """Find what a batch changes, and stage it."""
        digests = [self._mapping.digest(raw) for raw in batch]
        unseen = range(len(batch)) if self._full else self._ledger.unseen(digests)
        self.counts[Count.UNCHANGED] += len(batch) - len(unseen)
        mapped: dict[str, tuple[Mapped, RecordHash]] = {}
        refused: dict[str, Rejected] = {}
        for place in unseen:
            match self._mapping.map(batch[place]):
                case Mapped() as row:
                    seen = RecordHash(row.m3ter_id, row.fingerprint, digests[place])
                    mapped[row.m3ter_id] = row, seen
                case Rejected() as problem:
                    refused[problem.m3ter_id] = problem
        self._drop_unsettled(mapped)
        self._stage(mapped, refused)

    def _drop_unsettled(self, mapped: dict[str, tuple[Mapped, RecordHash]]) -> None:
        """Leave out what m3ter may still calculate again, unless Salesforce has it already.

        What it has is followed: it would say that a bill is approved which is open again.
        """
        unsettled = [m3ter_id for m3ter_id, (row, _) in mapped.items() if not row.settled]
        known = self._ledger.acknowledged(unsettled) if unsettled else {}
        for m3ter_id in unsettled:
            if m3ter_id not in known:
                del mapped[m3ter_id]

    def _stage(
        self, mapped: dict[str, tuple[Mapped, RecordHash]], refused: dict[str, Rejected]
    ) -> None:
        changed = self._changed([seen for _, seen in mapped.values()])
        self.counts[Count.UNCHANGED] += len(mapped) - len(changed)
        resting = [] if self._full else self._ledger.paused([mapped[i][1] for i in changed])
        self._note(resting)
        staged = []
        for m3ter_id in changed.difference(row.m3ter_id for row in resting):
            match self._fit(*mapped[m3ter_id]):
                case StagedRow() as row:
                    staged.append(row)
                case Rejected() as problem:
                    refused[m3ter_id] = problem
        self._ledger.stage(staged)
        self._account(list(refused.values()))

    def _changed(self, seen: list[RecordHash]) -> set[str]:
        if self._full:
            return {record.m3ter_id for record in seen}
        return self._ledger.changed(seen)

    def _fit(self, mapped: Mapped, seen: RecordHash) -> StagedRow | Rejected:
        fitted = self._described.fit(mapped)
        return fitted if isinstance(fitted, Rejected) else self._shapes.staged(seen, fitted)

    @property
    def _described(self) -> RowValidator:
        if self._fitter is None:
            self._preflight()
            described = self._destination.describe(self._mapping.object_name)
            self._fitter = RowValidator(self._mapping, described)
            self._shapes = RowGroups(self._fitter.target, self._mapping.self_lookup)
        return self._fitter

    def _send(self) -> Iterator[int]:
        """Send siblings level by level; a circle of them has no first, so it goes as it is.

        What is left unanswered is still staged, and so goes again before the next level.
        """
        for all_rows in (False, True):
            while ready := self._ledger.ready(all_rows=all_rows):
                # Few rows travel together whatever their shape; many need a file for each.
                together = ready if sum(n for _, n in ready) <= COLLECTIONS_UP_TO else ready[:1]
                yield from self._send_shapes(dict(together), all_rows=all_rows)

    def _send_shapes(self, ready: dict[int, int], *, all_rows: bool) -> Iterator[int]:
        shapes, count = list(ready), sum(ready.values())
        rows = self._ledger.staged(shapes, all_rows=all_rows)
        tries = max(self._tries[shape] for shape in shapes)
        group = replace(self._shapes.group(shapes, rows, count), tries=tries)
        answered = self._answered
        for results in self._destination.upsert(self._described.target, group, self._ledger):
            self._account(results)
            self._answered += len(results)
            yield self._answered
        left = self._answered - answered < count
        for shape in shapes:
            self._tries[shape] = tries + 1 if left else 0

    def _account(self, results: Sequence[RowResult]) -> None:
        """Write results down, and count them only then."""
        if not results:
            return
        self._ledger.record(results)
        self._note(results)

    def _note(self, results: Sequence[RowResult]) -> None:
        self.counts.update(fate(result) for result in results)
        refused = (result for result in results if isinstance(result, Rejected))
        self.refused.extend(list(refused)[: SHOWN_REJECTS - len(self.refused)])


SHOWN_REJECTS = 20
"""How many of the rows that did not go through are shown with a run; all are on record."""


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
