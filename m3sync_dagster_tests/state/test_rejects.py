"""Reading the rejected rows, with what is known of their Salesforce records."""

import psycopg

from m3sync_dagster.postgres import KeptConnection
from m3sync_dagster.state import (
    PostgresLedger,
    PostgresLoginLog,
    Reject,
    RejectFilter,
    count_rejects,
    list_rejects,
    objects_with_rejects,
    retry_rejects,
)
from m3sync_dagster.sync.fingerprint_basis import BasisChange, FingerprintBasis
from m3sync_dagster.sync.row_results import ErrorClass, RefusedRecord, Rejected
from m3sync_dagster_tests.state.ledger_fixtures import acknowledge, connection, ledger, seen, staged

__all__ = ["connection", "ledger"]  # fixtures

RECORD = RefusedRecord("Acme", "A1", {"Name": "x", "Site": None})
URL = "https://acme.example"


def refused(m3ter_id: str, code: str = "X", kind: ErrorClass = ErrorClass.INVALID) -> Rejected:
    return Rejected(m3ter_id, kind, code, "too long", ("Name",), RECORD)


def test_a_reject_has_all_that_is_known_of_it(
    ledger: PostgresLedger, connection: psycopg.Connection, kept_connection: KeptConnection
) -> None:
    ledger.record([refused("new")])
    (new,) = list_rejects(connection, "acme", RejectFilter(m3ter_id="new"))
    said = ("invalid", "X", "too long", ["Name"])
    shown = ("Acme", "A1", {"Name": "x", "Site": None})
    times = (1, new.first_seen, new.last_seen)
    assert new == Reject("acme", "account", "new", *said, *times, *shown, None, None, None)

    basis = FingerprintBasis("00D", "org", "A__c", "Id__c")
    ledger.set_basis(basis, BasisChange.UNKNOWN)
    ledger.stage([staged("a")])
    acknowledge(ledger, "a")
    ledger.record([refused("a")])
    PostgresLoginLog(kept_connection, "salesforce", "digest").succeeded("00D", URL)
    (known,) = list_rejects(connection, wanted=RejectFilter(m3ter_id="a"))
    times = (1, known.first_seen, known.last_seen)
    there = ("a01a", "A__c", URL)
    assert known == Reject("acme", "account", "a", *said, *times, *shown, *there)


def test_which_rejects_are_listed(ledger: PostgresLedger, connection: psycopg.Connection) -> None:
    contracts = PostgresLedger(connection, "acme", "contract", "run")
    others = PostgresLedger(connection, "other", "account", "run")
    ledger.record([refused("a")])
    ledger.record([refused("b", "Y")])
    contracts.record([refused("c")])
    others.record([refused("d")])
    cases: list[tuple[str | None, RejectFilter, str]] = [
        (None, RejectFilter(), "dcba"),
        ("acme", RejectFilter(), "cba"),
        (None, RejectFilter(entity="account"), "dba"),
        (None, RejectFilter(code="Y"), "b"),
        (None, RejectFilter(limit=2), "dc"),
        ("acme", RejectFilter(m3ter_id="c"), "c"),
        ("other", RejectFilter(m3ter_id="c"), ""),
    ]
    for integration, wanted, expected in cases:
        found = list_rejects(connection, integration, wanted)
        assert [reject.m3ter_id for reject in found] == list(expected)
    assert len(list_rejects(connection)) == 4
    assert count_rejects(connection) == {"acme": 3, "other": 1}


def test_the_objects_with_rejects_have_the_addresses_of_their_orgs(
    connection: psycopg.Connection, kept_connection: KeptConnection
) -> None:
    for credential, org in (("one", "00D1"), ("two", "00D2")):
        PostgresLoginLog(kept_connection, credential, "digest").succeeded(org, f"https://{org}")
    objects = {
        "account": ("00D1", "A__c", True),
        "contract": ("00D2", "C__c", True),
        "balance": ("00D1", "B__c", False),
        "commitment": ("00D3", "M__c", True),
    }
    for entity, (org, name, is_refused) in objects.items():
        ledger = PostgresLedger(connection, "acme", entity, "run")
        ledger.set_basis(FingerprintBasis(org, "org", name, "Id__c"), BasisChange.UNKNOWN)
        if is_refused:
            ledger.record([refused("a")])
    assert objects_with_rejects(connection, "acme") == {
        "A__c": "https://00D1",
        "C__c": "https://00D2",
    }
    assert objects_with_rejects(connection, "other") == {}


def test_a_retry_ends_the_pauses_of_one_integration(connection: psycopg.Connection) -> None:
    ledgers = [PostgresLedger(connection, name, "account", "run") for name in ("acme", "other")]
    for one in ledgers:
        for _ in range(3):
            one.stage([staged("a")])
            one.record([refused("a", kind=ErrorClass.PERMANENT)])
    assert retry_rejects(connection, "acme") == 1
    assert [bool(one.paused([seen("a")])) for one in ledgers] == [False, True]
