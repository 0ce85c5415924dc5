"""Deleting state that is no longer needed: old rows, and all rows of absent integrations.

An integration is absent if no ``defs.yaml`` defines it. State that a sync or the guard needs is not
deleted by age: acknowledged rows, rejects, staged rows, ingest jobs that have not ended, and the
guard's state are kept as long as their integration is defined.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from m3sync_dagster.state.integration_lock import lock_until_commit
from m3sync_dagster.sync.errors import SyncError

ABSENT_DAYS = 90
"""Days after which the state of an absent integration is deleted."""
WAITING_NOTICE_DAYS = 30
"""Days for which an undelivered notice of an absent integration is kept."""
JOB_DAYS = 7
"""Days after which Salesforce has deleted an ingest job.

Source: Salesforce Bulk API 2.0 guide, "Bulk API 2.0 Limits": jobs are deleted after seven days.
"""

_LOCK = 0x6D33_0007  # an advisory lock's key; 0x6D33 is "m3"
_WAITS = "confirmed_at IS NULL AND handed_over_at IS NULL"
_NOT_KEPT = {
    "notice": f"NOT ({_WAITS} AND created_at > clock_timestamp() "
    f"- interval '{WAITING_NOTICE_DAYS} days')"
}
"""By table, which rows of an absent integration are deleted; of all other tables, every row."""


@dataclass(frozen=True, slots=True)
class Window:
    """How long rows of a kind are kept.

    Args:
        what: the kind, in words.
        days: for how many days.
        table: the table of the rows.
        since: the time from which the days count, in SQL; rows without it are kept.
        only: which of the table's rows are meant, in SQL.
    """

    what: str
    days: int
    table: str
    since: str
    only: str = "true"


WINDOWS = (
    Window("ingest jobs that have ended", 30, "ingest_job", "ended_at"),
    Window("actioned events", 90, "integration_event", "actioned"),
    Window("all other events", 400, "integration_event", "time"),
    Window("logins with credentials", 400, "credential_login", "greatest(succeeded_at, failed_at)"),
    Window("sent notices", 90, "notice", "coalesce(confirmed_at, handed_over_at)"),
    Window("notices that could not be delivered", 90, "notice", "created_at", only=_WAITS),
    Window(
        "describes of Salesforce objects, since their last use", 90, "describe_cache", "read_at"
    ),
    Window(
        "flagged and deleted records, except the last deletion of each entity",
        400,
        "removed_record",
        "removed_at",
        # The next deletion checks whether records of the entity were deleted before.
        only="id NOT IN (SELECT max(id) FROM m3sync.removed_record WHERE action = 'delete' "
        "GROUP BY integration, entity)",
    ),
)
"""The rows that are deleted by age, in this order."""


@dataclass(frozen=True, slots=True)
class AgedRows:
    """Deleted rows of one kind that were older than their window."""

    what: str
    days: int
    rows: int


@dataclass(frozen=True, slots=True)
class AbsentIntegration:
    """An absent integration with state in the database.

    Args:
        integration: its name.
        absent_since: when it was first found absent; ``None``: not before.
        rows: how many rows were deleted.
        kept_because: why none were deleted; ``None`` if they were.
    """

    integration: str
    absent_since: datetime | None = None
    rows: int = 0
    kept_because: str | None = None


def purge_old_rows(connection: psycopg.Connection, *, dry_run: bool = False) -> list[AgedRows]:
    """Delete the rows that are older than their windows.

    Args:
        connection: to our tables.
        dry_run: roll back; only the counts are returned.
    """
    with _transaction(connection, dry_run=dry_run):
        return [_purge_window(connection, window) for window in WINDOWS]


def purge_absent_integrations(
    connection: psycopg.Connection,
    defined: Collection[str],
    has_run_since: Callable[[str, datetime], bool],
    *,
    dry_run: bool = False,
) -> list[AbsentIntegration]:
    """Record absent integrations, and delete the state of those absent for ``ABSENT_DAYS``.

    Args:
        connection: to our tables.
        defined: the names of all defined integrations.
        has_run_since: whether a run of an integration was created since then. Another project
            may define it.
        dry_run: roll back; only the counts are returned.

    Returns:
        The integrations that have been absent for ``ABSENT_DAYS``.
    """
    with _transaction(connection, dry_run=dry_run):
        _note_absent(connection, defined)
        due = _long_absent(connection)
    return [_purge_absent(connection, one, has_run_since, dry_run=dry_run) for one in due]


def purge_integration(
    connection: psycopg.Connection, integration: str, *, dry_run: bool = False
) -> int:
    """Delete all state of an integration, and count the rows.

    An undelivered notice is kept for ``WAITING_NOTICE_DAYS``, so that it is still delivered.

    Raises:
        SyncError: a run is writing it, or Salesforce may still work on one of its ingest jobs.
    """
    with _transaction(connection, dry_run=dry_run):
        lock_until_commit(connection, integration)
        _require_no_open_job(connection, integration)
        connection.execute(
            "DELETE FROM m3sync.absent_integration WHERE integration = %s", (integration,)
        )
        return sum(
            connection.execute(
                sql.SQL("DELETE FROM m3sync.{} WHERE integration = %(name)s AND {}").format(
                    sql.Identifier(table), sql.SQL(_NOT_KEPT.get(table, "true"))
                ),
                {"name": integration},
            ).rowcount
            for table in _tables(connection)
        )


@contextmanager
def _transaction(connection: psycopg.Connection, *, dry_run: bool) -> Iterator[None]:
    """A transaction, rolled back for a dry run; one purge at a time."""
    with connection.transaction(force_rollback=dry_run):
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (_LOCK,))
        yield


def _purge_window(connection: psycopg.Connection, window: Window) -> AgedRows:
    deleted = connection.execute(
        f"DELETE FROM m3sync.{window.table} WHERE {window.since} "  # noqa: S608 - constants
        f"< clock_timestamp() - interval '{window.days} days' AND {window.only}"
    )
    return AgedRows(window.what, window.days, deleted.rowcount)


def _note_absent(connection: psycopg.Connection, defined: Collection[str]) -> None:
    """Record the integrations that have state and are not defined, and only these."""
    absent = sorted(_names_with_state(connection) - set(defined))
    connection.execute(
        "DELETE FROM m3sync.absent_integration WHERE integration <> ALL(%s)", (absent,)
    )
    connection.execute(
        "INSERT INTO m3sync.absent_integration (integration) SELECT unnest(%s::text[]) "
        "ON CONFLICT DO NOTHING",
        (absent,),
    )


def _long_absent(connection: psycopg.Connection) -> Sequence[AbsentIntegration]:
    with connection.cursor(row_factory=class_row(AbsentIntegration)) as cursor:
        return cursor.execute(
            "SELECT integration, absent_since FROM m3sync.absent_integration "
            "WHERE absent_since < clock_timestamp() - make_interval(days => %s) "
            "ORDER BY integration",
            (ABSENT_DAYS,),
        ).fetchall()


def _purge_absent(
    connection: psycopg.Connection,
    absent: AbsentIntegration,
    has_run_since: Callable[[str, datetime], bool],
    *,
    dry_run: bool,
) -> AbsentIntegration:
    name = absent.integration
    if absent.absent_since and has_run_since(name, absent.absent_since):
        _restart_count(connection, name, dry_run=dry_run)
        return replace(absent, kept_because="it has run meanwhile; another project may define it")
    try:
        return replace(absent, rows=purge_integration(connection, name, dry_run=dry_run))
    except SyncError as error:
        return replace(absent, kept_because=error.cause)


def _restart_count(connection: psycopg.Connection, integration: str, *, dry_run: bool) -> None:
    with _transaction(connection, dry_run=dry_run):
        connection.execute(
            "UPDATE m3sync.absent_integration SET absent_since = clock_timestamp() "
            "WHERE integration = %s",
            (integration,),
        )


def _require_no_open_job(connection: psycopg.Connection, integration: str) -> None:
    found = connection.execute(
        "SELECT job_id, opened_at FROM m3sync.ingest_job WHERE integration = %s "
        "AND ended_at IS NULL "
        "AND opened_at > clock_timestamp() - make_interval(days => %s) "
        "ORDER BY opened_at DESC",
        (integration, JOB_DAYS),
    ).fetchone()
    if found:
        raise SyncError(
            f"the ingest job {found[0]} of the integration {integration} has not ended; it was "
            f"opened at {found[1]:%Y-%m-%d %H:%M %Z}",
            f"Run it again {JOB_DAYS} days after that, when Salesforce has deleted the job.",
        )


def _tables(connection: psycopg.Connection) -> list[str]:
    """Our tables with state of integrations, later ones included."""
    found = connection.execute(
        "SELECT table_name FROM information_schema.columns JOIN information_schema.tables "
        "USING (table_schema, table_name) WHERE table_schema = 'm3sync' "
        "AND column_name = 'integration' AND table_type = 'BASE TABLE' "
        "AND NOT (SELECT relispartition FROM pg_class WHERE relname = table_name "
        "AND relnamespace = 'm3sync'::regnamespace) "
        "AND table_name <> 'absent_integration' ORDER BY table_name"
    )
    return [name for (name,) in found]


def _names_with_state(connection: psycopg.Connection) -> set[str]:
    one_each = [
        sql.SQL("SELECT integration FROM m3sync.{}").format(sql.Identifier(table))
        for table in _tables(connection)
    ]
    found = connection.execute(sql.SQL(" UNION ").join(one_each))
    return {name for (name,) in found}
