"""The partitions of the history: purged by dropping them, also after a long pause of the purge."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta, timezone

import psycopg
import pytest

from m3sync_dagster.state import (
    connect,
    history_days,
    purge_old_rows,
    purge_sent_changes,
    sent_change_partitions,
)
from m3sync_dagster.state.sent_change_partitions import DAYS, DAYS_AHEAD
from m3sync_dagster.sync.errors import ConfigurationError, SyncError

DEFAULT = "sent_change_default"


@pytest.fixture
def connection(postgres_url: str) -> Iterator[psycopg.Connection]:
    with connect(postgres_url) as connection:
        yield connection


def today() -> date:
    return datetime.now(UTC).date()


def add(connection: psycopg.Connection, day: date, m3ter_id: str = "m") -> None:
    """A row of the last second of a day in UTC."""
    connection.execute(
        "INSERT INTO m3sync.sent_change (integration, entity, m3ter_id, run_id, time, action, "
        "answer) VALUES ('acme', 'account', %s, 'r', %s, 'created', 'accepted')",
        (m3ter_id, datetime(day.year, day.month, day.day, 23, 59, 59, tzinfo=UTC)),
    )


def partition(day: date) -> str:
    return f"sent_change_{day:%Y%m%d}"


def create(connection: psycopg.Connection, day: date) -> None:
    connection.execute(
        f"CREATE TABLE m3sync.{partition(day)} PARTITION OF m3sync.sent_change "
        f"FOR VALUES FROM ('{day} 00:00+00') TO ('{day + timedelta(days=1)} 00:00+00')"
    )


def partitions(connection: psycopg.Connection) -> dict[str, int]:
    """Each partition with the number of its rows; all are in our schema."""
    found = connection.execute(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
        "WHERE inhparent = 'm3sync.sent_change'::regclass"
    ).fetchall()
    return {
        name: int(
            (connection.execute(f"SELECT count(*) FROM m3sync.{name}").fetchone() or (0,))[0]  # noqa: S608 - a constant
        )
        for (name,) in found
    }


def ahead() -> set[str]:
    """The partitions of today and of the days to come."""
    return {partition(today() + timedelta(days=n)) for n in range(DAYS_AHEAD + 1)}


def test_a_new_database_has_partitions_for_the_days_to_come(
    connection: psycopg.Connection,
) -> None:
    # A test that begins before midnight ends after it.
    assert len(set(partitions(connection)) & {*ahead(), DEFAULT}) > DAYS_AHEAD
    add(connection, today())
    assert partitions(connection)[DEFAULT] == 0


def test_whole_days_are_dropped_once_they_are_too_old(connection: psycopg.Connection) -> None:
    kept, old = today() - timedelta(days=30), today() - timedelta(days=31)
    for day in (kept, old):
        create(connection, day)
        add(connection, day)
        add(connection, day)
    assert purge_sent_changes(connection, 30, dry_run=True) == 2
    assert partitions(connection)[partition(old)] == 2
    assert purge_sent_changes(connection, 30, dry_run=False) == 2
    found = partitions(connection)
    assert partition(old) not in found
    assert found[partition(kept)] == 2
    assert purge_sent_changes(connection, 30, dry_run=False) == 0
    assert purge_sent_changes(connection, 29, dry_run=False) == 2


def test_a_purge_that_has_not_run_for_long_deletes_rows_without_a_partition(
    connection: psycopg.Connection,
) -> None:
    for name in set(partitions(connection)) - {DEFAULT}:
        connection.execute(f"DROP TABLE m3sync.{name}")
    old, kept = today() - timedelta(days=31), today() - timedelta(days=30)
    for day in (old, kept, today()):
        add(connection, day)
    assert partitions(connection) == {DEFAULT: 3}
    assert purge_sent_changes(connection, 30, dry_run=True) == 1
    assert purge_sent_changes(connection, 30, dry_run=False) == 1
    found = partitions(connection)
    # The rows of today are in the default partition, so it keeps this day.
    assert found.pop(DEFAULT) == 2
    assert set(found) == ahead() - {partition(today())}
    add(connection, today() + timedelta(days=1))
    assert partitions(connection)[partition(today() + timedelta(days=1))] == 1


def test_the_rows_of_all_old_days_are_counted(connection: psycopg.Connection) -> None:
    days = [today() - timedelta(days=number) for number in (50, 40, 31)]
    add(connection, days[2])
    for day in days[:2]:
        create(connection, day)
        add(connection, day)
        add(connection, day)
    assert purge_sent_changes(connection, 30, dry_run=False) == 5


def test_a_day_is_one_in_utc() -> None:
    evening = datetime(2026, 11, 26, 20, 30, tzinfo=timezone(-timedelta(hours=5)))
    assert sent_change_partitions._day_of(evening) == date(2026, 11, 27)
    midnight = datetime(2026, 11, 27, tzinfo=UTC)
    assert sent_change_partitions._midnight(date(2026, 11, 27)) == midnight


def test_partitions_are_created_again_when_few_are_left(connection: psycopg.Connection) -> None:
    for name in sorted(ahead())[5:]:
        connection.execute(f"DROP TABLE IF EXISTS m3sync.{name}")
    assert purge_sent_changes(connection, 30, dry_run=False) == 0
    assert ahead() <= set(partitions(connection))


def test_a_purge_does_not_wait_for_a_backup_that_reads_the_table(
    connection: psycopg.Connection, postgres_url: str
) -> None:
    create(connection, day := today() - timedelta(days=31))
    add(connection, day)
    with connect(postgres_url) as backup, backup.transaction():
        backup.execute("LOCK TABLE m3sync.sent_change IN ACCESS SHARE MODE")
        with pytest.raises(SyncError, match="did not get a lock in time"):
            purge_sent_changes(connection, 30, dry_run=False)
        assert partitions(connection)[partition(day)] == 1
    assert purge_sent_changes(connection, 30, dry_run=False) == 1


def test_the_purge_of_other_tables_leaves_the_history(connection: psycopg.Connection) -> None:
    add(connection, today() - timedelta(days=399))
    assert sum(one.rows for one in purge_old_rows(connection)) == 0


@pytest.mark.parametrize("value", ["0", "401", "-1", "thirty", "1.5"])
def test_a_number_of_days_that_cannot_be_used_is_refused(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(DAYS, value)
    with pytest.raises(ConfigurationError, match=f"{DAYS} is '{value}'") as caught:
        history_days()
    assert caught.value.remedy == "Set it to a whole number from 1 to 400, or unset it for 30 days."


@pytest.mark.parametrize(("value", "days"), [("", 30), (" 90 ", 90), ("1", 1), ("400", 400)])
def test_the_number_of_days(value: str, days: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DAYS, value)
    assert history_days() == days
