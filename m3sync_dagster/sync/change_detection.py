"""Which records of a batch have changed, and the rows to send for them.

Only decided here: a run sends the rows, ``m3sync plan`` prints them, and ``m3sync verify`` builds
its rows with ``build_candidate``.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec
import xxhash

from m3sync_dagster.sync.account_link_types import LinkCounts
from m3sync_dagster.sync.known_rows import KnownRows
from m3sync_dagster.sync.mapped_records import Decoded, Mapped
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.parents_without_record import waiting_with_parent
from m3sync_dagster.sync.record_decoder import id_of
from m3sync_dagster.sync.row_results import NO_RECORD, Rejected
from m3sync_dagster.sync.row_types import RecordHash, Row, Value
from m3sync_dagster.sync.row_validation import RowValidator
from m3sync_dagster.sync.target_schema import TargetSchema

LOOKED_UP = 1_000
"""Changed accounts that are looked up in Salesforce together."""
_ENCODE = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record in scope as a row, or the reason why it is invalid.

    Args:
        m3ter_id: the record.
        final: whether m3ter will no longer recalculate it; a record that is not final is synced
            only if it is already in Salesforce.
        row: the row; ``None`` if it is ``rejected``.
        fingerprint: a hash of 16 bytes of the values and their fields. Values that do not fit the
            org's fields have one too: Salesforce may have stored them before a field changed.
    """

    m3ter_id: str
    final: bool
    row: Row | None = None
    rejected: Rejected | None = None
    fingerprint: bytes = b""


def build_candidate(mapping: FieldMapping, validator: RowValidator, raw: bytes) -> Candidate | None:
    """Map and validate a record's JSON text; ``None`` if it is out of scope."""
    decoded = mapping.decode(raw)
    if decoded is None:
        return None
    if not isinstance(decoded, Decoded):
        return Candidate(decoded.rejected.m3ter_id, decoded.final, rejected=decoded.rejected)
    values = validator.reader(mapping).values(decoded.record)
    if values is None:
        return _in_two_steps(mapping, validator, decoded)
    row = Row(decoded.m3ter_id, values)
    return Candidate(decoded.m3ter_id, decoded.final, row, None, _fingerprint(mapping, values))


def _in_two_steps(mapping: FieldMapping, validator: RowValidator, decoded: Decoded) -> Candidate:
    """Map and validate a record that may be invalid, which finds every reason."""
    mapped = mapping.map_decoded(decoded)
    if not isinstance(mapped, Mapped):
        return Candidate(mapped.rejected.m3ter_id, mapped.final, rejected=mapped.rejected)
    valid = validator.validate(mapped)
    if isinstance(valid, Rejected):
        fingerprint = _fingerprint(mapping, validator.values_as_before(mapped))
        return Candidate(mapped.m3ter_id, mapped.final, None, valid, fingerprint)
    fingerprint = _fingerprint(mapping, valid.values)
    return Candidate(mapped.m3ter_id, mapped.final, valid, None, fingerprint)


def _fingerprint(mapping: FieldMapping, values: list[Value]) -> bytes:
    return xxhash.xxh3_128_digest(_ENCODE(values), mapping.row_seed)


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row that differs from the one that Salesforce acknowledged.

    Args:
        seen: the hashes of the record.
        row: the row to send.
        in_salesforce: whether the record is in Salesforce, according to the ledger.
    """

    seen: RecordHash
    row: Row
    in_salesforce: bool


@dataclass(slots=True)
class BatchChanges:
    """The changes of a batch of records.

    Args:
        unchanged: how many records have the values that Salesforce acknowledged.
        confirmed: those of them whose JSON text has changed without a change of the row.
        rows: the rows to send.
        invalid: records that cannot be turned into rows.
        paused: records whose present values Salesforce has rejected, until their next attempt.
        waiting: rows that are not sent until their parent has a record.
        links: the accounts by the outcome of their link, if the mapping has one: all of the batch,
            or those that were looked up in Salesforce.
    """

    unchanged: int = 0
    confirmed: list[RecordHash] = field(default_factory=list)
    rows: list[ChangedRow] = field(default_factory=list)
    invalid: list[Rejected] = field(default_factory=list)
    paused: list[Rejected] = field(default_factory=list)
    waiting: list[Rejected] = field(default_factory=list)
    links: LinkCounts = field(default_factory=LinkCounts)

    @property
    def to_do(self) -> bool:
        """Whether there are rows to send or invalid records to report."""
        return bool(self.rows or self.invalid)


class ChangeDetector:
    """Detects the changed records of batches.

    Args:
        mapping: which field goes where, and which accounts are in scope.
        known: the stored fingerprints and rejects of earlier runs.
        schema: the Salesforce object. Its cached describe is used until something is to be sent;
            then the object is described once.
    """

    def __init__(self, mapping: FieldMapping, known: KnownRows, schema: TargetSchema) -> None:
        self._mapping = mapping
        self._known = known
        self._schema = schema

    def detect_all(self, batches: Iterable[Sequence[bytes]]) -> Iterator[tuple[int, BatchChanges]]:
        """Detect the changes of all batches; yields also how many records were read for each.

        Accounts that are looked up in Salesforce are collected until it takes few calls.

        Raises:
            SyncError: as for ``detect``.
        """
        if self._mapping.links is None or not self._mapping.links.by_code:
            yield from ((len(batch), self.detect(batch)) for batch in batches)
            return
        changed: list[bytes] = []
        for batch in batches:
            in_scope, unknown = self._unknown(batch)
            changed += unknown
            yield len(batch), BatchChanges(unchanged=in_scope - len(unknown))
            while len(changed) >= LOOKED_UP:
                yield 0, self.detect(changed[:LOOKED_UP])
                del changed[:LOOKED_UP]
        if changed:
            yield 0, self.detect(changed)

    def detect(self, batch: Sequence[bytes]) -> BatchChanges:
        """Detect the changes of a batch.

        Raises:
            SchemaMismatchError: the org does not fit the mapping.
            SyncError: Salesforce or the database could not be reached, or refused.
        """
        found = self._detect(batch)
        if found.to_do and not self._schema.current:
            self._schema.require_current()
            found = self._detect(batch)
        return found

    def _detect(self, batch: Sequence[bytes]) -> BatchChanges:
        validator = self._schema.validator()
        found = BatchChanges()
        batch, digests = self._digests(batch, found.links)
        unknown = self._known.unknown_digests(digests)
        found.unchanged = len(batch) - len(unknown)
        self._look_up([batch[place] for place in unknown], found.links)
        candidates: dict[str, tuple[Candidate, bytes]] = {}
        for place in unknown:
            candidate = build_candidate(self._mapping, validator, batch[place])
            if candidate:
                candidates[candidate.m3ter_id] = candidate, digests[place]
        self._compare(candidates, found)
        return found

    def _unknown(self, batch: Sequence[bytes]) -> tuple[int, list[bytes]]:
        """How many records of a batch are in scope, and those of them that may have changed."""
        self._schema.validator()
        batch, digests = self._digests(batch, LinkCounts())
        return len(batch), [batch[place] for place in self._known.unknown_digests(digests)]

    def _digests(
        self, batch: Sequence[bytes], links: LinkCounts
    ) -> tuple[Sequence[bytes], list[bytes]]:
        """The records to compare, with the digest of all that their rows depend on.

        An expression can put an account in or out of scope without any change of the records that
        belong to it; so can a parent's account its children; and an account's link can change
        without the account. So these are looked at in each run.
        """
        seed = self._schema.digest_seed
        finder, filtered = self._mapping.links, self._mapping.reads_scope
        if not filtered and (finder is None or finder.by_code):
            return batch, [xxhash.xxh3_128_digest(raw, seed) for raw in batch]
        kept, digests = [], []
        for raw in batch:
            scope = self._mapping.scope_of(raw) if filtered else b""
            if scope is None:
                continue
            if finder is not None and not finder.by_code:
                scope += self._count_link(raw, links)
            kept.append(raw)
            digests.append(xxhash.xxh3_128_digest(raw + scope, seed))
        return kept, digests

    def _look_up(self, changed: Sequence[bytes], links: LinkCounts) -> None:
        """Look up the accounts in scope that have changed, if that needs requests."""
        finder = self._mapping.links
        if finder is None or not finder.by_code:
            return
        if in_scope := [raw for raw in changed if self._is_in_scope(raw)]:
            finder.prepare(in_scope)
        for raw in in_scope:
            self._count_link(raw, links)

    def _is_in_scope(self, raw: bytes) -> bool:
        account_id = id_of(raw)
        return account_id is not None and self._mapping.scope.admits(account_id)

    def _count_link(self, raw: bytes, links: LinkCounts) -> bytes:
        """Count an account's link, if the account is in scope, and return its Id."""
        finder = self._mapping.links
        if finder is None or not self._is_in_scope(raw):
            return b""
        link = finder.find_raw(raw)
        links.add(link.outcome, lambda: self._mapping.name_of(raw))
        return (link.salesforce_id or "").encode()

    def _compare(self, candidates: dict[str, tuple[Candidate, bytes]], found: BatchChanges) -> None:
        """Compare rows with the acknowledged ones, and leave out new records that are not final."""
        acknowledged = self._known.acknowledged(list(candidates)) if candidates else {}
        changed: dict[str, ChangedRow] = {}
        for m3ter_id, (candidate, digest) in candidates.items():
            if not candidate.final and m3ter_id not in acknowledged:
                continue
            seen = RecordHash(m3ter_id, candidate.fingerprint, digest)
            if candidate.fingerprint and acknowledged.get(m3ter_id) == candidate.fingerprint:
                found.confirmed.append(seen)
            elif candidate.rejected:
                found.invalid.append(candidate.rejected)
            elif candidate.row:
                changed[m3ter_id] = ChangedRow(seen, candidate.row, m3ter_id in acknowledged)
        found.unchanged += len(found.confirmed)
        paused = self._known.paused([row.seen for row in changed.values()])
        found.paused = [one for one in paused if self._is_still_refused(one)]
        for rejected in found.paused:
            del changed[rejected.m3ter_id]
        rows = [one.row for one in changed.values()]
        found.waiting = waiting_with_parent(self._mapping, self._known, rows)
        for rejected in found.waiting:
            del changed[rejected.m3ter_id]
        found.rows = list(changed.values())

    def _is_still_refused(self, rejected: Rejected) -> bool:
        """Whether the reason of a pause is still there: a missing record may be created now."""
        return self._mapping.update_only or rejected.code != NO_RECORD
