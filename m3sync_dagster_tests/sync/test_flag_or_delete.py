"""Flagging and deleting records that were deleted in m3ter: what needs consent, what is done."""

import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest

from m3sync_dagster.entities import ENTITIES, EntityType
from m3sync_dagster.sync.entity_options import EntityOptions, WhenGone, build_mapping
from m3sync_dagster.sync.errors import ConfigurationError, SyncError
from m3sync_dagster.sync.flag_or_delete import DeletionConsent, Outcome, Removal
from m3sync_dagster.sync.reconcile_types import DiffCounts, SyncedRecord
from m3sync_dagster.sync.row_results import Acknowledged, ErrorClass, Rejected, RowResult
from m3sync_dagster.sync.row_types import Value
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject
from m3sync_dagster_tests.sync.conftest import Listed, account, mapping


@dataclass
class Deleted:
    """Records that were deleted in m3ter, and what was done with them."""

    rows: list[SyncedRecord]
    deleted_before: bool = False
    removals: list[tuple[str, WhenGone, str]] = field(default_factory=list)

    def deleted_in_m3ter(self, size: int) -> Iterator[list[SyncedRecord]]:
        yield from (self.rows[n : n + size] for n in range(0, len(self.rows), size))

    def record_removal(self, rows: Sequence[SyncedRecord], action: WhenGone, run_id: str) -> None:
        self.removals += [(row.m3ter_id, action, run_id) for row in rows]

    def has_deleted(self) -> bool:
        return self.deleted_before


@dataclass
class Org:
    """An org that records updates and deletions, and refuses some."""

    type_: str = "boolean"
    refused: frozenset[str] = frozenset()
    deleted: list[str] = field(default_factory=list)
    updated: dict[str, Mapping[str, Value]] = field(default_factory=dict)

    def describe(self, object_name: str) -> SalesforceObject:
        fields = {"Deleted__c": SalesforceField("Deleted__c", self.type_)}
        return SalesforceObject(object_name, "Account", fields)

    def update(
        self, _object_name: str, changes: Mapping[str, Mapping[str, Value]]
    ) -> Iterator[list[RowResult]]:
        self.updated |= changes
        yield self._results(changes)

    def delete(self, salesforce_ids: Sequence[str]) -> Iterator[list[RowResult]]:
        self.deleted += salesforce_ids
        yield self._results(salesforce_ids)

    def _results(self, ids: Sequence[str] | Mapping[str, object]) -> list[RowResult]:
        return [
            Rejected(one, ErrorClass.PERMANENT, f"REFUSED_{one}", f"record {one} has children")
            if one in self.refused
            else Acknowledged(one, one, created=False)
            for one in ids
        ]


def removal(action: WhenGone, records: Deleted, org: Org, *still_in_m3ter: str) -> Removal:
    listed = Listed([account(one) for one in still_in_m3ter])
    return Removal(mapping(), action, "Deleted__c", listed, org, records, "run", Outcome())


def deleted(count: int, *, before: bool = False) -> Deleted:
    return Deleted([SyncedRecord(f"m{n}", f"s{n}") for n in range(count)], before)


@pytest.mark.parametrize(
    ("action", "gone", "equal", "consent", "before", "error"),
    [
        (WhenGone.DELETE, 1, 9, DeletionConsent(), False, "has not deleted any"),
        (WhenGone.DELETE, 1, 9, DeletionConsent(first=True), False, None),
        (WhenGone.DELETE, 1, 9, DeletionConsent(), True, None),
        (WhenGone.DELETE, 10, 11, DeletionConsent(), True, None),
        (WhenGone.DELETE, 10, 10, DeletionConsent(), True, "10 of 20 account records were deleted"),
        (WhenGone.DELETE, 10, 10, DeletionConsent(many=10), True, None),
        (WhenGone.DELETE, 11, 99, DeletionConsent(), True, None),
        (WhenGone.DELETE, 11, 98, DeletionConsent(), True, "11 of 109 account records"),
        (WhenGone.DELETE, 11, 98, DeletionConsent(many=10), True, "--delete-up-to 11"),
        (WhenGone.DELETE, 11, 98, DeletionConsent(many=11), True, None),
        (WhenGone.DELETE, 3, 0, DeletionConsent(first=True, many=3), True, "lists none of the 3"),
        (WhenGone.FLAG, 3, 0, DeletionConsent(first=True, many=3), True, "lists none of the 3"),
        (WhenGone.FLAG, 9, 1, DeletionConsent(), False, None),
    ],
)
def test_consent_that_is_needed(
    action: WhenGone,
    gone: int,
    equal: int,
    *,
    consent: DeletionConsent,
    before: bool,
    error: str | None,
) -> None:
    records, org = deleted(gone, before=before), Org()
    found = DiffCounts(equal=equal, extra=gone, gone=gone)
    work = removal(action, records, org)
    if error:
        with pytest.raises(SyncError, match=error):
            work.run(found, consent)
        assert (records.removals, org.deleted, org.updated) == ([], [], {})
    else:
        work.run(found, consent)
        assert work.outcome.done == len(records.removals) == gone


@pytest.mark.parametrize(
    ("action", "gone"), [(WhenGone.KEEP, 3), (WhenGone.DELETE, 0), (WhenGone.FLAG, 0)]
)
def test_nothing_to_do(action: WhenGone, gone: int) -> None:
    records, org = deleted(gone), Org()
    removal(action, records, org).run(DiffCounts(extra=gone, gone=gone), DeletionConsent())
    assert (records.removals, org.deleted, org.updated) == ([], [], {})


@pytest.mark.parametrize(
    ("type_", "mark"),
    [("boolean", r"True"), ("date", r"\d{4}-\d\d-\d\d"), ("datetime", r"\d{4}-.*T.*\.\d{3}Z")],
)
def test_a_mark_has_the_type_of_its_field(type_: str, mark: str) -> None:
    org = Org(type_)
    removal(WhenGone.FLAG, deleted(1), org).run(DiffCounts(equal=9, gone=1), DeletionConsent())
    (change,) = org.updated.values()
    assert change.keys() == {"Deleted__c"}
    assert re.fullmatch(mark, str(change["Deleted__c"]))


@pytest.mark.parametrize("zone", ["Etc/GMT+12", "Etc/GMT-14"])
def test_the_date_of_a_mark_is_that_of_utc(zone: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """At any time, one of these two zones has another date."""
    org = Org("date")
    with monkeypatch.context() as patch:
        patch.setenv("TZ", zone)
        time.tzset()
        before = datetime.now(UTC).date()
        removal(WhenGone.FLAG, deleted(1), org).run(DiffCounts(equal=9, gone=1), DeletionConsent())
        after = datetime.now(UTC).date()
    time.tzset()
    assert org.updated["s0"]["Deleted__c"] in {str(before), str(after)}


def test_a_text_field_cannot_hold_a_mark() -> None:
    work = removal(WhenGone.FLAG, deleted(1), Org("string"))
    with pytest.raises(
        ConfigurationError, match=r"Deleted__c of m3ter_Account__c is of the type string"
    ) as caught:
        work.run(DiffCounts(equal=9, gone=1), DeletionConsent())
    assert caught.value.where == ("entities", "account", "gone_field")


def test_a_record_that_m3ter_still_has_is_not_deleted() -> None:
    records, org = deleted(3, before=True), Org()
    work = removal(WhenGone.DELETE, records, org, "m1")
    work.run(DiffCounts(equal=97, gone=3), DeletionConsent())
    assert (org.deleted, work.outcome.still_in_m3ter) == (["s0", "s2"], ["m1"])


class Asked(Listed):
    """An m3ter that notes which records it was asked for, and under which parents."""

    def __init__(self) -> None:
        super().__init__()
        self.parents: dict[str, str | None] = {}

    def fetch(self, _entity: EntityType, m3ter_id: str, parent: str | None = None) -> bytes | None:
        self.parents[m3ter_id] = parent
        return None


@pytest.mark.parametrize(
    ("entity", "parents"),
    [
        ("bill_line_item", {"with": "b1", "without": None, "unknown": None}),
        ("balance", {"with": None, "without": None, "unknown": None}),
    ],
)
def test_a_record_is_requested_under_the_parent_that_salesforce_names(
    entity: str, parents: dict[str, str | None]
) -> None:
    built = build_mapping(ENTITIES[entity], {entity: EntityOptions(), "bill": EntityOptions()}, "")
    rows = [SyncedRecord("unknown", "s")]
    for m3ter_id, parent in (("with", "b1"), ("without", None)):
        values = [parent if place == built.owner else "x" for place in range(len(built.columns))]
        rows.append(SyncedRecord(m3ter_id, "s", json.dumps([m3ter_id, *values]).encode()))
    source = Asked()
    work = Removal(built, WhenGone.DELETE, None, source, Org(), Deleted(rows), "run", Outcome())
    work.run(DiffCounts(equal=97, gone=3), DeletionConsent(first=True))
    assert source.parents == parents


@pytest.mark.parametrize(
    ("action", "sent"), [(WhenGone.DELETE, "deleted"), (WhenGone.FLAG, "updated")]
)
def test_what_salesforce_refuses_is_counted_and_not_recorded_as_removed(
    action: WhenGone, sent: str
) -> None:
    records = deleted(402, before=True)
    org = Org(refused=frozenset({"s1", "s2", "s401"}))
    work = removal(action, records, org)
    work.run(DiffCounts(equal=9_598, gone=402), DeletionConsent(many=402))
    assert list(getattr(org, sent)) == [f"s{n}" for n in range(402)]
    assert records.removals == [
        (f"m{n}", action, "run") for n in range(402) if n not in {1, 2, 401}
    ]
    assert work.outcome == Outcome(399, 3, "REFUSED_s1: record s1 has children")
