"""Which records of a batch have changed, from the stored fingerprints, digests and rejects."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.change_detection import BatchChanges, ChangeDetector, build_candidate
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.row_results import ErrorClass, Rejected
from m3sync_dagster.sync.row_types import RecordHash
from m3sync_dagster.sync.target_schema import TargetSchema
from m3sync_dagster_tests.sync.conftest import Org, mapping

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

    def unknown_digests(self, digests: Sequence[bytes]) -> list[int]:
        return [place for place, digest in enumerate(digests) if digest not in self.digests]

    def acknowledged(self, ids: Sequence[str]) -> dict[str, bytes | None]:
        return {one: self.fingerprints[one] for one in ids if one in self.fingerprints}

    def paused(self, seen: Sequence[RecordHash]) -> list[Rejected]:
        return [self.rejected[one.fingerprint] for one in seen if one.fingerprint in self.rejected]

    def without_record(self, entity: str, ids: Sequence[str]) -> set[str]:
        raise AssertionError(f"no {entity} only updates: {ids}")


MAPPING = mapping(options=EntityOptions(scope=AccountFilter(restricted=frozenset({"left out"}))))


def detect(stored: StoredRows, org: Org, *batch: bytes) -> BatchChanges:
    return ChangeDetector(MAPPING, stored, TargetSchema(MAPPING, org)).detect(batch)


def acknowledged(org: Org, raw: bytes) -> StoredRows:
    """The state after Salesforce has acknowledged the row of a record."""
    (row,) = detect(StoredRows(), org, raw).rows
    return StoredRows({row.seen.digest}, {row.seen.m3ter_id: row.seen.fingerprint})


@pytest.mark.parametrize(
    ("batch", "unchanged", "confirmed", "sent", "invalid"),
    [
        ([RECORD], 1, 0, [], 0),
        ([RECORD, RECORD], 2, 0, [], 0),
        ([REORDERED], 1, 1, [], 0),
        ([CHANGED], 0, 0, [("a", True)], 0),
        ([CHANGED, CHANGED], 0, 0, [("a", True)], 0),
        ([RECORD, CHANGED], 1, 0, [("a", True)], 0),
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


def test_a_record_out_of_scope_is_no_candidate() -> None:
    assert build_candidate(MAPPING, TargetSchema(MAPPING, Org()).validator(), RESTRICTED) is None
