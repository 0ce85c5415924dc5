"""What is stored of single records, of their org, and of the objects with rejects."""

import psycopg

from m3sync_dagster.state import (
    PostgresLedger,
    RejectFilter,
    find_stored_ids,
    list_rejects,
    objects_with_rejects,
    read_refused_fingerprint,
    read_removed_record,
    read_synced_row,
)
from m3sync_dagster.sync.fingerprint_basis import BasisChange, FingerprintBasis
from m3sync_dagster.sync.row_results import Acknowledged, ErrorClass, Rejected
from m3sync_dagster_tests.state.ledger_fixtures import acknowledge, connection, ledger, seen, staged

__all__ = ["connection", "ledger"]  # fixtures

ORG = "https://acme.my.salesforce.com"
LOGIN = (
    "INSERT INTO m3sync.credential_login (credential, identity, succeeded_at, organization_id, "
    "instance_url) VALUES ('salesforce', 'i', now(), %s, %s)"
)


def test_the_acknowledged_row_of_a_record(
    connection: psycopg.Connection, ledger: PostgresLedger
) -> None:
    ledger.stage([staged("a"), staged("b")])
    assert read_synced_row(connection, "acme", "account", "a") is None
    acknowledge(ledger, "a", "b")
    found = read_synced_row(connection, "acme", "account", "a")
    assert found
    assert (found.salesforce_id, found.fingerprint, found.run_id) == (
        ("a01a", seen("a").fingerprint, "run-1")
    )
    ledger.withdraw(["a"])
    found = read_synced_row(connection, "acme", "account", "a")
    assert found
    assert (found.salesforce_id, found.fingerprint) == ("a01a", None)
    # A withdrawn fingerprint says nothing against the record's being in Salesforce.
    assert ledger.count_in_salesforce() == 2
    assert ledger.salesforce_ids(["a", "x"]) == {"a": "a01a"}
    other = PostgresLedger(connection, "other", "account", "run-1")
    assert (other.count_in_salesforce(), other.salesforce_ids(["a"])) == (0, {})


def test_the_last_removal_of_a_record(connection: psycopg.Connection) -> None:
    insert = "INSERT INTO m3sync.removed_record (integration, entity, m3ter_id, salesforce_id, "
    insert += "action, run_id) VALUES ('acme', 'account', 'a', 'a01a', %s, 'run-2')"
    for action in ("flag", "delete"):
        connection.execute(insert, (action,))
    found = read_removed_record(connection, "acme", "account", "a")
    assert found
    assert (found.salesforce_id, found.action, found.run_id) == ("a01a", "delete", "run-2")
    assert read_removed_record(connection, "acme", "account", "b") is None


def test_rejects_name_their_object_and_their_org(
    connection: psycopg.Connection, ledger: PostgresLedger
) -> None:
    basis = FingerprintBasis("00D000000000001", "m3ter-org", "m3ter_Account__c", "m3ter_Id__c")
    ledger.set_basis(basis, BasisChange.UNKNOWN)
    ledger.stage([staged("a"), staged("b")])
    acknowledge(ledger, "a")
    assert objects_with_rejects(connection, "acme") == {}
    ledger.record([Rejected("b", ErrorClass.PERMANENT, "X", "no")])
    # No login has shown the org's address yet.
    assert objects_with_rejects(connection, "acme") == {}
    (reject,) = list_rejects(connection, "acme")
    assert (reject.object_name, reject.instance_url) == ("m3ter_Account__c", None)
    connection.execute(LOGIN, ("00D000000000001", ORG))
    (reject,) = list_rejects(connection, "acme", RejectFilter(m3ter_id="b"))
    assert (reject.m3ter_id, reject.instance_url) == ("b", ORG)
    assert read_refused_fingerprint(connection, "acme", "account", "b") == seen("b").fingerprint
    assert read_refused_fingerprint(connection, "acme", "account", "a") is None
    assert list_rejects(connection, "acme", RejectFilter(m3ter_id="a")) == []
    assert objects_with_rejects(connection, "acme") == {"m3ter_Account__c": ORG}
    assert objects_with_rejects(connection, "other") == {}


def test_a_stored_record_is_found_by_either_of_its_ids(
    connection: psycopg.Connection, ledger: PostgresLedger
) -> None:
    short, long, like_an_id = "a0B5f000001AbCd", "a0B5f000001AbCeEAK", "a0B5f000001AbCf"
    ids = {"a": short, "b": long, "c": like_an_id, like_an_id: "a0B5f000001AbCgEAK"}
    ledger.stage([staged(m3ter_id) for m3ter_id in [*ids, "refused"]])
    ledger.record([Acknowledged(*pair, created=True) for pair in ids.items()])
    ledger.record([Rejected("refused", ErrorClass.PERMANENT, "X", "no")])
    expected: dict[str, set[str]] = {
        "a": {"a"},
        "refused": {"refused"},
        short: {"a"},
        f"{short}EAK": {"a"},
        long: {"b"},
        long[:15]: {"b"},
        # A m3ter id comes before a Salesforce Id.
        like_an_id: {like_an_id},
        f"{like_an_id}EAK": {"c"},
        # Texts of other lengths are no Salesforce Ids.
        short[:14]: set(),
        f"{short}E": set(),
        f"{short}EAKE": set(),
        "x": set(),
    }
    found = {given: find_stored_ids(connection, "acme", "account", given) for given in expected}
    assert found == expected
    assert find_stored_ids(connection, "acme", "contract", "a") == set()
    assert find_stored_ids(connection, "other", "account", "a") == set()
