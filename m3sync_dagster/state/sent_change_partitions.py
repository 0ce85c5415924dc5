"""The partitions of ``sent_change``: one for each day in UTC, and one for all other rows.

The purge creates partitions for the days to come and drops old ones. If it has not run for so
long that a day has no partition, the rows of that day go to ``sent_change_default``. They are
deleted from there when they are too old.

Source: PostgreSQL documentation, "Table Partitioning".
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import psycopg
from psycopg import sql

from m3sync_dagster.state.days_to_keep import read_days

DAYS = "M3SYNC_KEEP_HISTORY_DAYS"
DEFAULT_DAYS = 30
LEAST_DAYS = 1
MOST_DAYS = 400
"""A query for one record looks at every partition."""
DAYS_AHEAD = 30
"""Days to come for which there are partitions."""
_LOCK_WAIT = "5s"
"""How long it waits for a lock: as long as it waits, the syncs wait that write to the table."""


def history_days() -> int:
    """For how many days the history is kept.

    Raises:
        ConfigurationError: the variable has no valid value.
    """
    return read_days(DAYS, DEFAULT_DAYS, LEAST_DAYS, MOST_DAYS)


def purge_sent_changes(connection: psycopg.Connection, days: int, *, dry_run: bool) -> int:
    """Delete the history that is older than so many whole days, and create partitions.

    Args:
        connection: to our tables.
        days: how many days are kept.
        dry_run: only count the rows.

    Returns:
        How many rows were too old.

    Raises:
        SyncError: another program, such as a backup, holds the table. Then nothing was deleted.
    """
    today = _today(connection)
    with connection.transaction(force_rollback=dry_run):
        connection.execute(f"SET LOCAL lock_timeout = '{_LOCK_WAIT}'")
        rows = _delete_until(connection, today - timedelta(days=days), drop=not dry_run)
        if not dry_run:
            _create_partitions(connection, today)
    return rows


def _today(connection: psycopg.Connection) -> date:
    """The day in UTC, by the clock that also gives the rows their times."""
    [(now,)] = connection.execute("SELECT clock_timestamp()")
    return _day_of(now)


def _day_of(time: datetime) -> date:
    return time.astimezone(UTC).date()


def _delete_until(connection: psycopg.Connection, first_kept: date, *, drop: bool) -> int:
    """Delete the rows of earlier days, and count them."""
    rows = connection.execute(
        "DELETE FROM m3sync.sent_change_default WHERE time < %s", (_midnight(first_kept),)
    ).rowcount
    for day in sorted(_days(connection)):
        if day < first_kept:
            table = sql.Identifier("m3sync", _name(day))
            count = sql.SQL("SELECT count(*) FROM {}").format(table)
            [(number,)] = connection.execute(count)
            rows += number
            if drop:
                connection.execute(sql.SQL("DROP TABLE {}").format(table))
    return rows


def _create_partitions(connection: psycopg.Connection, today: date) -> None:
    """Create those that are missing, except for days of which the default partition has rows."""
    newest = "SELECT max(time) FROM m3sync.sent_change_default"
    [(taken,)] = connection.execute(newest)
    known = _days(connection)
    for number in range(DAYS_AHEAD + 1):
        day = today + timedelta(days=number)
        if day not in known and (taken is None or day > _day_of(taken)):
            create = sql.SQL(
                "CREATE TABLE {} PARTITION OF m3sync.sent_change FOR VALUES FROM ({}) TO ({})"
            )
            bounds = map(sql.Literal, (_midnight(day), _midnight(day + timedelta(days=1))))
            connection.execute(create.format(sql.Identifier("m3sync", _name(day)), *bounds))


def _days(connection: psycopg.Connection) -> set[date]:
    """The days that have a partition."""
    return set(_read_days(connection))


def _read_days(connection: psycopg.Connection) -> Iterator[date]:
    found = connection.execute(
        "SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid "
        "WHERE inhparent = 'm3sync.sent_change'::regclass AND relname <> 'sent_change_default'"
    )
    for (name,) in found:
        yield date.fromisoformat(name.removeprefix("sent_change_"))


def _name(day: date) -> str:
    return f"sent_change_{day:%Y%m%d}"


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
