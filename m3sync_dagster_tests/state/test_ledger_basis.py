"""Fingerprints that are withdrawn, and the jobs of another org."""

from dataclasses import replace

import psycopg
import pytest

from m3sync_dagster.state import PostgresLedger
from m3sync_dagster.sync.fingerprint_basis import BasisChange, FingerprintBasis
from m3sync_dagster.sync.row_results import Acknowledged, ErrorClass, Rejected
from m3sync_dagster.sync.row_types import Row, StagedRow
from m3sync_dagster.sync.salesforce_schema import Organization
from m3sync_dagster_tests.state.ledger_fixtures import acknowledge, connection, ledger, seen, staged

__all__ = ["connection", "ledger"]  # fixtures

BASIS = FingerprintBasis("00D000000000001", "m3ter-org", "m3ter_Account__c", "m3ter_Id__c")


@pytest.mark.parametrize(
    ("change", "left"),
    [
        (BasisChange.UNKNOWN, {"a": None, "b": None}),
        (BasisChange.OTHER_KEY, {"a": None, "b": None}),
        (BasisChange.OTHER_PLACE, {}),
    ],
)
def test_a_changed_basis_withdraws_every_fingerprint(
    ledger: PostgresLedger, change: BasisChange, left: dict[str, None]
) -> None:
    assert ledger.basis() is None
    ledger.stage([staged("a"), staged("b")])
    acknowledge(ledger, "a", "b")
    ledger.stage([staged("c")])
    ledger.set_basis(BASIS, change)
    assert ledger.basis() == BASIS
    assert ledger.acknowledged(["a", "b"]) == left
    assert ledger.ready(all_rows=True) == []


def test_a_changed_basis_ends_pauses(ledger: PostgresLedger) -> None:
    for _ in range(3):
        ledger.stage([staged("a")])
        ledger.record([Rejected("a", ErrorClass.PERMANENT, "X", "no")])
    assert ledger.paused([seen("a")])
    ledger.set_basis(BASIS, BasisChange.OTHER_PLACE)
    assert ledger.paused([seen("a")]) == []


def test_the_name_and_the_kind_of_the_org_are_stored_if_they_are_known(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    stored = "SELECT salesforce_org_name, salesforce_is_sandbox FROM m3sync.fingerprint_basis"
    about = Organization(BASIS.salesforce_org_id, "Test", is_sandbox=True, instance="CS1")
    for organization, expected in ((about, ("Test", True)), (None, (None, None))):
        ledger.set_basis(BASIS, BasisChange.UNKNOWN, organization)
        assert connection.execute(stored).fetchall() == [expected]


def test_withdrawing_keeps_the_salesforce_ids(ledger: PostgresLedger) -> None:
    ledger.stage([staged("0"), staged("b")])
    acknowledge(ledger, "0", "b")
    ledger.withdraw(["0"])
    assert ledger.acknowledged(["0", "b"]) == {"0": None, "b": seen("b").fingerprint}
    ledger.withdraw_all()
    assert list(ledger.synced_ids(1)) == [{"a010": "0"}, {"a01b": "b"}]
    ledger.delete_synced(["0"])
    assert list(ledger.synced_ids(9)) == [{"a01b": "b"}]


def test_a_record_under_another_salesforce_id_withdraws_all_that_point_to_it(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    ledger.set_basis(BASIS, BasisChange.UNKNOWN)
    children = {
        name: PostgresLedger(connection, name, "contract", "run-1") for name in ("acme", "same_org")
    }
    children["other_org"] = PostgresLedger(connection, "other_org", "contract", "run-1")
    for name, child in children.items():
        org = "00D000000000002" if name == "other_org" else BASIS.salesforce_org_id
        child.set_basis(FingerprintBasis(org, "m3ter-org", "C__c", "Id__c"), BasisChange.UNKNOWN)
        row = Row("c", ["a"])
        child.stage([StagedRow(seen("c"), row, 0, parents=("a",)), staged("other")])
        acknowledge(child, "c", "other")
    ledger.stage([staged("a")])
    acknowledge(ledger, "a")
    ledger.stage([staged("a", "v2")])
    assert ledger.record([Acknowledged("a", "a01a" + "0" * 11 + "AAA", created=False)]) != []
    for name, child in children.items():
        held = child.acknowledged(["c", "other"])
        assert (held["c"] is None) is (name != "other_org")
        assert held["other"] is not None


def test_the_same_salesforce_id_in_either_length_is_the_same_record(
    ledger: PostgresLedger,
) -> None:
    ledger.stage([staged("a")])
    ledger.record([Acknowledged("a", "a01000000000001AAA", created=True)])
    ledger.stage([staged("a", "v2")])
    assert ledger.record([Acknowledged("a", "a01000000000001", created=False)]) == []


def test_a_row_without_its_parent_names_the_parents_that_salesforce_should_hold(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    ledger.stage([staged("p1"), staged("p2")])
    acknowledge(ledger, "p1", "p2")
    ledger.stage([staged("p2", "v2")])
    child = PostgresLedger(connection, "acme", "contract", "run-2")
    child.stage([StagedRow(seen("c"), Row("c", []), 0, parents=("p1", "p2", "unknown"))])
    # p2 is staged itself, so it goes anyway.
    assert child.synced_parents(["c"], ["account"]) == [("c", "account", "p1")]
    assert child.synced_parents(["c"], ["contract"]) == []
    # Nor does p1, once this run has sent it.
    same_run = PostgresLedger(connection, "acme", "contract", "run-1")
    assert same_run.synced_parents(["c"], ["account"]) == []


def test_a_missing_parent_is_withdrawn_in_other_integrations_of_the_org(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    ledger.set_basis(BASIS, BasisChange.UNKNOWN)
    ledger.stage([staged("p")])
    acknowledge(ledger, "p")
    child = PostgresLedger(connection, "contracts", "contract", "run-1")
    child.set_basis(BASIS, BasisChange.UNKNOWN)
    child.stage([StagedRow(seen("c"), Row("c", []), 0, parents=("p",))])
    child.record([Rejected("c", ErrorClass.DEPENDENCY, "INVALID_FIELD", "not found")])
    assert ledger.acknowledged(["p"]) == {"p": None}


def test_jobs_of_another_org_wait_until_it_is_written_again(ledger: PostgresLedger) -> None:
    other = replace(BASIS, salesforce_org_id="00D000000000002")
    ledger.set_basis(BASIS, BasisChange.UNKNOWN)
    ledger.record_job_created("750A", "m3ter_Account__c", 1, "abc")
    ledger.set_basis(other, BasisChange.OTHER_PLACE)
    assert ledger.unfinished_jobs() == []
    ledger.set_basis(BASIS, BasisChange.OTHER_PLACE)
    assert [job.job_id for job in ledger.unfinished_jobs()] == ["750A"]


def test_rows_that_were_cut_are_known(ledger: PostgresLedger) -> None:
    assert not ledger.has_cut_rows()
    ledger.stage([StagedRow(seen("a"), Row("a", ["x"], cut=True), 0)])
    acknowledge(ledger, "a")
    assert ledger.has_cut_rows()
    ledger.stage([staged("a", "v2")])
    acknowledge(ledger, "a")
    assert not ledger.has_cut_rows()
