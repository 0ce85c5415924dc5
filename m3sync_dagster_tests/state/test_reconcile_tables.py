"""The two sides of a reconciliation, in real temporary tables."""

from collections.abc import Sequence

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from m3sync_dagster.state import PostgresLedger, PostgresReconciliation
from m3sync_dagster.sync.entity_options import WhenGone
from m3sync_dagster.sync.fingerprint_basis import BasisChange, FingerprintBasis
from m3sync_dagster.sync.reconcile_types import (
    DiffCounts,
    Difference,
    M3terRecord,
    SalesforceRecord,
    SyncedRecord,
)
from m3sync_dagster_tests.state.ledger_fixtures import acknowledge, connection, ledger, seen, staged

__all__ = ["connection", "ledger"]  # fixtures

ORG = "00D000000000001"
BASIS = FingerprintBasis(ORG, "m3ter-org", "m3ter_Account__c", "m3ter_Id__c")
FINGERPRINT = seen("a").fingerprint
"""Of each row that ``staged`` gives: the ids have no part in it."""


@pytest.fixture
def synced(ledger: PostgresLedger) -> PostgresLedger:
    ledger.set_basis(BASIS, BasisChange.UNKNOWN)
    return ledger


def sync(ledger: PostgresLedger, *ids: str) -> None:
    ledger.stage([staged(m3ter_id) for m3ter_id in ids])
    acknowledge(ledger, *ids)


def begun(connection: psycopg.Connection, integration: str = "acme") -> PostgresReconciliation:
    tables = PostgresReconciliation(connection, integration, "account")
    tables.begin(ORG)
    return tables


def in_salesforce(
    m3ter_id: str,
    payload: bytes = b"same",
    *,
    salesforce_id: str = "",
    in_scope: bool | None = True,
    flagged: bool = False,
    empty: Sequence[str] = (),
) -> SalesforceRecord:
    key = salesforce_id or f"a01{m3ter_id}"
    return SalesforceRecord(m3ter_id, key, in_scope, flagged, payload, empty=empty)


def in_m3ter(m3ter_id: str, payload: bytes = b"same") -> M3terRecord:
    return M3terRecord(m3ter_id, FINGERPRINT, payload)


def kinds(tables: PostgresReconciliation) -> dict[str, str]:
    return {one.m3ter_id: one.kind for one in tables.differences(9)}


def test_no_transaction_is_open_while_salesforce_is_asked(
    synced: PostgresLedger, connection: psycopg.Connection
) -> None:
    """A server ends a transaction that is idle for long, and cannot clean up meanwhile."""
    ids = [f"id-{number}" for number in range(5)]
    sync(synced, *ids)
    tables = begun(connection)
    tables.add_m3ter([in_m3ter(one) for one in ids])
    for batches, expected in (
        (tables.missing_ids(2), ids),
        (tables.missing_salesforce_ids(2), [f"a01{one}" for one in ids]),
    ):
        found = []
        for batch in batches:
            assert connection.info.transaction_status is TransactionStatus.IDLE
            found.append(batch)
        assert found == [expected[:2], expected[2:4], expected[4:]]


def test_each_kind_of_difference_is_counted_and_shown(
    synced: PostgresLedger, connection: psycopg.Connection
) -> None:
    sync(synced, "changed", "drifted", "extra", "missing")
    tables = begun(connection)
    tables.add_salesforce(
        [
            in_salesforce("equal"),
            in_salesforce("changed", b"old"),
            in_salesforce("drifted", b"old"),
            in_salesforce("new", b"old"),
            in_salesforce("empty", empty=("Name", "Site")),
            in_salesforce("extra", in_scope=None),
            in_salesforce("foreign", in_scope=None),
            in_salesforce("unsynced", b"extra"),
            in_salesforce("flagged", flagged=True),
            in_salesforce("invalid"),
        ]
    )
    tables.add_m3ter([in_m3ter("changed", b"replaced by the next one")])
    tables.add_m3ter(
        [
            *(in_m3ter(one) for one in ("equal", "drifted", "missing", "new")),
            M3terRecord("changed", b"another row", b"new"),
            M3terRecord("empty", b"f", b"same", filled={"Name": "A\0", "Phone": "1"}),
            M3terRecord("invalid"),
            M3terRecord("not final", b"f", b"x", final=False),
        ]
    )
    assert tables.compare() == DiffCounts(
        equal=1, missing=1, changed=4, extra=2, gone=1, flagged=1, invalid=1, pending=3
    )
    expected = [
        Difference("drifted", "a01drifted", "changed", False, b"old", b"same"),
        Difference("changed", "a01changed", "changed", True, b"old", b"new"),
        Difference("empty", "a01empty", "changed", True, b"same", b"same", {"Name": "A\ufffd"}),
        Difference("new", "a01new", "changed", True, b"old", b"same"),
        Difference("extra", "a01extra", "extra", False, b"same", None),
        Difference("unsynced", "a01unsynced", "extra", False, b"extra", None),
        Difference("invalid", "a01invalid", "invalid", False, b"same", b""),
        Difference("missing", None, "missing", False, None, b"same"),
    ]
    assert tables.differences(9) == expected
    assert tables.differences(1) == [expected[0], expected[4], *expected[6:]]
    assert tables.extra_records(["extra", "flagged", "new"]) == {"extra": "a01extra"}
    assert list(tables.deleted_in_m3ter(9)) == [[SyncedRecord("extra", "a01extra", b"same")]]
    assert tables.ids_in_m3ter(["equal", "extra", "not final"]) == {"equal"}
    tables.begin(ORG)
    assert tables.compare() == DiffCounts()


def test_a_record_that_is_not_final_counts_once_it_was_synced(
    synced: PostgresLedger, connection: psycopg.Connection
) -> None:
    sync(synced, "synced")
    tables = begun(connection)
    tables.add_m3ter([M3terRecord(one, b"f", b"x", final=False) for one in ("synced", "new")])
    assert tables.ids_in_m3ter(["synced", "new"]) == {"synced"}


def test_what_was_synced_to_another_org_says_nothing(
    synced: PostgresLedger, connection: psycopg.Connection
) -> None:
    sync(synced, "a")
    tables = PostgresReconciliation(connection, "acme", "account")
    tables.begin("00D000000000002")
    tables.add_m3ter([in_m3ter("a")])
    assert list(tables.missing_salesforce_ids(9)) == []
    assert tables.compare() == DiffCounts(missing=1, pending=1)


def test_a_record_of_another_integration_is_not_extra(
    synced: PostgresLedger, connection: psycopg.Connection
) -> None:
    sync(synced, "acme")
    tables = begun(connection, "other")
    tables.add_salesforce([in_salesforce("acme"), in_salesforce("nobody")])
    assert tables.compare() == DiffCounts(extra=1)
    assert kinds(tables) == {"nobody": "extra"}


def test_a_repair_withdraws_what_differs_and_counts_what_was_sent_since(
    synced: PostgresLedger, connection: psycopg.Connection
) -> None:
    sync(synced, "equal", "changed", "missing")
    other = PostgresLedger(connection, "other", "account", "run-1")
    sync(other, "changed")
    tables = begun(connection)
    tables.add_salesforce([in_salesforce("equal"), in_salesforce("changed", b"old")])
    tables.add_m3ter([in_m3ter(one) for one in ("equal", "changed", "missing")])
    tables.compare()
    assert tables.withdraw_fingerprints() == 2
    assert synced.acknowledged(["equal", "changed", "missing"]) == {
        "equal": FINGERPRINT,
        "changed": None,
        "missing": None,
    }
    assert other.acknowledged(["changed"]) == {"changed": FINGERPRINT}
    assert tables.count_repaired() == 0
    sync(synced, "equal", "changed")
    assert tables.count_repaired() == 1


def test_an_edited_external_id_is_found_by_the_salesforce_id(
    synced: PostgresLedger, connection: psycopg.Connection
) -> None:
    sync(synced, "a", "b", "c", "here")
    tables = begun(connection)
    tables.add_m3ter([in_m3ter(one) for one in ("a", "b", "c", "here")])
    tables.add_salesforce([in_salesforce("here"), in_salesforce("edited", salesforce_id="a01a")])
    wanted = ["a01a", "a01b", "a01here", "a01x"]
    assert tables.m3ter_ids_of_missing(wanted) == {"a01a": "a", "a01b": "b"}
    tables.match_by_salesforce_id()
    assert tables.m3ter_ids_of_missing(wanted) == {"a01b": "b"}
    assert list(tables.missing_ids(9)) == [["b", "c"]]
    tables.add_salesforce([in_salesforce("b")])
    tables.remove_salesforce(["a01b"])
    assert list(tables.missing_ids(9)) == [["b", "c"]]


def test_records_with_another_external_id_are_read_in_pages_until_they_are_restored(
    connection: psycopg.Connection,
) -> None:
    ids = ["0", "b", "c"]
    tables = begun(connection)
    tables.add_m3ter([in_m3ter(one) for one in ids])
    tables.add_salesforce(
        [
            SalesforceRecord(
                one,
                f"a01{one}",
                in_scope=True,
                flagged=False,
                payload=b"edited",
                external_id_changed=True,
            )
            for one in ids
        ]
    )
    tables.compare()
    records = [SyncedRecord(one, f"a01{one}") for one in ids]
    assert list(tables.changed_external_ids(2)) == [records[:2], records[2:]]
    tables.record_restored(["0", "c"])
    assert list(tables.changed_external_ids(2)) == [[records[1]]]


@pytest.mark.parametrize(
    ("action", "answer"), [(WhenGone.DELETE, "deleted"), (WhenGone.FLAG, "flagged")]
)
def test_what_was_removed_is_no_longer_acknowledged(
    synced: PostgresLedger, connection: psycopg.Connection, action: WhenGone, answer: str
) -> None:
    sync(synced, "a", "b", "kept")
    tables = begun(connection)
    assert not tables.has_deleted()
    rows = [SyncedRecord(one, f"a01{one}") for one in ("a", "b")]
    tables.record_removal(rows, action, "run-2")
    assert tables.has_deleted() is (action is WhenGone.DELETE)
    assert not begun(connection, "other").has_deleted()
    assert set(synced.acknowledged(["a", "b", "kept"])) == {"kept"}
    columns = "integration, entity, m3ter_id, salesforce_id, action, run_id"
    for table, what in (("removed_record", action.value), ("sent_change", answer)):
        query = f"SELECT {columns} FROM m3sync.{table} ORDER BY m3ter_id"  # noqa: S608 - constants
        assert connection.execute(query).fetchall() == [
            ("acme", "account", one, f"a01{one}", what, "run-2") for one in ("a", "b")
        ]
