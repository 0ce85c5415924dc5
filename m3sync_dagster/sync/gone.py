"""What becomes of Salesforce records that m3ter no longer has.

A record is gone when this integration has written it, and a complete list of m3ter's records no
longer names it. Before anything is done, m3ter is asked for the whole list once more, because a
list that changes while it is paged through may pass over a record.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import msgspec

from m3sync_dagster.sync.errors import ConfigurationError, SyncError
from m3sync_dagster.sync.mapping import Mapping, WhenGone
from m3sync_dagster.sync.outcome import Acknowledged, Refused, Row, RowResult, Value
from m3sync_dagster.sync.ports import Column, SalesforceObject, Source, Target

FEW = 10
"""Records that may be deleted whatever share of all they are."""
MOST_SHARE = 0.1
"""Share of the records held beyond which none is deleted."""
BATCH = 2_000
"""Records that are flagged or deleted together."""


@dataclass(frozen=True, slots=True)
class GoneRow:
    """A gone record."""

    m3ter_id: str
    salesforce_id: str


class GoneRecords(Protocol):
    """What a comparison knows of gone records."""

    def still_listed(self, ids: Sequence[str]) -> int:
        """Take back that records are gone, for m3ter lists them, and tell how many were."""
        ...

    def gone(self, size: int) -> Iterator[list[GoneRow]]:
        """Give the gone records, so many at a time."""
        ...

    def removed(self, rows: Sequence[GoneRow], action: WhenGone, run_id: str) -> None:
        """Write down what was flagged or deleted."""
        ...

    def has_deleted(self) -> bool:
        """Whether records of this entity were deleted before."""
        ...


class Org(Protocol):
    """Salesforce, for marking and deleting."""

    def describe(self, object_name: str) -> SalesforceObject:
        """Read what the org says of an object; see ``ports.Destination``."""
        ...

    def upsert_few(self, target: Target, rows: Sequence[Row]) -> Iterator[list[RowResult]]:
        """Write rows by sObject Collections.

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


class _Identified(msgspec.Struct):
    """A record of m3ter, as far as its id."""

    id: str


_DECODE = msgspec.json.Decoder(_Identified).decode


def _id(raw: bytes) -> str | None:
    try:
        return _DECODE(raw).id
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None  # a record without a usable id was never sent


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
        done: filled by ``run``: how many were flagged or deleted.
        still_listed: filled by ``run``: how many m3ter lists after all.
        refused: filled by ``run``: how many Salesforce would not flag or delete.
        why: filled by ``run``: what it said of the first of them.
    """

    mapping: Mapping
    action: WhenGone
    gone_field: str | None
    source: Source
    org: Org
    records: GoneRecords
    run_id: str
    done: int = 0
    still_listed: int = 0
    refused: int = 0
    why: str | None = None

    def run(self, gone: int, held: int, *, agreed: bool) -> None:
        """Do it.

        Args:
            gone: how many records are gone.
            held: how many records in scope Salesforce holds.
            agreed: whether a person has agreed to the first deletion.

        Raises:
            SyncError: it may not be done, or could not be done to the end. What was done is on
                record.
        """
        if self.action is WhenGone.KEEP or not gone:
            return
        if self.action is WhenGone.DELETE:
            self._require_few(gone, held)
            self._require_agreement(gone, agreed=agreed)
        mark = self._mark() if self.action is WhenGone.FLAG else None
        self._list_again()
        for rows in self.records.gone(BATCH):
            self._remove(rows, mark)

    def _require_few(self, gone: int, held: int) -> None:
        if gone > FEW and gone > held * MOST_SHARE:
            raise SyncError(
                f"{gone} of {held} {self.mapping.entity.name} records are gone from m3ter, and "
                f"m3sync deletes none when they are more than {FEW} and more than {MOST_SHARE:.0%}",
                "See whether m3ter still lists what it should. If they really are gone, use "
                "when_gone: flag, or delete them in Salesforce.",
            )

    def _require_agreement(self, gone: int, *, agreed: bool) -> None:
        if not agreed and not self.records.has_deleted():
            raise SyncError(
                f"{gone} {self.mapping.entity.name} records are gone from m3ter, and m3sync has "
                "not deleted any before",
                "Look at them, then run m3sync verify again with --repair --yes.",
            )

    def _list_again(self) -> None:
        """Read m3ter's list once more: what it names now is not gone."""
        listed = 0
        scope = self.mapping.scope.fetchable()
        for page in self.source.records(self.mapping.entity, scope):
            self.still_listed += self.records.still_listed(
                [m3ter_id for raw in page if (m3ter_id := _id(raw))]
            )
            listed += len(page)
        if not listed:
            raise SyncError(
                f"m3ter lists no {self.mapping.entity.name} record at all",
                "See whether its credential still reads the right organization. If all of them "
                "really are gone, delete them in Salesforce.",
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

    def _remove(self, rows: Sequence[GoneRow], mark: Value) -> None:
        by_key = {self._key(row): row for row in rows}
        for results in self._send(rows, mark):
            taken = [by_key[r.m3ter_id] for r in results if isinstance(r, Acknowledged)]
            self.records.removed(taken, self.action, self.run_id)
            self.done += len(taken)
            self._count([result for result in results if isinstance(result, Refused)])

    def _count(self, refused: Sequence[Refused]) -> None:
        self.refused += len(refused)
        if refused and self.why is None:
            self.why = f"{refused[0].code}: {refused[0].message}"

    def _key(self, row: GoneRow) -> str:
        return row.m3ter_id if self.action is WhenGone.FLAG else row.salesforce_id

    def _send(self, rows: Sequence[GoneRow], mark: Value) -> Iterator[list[RowResult]]:
        if self.action is WhenGone.DELETE:
            return self.org.delete([row.salesforce_id for row in rows])
        target = Target(
            self.mapping.object_name,
            self.mapping.external_id_field,
            (Column(str(self.gone_field)),),
        )
        return self.org.upsert_few(target, [Row(row.m3ter_id, [mark]) for row in rows])
