"""What a sync would send, without sending it: read, detect changes, show.

Nothing is written. A record that is in Salesforce according to the ledger counts as an update, any
other as a new record. A row that Salesforce has permanently rejected more than twice is paused and
would not be sent. For a mapping that only updates, Salesforce is asked which records exist; rows
without one wait.
"""

from collections.abc import Callable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from typing import Literal, Protocol, get_args

from m3sync_dagster.sync.account_link_types import LinkCounts, LinkOrg
from m3sync_dagster.sync.account_links import with_links_of
from m3sync_dagster.sync.canonical_values import canonical, field_types
from m3sync_dagster.sync.change_detection import BatchChanges, ChangeDetector, ChangedRow
from m3sync_dagster.sync.engine import batched
from m3sync_dagster.sync.fingerprint_basis import (
    BasisChange,
    FingerprintBasis,
    KnownRowsAfterChange,
    compare,
)
from m3sync_dagster.sync.fingerprint_basis_change import current_basis
from m3sync_dagster.sync.id_digests import IdDigests
from m3sync_dagster.sync.interfaces import Source
from m3sync_dagster.sync.known_rows import KnownRows
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.preflight_schema import SchemaReader
from m3sync_dagster.sync.reconcile_types import ReadRow, Selection
from m3sync_dagster.sync.record_matching import is_empty
from m3sync_dagster.sync.record_scope import (
    records_of,
    with_scope_of,
    with_scope_of_record,
)
from m3sync_dagster.sync.row_types import Column, Row, Target, Value
from m3sync_dagster.sync.salesforce_schema import OrgIdentity, SalesforceObject
from m3sync_dagster.sync.target_schema import TargetSchema

SAMPLE = 20
"""Changed rows of an entity that are shown field by field."""

Action = Literal["create", "update", "unchanged", "invalid", "paused", "waiting"]


class StoredRows(KnownRows, Protocol):
    """The stored fingerprints and rejects of earlier runs, and their basis."""

    def basis(self) -> FingerprintBasis | None:
        """The basis of the stored fingerprints; ``None`` if none is stored."""
        ...


class Org(SchemaReader, LinkOrg, Protocol):
    """Salesforce, read only."""

    def identity(self) -> OrgIdentity:
        """Return the org's identity; see ``interfaces.Destination``."""
        ...

    def read_back(self, target: Target, only: Selection | None) -> Iterator[Sequence[ReadRow]]:
        """Read records, a batch at a time; see ``reconcile_types.Org``."""
        ...


@dataclass(frozen=True, slots=True)
class Sample:
    """A changed row.

    Args:
        m3ter_id: the record.
        action: what a run would do.
        changes: its Salesforce fields that differ, each with its value before and after.
        salesforce_id: its Id, if Salesforce has a record with this external ID.
        kept: its Salesforce fields that differ and are not written, because they are not empty:
            Salesforce's value and m3ter's.
    """

    m3ter_id: str
    action: Action
    changes: dict[str, tuple[object, Value]]
    salesforce_id: str | None = None
    kept: dict[str, tuple[object, Value]] = field(default_factory=dict)


@dataclass(slots=True)
class EntityPlan:
    """The plan of one entity type.

    Args:
        mapping: which field goes where, and which accounts are in scope.
        source: m3ter.
        stored: the rows that Salesforce has acknowledged.
        org: Salesforce.
        preflight: called before the object is described; its errors stop the plan, as a run.
        only: the m3ter id of the one record to plan for; ``None``: all.
        most: how many changed rows are compared field by field.
        counts: filled by ``run``: records by action.
        sample: filled by ``run``: the first rows that would be sent.
        links: filled by ``run``: the accounts by the outcome of their link, if the mapping has one.
    """

    mapping: FieldMapping
    source: Source
    stored: StoredRows
    org: Org
    preflight: Callable[[], object] = lambda: None
    only: str | None = None
    most: int = SAMPLE
    counts: dict[Action, int] = field(default_factory=lambda: dict.fromkeys(get_args(Action), 0))
    sample: list[Sample] = field(default_factory=list)
    links: LinkCounts = field(default_factory=LinkCounts)

    def run(self) -> Iterator[int]:
        """Make the plan; yields the number of records read after each batch.

        Raises:
            ConfigurationError: the mapping does not fit the org.
            SyncError: m3ter, Salesforce or the state could not be read to the end.
        """
        schema = TargetSchema(self.mapping, self.org, self.preflight)
        schema.require_current()
        known = self._known()
        existing = self._existing(schema.target) if self.mapping.update_only else None
        chosen: list[tuple[Row, Action]] = []
        read = 0
        for count, changes in self._detect(known, schema):
            rows = self._count(changes, existing)
            chosen.extend(rows[: self.most - len(chosen)])
            read += count
            yield read
        described = self.org.describe(self.mapping.object_name)
        values = _SalesforceValues(self.org, schema.target, described, self.mapping.if_empty)
        self.sample = values.compare(chosen)

    def _detect(self, known: KnownRows, schema: TargetSchema) -> Iterator[tuple[int, BatchChanges]]:
        if self.only is not None:
            yield from self._detect_one(self.only, known, schema)
            return
        account_ids = self.mapping.scope.fetchable()
        mapping = with_scope_of(self.mapping, self.source, account_ids)
        mapping = with_links_of(mapping, self.source, self.org, account_ids)
        batches = batched(records_of(mapping, self.source))
        yield from ChangeDetector(mapping, known, schema).detect_all(batches)

    def _detect_one(
        self, m3ter_id: str, known: KnownRows, schema: TargetSchema
    ) -> Iterator[tuple[int, BatchChanges]]:
        record = self.source.fetch(self.mapping.entity, m3ter_id)
        if record is None:
            return
        mapping = with_scope_of_record(self.mapping, self.source, record)
        mapping = with_links_of(mapping, self.source, self.org, [m3ter_id])
        yield from ChangeDetector(mapping, known, schema).detect_all([[record]])

    def _known(self) -> KnownRows:
        """The stored rows; without fingerprints if their basis has changed."""
        basis = current_basis(self.mapping, self.source, self.org.identity())
        change = compare(self.stored.basis(), basis)
        return (
            self.stored if change is BasisChange.NONE else KnownRowsAfterChange(self.stored, change)
        )

    def _existing(self, target: Target) -> IdDigests:
        """The external IDs of all records of the object, or the one that is planned for."""
        key = Column(target.external_id_field)
        only = None if self.only is None else Selection(key, [self.only])
        batches = self.org.read_back(replace(target, columns=()), only)
        return IdDigests(row.m3ter_id for rows in batches for row in rows if row.m3ter_id)

    def _count(self, changes: BatchChanges, existing: IdDigests | None) -> list[tuple[Row, Action]]:
        """Count the changes of a batch, and return the rows that would be sent."""
        self.links.update(changes.links)
        self.counts["unchanged"] += changes.unchanged
        self.counts["invalid"] += len(changes.invalid)
        self.counts["paused"] += len(changes.paused)
        self.counts["waiting"] += len(changes.waiting)
        rows = [(one.row, _action(one, existing)) for one in changes.rows]
        for _, action in rows:
            self.counts[action] += 1
        return [(row, action) for row, action in rows if action != "waiting"]


def _action(changed: ChangedRow, existing: IdDigests | None) -> Action:
    if existing is not None:
        return "update" if changed.row.m3ter_id in existing else "waiting"
    return "update" if changed.in_salesforce else "create"


class _SalesforceValues:
    """The present values of a few records in Salesforce."""

    def __init__(
        self,
        org: Org,
        target: Target,
        described: SalesforceObject,
        if_empty: AbstractSet[str],
    ) -> None:
        self._org = org
        self._target = target
        self._if_empty = if_empty
        self._types = field_types(target, described)

    def compare(self, rows: Sequence[tuple[Row, Action]]) -> list[Sample]:
        """Return for each row the fields that it would change."""
        found = self._read([row.m3ter_id for row, _ in rows]) if rows else {}
        return [self._sample(row, action, found.get(row.m3ter_id)) for row, action in rows]

    def _sample(self, row: Row, action: Action, found: ReadRow | None) -> Sample:
        values = found.values if found else [None] * len(self._target.columns)
        salesforce_id = found.salesforce_id if found else None
        differing = self._differing(row, values)
        kept = {
            name: pair
            for name, pair in differing.items()
            if name in self._if_empty and not is_empty(pair[0])
        }
        changes = {name: pair for name, pair in differing.items() if name not in kept}
        return Sample(row.m3ter_id, action, changes, salesforce_id, kept)

    def _read(self, ids: Sequence[str]) -> dict[str, ReadRow]:
        """The records with these external IDs."""
        only = Selection(Column(self._target.external_id_field), ids)
        batches = self._org.read_back(self._target, only)
        return {str(record.m3ter_id): record for batch in batches for record in batch}

    def _differing(self, row: Row, values: Sequence[object]) -> dict[str, tuple[object, Value]]:
        changes = {}
        fields = zip(self._target.columns, self._types, values, row.values, strict=True)
        for column, kind, before, after in fields:
            if canonical(before, kind) != canonical(after, kind):
                changes[column.field] = (before, after)
        return changes
