"""Error events, under m3ter's own five names."""

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from m3sync_dagster.sync.errors import ConfigurationError, SyncError

_COLUMNS = "id, name, time, integration, entity, run_id, message, remedy, actioned"


@dataclass(frozen=True, slots=True)
class Event:
    """An error event.

    Args:
        id: the argument of ``m3sync events action``.
        name: one of m3ter's five.
        time: when it was recorded.
        integration, entity, run_id: where it happened; an event of the whole integration has no
            entity.
        message, remedy: what happened, and what to do about it.
        actioned: when it was marked as actioned; ``None`` if it was not.
    """

    id: int
    name: str
    time: datetime
    integration: str
    entity: str | None
    run_id: str | None
    message: str
    remedy: str
    actioned: datetime | None


def record_event(
    connection: psycopg.Connection,
    integration: str,
    entity: str | None,
    run_id: str,
    error: SyncError,
) -> None:
    """Record an event. One cause in one run is one event, for any number of rows."""
    connection.execute(
        "INSERT INTO m3sync.integration_event "
        "(name, integration, entity, run_id, message, remedy) "
        "VALUES (%(name)s, %(integration)s, %(entity)s, %(run_id)s, %(message)s, %(remedy)s) "
        "ON CONFLICT DO NOTHING",
        {
            "name": error.event,
            "integration": integration,
            "entity": entity,
            "run_id": run_id,
            "message": storable(error.cause),
            "remedy": storable(error.remedy),
        },
    )


def storable(text: str) -> str:
    """A text without the characters that PostgreSQL or UTF-8 refuses."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def list_events(
    connection: psycopg.Connection, integration: str | None = None, *, actioned: bool = False
) -> list[Event]:
    """List events, the newest first.

    Args:
        connection: to our tables.
        integration: only those of this integration.
        actioned: also those that are actioned.
    """
    with connection.cursor(row_factory=class_row(Event)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM m3sync.integration_event "  # noqa: S608 - a constant
            "WHERE (%(name)s::text IS NULL OR integration = %(name)s) "
            "AND (%(actioned)s OR actioned IS NULL) ORDER BY time DESC, id DESC",
            {"name": integration, "actioned": actioned},
        ).fetchall()


def mark_actioned(connection: psycopg.Connection, event_id: int) -> None:
    """Mark an event as actioned; one that is marked already keeps its time.

    Raises:
        ConfigurationError: there is no such event.
    """
    found = connection.execute(
        "UPDATE m3sync.integration_event SET actioned = coalesce(actioned, clock_timestamp()) "
        "WHERE id = %s",
        (event_id,),
    )
    if not found.rowcount:
        raise ConfigurationError(
            f"there is no event {event_id}", "Use an id that m3sync events --all shows."
        )
