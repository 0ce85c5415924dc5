"""The history of what was sent: each kind of row, and what is not stored."""

from collections.abc import Callable, Collection, Iterator, Sequence
from decimal import Decimal
from hashlib import blake2b

import psycopg
import pytest

from m3sync_dagster.state import (
    PostgresLedger,
    PostgresReconciliation,
    SentChange,
    connect,
    read_sent_changes,
    sent_changes,
)
from m3sync_dagster.state._sent_changes_sql import (
    BEFORE,
    DELETE_CHANGES,
    DELETE_FIELDS,
    DELETE_VALUES,
)
from m3sync_dagster.state.sent_changes import LONGEST_VALUE, SAMPLE
from m3sync_dagster.sync.entity_options import WhenGone
from m3sync_dagster.sync.errors import SyncError
from m3sync_dagster.sync.reconcile_types import SyncedRecord
from m3sync_dagster.sync.row_results import Acknowledged, ErrorClass, Rejected
from m3sync_dagster.sync.row_types import RecordHash, Row, StagedRow, Value
from m3sync_dagster_tests.sql_statements import counted_statements

FIELDS = ("Name", "Email__c", "Amount__c", "Active__c")
RECORD = ("acme", "account", "m1")
SALESFORCE_ID = "a01000000000001AAA"
CREATED = Acknowledged("m1", SALESFORCE_ID, created=True)
UPDATED = Acknowledged("m1", SALESFORCE_ID, created=False)
REFUSED = Rejected("m1", ErrorClass.PERMANENT, "DUPLICATE_VALUE", "taken", ("Name",))
WAITS = Rejected("m1", ErrorClass.DEPENDENCY, "INVALID_FIELD", "Foreign key external ID")
FIRST: tuple[Value, ...] = ("Acme", "a@acme.example", Decimal("1.10"), True)

Write = Callable[..., PostgresLedger]


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with connect(postgres_url) as connection:
        yield connection


@pytest.fixture
def write(connection: psycopg.Connection) -> Write:
    """Stages rows of values for the record ``m1``, and records the result of each."""

    def write_them(
        *rows: tuple[Sequence[Value], Acknowledged | Rejected],
        fields: Sequence[str] = FIELDS,
        masked: Collection[str] = (),
        run: str = "run",
    ) -> PostgresLedger:
        ledger = PostgresLedger(connection, "acme", "account", run)
        ledger.keep_history(fields, masked).delete_masked()
        for values, result in rows:
            ledger.stage([staged("m1", values)])
            ledger.record([result])
        return ledger

    return write_them


def staged(m3ter_id: str, values: Sequence[Value]) -> StagedRow:
    digest = blake2b(repr(values).encode(), digest_size=16).digest()
    return StagedRow(RecordHash(m3ter_id, digest, digest), Row(m3ter_id, list(values)), 0)


def history(connection: psycopg.Connection) -> list[SentChange]:
    """What was sent for ``m1``, the oldest first."""
    return read_sent_changes(connection, *RECORD)[::-1]


def test_a_created_record_has_no_values_and_its_first_change_has_both(
    connection: psycopg.Connection, write: Write
) -> None:
    second = ("Acme GmbH", None, Decimal("1.10"), True)
    with counted_statements() as asked:
        write((FIRST, CREATED), run="run-1")
    assert BEFORE not in asked.ours
    write((second, UPDATED), run="run-2")
    created, updated = history(connection)
    assert (created.action, created.changes, created.accepted) == ("created", None, True)
    assert (updated.action, updated.accepted, updated.masked) == ("updated", True, None)
    assert updated.changes == {
        "Name": {"before": "Acme", "after": "Acme GmbH"},
        "Email__c": {"before": "a@acme.example", "after": None},
    }
    assert {one.salesforce_id for one in (created, updated)} == {SALESFORCE_ID}
    assert [one.run_id for one in (created, updated)] == ["run-1", "run-2"]
    assert created.time < updated.time


def test_a_value_before_that_is_not_known_is_not_shown_as_empty(
    connection: psycopg.Connection, write: Write
) -> None:
    """As for a record that an earlier version synced, or that was in Salesforce already."""
    write((FIRST, UPDATED))
    (updated,) = history(connection)
    assert updated.changes == {
        name: {"after": value} for name, value in zip(FIELDS, FIRST, strict=True)
    }


def test_many_rows_without_a_known_value_before_are_stored_without_values(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when every record is compared anew; a row whose values are known has its changes."""
    monkeypatch.setattr(sent_changes, "MOST_UNKNOWN", 3)
    ledger = PostgresLedger(connection, "acme", "account", "run")
    ledger.keep_history(FIELDS, ())
    ids = [f"m{number}" for number in range(5)]
    for values in (FIRST, ("Other", *FIRST[1:])):
        ledger.stage([staged(m3ter_id, values) for m3ter_id in ids])
        ledger.record([Acknowledged(m3ter_id, "a01", created=False) for m3ter_id in ids])
    found = connection.execute("SELECT changes FROM m3sync.sent_change").fetchall()
    sizes = sorted(-1 if changes is None else len(changes) for (changes,) in found)
    assert sizes == [-1, -1, 1, 1, 1, 1, 1, 4, 4, 4]


def test_a_rejected_row_without_values_names_the_record_that_is_in_salesforce(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, write: Write
) -> None:
    monkeypatch.setattr(sent_changes, "MOST_UNKNOWN", 0)
    write((FIRST, UPDATED))
    connection.execute("UPDATE m3sync.synced_record SET sent_values = NULL, sent_fields = NULL")
    write((FIRST, REFUSED))
    rejected = history(connection)[-1]
    assert (rejected.salesforce_id, rejected.changes) == (SALESFORCE_ID, None)


def test_a_field_that_is_newly_mapped_has_no_value_before(
    connection: psycopg.Connection, write: Write
) -> None:
    write((FIRST[:2], CREATED), fields=FIELDS[:2])
    later = ("Email__c", "Name", "Tier__c")
    write(((FIRST[1], "Acme", None), UPDATED), ((FIRST[1], "Acme", "A"), UPDATED), fields=later)
    assert [one.changes for one in history(connection)[1:]] == [
        {"Tier__c": {"after": None}},
        {"Tier__c": {"before": None, "after": "A"}},
    ]


@pytest.mark.parametrize(("masked", "result"), [((), UPDATED), (("Email__c",), CREATED)])
def test_a_row_that_does_not_have_a_value_for_each_field_is_refused(
    write: Write, masked: Collection[str], result: Acknowledged
) -> None:
    with pytest.raises(ValueError, match="zip"):
        write((FIRST[:3], result), masked=masked)


def test_a_mapping_may_have_very_many_fields(connection: psycopg.Connection, write: Write) -> None:
    """More names than fit into an entry of a PostgreSQL index."""
    fields = [blake2b(str(number).encode()).hexdigest() for number in range(500)]
    write(([None] * 500, CREATED), ([None] * 499 + ["x"], UPDATED), fields=fields)
    assert history(connection)[-1].changes == {fields[-1]: {"before": None, "after": "x"}}


def test_a_row_that_is_sent_again_unchanged_has_no_changes(
    connection: psycopg.Connection, write: Write
) -> None:
    write((FIRST, CREATED), (FIRST, UPDATED))
    assert history(connection)[-1].changes == {}


def test_a_rejected_row_has_its_code_and_leaves_the_values_before(
    connection: psycopg.Connection, write: Write
) -> None:
    refused, third = ("Taken", *FIRST[1:]), ("Free", *FIRST[1:])
    write((FIRST, CREATED), (refused, REFUSED), (third, UPDATED))
    _, rejected, updated = history(connection)
    assert (rejected.action, rejected.answer, rejected.accepted) == (
        "rejected",
        "DUPLICATE_VALUE",
        False,
    )
    assert rejected.salesforce_id == SALESFORCE_ID
    assert rejected.changes == {"Name": {"before": "Acme", "after": "Taken"}}
    assert updated.changes == {"Name": {"before": "Acme", "after": "Free"}}


@pytest.mark.parametrize("result", [REFUSED, WAITS])
def test_a_rejected_row_of_a_new_record_has_no_values(
    connection: psycopg.Connection, write: Write, result: Rejected
) -> None:
    write((FIRST, result))
    (rejected,) = history(connection)
    assert (rejected.answer, rejected.salesforce_id, rejected.changes) == (result.code, None, None)


def test_a_row_that_was_not_sent_is_not_in_the_history(
    connection: psycopg.Connection, write: Write
) -> None:
    write((FIRST, Rejected("m1", ErrorClass.INVALID, "M3SYNC_INVALID_VALUE", "too long")))
    assert history(connection) == []


def test_a_result_is_in_the_history_once(connection: psycopg.Connection, write: Write) -> None:
    """The results of an ingest job are read again after a killed run."""
    ledger = write((FIRST, CREATED))
    ledger.record([CREATED])
    assert len(history(connection)) == 1


def test_a_result_is_in_the_history_if_it_is_acknowledged_and_only_then(
    connection: psycopg.Connection, write: Write
) -> None:
    ledger = write()
    ledger.stage([staged("m1", FIRST)])
    connection.execute("ALTER TABLE m3sync.synced_record RENAME TO hidden")
    with pytest.raises(SyncError, match="synced_record"):
        ledger.record([CREATED])
    assert history(connection) == []
    connection.execute("ALTER TABLE m3sync.hidden RENAME TO synced_record")
    ledger.record([CREATED])
    assert len(history(connection)) == 1


VALUES: list[tuple[Value, object]] = [
    (
        "Ünï ☃ 🎉 \"quoted\" 'twice' \\ back \t tab",
        "Ünï ☃ 🎉 \"quoted\" 'twice' \\ back \t tab",
    ),
    ("{not: [json", "{not: [json"),
    ("a\0b", "a\ufffdb"),
    ("\\u0000", "\\u0000"),
    ("é" * 500, "é" * 500),
    ("é" * 100_000, "é" * (LONGEST_VALUE - 1) + "…"),
    (Decimal("1.10"), Decimal("1.10")),
    (Decimal("1E+130000"), "1E+130000"),
    (int("9" * 40), int("9" * 40)),
    (int("9" * 41), "9" * 41),
    (12345678901234567890, 12345678901234567890),
    (True, True),
    (False, False),
    ("", ""),
]
"""A value, and what the history shows of it."""


def test_a_value_is_stored_as_it_is_or_says_that_it_was_cut(
    connection: psycopg.Connection, write: Write
) -> None:
    empty = (None, None, None, None)
    rows = [row for value, _ in VALUES for row in ((value, *empty[1:]), empty)]
    write((empty, CREATED), *((row, UPDATED) for row in rows))
    expected: list[tuple[object, object]] = []
    for _, shown in VALUES:
        expected += [(None, shown), (shown, None)]
    assert [one.changes for one in history(connection)[1:]] == [
        {"Name": {"before": before, "after": after}} for before, after in expected
    ]


def test_a_text_that_differs_after_the_cut_has_changed(
    connection: psycopg.Connection, write: Write
) -> None:
    one, other = (("x" * 600 + end, None, None, None) for end in "ab")
    write((one, CREATED), (other, UPDATED))
    assert list(history(connection)[-1].changes or ()) == ["Name"]


def stored_text(connection: psycopg.Connection) -> str:
    """All that is stored of values, except rows that are still to be sent."""
    rows: list[object] = []
    for table in ("sent_change", "synced_record", "sent_fields", "rejected_record"):
        rows += connection.execute(f"SELECT * FROM m3sync.{table}").fetchall()  # noqa: S608 - constants
    return str(rows)


def test_values_of_masked_fields_are_not_stored(
    connection: psycopg.Connection, write: Write
) -> None:
    second = ("Acme GmbH", "hush-2", *FIRST[2:])
    third = ("Taken", "hush-3", *FIRST[2:])
    first = ("Acme", "hush-1", *FIRST[2:])
    masked = ["Email__c"]
    ledger = write((first, CREATED), (second, UPDATED), (third, REFUSED), masked=masked)
    _, updated, rejected = history(connection)
    assert updated.changes == {"Name": {"before": "Acme", "after": "Acme GmbH"}}
    assert updated.masked == rejected.masked == masked
    assert "hush" not in stored_text(connection)
    # What Salesforce holds is still compared: the fingerprint is that of the whole row.
    known = {**ledger.acknowledged(["m1"])}
    assert known == {"m1": None}
    write((second, UPDATED), masked=masked)
    assert ledger.acknowledged(["m1"]) == {"m1": staged("m1", second).seen.fingerprint}
    # A field that is no longer masked has no known value before.
    write((third, UPDATED))
    assert history(connection)[-1].changes == {
        "Name": {"before": "Acme GmbH", "after": "Taken"},
        "Email__c": {"after": "hush-3"},
    }


def test_values_that_were_stored_before_a_field_was_masked_are_deleted(
    connection: psycopg.Connection, write: Write
) -> None:
    write((("Acme", "hush-1", None, None), CREATED), (("B", "hush-2", None, None), UPDATED))
    connection.execute(
        "INSERT INTO m3sync.rejected_record (integration, entity, m3ter_id, class, code, message, "
        "fields, run_id, refused) VALUES ('acme', 'account', 'm2', 'permanent', 'X', '', '{}', "
        """'run', '{"Email__c": "hush-3", "Name": "C"}')"""
    )
    other = PostgresLedger(connection, "other", "account", "run")
    other.keep_history(FIELDS, ())
    other.stage([staged("m1", ("kept", *FIRST[1:]))])
    other.record([UPDATED])
    write(masked=["Email__c"])
    assert "hush" not in stored_text(connection)
    assert "kept" in stored_text(connection)
    with counted_statements() as asked:
        write(masked=["Email__c"])
    assert not {DELETE_VALUES, DELETE_CHANGES, DELETE_FIELDS} & set(asked.ours)
    updated = history(connection)[-1]
    assert updated.changes == {"Name": {"before": "Acme", "after": "B"}}
    assert updated.masked == ["Email__c"]
    write((("D", "hush-4", None, None), UPDATED), masked=["Email__c"])
    assert history(connection)[-1].changes == {
        "Name": {"after": "D"},
        "Amount__c": {"after": None},
        "Active__c": {"after": None},
    }


def test_flagged_and_deleted_records_are_in_the_history(
    connection: psycopg.Connection, write: Write
) -> None:
    write((FIRST, CREATED))
    records = PostgresReconciliation(connection, "acme", "account")
    row = SyncedRecord("m1", SALESFORCE_ID)
    records.record_removal([row], WhenGone.FLAG, "run")
    records.record_removal([row], WhenGone.DELETE, "")
    actions = [(one.action, one.accepted, one.changes) for one in history(connection)]
    assert actions[1:] == [("flagged", True, None), ("deleted", True, None)]


def test_the_sample_has_the_first_rows_that_were_accepted(connection: psycopg.Connection) -> None:
    ledger = PostgresLedger(connection, "acme", "account", "run")
    kept = ledger.keep_history(FIELDS, ["Email__c"])
    ids = [f"m{number:02}" for number in range(SAMPLE + 5)]
    ledger.stage([staged(m3ter_id, FIRST) for m3ter_id in ids])
    ledger.record([REFUSED, Acknowledged("not staged", "a00", created=True)])
    ledger.record([Acknowledged(ids[0], "a00", created=True)])
    ledger.record([Acknowledged(m3ter_id, "a01", created=False) for m3ter_id in ids[1:]])
    assert [one.m3ter_id for one in kept.sample] == ids[:SAMPLE]
    assert [one.fields for one in kept.sample[:2]] == [None, ("Name", "Amount__c", "Active__c")]
    assert (kept.sample[0].action, kept.sample[1].salesforce_id) == ("created", "a01")
