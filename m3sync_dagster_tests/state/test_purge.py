"""What is purged, and what stays: each window from both sides, over a real PostgreSQL."""

from collections.abc import Iterator
from datetime import datetime

import psycopg
import pytest
from psycopg import sql

from m3sync_dagster.postgres import KeptConnection
from m3sync_dagster.state import (
    IntegrationLock,
    PostgresDescribeCache,
    PostgresReconciliation,
    connect,
    purge_absent_integrations,
    purge_integration,
    purge_old_rows,
)
from m3sync_dagster.state.purge import ABSENT_DAYS, WINDOWS
from m3sync_dagster.sync.entity_options import WhenGone
from m3sync_dagster.sync.errors import SyncError
from m3sync_dagster.sync.reconcile_types import SyncedRecord
from m3sync_dagster.sync.row_results import Acknowledged
from m3sync_dagster_tests.state.purged_state import (
    KEYS,
    ROWS,
    age,
    all_rows,
    insert,
    keys,
    write_state,
)

DAY = 24
"""Hours."""
NEVER = lambda _name, _since: False  # noqa: E731 - an integration that has not run


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with connect(postgres_url) as connection:
        yield connection


OLD = 10_000 * DAY
CASES: list[tuple[str, dict[str, object], int | None]] = [
    # An ended job, but never one that has not ended, however old it is.
    ("ingest_job", {"opened_at": OLD, "ended_at": 30}, 30),
    ("ingest_job", {"opened_at": OLD}, None),
    ("ingest_job", {"opened_at": OLD, "state": "Announced"}, None),
    # The days count from when an event was actioned, not from when it happened.
    ("integration_event", {"time": 399 * DAY, "actioned": 90}, 90),
    ("integration_event", {"time": 400}, 400),
    ("notice", {"created_at": OLD, "handed_over_at": OLD, "confirmed_at": 90}, 90),
    ("notice", {"created_at": OLD, "handed_over_at": 90}, 90),
    ("notice", {"created_at": 90}, 90),
    ("notice", {"created_at": 90, "attempts": 7, "error": "no"}, 90),
    ("describe_cache", {"read_at": 90}, 90),
    ("credential_login", {"succeeded_at": OLD, "failed_at": 400}, 400),
    ("credential_login", {"succeeded_at": 400}, 400),
    ("removed_record", {"removed_at": 400, "action": "flag"}, 400),
]
"""A row; the time whose age in days is what the window says; the window, or none."""


def test_a_row_stays_to_the_end_of_its_window_and_no_longer(
    connection: psycopg.Connection,
) -> None:
    for table, times, days in CASES:
        connection.execute(sql.SQL("DELETE FROM {}").format(sql.Identifier("m3sync", table)))
        for side, hours in (("inside", -1), ("outside", 1)):
            aged = {
                name: value * DAY + hours if value == days and isinstance(value, int) else value
                for name, value in times.items()
            }
            insert(connection, table, **ROWS[table] | {KEYS[table]: side} | aged)
        expected = 0 if days is None else 1
        dry = purge_old_rows(connection, dry_run=True)
        assert keys(connection, table) == ["inside", "outside"]
        assert purge_old_rows(connection) == dry
        assert sum(one.rows for one in dry) == expected, (table, times)
        left = ["inside", "outside"] if days is None else ["inside"]
        assert keys(connection, table) == left, (table, times)
        assert sum(one.rows for one in purge_old_rows(connection)) == 0


def test_every_window_has_a_case() -> None:
    assert {window.table for window in WINDOWS} == {table for table, _, _ in CASES}
    assert sorted({(window.table, window.days) for window in WINDOWS}) == sorted(
        {(table, days) for table, _, days in CASES if days is not None}
    )


def test_a_purge_keeps_the_last_deletion_of_an_entity(
    connection: psycopg.Connection,
) -> None:
    records = {
        entity: PostgresReconciliation(connection, "acme", entity)
        for entity in ("account", "balance", "contract")
    }
    for number in range(3):
        row = SyncedRecord(f"m{number}", f"a0{number}")
        records["account"].record_removal([row], WhenGone.DELETE, "r")
        records["balance"].record_removal([row], WhenGone.FLAG, "r")
    connection.execute("UPDATE m3sync.removed_record SET removed_at = now() - interval '9 years'")
    purge_old_rows(connection)
    left = "SELECT entity, m3ter_id, action FROM m3sync.removed_record"
    assert connection.execute(left).fetchall() == [("account", "m2", "delete")]
    assert {entity: one.has_deleted() for entity, one in records.items()} == {
        "account": True,
        "balance": False,
        "contract": False,
    }


def test_a_describe_that_is_used_stays(
    connection: psycopg.Connection, kept_connection: KeptConnection
) -> None:
    describes = PostgresDescribeCache(kept_connection, "us")
    for name in ("Used__c", "Unused__c"):
        describes.write(name, b"{}", "")
    connection.execute("UPDATE m3sync.describe_cache SET read_at = now() - interval '91 days'")
    assert describes.read("Used__c") == (b"{}", "")
    purge_old_rows(connection)
    assert keys(connection, "describe_cache") == ["Used__c"]


def test_nothing_that_a_defined_integration_needs_is_dropped(
    connection: psycopg.Connection,
) -> None:
    ledger = write_state(connection, "acme")
    before = all_rows(connection, "acme")
    assert set(before) == {
        "synced_record",
        "outgoing_record",
        "rejected_record",
        "ingest_job",
        "integration_state",
        "fingerprint_basis",
        "sent_change",
        "sent_fields",
    }
    purge_old_rows(connection)
    assert purge_absent_integrations(connection, {"acme"}, NEVER) == []
    age(connection, ABSENT_DAYS + 1)
    purge_old_rows(connection)
    assert purge_absent_integrations(connection, {"acme"}, NEVER) == []
    assert {table: len(rows) for table, rows in all_rows(connection, "acme").items()} == {
        table: len(rows) for table, rows in before.items()
    }
    # What an earlier run sent and never heard about can still be recorded.
    assert [job.job_id for job in ledger.unfinished_jobs()] == ["750-acme", None]
    ledger.record([Acknowledged("b", "a02", created=True)])
    assert set(ledger.acknowledged(["a", "b", "c"])) == {"a", "b"}


def test_state_of_an_integration_is_deleted_after_ninety_days_of_absence(
    connection: psycopg.Connection,
) -> None:
    for name in ("acme", "removed"):
        write_state(connection, name)
    kept = all_rows(connection, "acme")
    # However old its state is, the days count from when it was found to be absent.
    assert purge_absent_integrations(connection, {"acme"}, NEVER) == []
    age_absence(connection, hours=ABSENT_DAYS * DAY - 1)
    assert purge_absent_integrations(connection, {"acme"}, NEVER) == []
    age_absence(connection, hours=2)
    (dry,) = purge_absent_integrations(connection, {"acme"}, NEVER, dry_run=True)
    assert set(all_rows(connection, "removed")) == {*kept, "absent_integration"}
    assert purge_absent_integrations(connection, {"acme"}, NEVER) == [dry]
    assert (dry.integration, dry.rows, dry.kept_because) == ("removed", 10, None)
    assert all_rows(connection, "removed") == {}
    assert all_rows(connection, "acme") == kept
    assert purge_absent_integrations(connection, {"acme"}, NEVER) == []


def age_absence(connection: psycopg.Connection, *, hours: int) -> None:
    connection.execute(
        "UPDATE m3sync.absent_integration "
        "SET absent_since = absent_since - make_interval(hours => %s)",
        (hours,),
    )


def test_the_days_of_absence_restart_after_a_return(connection: psycopg.Connection) -> None:
    write_state(connection, "acme")
    purge_absent_integrations(connection, set(), NEVER)
    age_absence(connection, hours=ABSENT_DAYS * DAY + 1)
    assert purge_absent_integrations(connection, {"acme"}, NEVER) == []
    assert purge_absent_integrations(connection, set(), NEVER) == []
    assert all_rows(connection, "acme")["synced_record"]


def test_an_integration_that_another_project_runs_is_not_absent(
    connection: psycopg.Connection,
) -> None:
    write_state(connection, "acme")
    purge_absent_integrations(connection, set(), NEVER)
    age_absence(connection, hours=ABSENT_DAYS * DAY + 1)
    asked: list[tuple[str, datetime]] = []

    def has_run(name: str, since: datetime) -> bool:
        asked.append((name, since))
        return True

    (dry,) = purge_absent_integrations(connection, set(), has_run, dry_run=True)
    (kept,) = purge_absent_integrations(connection, set(), has_run)
    assert kept == dry
    asked.pop()
    assert asked == [("acme", kept.absent_since)]
    assert (kept.rows, kept.kept_because) == (
        0,
        "it has run meanwhile; another project may define it",
    )
    assert purge_absent_integrations(connection, set(), NEVER) == []
    assert all_rows(connection, "acme")["synced_record"]


def test_an_integration_that_is_being_written_is_not_purged(
    connection: psycopg.Connection, postgres_url: str
) -> None:
    for name in ("acme", "removed"):
        write_state(connection, name)
    purge_absent_integrations(connection, set(), NEVER)
    age_absence(connection, hours=ABSENT_DAYS * DAY + 1)
    with connect(postgres_url) as run, IntegrationLock(run, "acme"):
        with pytest.raises(SyncError, match="another run is writing the integration acme"):
            purge_integration(connection, "acme")
        acme, removed = purge_absent_integrations(connection, set(), NEVER)
    assert (acme.rows, acme.kept_because) == (
        0,
        "another run is writing the integration acme",
    )
    assert removed.rows == 10
    assert all_rows(connection, "acme")["outgoing_record"]
    assert purge_integration(connection, "acme") == 10


def test_a_run_cannot_begin_while_its_state_is_purged(
    connection: psycopg.Connection, postgres_url: str
) -> None:
    write_state(connection, "acme")
    with connect(postgres_url) as run, connection.transaction():
        purge_integration(connection, "acme")
        with pytest.raises(SyncError, match="acme"), IntegrationLock(run, "acme"):
            pass
    with connect(postgres_url) as run, IntegrationLock(run, "acme"):
        assert all_rows(connection, "acme") == {}


@pytest.mark.parametrize("days", [6, 8])
def test_a_job_that_salesforce_may_still_work_on_keeps_its_integration(
    connection: psycopg.Connection, days: int
) -> None:
    row = ROWS["ingest_job"] | {"job_id": "750-open", "opened_at": days * DAY}
    insert(connection, "ingest_job", **row)
    if days < 7:
        with pytest.raises(SyncError, match="750-open of the integration acme has not ended"):
            purge_integration(connection, "acme")
        assert keys(connection, "ingest_job") == ["750-open"]
    else:
        assert purge_integration(connection, "acme") == 1


def test_an_undelivered_notice_of_an_absent_integration_is_kept_for_thirty_days(
    connection: psycopg.Connection,
) -> None:
    notices: dict[str, dict[str, object]] = {
        "waits": {"created_at": 30 * DAY - 1},
        "waited": {"created_at": 30 * DAY + 1},
        "sent": {"created_at": 1, "handed_over_at": 1},
        "delivered": {"created_at": 1, "handed_over_at": 1, "confirmed_at": 1},
    }
    for change, times in notices.items():
        insert(connection, "notice", **ROWS["notice"] | {"change": change} | times)
    assert purge_integration(connection, "acme") == 3
    assert keys(connection, "notice") == ["waits"]


def test_a_dry_run_of_one_integration_deletes_nothing(connection: psycopg.Connection) -> None:
    write_state(connection, "acme")
    before = all_rows(connection, "acme")
    assert purge_integration(connection, "acme", dry_run=True) == 10
    assert all_rows(connection, "acme") == before
