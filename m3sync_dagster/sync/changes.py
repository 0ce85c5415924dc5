"""Which records of a batch have changed, and which rows they become.

The one place where this is decided: a run sends the answer, ``m3sync plan`` prints it, and
``m3sync verify`` builds its rows with ``build_candidate``.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec
import xxhash

from m3sync_dagster.sync.interfaces import KnownRows
from m3sync_dagster.sync.mapping import FieldMapping, Mapped
from m3sync_dagster.sync.results import Rejected, Row, Value
from m3sync_dagster.sync.row_validation import RowValidator
from m3sync_dagster.sync.rows import RecordHash
from m3sync_dagster.sync.target_schema import TargetSchema

_ENCODE = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Candidate:
    """A record in scope as the row that it should be, or why it cannot be one.

    Args:
        m3ter_id: the record.
        final: whether m3ter calculates it no more; otherwise it is carried only if Salesforce
            holds it already.
        row: the row; ``None`` where ``rejected`` says why not.
        fingerprint: 16 bytes that stand for the values and their fields. Values that do not fit
            the org's fields have one too: Salesforce may hold them from before a field changed.
    """

    m3ter_id: str
    final: bool
    row: Row | None = None
    rejected: Rejected | None = None
    fingerprint: bytes = b""


def build_candidate(mapping: FieldMapping, validator: RowValidator, raw: bytes) -> Candidate | None:
    """Map and validate a record's JSON text; ``None`` for a record that is out of scope."""
    mapped = mapping.map(raw)
    if mapped is None:
        return None
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
        seen: the record that it stands for.
        row: the row to send.
        held: whether Salesforce holds the record already, as far as is known.
    """

    seen: RecordHash
    row: Row
    held: bool


@dataclass(slots=True)
class BatchChanges:
    """What a batch of records changes.

    Args:
        unchanged: how many records Salesforce holds as they are.
        confirmed: those of them whose JSON text is new and makes the same row.
        rows: the rows to send.
        invalid: records that cannot be rows.
        paused: records that Salesforce has rejected as they are, and that are not due yet.
    """

    unchanged: int = 0
    confirmed: list[RecordHash] = field(default_factory=list)
    rows: list[ChangedRow] = field(default_factory=list)
    invalid: list[Rejected] = field(default_factory=list)
    paused: list[Rejected] = field(default_factory=list)

    @property
    def to_do(self) -> bool:
        """Whether something follows from it for Salesforce or for the list of rejects."""
        return bool(self.rows or self.invalid)


class ChangeDetector:
    """Finds what batches of records change.

    Args:
        mapping: which field goes where, and which accounts are in scope.
        known: what is stored about earlier runs' rows.
        schema: the Salesforce object. Its stored describe decides as long as nothing is to be
            sent; before that the org is asked once.
    """

    def __init__(self, mapping: FieldMapping, known: KnownRows, schema: TargetSchema) -> None:
        self._mapping = mapping
        self._known = known
        self._schema = schema

    def detect(self, batch: Sequence[bytes]) -> BatchChanges:
        """Find what a batch changes.

        Raises:
            SchemaMismatchError: the org does not fit the mapping.
            SyncError: Salesforce or the database could not be asked.
        """
        found = self._detect(batch)
        if found.to_do and not self._schema.current:
            self._schema.require_current()
            found = self._detect(batch)
        return found

    def _detect(self, batch: Sequence[bytes]) -> BatchChanges:
        validator = self._schema.validator()
        seed = self._schema.digest_seed
        digests = [xxhash.xxh3_128_digest(raw, seed) for raw in batch]
        unseen = self._known.unseen(digests)
        found = BatchChanges(unchanged=len(batch) - len(unseen))
        candidates: dict[str, tuple[Candidate, bytes]] = {}
        for place in unseen:
            candidate = build_candidate(self._mapping, validator, batch[place])
            if candidate:
                candidates[candidate.m3ter_id] = candidate, digests[place]
        self._compare(candidates, found)
        return found

    def _compare(self, candidates: dict[str, tuple[Candidate, bytes]], found: BatchChanges) -> None:
        """Compare rows with what Salesforce acknowledged, and leave out what is not final."""
        held = self._known.acknowledged(list(candidates)) if candidates else {}
        changed: dict[str, ChangedRow] = {}
        for m3ter_id, (candidate, digest) in candidates.items():
            if not candidate.final and m3ter_id not in held:
                continue
            seen = RecordHash(m3ter_id, candidate.fingerprint, digest)
            if candidate.fingerprint and held.get(m3ter_id) == candidate.fingerprint:
                found.confirmed.append(seen)
            elif candidate.rejected:
                found.invalid.append(candidate.rejected)
            elif candidate.row:
                changed[m3ter_id] = ChangedRow(seen, candidate.row, m3ter_id in held)
        found.unchanged += len(found.confirmed)
        found.paused = self._known.paused([row.seen for row in changed.values()])
        for rejected in found.paused:
            del changed[rejected.m3ter_id]
        found.rows = list(changed.values())
