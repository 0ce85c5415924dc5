"""When stored fingerprints are valid: only for the same place, key and database."""

from dataclasses import replace

import pytest

from m3sync_dagster.sync.fingerprint_basis import (
    BasisChange,
    FingerprintBasis,
    KnownRowsAfterChange,
    compare,
    describe_change,
)
from m3sync_dagster.sync.row_results import ErrorClass, Rejected
from m3sync_dagster.sync.row_types import RecordHash
from m3sync_dagster_tests.sync.test_change_detection import StoredRows

BASIS = FingerprintBasis("org", "m3ter", "Object__c", "Key__c")


@pytest.mark.parametrize(
    ("stored", "change"),
    [
        (None, BasisChange.UNKNOWN),
        (BASIS, BasisChange.NONE),
        (FingerprintBasis("org", "m3ter", "OBJECT__C", "KEY__C"), BasisChange.NONE),
        (FingerprintBasis("another", "m3ter", "Object__c", "Key__c"), BasisChange.OTHER_PLACE),
        (FingerprintBasis("org", "another", "Object__c", "Key__c"), BasisChange.OTHER_PLACE),
        (FingerprintBasis("org", "m3ter", "Another__c", "Key__c"), BasisChange.OTHER_PLACE),
        (FingerprintBasis("org", "m3ter", "Object__c", "Another__c"), BasisChange.OTHER_KEY),
        (FingerprintBasis("another", "m3ter", "Object__c", "Another__c"), BasisChange.OTHER_PLACE),
        (replace(BASIS, restored=True), BasisChange.OTHER_DATABASE),
        (replace(BASIS, external_id_field="Old__c", restored=True), BasisChange.OTHER_KEY),
        (replace(BASIS, object_name="Old__c", restored=True), BasisChange.OTHER_PLACE),
    ],
)
def test_changes_of_the_basis(stored: FingerprintBasis | None, change: BasisChange) -> None:
    assert compare(stored, BASIS) is change


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (
            FingerprintBasis("old org", "m3ter", "Old__c", "Key__c"),
            (
                "the org behind production is org, until now it was old org and "
                "the Salesforce object is Object__c, until now it was Old__c"
            ),
        ),
        (
            FingerprintBasis("org", "old m3ter", "OBJECT__C", "Key__c"),
            "the m3ter organization is m3ter, until now it was old m3ter",
        ),
    ],
)
def test_a_change_in_words_names_what_has_changed(stored: FingerprintBasis, words: str) -> None:
    assert describe_change("production", stored, BASIS) == words


@pytest.mark.parametrize(
    ("change", "acknowledged"),
    [
        (BasisChange.OTHER_PLACE, {}),
        (BasisChange.OTHER_KEY, {"a": None}),
        (BasisChange.OTHER_DATABASE, {"a": None}),
        (BasisChange.UNKNOWN, {"a": None}),
    ],
)
def test_after_a_change_nothing_is_known_but_the_records_of_the_same_place(
    change: BasisChange, acknowledged: dict[str, bytes | None]
) -> None:
    rejected = {b"f": Rejected("a", ErrorClass.PERMANENT, "CODE", "no")}
    known = KnownRowsAfterChange(StoredRows({b"d"}, {"a": b"f"}, rejected), change)
    assert known.unknown_digests([b"d", b"e"]) == [0, 1]
    assert known.acknowledged(["a", "b"]) == acknowledged
    assert known.paused([RecordHash("a", b"f", b"d")]) == []
    assert known.without_record("account", ["a"]) == set()
