"""Which records of a batch have changed, from the stored fingerprints, digests and rejects."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync import change_detection
from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.account_link_types import AccountLink, LinkOutcome
from m3sync_dagster.sync.account_links import with_links_of
from m3sync_dagster.sync.change_detection import BatchChanges, ChangeDetector, build_candidate
from m3sync_dagster.sync.entity_options import EntityOptions, build_mapping
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.match_and_overwrite import Match
from m3sync_dagster.sync.record_scope import with_scope_of
from m3sync_dagster.sync.row_results import NO_RECORD, ErrorClass, Rejected
from m3sync_dagster.sync.row_types import RecordHash
from m3sync_dagster.sync.salesforce_schema import SalesforceObject
from m3sync_dagster.sync.target_schema import TargetSchema
from m3sync_dagster_tests.sync.conftest import Listed, Org, mapping
from m3sync_dagster_tests.sync.fitting_object import fitting
from m3sync_dagster_tests.sync.test_account_links import (
    BY_CODE,
    BY_MAPPING,
    FIRST,
    SECOND,
    LinkOrg,
    external,
)

RECORD = b'{"id": "a", "name": "n"}'
REORDERED = b'{"name": "n", "id": "a"}'
CHANGED = b'{"id": "a", "name": "changed"}'
INVALID = b'{"id": "a", "name": []}'
RESTRICTED = b'{"id": "left out", "name": "n"}'


@dataclass
class StoredRows:
    """Stored state as dictionaries."""

    digests: set[bytes] = field(default_factory=set)
    fingerprints: dict[str, bytes | None] = field(default_factory=dict)
    rejected: dict[bytes, Rejected] = field(default_factory=dict)
    parents: frozenset[str] = frozenset()

    def unknown_digests(self, digests: Sequence[bytes]) -> list[int]:
        return [place for place, digest in enumerate(digests) if digest not in self.digests]

    def acknowledged(self, ids: Sequence[str]) -> dict[str, bytes | None]:
        assert ids, "nothing may have changed"
        return {one: self.fingerprints[one] for one in ids if one in self.fingerprints}

    def paused(self, seen: Sequence[RecordHash]) -> list[Rejected]:
        return [self.rejected[one.fingerprint] for one in seen if one.fingerprint in self.rejected]

    def without_record(self, entity: str, ids: Sequence[str]) -> set[str]:
        assert self.parents, f"no {entity} only updates: {ids}"
        return {one for one in ids if one in self.parents}


MAPPING = mapping(options=EntityOptions(scope=AccountFilter(restricted=frozenset({"left out"}))))


def detect(
    stored: StoredRows, org: Org, *batch: bytes, built: FieldMapping = MAPPING
) -> BatchChanges:
    return ChangeDetector(built, stored, TargetSchema(built, org)).detect(batch)


def acknowledged(org: Org, *batch: bytes, built: FieldMapping = MAPPING) -> StoredRows:
    """The state after Salesforce has acknowledged the rows of records."""
    seen = [row.seen for row in detect(StoredRows(), org, *batch, built=built).rows]
    return StoredRows({one.digest for one in seen}, {one.m3ter_id: one.fingerprint for one in seen})


def ids(found: BatchChanges) -> list[str]:
    return [one.row.m3ter_id for one in found.rows]


@pytest.mark.parametrize(
    ("batch", "unchanged", "confirmed", "sent", "invalid"),
    [
        ([RECORD], 1, 0, [], 0),
        ([RECORD, RECORD], 2, 0, [], 0),
        ([REORDERED], 1, 1, [], 0),
        ([CHANGED], 0, 0, [("a", True)], 0),
        ([CHANGED, CHANGED], 0, 0, [("a", True)], 0),
        ([RECORD, CHANGED], 1, 0, [("a", True)], 0),
        ([RECORD, REORDERED], 2, 1, [], 0),
        ([RESTRICTED, CHANGED], 0, 0, [("a", True)], 0),
        ([b'{"id": "b", "name": "n"}'], 0, 0, [("b", False)], 0),
        ([INVALID], 0, 0, [], 1),
        ([RESTRICTED], 0, 0, [], 0),
        ([], 0, 0, [], 0),
    ],
)
def test_changes_against_one_acknowledged_record(
    batch: list[bytes], unchanged: int, confirmed: int, sent: list[tuple[str, bool]], invalid: int
) -> None:
    org = Org()
    found = detect(acknowledged(org, RECORD), org, *batch)
    assert (found.unchanged, len(found.confirmed), len(found.invalid)) == (
        unchanged,
        confirmed,
        invalid,
    )
    assert [(one.row.m3ter_id, one.in_salesforce) for one in found.rows] == sent
    assert found.to_do is bool(sent or invalid)


def test_a_withdrawn_fingerprint_sends_an_unchanged_record() -> None:
    org = Org()
    (row,) = detect(StoredRows(fingerprints={"a": None}), org, RECORD).rows
    assert row.in_salesforce


@pytest.mark.parametrize(("raw", "is_paused"), [(RECORD, True), (CHANGED, False)])
def test_a_rejected_row_is_paused_until_it_changes(raw: bytes, is_paused: bool) -> None:
    org = Org()
    (row,) = detect(StoredRows(), org, RECORD).rows
    reject = Rejected("a", ErrorClass.PERMANENT, "CODE", "no")
    found = detect(StoredRows(rejected={row.seen.fingerprint: reject}), org, raw)
    assert (bool(found.paused), bool(found.rows)) == (is_paused, not is_paused)


def test_the_object_is_described_only_if_there_is_something_to_send() -> None:
    org = Org()
    stored = acknowledged(org, RECORD)
    calls = org.calls
    detect(stored, org, RECORD)
    assert org.calls == calls
    detect(stored, org, CHANGED)
    assert org.calls == calls + 1


@pytest.mark.parametrize(
    ("raw", "has_row", "has_reject", "has_fingerprint"),
    [
        (RECORD, True, False, True),
        (INVALID, False, True, False),
        (b"{}", False, True, False),
        (b'{"id": "a", "emailAddress": "' + b"x" * 300 + b'"}', False, True, True),
    ],
)
def test_candidates(raw: bytes, has_row: bool, has_reject: bool, has_fingerprint: bool) -> None:
    org = Org()
    org.lengths["emailAddress"] = 255
    candidate = build_candidate(MAPPING, TargetSchema(MAPPING, org).validator(), raw)
    assert candidate
    found = (bool(candidate.row), bool(candidate.rejected), bool(candidate.fingerprint))
    assert found == (has_row, has_reject, has_fingerprint)


def test_a_row_with_a_text_that_was_cut_is_compared_as_any_other() -> None:
    org = Org()
    org.lengths["title"] = 10
    long = {"name": "an account's long name"}
    (row,) = detect(StoredRows(), org, raw("a", **long)).rows
    assert (row.row.values[0], row.row.cut) == ("an account", True)
    stored = acknowledged(org, raw("a", **long))
    found = detect(stored, org, raw("a", unmapped=True, **long))
    assert [one.fingerprint for one in found.confirmed] == [row.seen.fingerprint]
    assert found.rows == []
    assert ids(detect(stored, org, raw("a", name="another long name"))) == ["a"]


def test_the_same_values_in_another_object_have_another_fingerprint() -> None:
    prints = set()
    for name in ("One__c", "Other__c"):
        built = mapping(options=EntityOptions(object=name))
        candidate = build_candidate(built, TargetSchema(built, Org()).validator(), RECORD)
        assert candidate
        prints.add(candidate.fingerprint)
    assert len(prints) == 2


def test_a_record_out_of_scope_is_no_candidate() -> None:
    assert build_candidate(MAPPING, TargetSchema(MAPPING, Org()).validator(), RESTRICTED) is None


def raw(m3ter_id: str, **fields: object) -> bytes:
    return json.dumps({"id": m3ter_id, "name": "n", **fields}).encode()


class FittingOrg(Org):
    """An org with the object of a mapping."""

    def __init__(self, built: FieldMapping) -> None:
        super().__init__()
        self.built = built

    def _describe(self, _object_name: str) -> SalesforceObject:
        return fitting(self.built)


def test_a_new_record_is_not_sent_before_it_is_final() -> None:
    built = mapping("bill")
    org = FittingOrg(built)
    stored = acknowledged(org, raw("known", status="APPROVED"), built=built)
    batch = [raw("new", status="PENDING"), raw("known", status="PENDING")]
    batch.append(raw("final", status="APPROVED"))
    assert ids(detect(stored, org, *batch, built=built)) == ["known", "final"]


@pytest.mark.parametrize(
    ("match", "code", "is_paused"),
    [
        (Match.UPSERT, NO_RECORD, False),
        (Match.UPDATE_ONLY, NO_RECORD, True),
        (Match.UPSERT, "DUPLICATE_VALUE", True),
        (Match.UPDATE_ONLY, "DUPLICATE_VALUE", True),
    ],
)
def test_a_row_without_record_is_sent_once_it_may_create_one(
    match: Match, code: str, is_paused: bool
) -> None:
    built, org = mapping(options=EntityOptions(match=match)), Org()
    batch = [raw("a"), raw("b", name="another")]
    first, second = detect(StoredRows(), org, *batch, built=built).rows
    rejected = Rejected("a", ErrorClass.DEPENDENCY, code, "no")
    stored = StoredRows(rejected={first.seen.fingerprint: rejected})
    found = detect(stored, org, *batch, built=built)
    paused, sent = ([rejected], [second]) if is_paused else ([], [first, second])
    assert (found.paused, found.rows) == (paused, sent)


def test_a_row_waits_with_its_parent() -> None:
    options = {"account": EntityOptions(match=Match.UPDATE_ONLY), "contract": EntityOptions()}
    built = build_mapping(ENTITIES["contract"], options, "")
    batch = [raw("c", accountId="a"), raw("d", accountId="b")]
    found = detect(StoredRows(parents=frozenset("a")), FittingOrg(built), *batch, built=built)
    assert ([one.m3ter_id for one in found.waiting], ids(found)) == (["c"], ["d"])


def in_europe(source: Listed, link: AccountLink | None = None) -> FieldMapping:
    """A mapping of the accounts in euros alone."""
    scope = AccountFilter(expression=AccountExpression('currency == "EUR"'))
    built = with_scope_of(mapping(options=EntityOptions(scope=scope, link=link)), source, None)
    return with_links_of(built, source, Org(), None)


@pytest.mark.parametrize("link", [None, BY_MAPPING])
def test_an_account_changes_with_its_own_scope_and_that_of_its_parent(
    link: AccountLink | None,
) -> None:
    """Its own JSON text is the same."""
    batch = [raw("out"), raw("in", parentAccountId="parent"), raw("other")]
    org = LinkOrg()

    def accounts(parent: str) -> Listed:
        euros = {"in": "EUR", "other": "EUR", "parent": parent}
        return Listed([{"id": one, "currency": euros.get(one)} for one in ("out", *euros)])

    before = in_europe(accounts("EUR"), link)
    stored = acknowledged(org, *batch, built=before)
    assert stored.fingerprints.keys() == {"in", "other"}
    assert ids(detect(stored, org, *batch, built=before)) == []
    (row,) = detect(stored, org, *batch, built=in_europe(accounts("USD"), link)).rows
    parent = before.columns.index("Parent_Account__c")
    assert (row.row.m3ter_id, row.row.values[parent]) == ("in", None)


def test_an_account_changes_with_its_external_mapping() -> None:
    scope = AccountFilter(restricted=frozenset({"left out"}))
    unlinked = mapping(options=EntityOptions(scope=scope, link=BY_MAPPING))
    org, batch = LinkOrg(), [RESTRICTED, raw("a"), raw("b"), b"{}"]
    source = Listed()
    source.external = [external("left out", SECOND), external("a", FIRST)]
    built = with_links_of(unlinked, source, org, None)
    stored = acknowledged(org, *batch, built=built)
    found = detect(stored, org, *batch, built=built)
    assert found.rows == []
    assert found.links.counts == {LinkOutcome.MATCHED: 1, LinkOutcome.NONE: 1}
    assert found.links.examples == {LinkOutcome.NONE: ["n (b)"]}
    source.external = [external("a", SECOND)]
    found = detect(stored, org, *batch, built=with_links_of(unlinked, source, org, None))
    assert ids(found) == ["a"]


@pytest.mark.parametrize("link", [None, BY_MAPPING])
def test_a_changed_mapping_compares_every_record_again(link: AccountLink | None) -> None:
    org = LinkOrg()
    before, after = (
        with_links_of(mapping(options=options), Listed(), org, None)
        for options in (
            EntityOptions(link=link),
            EntityOptions(link=link, fields={"code": None}),
        )
    )
    stored = acknowledged(org, RECORD, built=before)
    assert ids(detect(stored, org, RECORD, built=after)) == ["a"]


def test_changed_accounts_are_looked_up_by_code_a_thousand_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(change_detection, "LOOKED_UP", 2)
    scope = AccountFilter(restricted=frozenset({"left out"}))
    built = mapping(options=EntityOptions(scope=scope, link=BY_CODE))
    org = LinkOrg()
    org.crm = {"A": [FIRST], "B": [FIRST, SECOND]}
    built = with_links_of(built, Listed(), org, None)
    stored = acknowledged(org, raw("known", code="K"), built=built)
    org.looked_for.clear()
    detector = ChangeDetector(built, stored, TargetSchema(built, org))
    batches = [
        [raw("a", code="A"), raw("known", code="K")],
        [raw("b", code="B"), raw("c", code="C"), raw("left out", code="L"), raw("d")],
        [raw("e", code="A")],
        [raw("known", code="K")],
        [raw("f", code="A")],
    ]
    found = list(detector.detect_all(batches))
    assert [(count, changes.unchanged, ids(changes)) for count, changes in found] == [
        (2, 1, []),
        (4, 0, []),
        (0, 0, ["a", "b"]),
        (0, 0, ["c"]),
        (1, 0, []),
        (0, 0, ["d", "e"]),
        (1, 1, []),
        (1, 0, []),
        (0, 0, ["f"]),
    ]
    assert [dict(changes.links.counts) for _, changes in found] == [
        {},
        {},
        {LinkOutcome.MATCHED: 1, LinkOutcome.AMBIGUOUS: 1},
        {LinkOutcome.NONE: 1},
        {},
        {LinkOutcome.NONE: 1, LinkOutcome.MATCHED: 1},
        {},
        {},
        {LinkOutcome.MATCHED: 1},
    ]
    assert org.looked_for == [["A", "B"], ["C"], ["A"]]
