from decimal import Decimal

import psycopg
import pytest
from psycopg.pq import TransactionStatus

from m3sync_dagster.state import PostgresLedger, count_rejects, list_rejects
from m3sync_dagster.state import ledger as ledger_module
from m3sync_dagster.state._ledger_sql import ACKNOWLEDGE, SET_RETRY_TIME
from m3sync_dagster.state.ledger import MANY
from m3sync_dagster.state.reject_values import LONGEST_MESSAGE
from m3sync_dagster.sync.row_results import NO_RECORD, ErrorClass, Rejected
from m3sync_dagster.sync.row_types import RecordHash
from m3sync_dagster_tests.sql_statements import counted_statements
from m3sync_dagster_tests.state.ledger_fixtures import acknowledge, connection, ledger, seen, staged

__all__ = ["connection", "ledger"]  # fixtures


def test_a_digest_is_unknown_until_salesforce_acknowledges_its_row(ledger: PostgresLedger) -> None:
    digest = seen("a").digest
    ledger.stage([staged("a")])
    assert ledger.unknown_digests([digest]) == [0]
    acknowledge(ledger, "a")
    assert ledger.unknown_digests([b"other", digest]) == [0]


def test_same_row_in_other_json_is_not_changed_and_is_known_afterwards(
    ledger: PostgresLedger,
) -> None:
    ledger.stage([staged("a")])
    acknowledge(ledger, "a")
    reordered = RecordHash("a", seen("a").fingerprint, b"the same, with its keys in another order")
    assert ledger.acknowledged(["a", "new"]) == {"a": reordered.fingerprint}
    ledger.confirm([reordered, seen("new")])
    assert ledger.unknown_digests([reordered.digest]) == []


def test_staging_withdraws_what_was_acknowledged(ledger: PostgresLedger) -> None:
    ledger.stage([staged("a"), staged("b")])
    acknowledge(ledger, "a", "b")
    ledger.stage([staged("a", "v2")])
    assert ledger.acknowledged(["a", "b"]) == {"a": None, "b": seen("b").fingerprint}
    assert ledger.unknown_digests([seen("a").digest, seen("a", "v2").digest, seen("b").digest]) == [
        0,
        1,
    ]


def test_staged_twice_is_sent_once_with_the_later_row(ledger: PostgresLedger) -> None:
    ledger.stage([staged("a", "v1")])
    ledger.stage([staged("a", "v2")])
    assert ledger.ready(all_rows=False) == [(0, 1)]
    acknowledge(ledger, "a")
    assert ledger.acknowledged(["a"]) == {"a": seen("a", "v2").fingerprint}
    assert ledger.ready(all_rows=True) == []


def test_rows_come_back_exactly_and_sorted_by_parent(ledger: PostgresLedger) -> None:
    ledger.stage([staged("b", parent="p2"), staged("c", parent="p1"), staged("a", parent="p2")])
    rows = list(ledger.staged([0], all_rows=False))
    assert [row.m3ter_id for row in rows] == ["c", "a", "b"]
    assert rows[0].values == ["c", Decimal("1.10"), None, True]
    assert str(rows[0].values[1]) == "1.10"


def test_a_staged_sibling_goes_first_even_if_salesforce_holds_it(ledger: PostgresLedger) -> None:
    ledger.stage([staged("root")])
    acknowledge(ledger, "root")
    ledger.stage([staged("root", "v2"), staged("child", group_key=1, sibling="root")])
    assert ledger.ready(all_rows=False) == [(0, 1)]
    acknowledge(ledger, "root")
    assert ledger.ready(all_rows=False) == [(1, 1)]


def test_children_wait_for_siblings_that_are_on_their_way(ledger: PostgresLedger) -> None:
    ledger.stage(
        [
            staged("grandchild", group_key=1, sibling="child"),
            staged("child", group_key=1, sibling="root"),
            staged("root", group_key=0),
            staged("unrelated", group_key=1, sibling="not on its way"),
        ]
    )
    assert ledger.ready(all_rows=False) == [(0, 1), (1, 1)]
    acknowledge(ledger, "root")
    assert ledger.ready(all_rows=False) == [(1, 2)]
    assert {r.m3ter_id for r in ledger.staged([1], all_rows=False)} == {"child", "unrelated"}


def test_a_circle_of_siblings_is_ready_only_as_a_whole(ledger: PostgresLedger) -> None:
    ledger.stage([staged("a", group_key=1, sibling="b"), staged("b", group_key=1, sibling="a")])
    assert ledger.ready(all_rows=False) == []
    assert ledger.ready(all_rows=True) == [(1, 2)]
    assert list(ledger.staged([1], all_rows=False)) == []
    assert [row.m3ter_id for row in ledger.staged([1], all_rows=True)] == ["a", "b"]


def test_clear_deletes_the_rows_that_an_earlier_run_left(ledger: PostgresLedger) -> None:
    ledger.stage([staged("a")])
    ledger.clear()
    assert ledger.ready(all_rows=True) == []


def test_what_was_sent_is_stored_if_the_history_is_kept(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    ledger.stage([staged("before")])
    acknowledge(ledger, "before")
    fields = ledger.keep_history(["Id__c", "Price__c", "Name", "Active__c"], []).fields_id
    ledger.stage([staged("a")])
    acknowledge(ledger, "a")
    sent = "SELECT m3ter_id, action, answer FROM m3sync.sent_change"
    assert connection.execute(sent).fetchall() == [("a", "created", "accepted")]
    known = "SELECT m3ter_id, sent_fields, sent_values FROM m3sync.synced_record ORDER BY m3ter_id"
    assert connection.execute(known).fetchall() == [
        ("a", fields, b'["a",1.10,null,true]'),
        ("before", None, None),
    ]


def test_rejects_are_recorded_until_their_rows_are_accepted(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    ledger.stage([staged("a")])
    refused = Rejected("a", ErrorClass.PERMANENT, "STRING_TOO_LONG", "Name: too long", ("Name",))
    ledger.record([refused])
    ledger.stage([staged("a")])
    ledger.record([refused])
    ledger.record([refused])  # It is not staged: this is known already.
    (reject,) = list_rejects(connection, "acme")
    assert (reject.m3ter_id, reject.code, reject.fields, reject.attempts) == (
        "a",
        "STRING_TOO_LONG",
        ["Name"],
        2,
    )
    assert reject.first_seen < reject.last_seen
    assert ledger.ready(all_rows=True) == []
    assert list_rejects(connection, "another") == []
    ledger.stage([staged("a")])
    acknowledge(ledger, "a")
    assert list_rejects(connection) == []


def test_rejects_that_a_run_does_not_record_again_are_deleted(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    earlier = PostgresLedger(connection, "acme", "account", "run-0")
    rejects = [Rejected(key, ErrorClass.INVALID, "X", "x") for key in ("deleted", "still bad")]
    earlier.record(rejects)
    ledger.clear()
    ledger.record(rejects[1:])
    # As if the server's clock had been set back between the two runs, or during this one.
    connection.execute(
        "UPDATE m3sync.rejected_record SET last_seen = last_seen + CASE m3ter_id "
        "WHEN 'deleted' THEN interval '1 hour' ELSE interval '-1 hour' END"
    )
    ledger.delete_stale_rejects()
    assert [reject.m3ter_id for reject in list_rejects(connection)] == ["still bad"]
    assert count_rejects(connection) == {"acme": 1}


def test_messages_are_kept_as_far_as_postgresql_can_hold_them(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    ledger.record([Rejected("a", ErrorClass.INVALID, "X", "nul \0 and é " + "x" * 9_999)])
    message = list_rejects(connection)[0].message
    assert message.startswith("nul � and é ")
    assert len(message) == LONGEST_MESSAGE


def test_integrations_and_entities_do_not_see_each_other(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    ledger.stage([staged("a")])
    assert ledger.matches().count_unmatched() == 1
    acknowledge(ledger, "a")
    ledger.stage([staged("b")])
    for name, entity in (("acme", "contract"), ("other", "account")):
        other = PostgresLedger(connection, name, entity, "run-2")
        assert other.matches().count_unmatched() == 0
        other.clear()
        assert other.unknown_digests([seen("a").digest]) == [0]
        assert other.acknowledged(["a"]) == {}


def test_only_a_row_rejected_with_the_same_values_pauses(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    refused = Rejected("a", ErrorClass.PERMANENT, "X", "no", ("Name",))
    for _ in range(3):
        ledger.stage([staged("a")])
        ledger.record([refused])
    ledger.clear()
    assert ledger.paused([seen("a"), seen("b")]) == [refused]
    assert ledger.paused([seen("a", "v2")]) == []
    connection.execute("UPDATE m3sync.rejected_record SET retry_at = clock_timestamp()")
    assert ledger.paused([seen("a")]) == []


def test_a_paused_reject_is_kept_while_its_record_exists(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    earlier = PostgresLedger(connection, "acme", "account", "run-0")
    for m3ter_id in ("here", "deleted"):
        for _ in range(3):
            earlier.stage([staged(m3ter_id)])
            earlier.record([Rejected(m3ter_id, ErrorClass.PERMANENT, "X", "no")])
    ledger.clear()
    ledger.keep_paused(ledger.paused([seen("here")]))
    ledger.delete_stale_rejects()
    (reject,) = list_rejects(connection)
    assert (reject.m3ter_id, reject.attempts) == ("here", 3)


def test_what_a_job_of_an_earlier_run_has_shown_is_stale_unless_it_is_seen_again(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    rejects = [Rejected(key, ErrorClass.INVALID, "X", "x") for key in ("gone", "here")]
    ledger.record(rejects)
    ledger.mark_rejects_stale()
    ledger.record(rejects[1:])
    ledger.delete_stale_rejects()
    assert [reject.m3ter_id for reject in list_rejects(connection)] == ["here"]


def test_records_without_a_salesforce_record_are_known(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    contracts = PostgresLedger(connection, "acme", "contract", "run-1")
    for _ in range(3):
        ledger.stage([staged("a"), staged("b")])
        ledger.record([Rejected("a", ErrorClass.DEPENDENCY, NO_RECORD, "none")])
        ledger.record([Rejected("b", ErrorClass.DEPENDENCY, "X", "no")])
    for one in (ledger, contracts):
        assert one.without_record("account", ["a", "b", "c"]) == {"a"}
        assert one.without_record("account", ["b", "c"]) == set()
        assert one.without_record("contract", ["a"]) == set()


def test_staged_rows_and_salesforce_ids_are_read_by_the_ids_of_their_records(
    ledger: PostgresLedger,
) -> None:
    ledger.stage([staged("a"), staged("b"), staged("c")])
    acknowledge(ledger, "b", "c")
    assert ledger.count_in_salesforce() == 2
    assert ledger.salesforce_ids(["a", "b"]) == {"b": "a01b"}
    assert ledger.staged_values(["a", "b"]) == {"a": ["a", Decimal("1.10"), None, True]}


def test_a_table_is_analyzed_after_many_written_rows(
    ledger: PostgresLedger, connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger_module, "MANY", 2)

    def rows_known_to_planner(table: str) -> int:
        query = "SELECT reltuples::int FROM pg_class WHERE oid = %s::regclass"
        row = connection.execute(query, (f"m3sync.{table}",)).fetchone()
        assert row
        return int(row[0])

    found = []
    for m3ter_id in "abcd":
        ledger.stage([staged(m3ter_id)])
        ledger.ready(all_rows=True)
        found.append(rows_known_to_planner("outgoing_record"))
    assert found == [-1, 2, 2, 4]
    found = []
    for m3ter_id in "abcd":
        acknowledge(ledger, m3ter_id)
        found.append(rows_known_to_planner("synced_record"))
    ledger.delete_stale_rejects()
    assert [*found, rows_known_to_planner("synced_record")] == [-1, 2, 2, 2, 4]


def test_nothing_asks_nothing(ledger: PostgresLedger) -> None:
    with counted_statements() as found:
        assert ledger.paused([]) == []
        ledger.confirm([])
        ledger.keep_paused([])
        ledger.stage([])
    assert found.ours == []
    with counted_statements() as found:
        ledger.record([])
    assert not {ACKNOWLEDGE, SET_RETRY_TIME} & set(found.ours)
    assert ledger.unknown_digests([]) == []
    assert ledger.ready(all_rows=True) == []


def test_no_transaction_is_open_while_rows_are_read(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    ledger.stage([staged("a"), staged("b")])
    for _ in ledger.staged([0], all_rows=True):
        assert connection.info.transaction_status == TransactionStatus.IDLE


def test_recording_a_batch_does_not_read_the_batches_before_it(
    ledger: PostgresLedger, connection: psycopg.Connection
) -> None:
    batches, size = 10, MANY
    ids = [f"r{number:05}" for number in range(batches * size)]
    for start in range(0, len(ids), size):
        ledger.stage([staged(m3ter_id) for m3ter_id in ids[start : start + size]])
    ledger.ready(all_rows=False)
    for start in range(0, len(ids), size):
        acknowledge(ledger, *ids[start : start + size])
    connection.execute("SELECT pg_stat_force_next_flush()")
    row = connection.execute(
        "SELECT sum(seq_tup_read + coalesce(idx_tup_fetch, 0)) FROM pg_stat_user_tables "
        "WHERE relname IN ('synced_record', 'outgoing_record')"
    ).fetchone()
    assert row
    # Each row is analyzed, counted, recorded and deleted; more reads would grow with the table.
    assert row[0] < 6 * len(ids)
