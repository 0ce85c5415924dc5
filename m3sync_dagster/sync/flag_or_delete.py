"""Flagging or deleting Salesforce records that were deleted in m3ter.

A record was deleted in m3ter if this integration has synced it and m3ter no longer lists it. The
verification has read m3ter's whole list before; see ``Reconciler``. A list can still lack a record
that m3ter has, so each record is requested from m3ter by its id before it is flagged or deleted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from m3sync_dagster.sync.entity_options import WhenGone
from m3sync_dagster.sync.errors import ConfigurationError, SyncError
from m3sync_dagster.sync.interfaces import Source
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.reconcile import value_in
from m3sync_dagster.sync.reconcile_types import DiffCounts, SyncedRecord
from m3sync_dagster.sync.row_results import Acknowledged, Rejected, RowResult
from m3sync_dagster.sync.row_types import Value
from m3sync_dagster.sync.salesforce_schema import SalesforceObject

FEW = 10
"""So many records may be deleted although they exceed ``MOST_SHARE``."""
MOST_SHARE = 0.1
"""Share of the records in Salesforce above which more than ``FEW`` are not deleted."""
HALF = 0.5
"""Share of the records in Salesforce from which on not even ``FEW`` are deleted."""
BATCH = 200
"""Records that one call changes or deletes."""


class Org(Protocol):
    """Salesforce, for changing and deleting existing records."""

    def describe(self, object_name: str) -> SalesforceObject:
        """Describe an object; see ``preflight_schema.SchemaReader``."""
        ...

    def update(
        self, object_name: str, changes: Mapping[str, Mapping[str, Value]]
    ) -> Iterator[list[RowResult]]:
        """Update fields of records by Salesforce Id; the results name the records by it.

        Raises:
            SyncError: Salesforce could not be asked.
        """
        ...

    def delete(self, salesforce_ids: Sequence[str]) -> Iterator[list[RowResult]]:
        """Delete records by Salesforce Id; the results name the records by it.

        Raises:
            SyncError: Salesforce could not be asked.
        """
        ...


class DeletedRecords(Protocol):
    """The records that were deleted in m3ter."""

    def deleted_in_m3ter(self, size: int) -> Iterator[list[SyncedRecord]]:
        """Yield the records that were deleted in m3ter, ``size`` at a time."""
        ...

    def record_removal(self, rows: Sequence[SyncedRecord], action: WhenGone, run_id: str) -> None:
        """Record what was flagged or deleted."""
        ...

    def has_deleted(self) -> bool:
        """Whether records of this entity were deleted before."""
        ...


@dataclass(frozen=True, slots=True)
class DeletionConsent:
    """What a person has agreed to.

    Args:
        first: the first deletion of an entity's records.
        many: the deletion of up to so many of them, regardless of their share.
    """

    first: bool = False
    many: int = 0


@dataclass(slots=True)
class Outcome:
    """The results of updating or deleting records by their Ids.

    Args:
        done: how many Salesforce has changed or deleted.
        refused: how many it refused.
        first_error: its answer to the first of them.
        still_in_m3ter: m3ter ids of records that m3ter has, although its list lacks them; these
            are neither flagged nor deleted.
    """

    done: int = 0
    refused: int = 0
    first_error: str | None = None
    still_in_m3ter: list[str] = field(default_factory=list)

    def add(self, results: Sequence[RowResult]) -> list[str]:
        """Count results, and return the Ids of the records that Salesforce accepted."""
        refused = [result for result in results if isinstance(result, Rejected)]
        accepted = [r.salesforce_id for r in results if isinstance(r, Acknowledged)]
        self.done += len(accepted)
        self.refused += len(refused)
        if refused and self.first_error is None:
            self.first_error = f"{refused[0].code}: {refused[0].message}"
        return accepted


@dataclass(slots=True)
class Removal:
    """The removal of one entity's records that were deleted in m3ter.

    Args:
        mapping: of the records.
        action: what is done.
        gone_field: the field that marks them, for ``FLAG``.
        source: m3ter.
        org: Salesforce.
        records: the records that were deleted in m3ter.
        run_id: the run that does this.
        outcome: filled by ``run``.
    """

    mapping: FieldMapping
    action: WhenGone
    gone_field: str | None
    source: Source
    org: Org
    records: DeletedRecords
    run_id: str
    outcome: Outcome

    def run(self, found: DiffCounts, agreed: DeletionConsent) -> None:
        """Flag or delete the records, as ``action`` says.

        Args:
            found: the counts of the verification.
            agreed: what a person has agreed to.

        Raises:
            SyncError: it needs consent, or could not be completed. What was done is recorded.
        """
        if self.action is WhenGone.KEEP or not found.gone:
            return
        self._require_some_kept(found)
        if self.action is WhenGone.DELETE:
            self._require_few(found, agreed)
            self._require_consent(found, agreed)
        mark = self._mark() if self.action is WhenGone.FLAG else None
        for rows in self.records.deleted_in_m3ter(BATCH):
            self._remove([row for row in rows if not self._is_in_m3ter(row)], mark)

    def _require_some_kept(self, found: DiffCounts) -> None:
        if not found.in_both:
            raise SyncError(
                f"m3ter lists none of the {found.in_salesforce} {self.mapping.entity.name} records "
                "that are in Salesforce",
                "Check that the m3ter credential still reads the right organization. If all of "
                "them really were deleted in m3ter, delete them in Salesforce.",
            )

    def _require_few(self, found: DiffCounts, agreed: DeletionConsent) -> None:
        share = found.gone / found.in_salesforce
        few = found.gone <= FEW and share < HALF
        if not few and share > MOST_SHARE and found.gone > agreed.many:
            raise SyncError(
                f"{found.gone} of {found.in_salesforce} {self.mapping.entity.name} records were "
                "deleted in m3ter, and m3sync deletes none without consent when they are half of "
                f"all or more, or more than {FEW} and more than {MOST_SHARE:.0%}",
                "Check that m3ter still lists what it should. If they really were deleted, run "
                f"m3sync verify again with --repair --yes --delete-up-to {found.gone}.",
            )

    def _require_consent(self, found: DiffCounts, agreed: DeletionConsent) -> None:
        if not agreed.first and not self.records.has_deleted():
            raise SyncError(
                f"{found.gone} {self.mapping.entity.name} records were deleted in m3ter, and "
                "m3sync has not deleted any of this entity before",
                "Review them, then run m3sync verify again with --repair --yes.",
            )

    def _mark(self) -> Value:
        """The value that marks a record as deleted, in the type of the field."""
        described = self.org.describe(self.mapping.object_name)
        kind = described.fields[str(self.gone_field)].type
        marks: dict[str, Value] = {
            "boolean": True,
            "date": datetime.now(UTC).date().isoformat(),
            "datetime": datetime.now(UTC).isoformat(timespec="milliseconds")[:-6] + "Z",
        }
        if kind not in marks:
            raise ConfigurationError(
                f"the field {self.gone_field} of {described.name} is of the type {kind}",
                "Name a checkbox, a date or a date-time field as gone_field.",
                ("entities", self.mapping.entity.name, "gone_field"),
            )
        return marks[kind]

    def _is_in_m3ter(self, row: SyncedRecord) -> bool:
        fetched = self.source.fetch(self.mapping.entity, row.m3ter_id, self._parent_of(row))
        found = fetched is not None
        if found:
            self.outcome.still_in_m3ter.append(row.m3ter_id)
        return found

    def _parent_of(self, row: SyncedRecord) -> str | None:
        """The parent under which m3ter has the record, as Salesforce's record names it."""
        owner = self.mapping.owner if self.mapping.scoped_by else None
        if owner is None or row.payload is None:
            return None
        parent = value_in(row.payload, owner)
        return parent if isinstance(parent, str) else None

    def _remove(self, rows: Sequence[SyncedRecord], mark: Value) -> None:
        by_id = {row.salesforce_id: row for row in rows}
        for results in self._send(list(by_id), mark):
            accepted = [by_id[salesforce_id] for salesforce_id in self.outcome.add(results)]
            self.records.record_removal(accepted, self.action, self.run_id)

    def _send(self, ids: Sequence[str], mark: Value) -> Iterator[list[RowResult]]:
        if self.action is WhenGone.DELETE:
            return self.org.delete(ids)
        change = {str(self.gone_field): mark}
        return self.org.update(self.mapping.object_name, dict.fromkeys(ids, change))
