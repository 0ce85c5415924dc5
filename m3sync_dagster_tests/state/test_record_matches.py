"""The Salesforce records of staged rows."""

from collections.abc import Iterator

import psycopg
import pytest

from m3sync_dagster.state import PostgresLedger, connect, read_sent_changes, record_matches
from m3sync_dagster.sync.fingerprint_basis import BasisChange, FingerprintBasis
from m3sync_dagster.sync.row_results import NO_RECORD, Acknowledged, ErrorClass, Rejected
from m3sync_dagster.sync.row_types import MatchedRecord, RecordHash, Row, StagedRow

FIELDS = ("Name", "Phone", "Site")


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with connect(postgres_url) as connection:
        yield connection


def ledger_of(connection: psycopg.Connection, entity: str = "account") -> PostgresLedger:
    return PostgresLedger(connection, "acme", entity, "run")


def stage(ledger: PostgresLedger, *ids: str) -> None:
    ledger.stage(
        [
            StagedRow(RecordHash(one, b"f", one.encode()), Row(one, [one, "123", None]), 0)
            for one in ids
        ]
    )


def test_rows_get_their_ids_and_what_is_kept(connection: psycopg.Connection) -> None:
    ledger = ledger_of(connection)
    stage(ledger, "0", "b", "c")
    ledger.record([Acknowledged("b", "001b", created=False)])
    stage(ledger, "b")
    matches = ledger.matches()
    assert matches.count_unmatched() == 3
    assert matches.unmatched() == {"0": None, "b": "001b", "c": None}
    matches.add([MatchedRecord("0", "0010", (1,)), MatchedRecord("x", "001x")])
    assert matches.unmatched().keys() == {"b", "c"}
    matches.add([MatchedRecord("b", "001b")])
    matches.finish()
    assert matches.count_unmatched() == 0
    assert list(matches.without_record(1)) == [["c"]]
    rows = list(matches.complete(ledger.staged([0], all_rows=True)))
    assert rows == [
        Row("0", ["0", None, None], salesforce_id="0010", kept=frozenset({1})),
        Row("b", ["b", "123", None], salesforce_id="001b"),
        Row("c", ["c", "123", None]),
    ]
    matches.forget()
    assert matches.count_unmatched() == 3
    matches.finish()
    assert list(matches.without_record(2)) == [["0", "b"], ["c"]]


def test_rows_are_completed_in_batches(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_matches, "_BATCH", 2)
    ledger = ledger_of(connection)
    stage(ledger, "a", "b", "c")
    matches = ledger.matches()
    matches.finish()
    rows = [Row(one, []) for one in ("a", "b", "c")]
    waiting = iter(rows)
    completed = matches.complete(waiting)
    assert next(completed) == rows[0]
    assert next(waiting) == rows[2]
    assert list(completed) == [rows[1]]


def test_the_matches_of_two_entities_are_apart(connection: psycopg.Connection) -> None:
    accounts, contracts = ledger_of(connection), ledger_of(connection, "contract")
    stage(accounts, "a")
    stage(contracts, "a")
    matches = accounts.matches()
    matches.finish()
    assert contracts.matches().count_unmatched() == 1
    assert matches.count_unmatched() == 0


def test_a_later_run_records_no_value_that_was_kept(postgres_url: str) -> None:
    with connect(postgres_url) as first:
        ledger = ledger_of(first)
        stage(ledger, "a")
        ledger.matches().add([MatchedRecord("a", "001a", (1,))])
    with connect(postgres_url) as second:
        ledger = ledger_of(second)
        ledger.keep_history(FIELDS, ())
        ledger.record([Acknowledged("a", "001a", created=False)])
        (change,) = read_sent_changes(second, "acme", "account", "a")
    assert change.changes is not None
    assert change.changes.keys() == {"Name", "Site"}


@pytest.mark.parametrize(("code", "left"), [(NO_RECORD, b"f"), ("INVALID_FIELD", None)])
def test_a_row_without_a_record_says_nothing_about_its_parents(
    connection: psycopg.Connection, code: str, left: bytes | None
) -> None:
    ledgers = [PostgresLedger(connection, name, "account", "run") for name in ("acme", "other")]
    basis = FingerprintBasis("00D", "m3ter-org", "Account", "m3ter_Id__c")
    for ledger in ledgers:
        ledger.set_basis(basis, BasisChange.UNKNOWN)
    stage(ledgers[1], "parent")
    ledgers[1].record([Acknowledged("parent", "001p", created=True)])
    child = StagedRow(RecordHash("a", b"f", b"a"), Row("a", ["a"]), 0, parents=("parent",))
    ledgers[0].stage([child])
    ledgers[0].record([Rejected("a", ErrorClass.DEPENDENCY, code, "no record")])
    assert ledgers[1].acknowledged(["parent"]) == {"parent": left}
