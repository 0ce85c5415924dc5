"""Rows whose parent was deleted in Salesforce are sent again after it, once in a run."""

from collections.abc import Sequence
from uuid import uuid4

import psycopg
import pytest

from m3sync_dagster.state import PostgresLedger
from m3sync_dagster.sync.deleted_parents import DeletedParents
from m3sync_dagster.sync.row_results import Acknowledged, ErrorClass, Rejected, RowResult
from m3sync_dagster.sync.row_types import RecordHash, Row, StagedRow
from m3sync_dagster_tests.sync.conftest import mapping

SENT = Acknowledged("sent", "s", created=True)


def orphan(m3ter_id: str, parent: str | None = None) -> Rejected:
    named = f"Foreign key external ID: {parent} not found for field K__c in entity P__c"
    message = named if parent else "parent not found"
    return Rejected(m3ter_id, ErrorClass.DEPENDENCY, "INVALID_FIELD", message)


def staged(m3ter_id: str, *parents: str) -> StagedRow:
    hashes = RecordHash(m3ter_id, m3ter_id.encode(), m3ter_id.encode())
    return StagedRow(hashes, Row(m3ter_id, []), 0, parents=parents)


class Retries:
    """A retry of contracts whose ledger has synced the accounts p1 and p2, and the contract c1."""

    def __init__(self, connection: psycopg.Connection, *, with_parents: bool = True) -> None:
        self.again: list[list[str]] = []
        self.parents: list[tuple[str, list[str]]] = []
        for entity, ids in {"account": ("p1", "p2"), "contract": ("c1",)}.items():
            ledger = PostgresLedger(connection, "acme", entity, uuid4().hex)
            ledger.stage([staged(one) for one in ids])
            ledger.record([Acknowledged(one, f"s{one}", created=True) for one in ids])
        ledger = PostgresLedger(connection, "acme", "balance", uuid4().hex)
        ledger.stage([staged("x", "p1"), staged("y", "p1", "c1"), staged("z", "unknown")])
        self.retry = DeletedParents(
            mapping("balance"),
            ledger,
            lambda ids: self.again.append(list(ids)),
            self._send_parents if with_parents else None,
        )

    def _send_parents(self, entity: str, ids: Sequence[str]) -> None:
        self.parents.append((entity, list(ids)))


@pytest.mark.parametrize(
    ("results", "kept", "parents"),
    [
        ([SENT], ["sent"], []),
        ([orphan("x")], [], [("account", ["p1"])]),
        ([SENT, orphan("x"), orphan("z")], ["sent", "z"], [("account", ["p1"])]),
        ([orphan("y")], [], [("account", ["p1"]), ("contract", ["c1"])]),
        ([orphan("y", "c1")], [], [("contract", ["c1"])]),
        ([orphan("y", "unknown")], ["y"], []),
        ([orphan("x"), orphan("y")], [], [("account", ["p1"]), ("contract", ["c1"])]),
        ([Rejected("x", ErrorClass.PERMANENT, "CODE", "no")], ["x"], []),
        ([], [], []),
    ],
)
def test_rows_and_parents_that_are_sent_again(
    connection: psycopg.Connection,
    results: list[RowResult],
    kept: list[str],
    parents: list[tuple[str, list[str]]],
) -> None:
    retries = Retries(connection)
    assert [one.m3ter_id for one in retries.retry.defer(results)] == kept
    assert retries.parents == []
    retries.retry.send()
    assert sorted(retries.parents) == parents
    assert retries.again == []


def test_the_parents_of_a_row_are_sent_one_after_the_other(
    connection: psycopg.Connection,
) -> None:
    retries = Retries(connection)
    for parent in ("p1", "c1"):
        assert retries.retry.defer([orphan("y", parent)]) == []
        retries.retry.send()
    assert retries.parents == [("account", ["p1"]), ("contract", ["c1"])]
    again: list[RowResult] = [orphan("y", "p1")]
    assert retries.retry.defer(again) == again


def test_results_without_a_missing_parent_need_no_database(connection: psycopg.Connection) -> None:
    retries = Retries(connection)
    connection.close()
    assert retries.retry.defer([SENT]) == [SENT]


def test_a_parent_is_sent_again_once(connection: psycopg.Connection) -> None:
    retries = Retries(connection)
    assert retries.retry.defer([orphan("x")]) == []
    retries.retry.send()
    assert retries.retry.defer([orphan("x")]) == [orphan("x")]
    retries.retry.send()
    assert retries.parents == [("account", ["p1"])]


def test_without_a_way_to_send_parents_the_row_is_deferred_once(
    connection: psycopg.Connection,
) -> None:
    retries = Retries(connection, with_parents=False)
    assert retries.retry.defer([orphan("x")]) == []
    retries.retry.send()
    assert retries.retry.defer([orphan("x")]) == [orphan("x")]


def test_a_parent_of_the_same_type_is_staged_again(connection: psycopg.Connection) -> None:
    ledger = PostgresLedger(connection, "acme", "account", "earlier run")
    ledger.stage([staged("root")])
    ledger.record([Acknowledged("root", "s", created=True)])
    ledger = PostgresLedger(connection, "acme", "account", "this run")
    ledger.stage([staged("child", "root")])
    again: list[list[str]] = []
    retry = DeletedParents(mapping(), ledger, lambda ids: again.append(list(ids)), None)
    assert retry.defer([orphan("child")]) == []
    retry.send()
    assert again == [["root"]]
