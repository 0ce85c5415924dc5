"""The sync of one entity: read, detect changes, send, record.

Only one batch of records is in memory: rows that are to be sent are staged in the ledger.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import chain, islice

from m3sync_dagster.sync.account_link_types import LinkCounts
from m3sync_dagster.sync.account_links import with_links_of
from m3sync_dagster.sync.change_detection import BatchChanges, ChangeDetector
from m3sync_dagster.sync.csv_header_groups import RowGroups
from m3sync_dagster.sync.deleted_parents import DeletedParents
from m3sync_dagster.sync.interfaces import Destination, Ledger, Source
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.record_matching import RecordMatching, needs_matching
from m3sync_dagster.sync.record_scope import records_of, with_scope_of
from m3sync_dagster.sync.refused_link import explain_refused_link
from m3sync_dagster.sync.row_results import (
    NO_RECORD,
    Acknowledged,
    Count,
    Counts,
    ErrorClass,
    Rejected,
    RowResult,
)
from m3sync_dagster.sync.row_types import (
    COLLECTION_ROWS,
    COLLECTIONS_UP_TO,
    ReplacedRecord,
    Row,
    Value,
)
from m3sync_dagster.sync.target_schema import TargetSchema

BATCH = 1_000
"""Records that are looked up in the ledger together: ten of m3ter's pages."""
SHOWN_REJECTS = 20
"""Rejected rows that are shown with a run; all are recorded."""
SHOWN_REPLACED = 3
"""Records that were deleted in Salesforce by hand and that the event names."""


@dataclass(frozen=True, slots=True)
class Progress:
    """The progress of a sync: records read, and rows with a result from Salesforce."""

    read: int
    answered: int


class EntitySync:
    """The sync of one entity type, once.

    Args:
        mapping: which field goes where, and which accounts are in scope.
        source: m3ter.
        ledger: the rows that Salesforce has acknowledged, and the ingest jobs.
        destination: Salesforce. Nothing is sent if nothing has changed.
        schema: the mapping's Salesforce object.
        send_parents: sends records of a parent entity type again, by their m3ter ids.

    Attributes:
        counts: the records that were read, by result.
        sending: whether it has begun to send rows.
        links: the accounts by the outcome of their link, if the mapping has one.
        rejected: the first rows that were invalid or rejected.
        replaced: how many records had been deleted in Salesforce and were created again.
        replaced_names: the names of the first of them.
        without_record: how many rows may only update a record, and found none.
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
        self.links = LinkCounts()
        self.sending = False
        self.rejected: list[Rejected] = []
        self.replaced = 0
        self.replaced_names: list[str] = []
        self.without_record = 0
        account_ids = mapping.scope.fetchable()
        mapping = with_scope_of(mapping, source, account_ids)
        mapping = with_links_of(mapping, source, destination, account_ids)
        self._mapping = mapping
        self._source = source
        self._ledger = ledger
        self._destination = destination
        self._schema = schema
        self._detector = ChangeDetector(mapping, ledger, schema)
        self._parents = DeletedParents(mapping, ledger, self._send_again, send_parents)
        self._matching = (
            RecordMatching(mapping, ledger.matches(), destination)
            if needs_matching(mapping)
            else None
        )
        self._answered = 0
        self._tries: Counter[int] = Counter()

    def run(self, *, full: bool = False) -> Iterator[Progress]:
        """Make Salesforce's records equal to m3ter's; yields the progress.

        Afterwards ``counts`` and ``rejected`` are complete. The ledger's basis must be this run's,
        see ``apply_basis_change``.

        Args:
            full: withdraw all fingerprints first, so that every row is sent.

        Raises:
            SyncError: the sync did not complete. What Salesforce acknowledged until then is
                recorded, and the next run sends the rest.
        """
        for answered in self._resume():
            yield Progress(0, answered)
        if self._answered:
            self._ledger.mark_rejects_stale()
        self._ledger.clear()
        if full:
            self._ledger.withdraw_all()
        if self._ledger.has_cut_rows():
            self._schema.require_current()
        # A mapping that does not fit the org is refused even if m3ter has no record to send.
        self._schema.validator()
        read = 0
        for count, changes in self._detector.detect_all(batched(self._records())):
            self._handle(changes)
            read += count
            yield Progress(read, 0)
        for answered in self._send():
            yield Progress(read, answered)
        self._ledger.delete_stale_rejects()

    def send_only(self, ids: Sequence[str]) -> None:
        """Send these records again, even if they are stored as acknowledged.

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
        """Record the results of rows that an earlier run sent by ingest jobs.

        They count as unchanged in this run, since it finds them acknowledged.
        """
        for job in self._ledger.unfinished_jobs():
            for results in self._destination.resume(job, self._ledger):
                self._record(results)
                self._answered += len(results)
                yield self._answered

    def _records(self) -> Iterable[Sequence[bytes]]:
        return records_of(self._mapping, self._source)

    def _send_again(self, ids: Sequence[str]) -> None:
        """Withdraw the fingerprints of records and stage those that m3ter still has."""
        self._ledger.withdraw(ids)
        found = (self._source.fetch(self._mapping.entity, m3ter_id) for m3ter_id in ids)
        for batch in batched([[raw for raw in found if raw is not None]]):
            changes = self._detector.detect(batch)
            self._stage(changes)
            # This run has already counted them as unchanged.
            again = min(len(changes.rows), self.counts[Count.UNCHANGED])
            self.counts[Count.UNCHANGED] -= again

    def _handle(self, changes: BatchChanges) -> None:
        """Count and record the changes of a batch, and stage the rows to send."""
        self.counts[Count.UNCHANGED] += changes.unchanged
        self.links.update(changes.links)
        self._ledger.confirm(changes.confirmed)
        self._ledger.keep_paused(changes.paused)
        self._count(changes.paused)
        self._stage(changes)
        self._record_and_count([*changes.invalid, *changes.waiting])

    def _stage(self, changes: BatchChanges) -> None:
        if changes.rows:
            groups = self._groups()
            self._ledger.stage([groups.staged(one.seen, one.row) for one in changes.rows])

    def _groups(self) -> RowGroups:
        return RowGroups(self._schema.target, self._mapping.self_lookup)

    def _send(self) -> Iterator[int]:
        """Send parents of the same type before their children, one level after the other.

        Records that point to each other in a cycle have no first one, so they are sent last, all
        together. A row without a result is still staged, and is sent again before the next level.
        """
        for all_rows in (False, True):
            while ready := self._ready(all_rows=all_rows):
                # A few rows of all groups are sent together; many need a CSV file for each group.
                few = sum(n for _, n in ready) <= COLLECTIONS_UP_TO
                together = dict(ready if few else ready[:1])
                yield from self._send_groups(together, all_rows=all_rows, few=few)
                self._parents.send()

    def _ready(self, *, all_rows: bool) -> list[tuple[int, int]]:
        """The rows that can be sent next, after a look for their records if that is needed."""
        ready = self._ledger.ready(all_rows=all_rows)
        if not (ready and self._matching):
            return ready
        for rejected in self._matching.match():
            self._record_and_count(rejected)
        return self._ledger.ready(all_rows=all_rows)

    def _send_groups(self, ready: dict[int, int], *, all_rows: bool, few: bool) -> Iterator[int]:
        group_keys, count = list(ready), sum(ready.values())
        if few and not all_rows:
            count = self._in_full_calls(count)
        rows: Iterator[Row] = islice(self._ledger.staged(group_keys, all_rows=all_rows), count)
        if self._matching:
            rows = self._matching.complete(rows)
        tries = max(self._tries[group_key] for group_key in group_keys)
        group = replace(self._groups().group(group_keys, rows, count), tries=tries)
        answered = self._answered
        self.sending = True
        for results in self._destination.upsert(self._schema.target, group, self._ledger):
            self._record_and_count(self._parents.defer(results))
            self._answered += len(results)
            yield self._answered
        left = self._answered - answered < count
        if left and self._matching:
            self._matching.forget()
        for group_key in group_keys:
            self._tries[group_key] = tries + 1 if left else 0

    def _in_full_calls(self, count: int) -> int:
        """How many of the ready rows to send now: if others wait for them, only full calls.

        The rest is sent together with the next level, which saves a call.
        """
        waiting = sum(n for _, n in self._ledger.ready(all_rows=True)) - count
        whole = count - count % COLLECTION_ROWS
        return whole if waiting and whole else count

    def _record_and_count(self, results: Sequence[RowResult]) -> None:
        """Record results, then count them."""
        if results:
            self._count(self._record(results))

    def _record(self, results: Sequence[RowResult]) -> Sequence[RowResult]:
        """Record results, and return them with what a person recognizes rejected records by."""
        results = self._with_records(results)
        replaced = self._ledger.record(results)
        self.replaced += len(replaced)
        left = SHOWN_REPLACED - len(self.replaced_names)
        self.replaced_names.extend(self._name(record) for record in replaced[:left])
        return results

    def _with_records(self, results: Sequence[RowResult]) -> Sequence[RowResult]:
        """Add to rejected rows what their records are called, and the refused values."""
        unnamed = [r.m3ter_id for r in results if isinstance(r, Rejected) and not r.record]
        if not unnamed:
            return results
        staged = self._ledger.staged_values(unnamed)
        return [
            self._explain(r, staged[r.m3ter_id])
            if isinstance(r, Rejected) and not r.record and r.m3ter_id in staged
            else r
            for r in results
        ]

    def _explain(self, rejected: Rejected, values: list[Value]) -> Rejected:
        named = replace(rejected, record=self._mapping.refused_record(values, rejected.fields))
        return explain_refused_link(self._mapping, named, values)

    def _name(self, record: ReplacedRecord) -> str:
        """A record in words: its title, if the mapping has one, and its id."""
        place = self._mapping.title
        title = None if place is None else record.values[place]
        return f"{title} ({record.m3ter_id})" if title else record.m3ter_id

    def _count(self, results: Sequence[RowResult]) -> None:
        self.counts.update(count_of(result) for result in results)
        rejected = [result for result in results if isinstance(result, Rejected)]
        self.without_record += sum(one.code == NO_RECORD for one in rejected)
        self.rejected.extend(rejected[: SHOWN_REJECTS - len(self.rejected)])


def count_of(result: RowResult) -> Count:
    """Which of the six counts a result belongs to."""
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
    """Join and split pages into batches of ``BATCH`` records."""
    batch: list[bytes] = []
    for record in chain.from_iterable(pages):
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch
