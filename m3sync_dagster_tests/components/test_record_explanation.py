"""What is said of a record, by its state in both systems and by what is stored of it."""

from datetime import UTC, datetime

import pytest

from m3sync_dagster.components.record_explanation import explain
from m3sync_dagster.components.record_lookup import RecordLookup, StoredRecord
from m3sync_dagster.salesforce import OrgLinks
from m3sync_dagster.state import Reject, SalesforceOrg, SyncedRow
from m3sync_dagster.sync.change_detection import Candidate
from m3sync_dagster.sync.reconcile_types import ReadRow
from m3sync_dagster.sync.record_comparison import ComparedField, ComparedRecord
from m3sync_dagster.sync.row_types import Row

NOW = datetime(2026, 11, 26, tzinfo=UTC)
PRESENT, EARLIER = b"present", b"earlier"
DIFFERENT = ComparedField("Code__c", "code", "a", "b", differs=True)


def reject(error_class: str) -> Reject:
    fields: list[str] = []
    about = ("acme", "account", "a", error_class, "X", "no", fields, 1, NOW, NOW)
    return Reject(*about, None, None, None, None, None, None)


def lookup(stored: StoredRecord, *, there: bool = True) -> RecordLookup:
    """A record that differs, or that Salesforce lacks, whose present row is ``PRESENT``."""
    candidate = Candidate("a", True, Row("a", ["a"]), None, PRESENT)
    found = ReadRow("a", "a00000000000001AAA", ["b"]) if there else None
    compared = ComparedRecord(True, candidate, found, [DIFFERENT])
    org = SalesforceOrg("00D000000000001", "Acme", is_sandbox=True)
    links = OrgLinks("https://acme.my.salesforce.com")
    return RecordLookup("a", compared, stored, "Account", org, links)


def synced(fingerprint: bytes | None) -> SyncedRow:
    return SyncedRow("a00000000000001AAA", fingerprint, "run-1", NOW)


@pytest.mark.parametrize(
    ("stored", "words"),
    [
        (StoredRecord(synced(PRESENT), valid=True), "in Salesforce after the last sync"),
        (StoredRecord(synced(PRESENT), valid=False), "no run has sent"),
        (StoredRecord(synced(EARLIER), valid=True), "no run has sent"),
        (StoredRecord(synced(None), valid=True), "no run has sent"),
        (StoredRecord(valid=True), "no run has sent"),
        (StoredRecord(None, True, reject("permanent"), PRESENT), "was rejected (X: no)"),
        (StoredRecord(None, True, reject("dependency"), PRESENT), "waits for a record"),
        (StoredRecord(None, True, reject("permanent"), EARLIER), "no run has sent"),
        (StoredRecord(None, False, reject("permanent"), PRESENT), "no run has sent"),
    ],
)
@pytest.mark.parametrize("there", [True, False])
def test_the_cause_of_a_difference(stored: StoredRecord, words: str, *, there: bool) -> None:
    found = lookup(stored, there=there)
    cause, remedy = explain(found, "acme")
    assert words in cause
    assert cause.startswith("Salesforce has" if there else "Salesforce does not have")
    assert remedy.endswith(".")
    assert not found.matches
    page = "https://acme.my.salesforce.com/lightning/r/Account/a00000000000001AAA/view"
    assert found.salesforce_url == (page if there else None)
