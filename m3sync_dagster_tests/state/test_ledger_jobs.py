"""Ingest jobs, from their announcement until their results are recorded."""

import psycopg
import pytest

from m3sync_dagster.state import PostgresLedger
from m3sync_dagster.sync.fingerprint_basis import BasisChange, FingerprintBasis
from m3sync_dagster_tests.state.ledger_fixtures import connection, ledger

__all__ = ["connection", "ledger"]  # fixtures


def test_jobs_are_recorded(ledger: PostgresLedger, connection: psycopg.Connection) -> None:
    ledger.record_job_created("750A", "m3ter_Account__c", 3, "abc")
    ledger.record_job_finished("750A", "JobComplete")
    ledger.record_job_requested("m3ter_Account__c", 4, "def")
    rows = connection.execute(
        "SELECT job_id, integration, entity, object, rows, sha256, state, run_id, "
        "ended_at IS NOT NULL FROM m3sync.ingest_job ORDER BY sha256"
    ).fetchall()
    key, requested = ("acme", "account", "m3ter_Account__c"), "announced for acme.account"
    assert rows == [
        ("750A", *key, 3, "abc", "JobComplete", "run-1", True),
        (requested, *key, 4, "def", "Announced", "run-1", False),
    ]


def test_a_job_is_left_from_its_announcement_until_its_results_are_on_record(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    def left() -> list[str | None]:
        later = PostgresLedger(connection, "acme", "account", "run-2")
        return [job.job_id for job in later.unfinished_jobs()]

    assert left() == []
    ledger.record_job_requested("m3ter_Account__c", 3, "abc")
    assert left() == [None]
    ledger.record_job_requested("m3ter_Account__c", 4, "def")
    (job,) = ledger.unfinished_jobs()
    assert job.object_name == "m3ter_Account__c"
    ledger.record_job_created("750A", "m3ter_Account__c", 4, "def")
    assert left() == ["750A"]
    ledger.record_job_requested("m3ter_Account__c", 1, "ghi")
    assert set(left()) == {"750A", None}
    ledger.record_job_finished(None, "Aborted")
    ledger.record_job_finished("750A", "JobComplete")
    assert left() == []


def test_jobs_of_others_are_not_left_to_this_entity(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    for name, entity in (("acme", "contract"), ("other", "account")):
        other = PostgresLedger(connection, name, entity, "run-2")
        other.record_job_created(f"750{name}{entity}", "X__c", 1, "abc")
        other.record_job_requested("X__c", 1, "abc")
    assert ledger.unfinished_jobs() == []
    assert set(ledger.unknown_jobs(["750A", "750otheraccount", "750B"])) == {"750A", "750B"}


def test_a_job_that_another_integration_has_requested_is_seen_until_it_has_an_id(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    other = PostgresLedger(connection, "other", "account", "run-2")
    ledger.record_job_requested("X__c", 1, "abc")
    assert not ledger.is_other_job_requested("X__c")
    other.record_job_requested("X__c", 1, "abc")
    assert ledger.is_other_job_requested("x__C")
    assert not ledger.is_other_job_requested("Y__c")
    other.record_job_created("750other", "X__c", 1, "abc")
    assert not ledger.is_other_job_requested("X__c")


@pytest.mark.parametrize(("org", "seen"), [("00Done", True), ("00Dtwo", False)])
def test_a_job_that_was_requested_in_another_org_does_not_count(
    ledger: PostgresLedger, connection: psycopg.Connection, org: str, seen: bool
) -> None:
    other = PostgresLedger(connection, "other", "account", "run-2")
    ledger.set_basis(FingerprintBasis("00Done", "m3ter", "X__c", "Key__c"), BasisChange.UNKNOWN)
    other.set_basis(FingerprintBasis(org, "m3ter", "X__c", "Key__c"), BasisChange.UNKNOWN)
    other.record_job_requested("X__c", 1, "abc")
    assert ledger.is_other_job_requested("X__c") is seen


def test_the_external_id_field_of_a_job_is_known_until_the_basis_changes(
    ledger: PostgresLedger,
) -> None:
    def field() -> str | None:
        (job,) = ledger.unfinished_jobs()
        return job.external_id_field

    ledger.set_basis(FingerprintBasis("00Done", "m3ter", "X__c", "Key__c"), BasisChange.UNKNOWN)
    ledger.record_job_requested("X__c", 1, "abc")
    assert field() == "Key__c"
    ledger.set_basis(FingerprintBasis("00Done", "m3ter", "X__c", "Other__c"), BasisChange.OTHER_KEY)
    assert field() is None
