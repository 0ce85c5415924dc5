"""What becomes of Salesforce records that m3ter no longer has.

A record is gone when this integration has written it, and m3ter no longer lists it. A verification
has asked for m3ter's whole list by then; see ``Reconciler``. A list may still lack a record that
m3ter has, so m3ter is asked for each record by its id before it is flagged or deleted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from m3sync_dagster.sync.entity_options import WhenGone
from m3sync_dagster.sync.errors import ConfigurationError, SyncError
from m3sync_dagster.sync.interfaces import Source
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.reconcile_types import DiffCounts, SyncedRecord
from m3sync_dagster.sync.results import Acknowledged, Rejected, RowResult, Value
from m3sync_dagster.sync.salesforce_schema import SalesforceObject

FEW = 10
"""Records that may be deleted although they are more than a share of all."""
MOST_SHARE = 0.1
"""Share of the records held beyond which more than ``FEW`` are not deleted."""
HALF = 0.5
"""Share of the records held from which on not even a few are deleted."""
BATCH = 200
"""Records that are asked for, and then changed or deleted, together: as many as one call takes."""


class Org(Protocol):
    """Salesforce, for changing and deleting records that are there."""

    def describe(self, object_name: str) -> SalesforceObject:
        """Read what the org says of an object; see ``ports.Destination``."""
        ...

    def update(
        self, object_name: str, changes: Mapping[str, Mapping[str, Value]]
    ) -> Iterator[list[RowResult]]:
        """Give fields of records new values, by their Salesforce Ids; the results name them so.

        Raises:
            SyncError: Salesforce could not be asked.
        """
        ...

    def delete(self, salesforce_ids: Sequence[str]) -> Iterator[list[RowResult]]:
        """Delete records by their Salesforce Ids, under which the results name them.

        Raises:
            SyncError: Salesforce could not be asked.
        """
        ...


class DeletedRecords(Protocol):
    """What a comparison knows of gone records."""

    def gone(self, size: int) -> Iterator[list[SyncedRecord]]:
        """Give the gone records, so many at a time."""
        ...

    def removed(self, rows: Sequence[SyncedRecord], action: WhenGone, run_id: str) -> None:
        """Write down what was flagged or deleted."""
        ...

    def has_deleted(self) -> bool:
        """Whether records of this entity were deleted before."""
        ...


@dataclass(frozen=True, slots=True)
class DeletionConsent:
    """What a person has agreed to.

    Args:
        first: the first deletion of an entity's records.
        many: the deletion of so many of them, whatever share of all they are.
    """

    first: bool = False
    many: int = 0


@dataclass(slots=True)
class Outcome:
    """What became of records by their Ids.

    Args:
        done: how many Salesforce has changed or deleted.
        refused: how many it would not.
        why: what it said of the first of them.
        still_in_m3ter: m3ter ids of records that m3ter has, although its list lacks them; nothing
            is done about these.
    """

    done: int = 0
    refused: int = 0
    why: str | None = None
    still_in_m3ter: list[str] = field(default_factory=list)

    def take(self, results: Sequence[RowResult]) -> list[str]:
        """Count results, and give the Ids of the records that went through."""
        refused = [result for result in results if isinstance(result, Rejected)]
        taken = [r.salesforce_id for r in results if isinstance(r, Acknowledged)]
        self.done += len(taken)
        self.refused += len(refused)
        if refused and self.why is None:
            self.why = f"{refused[0].code}: {refused[0].message}"
        return taken


@dataclass(slots=True)
class Removal:
    """What is done about one entity's gone records.

    Args:
        mapping: which records are meant.
        action: what is done.
        gone_field: the field that marks them, for ``FLAG``.
        source: m3ter.
        org: Salesforce.
        records: the gone records.
        run_id: the run in whose course this is done.
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
        """Do it.

        Args:
            found: what was found of the entity.
            agreed: what a person has agreed to.

        Raises:
            SyncError: it may not be done, or could not be done to the end. What was done is on
                record.
        """
        if self.action is WhenGone.KEEP or not found.gone:
            return
        self._require_some_kept(found)
        if self.action is WhenGone.DELETE:
            self._require_few(found, agreed)
            self._require_agreement(found, agreed)
        mark = self._mark() if self.action is WhenGone.FLAG else None
        for rows in self.records.gone(BATCH):
            self._remove([row for row in rows if not self._is_in_m3ter(row)], mark)

    def _require_some_kept(self, found: DiffCounts) -> None:
        if not found.kept:
            raise SyncError(
                f"m3ter lists none of the {found.held} {self.mapping.entity.name} records that "
                "Salesforce holds",
                "See whether its credential still reads the right organization. If all of them "
                "really are gone, delete them in Salesforce.",
            )

    def _require_few(self, found: DiffCounts, agreed: DeletionConsent) -> None:
        share = found.gone / found.held
        few = found.gone <= FEW and share < HALF
        if not few and share > MOST_SHARE and found.gone > agreed.many:
            raise SyncError(
                f"{found.gone} of {found.held} {self.mapping.entity.name} records are gone from "
                f"m3ter, and m3sync deletes none unasked when they are half of all or more, or "
                f"more than {FEW} and more than {MOST_SHARE:.0%}",
                "See whether m3ter still lists what it should. If they really are gone, run m3sync "
                f"verify again with --repair --yes --delete-up-to {found.gone}.",
            )

    def _require_agreement(self, found: DiffCounts, agreed: DeletionConsent) -> None:
        if not agreed.first and not self.records.has_deleted():
            raise SyncError(
                f"{found.gone} {self.mapping.entity.name} records are gone from m3ter, and m3sync "
                "has not deleted any before",
                "Look at them, then run m3sync verify again with --repair --yes.",
            )

    def _mark(self) -> Value:
        """What the field says of a gone record."""
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
        found = self.source.fetch(self.mapping.entity, row.m3ter_id) is not None
        if found:
            self.outcome.still_in_m3ter.append(row.m3ter_id)
        return found

    def _remove(self, rows: Sequence[SyncedRecord], mark: Value) -> None:
        by_id = {row.salesforce_id: row for row in rows}
        for results in self._send(list(by_id), mark):
            taken = [by_id[salesforce_id] for salesforce_id in self.outcome.take(results)]
            self.records.removed(taken, self.action, self.run_id)

    def _send(self, ids: Sequence[str], mark: Value) -> Iterator[list[RowResult]]:
        if self.action is WhenGone.DELETE:
            return self.org.delete(ids)
        change = {str(self.gone_field): mark}
        return self.org.update(self.mapping.object_name, dict.fromkeys(ids, change))
