"""Deleting state that is no longer needed: old rows, and all rows of integrations that are gone.

Nothing that a sync needs has a window: acknowledged rows, rejects, outgoing rows, ingest jobs that
have not ended, and what the guard knows stay for as long as their integration is there.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime

import psycopg
from psycopg import sql
from psycopg.rows import class_row

from m3sync_dagster.state.lock import lock_until_commit
from m3sync_dagster.sync.errors import SyncError

ABSENT_DAYS = 90
"""Days after which the state of an integration that is in no ``defs.yaml`` goes."""
WAITING_NOTICE_DAYS = 30
"""Days for which a notice that waits for its delivery stays, although its integration is gone."""
JOB_DAYS = 7
"""Days after which an ingest job is over, whatever we know of it.

Source: Salesforce Bulk API 2.0 guide, "Bulk API 2.0 Limits": jobs are deleted after seven days.
"""

_LOCK = 0x6D33_0007  # an advisory lock's key; 0x6D33 is "m3"
_WAITS = "confirmed_at IS NULL AND handed_over_at IS NULL"
_NOT_KEPT = {
    "notice": f"NOT ({_WAITS} AND created_at > clock_timestamp() "
    f"- interval '{WAITING_NOTICE_DAYS} days')"
}
"""By table, which rows of a gone integration go; of all other tables, every row."""


@dataclass(frozen=True, slots=True)
class Window:
    """How long rows of a kind are kept.

    Args:
        what: the kind, in words.
        days: for how many days.
        table: where they are.
        since: the time from which the days count, in SQL; rows where it is null stay.
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
    Window("sent notices", 90, "notice", "coalesce(confirmed_at, handed_over_at)"),
    Window("notices that could not be delivered", 90, "notice", "created_at", only=_WAITS),
    Window(
        "describes of Salesforce objects, since their last use", 90, "describe_cache", "read_at"
    ),
    Window(
        "flagged and deleted records, but the last deletion of each entity",
        400,
        "removed_record",
        "removed_at",
        # Whether an entity's records were ever deleted is asked before the next deletion.
        only="id NOT IN (SELECT max(id) FROM m3sync.removed_record WHERE action = 'delete' "
        "GROUP BY integration, entity)",
    ),
)
"""What goes by its age alone, in this order."""


@dataclass(frozen=True, slots=True)
class AgedRows:
    """Rows of a kind that were older than their window allows."""

    what: str
    days: int
    rows: int


@dataclass(frozen=True, slots=True)
class AbsentIntegration:
    """An integration that is in no ``defs.yaml``, and whose state is here.

    Args:
        integration: its name.
        absent_since: when that was first noticed; ``None`` where it was not noticed before.
        rows: how many rows were deleted.
        kept_because: why none were; ``None`` where they were.
    """

    integration: str
    absent_since: datetime | None = None
    rows: int = 0
    kept_because: str | None = None


def purge_old_rows(connection: psycopg.Connection, *, dry_run: bool = False) -> list[AgedRows]:
    """Delete the rows that are older than their windows.

    Args:
        connection: to our tables.
        dry_run: undo it at once; only the counts are wanted.
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
    """Note which integrations are gone, and delete the state of those that have been so for long.

    Args:
        connection: to our tables.
        defined: the names of all integrations that are in a ``defs.yaml``.
        has_run_since: whether a run of an integration was created since then. Another project,
            which we do not see, may define it.
        dry_run: undo it at once; only the counts are wanted.

    Returns:
        The integrations that have been absent for long enough.
    """
    with _transaction(connection, dry_run=dry_run):
        _note_absent(connection, defined)
        due = _long_absent(connection)
    return [_purge_absent(connection, one, has_run_since, dry_run=dry_run) for one in due]


def purge_integration(
    connection: psycopg.Connection, integration: str, *, dry_run: bool = False
) -> int:
    """Delete all state of an integration, and count the rows.

    A notice that waits for its delivery stays for a while: people are to be told all the same.

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
    """One change, which is undone at the end of a dry run; one purge at a time."""
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
    """Note the integrations that have state and are not defined, and forget all others."""
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
        _count_anew(connection, name, dry_run=dry_run)
        return replace(absent, kept_because="it has run meanwhile; another project may define it")
    try:
        return replace(absent, rows=purge_integration(connection, name, dry_run=dry_run))
    except SyncError as error:
        return replace(absent, kept_because=error.cause)


def _count_anew(connection: psycopg.Connection, integration: str, *, dry_run: bool) -> None:
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
            f"Run it again {JOB_DAYS} days after that, when Salesforce keeps the job no longer.",
        )


def _tables(connection: psycopg.Connection) -> list[str]:
    """Our tables with state of integrations, later ones included."""
    found = connection.execute(
        "SELECT table_name FROM information_schema.columns JOIN information_schema.tables "
        "USING (table_schema, table_name) WHERE table_schema = 'm3sync' "
        "AND column_name = 'integration' AND table_type = 'BASE TABLE' "
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
