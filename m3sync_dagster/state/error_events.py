"""Error events, under m3ter's own five names.

An event is open until a person marks it as actioned, or the integration has recovered from it: then
it is closed. Events of one cause are repeats of each other.
"""

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

from m3sync_dagster.sync.errors import ConfigurationError, SyncError

DISABLED_EVENT = "integration.disabled.error"
"""The event of a disabled integration; it is closed when the integration is enabled."""

_COLUMNS = "id, name, time, integration, entity, run_id, message, remedy, actioned, closed"
_OPEN = "actioned IS NULL AND closed IS NULL"
# Ids, numbers and times differ from run to run; the rest of a message is its cause.
_CAUSE = r"regexp_replace({}.message, '\w*\d\w*', '', 'g')"
_SAME_CAUSE = (
    "one.integration = other.integration AND one.name = other.name "
    "AND one.entity IS NOT DISTINCT FROM other.entity "
    f"AND {_CAUSE.format('one')} = {_CAUSE.format('other')}"
)

_WANTED = (
    "(%(integration)s::text IS NULL OR integration = %(integration)s) "
    "AND (%(entity)s::text IS NULL OR entity = %(entity)s) "
    "AND (%(since)s::timestamptz IS NULL OR time >= %(since)s) "
    "AND (%(until)s::timestamptz IS NULL OR time < %(until)s) "
    f"AND (%(everything)s OR {_OPEN})"
)


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
        closed: when the integration had recovered from it; ``None`` if it has not.
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
    closed: datetime | None


@dataclass(frozen=True, slots=True)
class RepeatedEvent(Event):
    """Events of one cause, as the newest of them.

    Args:
        count: how many there are.
        since: the time of the first.
    """

    count: int
    since: datetime


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events are meant; what is ``None`` does not restrict them.

    Args:
        entity: of which entity.
        since, until: when they were recorded.
        everything: also those that are actioned or closed.
    """

    entity: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    everything: bool = False

    def values(self, integration: str | None) -> dict[str, object]:
        """The values in it, for one integration or for all."""
        return {
            "integration": integration,
            "entity": self.entity,
            "since": self.since,
            "until": self.until,
            "everything": self.everything,
        }


ALL_OPEN = EventFilter()
"""Every event that is neither actioned nor closed."""


def record_event(  # noqa: PLR0913 - an event has all of these
    connection: psycopg.Connection,
    integration: str,
    entity: str | None,
    run_id: str,
    error: SyncError,
    *,
    lasting: bool = False,
) -> None:
    """Record an event. One cause in one run is one event, for any number of rows.

    Args:
        connection: to our tables.
        integration: where it happened.
        entity: of which entity; ``None``: of the whole integration.
        run_id: in which run.
        error: what happened.
        lasting: whether a later success does not close it, because only a person can.
    """
    connection.execute(
        "INSERT INTO m3sync.integration_event "
        "(name, integration, entity, run_id, message, remedy, lasting) "
        "VALUES (%(name)s, %(integration)s, %(entity)s, %(run_id)s, %(message)s, %(remedy)s, "
        "%(lasting)s) ON CONFLICT DO NOTHING",
        {
            "name": error.event,
            "integration": integration,
            "entity": entity,
            "run_id": run_id,
            "message": storable(error.cause),
            "remedy": storable(error.remedy),
            "lasting": lasting,
        },
    )


def storable(text: str) -> str:
    """A text without the characters that PostgreSQL or UTF-8 refuses."""
    return text.replace("\0", "\ufffd").encode(errors="replace").decode()


def close_events(
    connection: psycopg.Connection, integration: str, entity: str, run_id: str
) -> None:
    """Close what an entity has recovered from: all that its complete sync did not find again.

    Args:
        connection: to our tables.
        integration: whose entity was synced.
        entity: what was synced.
        run_id: the run that synced it, with its events.
    """
    connection.execute(
        "UPDATE m3sync.integration_event AS one SET closed = clock_timestamp() "  # noqa: S608 - constants
        "WHERE integration = %(integration)s AND entity = %(entity)s "
        f"AND run_id IS DISTINCT FROM %(run_id)s AND NOT lasting AND {_OPEN} "
        "AND NOT EXISTS (SELECT 1 FROM m3sync.integration_event AS other "
        f"WHERE other.run_id = %(run_id)s AND {_SAME_CAUSE})",
        {"integration": integration, "entity": entity, "run_id": run_id},
    )


def close_events_of_all(
    connection: psycopg.Connection, integration: str, entities: list[str]
) -> None:
    """Close the events of a whole integration once all its entities have been synced since.

    Args:
        connection: to our tables.
        integration: whose events.
        entities: all that the integration carries.
    """
    connection.execute(
        "UPDATE m3sync.integration_event SET closed = clock_timestamp() "  # noqa: S608 - a constant
        "WHERE integration = %(integration)s AND entity IS NULL AND name <> %(disabled)s "
        f"AND NOT lasting AND {_OPEN} AND NOT EXISTS ("
        "SELECT 1 FROM unnest(%(entities)s::text[]) AS carried (entity) "
        "LEFT JOIN m3sync.entity_sync AS synced ON synced.integration = %(integration)s "
        "AND synced.entity = carried.entity "
        "WHERE coalesce(synced.ended_at <= integration_event.time, true))",
        {"integration": integration, "entities": entities, "disabled": DISABLED_EVENT},
    )


def close_disabled(connection: psycopg.Connection, integration: str) -> None:
    """Close the events that say that an integration is disabled: it is enabled again."""
    connection.execute(
        "UPDATE m3sync.integration_event SET closed = clock_timestamp() "  # noqa: S608 - a constant
        f"WHERE integration = %s AND name = %s AND {_OPEN}",
        (integration, DISABLED_EVENT),
    )


def list_events(
    connection: psycopg.Connection,
    integration: str | None = None,
    wanted: EventFilter = ALL_OPEN,
    limit: int | None = None,
) -> list[Event]:
    """List events, the newest first; only those of an integration if it is given."""
    with connection.cursor(row_factory=class_row(Event)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM m3sync.integration_event "  # noqa: S608 - constants
            f"WHERE {_WANTED} ORDER BY time DESC, id DESC LIMIT %(limit)s",
            wanted.values(integration) | {"limit": limit},
        ).fetchall()


def list_repeated_events(
    connection: psycopg.Connection,
    integration: str | None = None,
    wanted: EventFilter = ALL_OPEN,
    limit: int | None = None,
) -> list[RepeatedEvent]:
    """List events, the newest first; those of one cause together, as the newest of them."""
    cause = _CAUSE.format("integration_event")
    window = f"PARTITION BY integration, entity, name, {cause}, actioned IS NULL, closed IS NULL"
    with connection.cursor(row_factory=class_row(RepeatedEvent)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS}, count, since FROM ("  # noqa: S608 - constants
            f"SELECT {_COLUMNS}, count(*) OVER ({window}) AS count, "
            f"min(time) OVER ({window}) AS since, "
            f"row_number() OVER ({window} ORDER BY time DESC, id DESC) AS place "
            f"FROM m3sync.integration_event WHERE {_WANTED}) AS found "
            "WHERE place = 1 ORDER BY time DESC, id DESC LIMIT %(limit)s",
            wanted.values(integration) | {"limit": limit},
        ).fetchall()


def mark_actioned(connection: psycopg.Connection, ids: list[int]) -> int:
    """Mark events as actioned, with their earlier repeats; returns how many were marked now.

    Raises:
        ConfigurationError: one of them does not exist; then none is marked.
    """
    known = connection.execute("SELECT id FROM m3sync.integration_event WHERE id = ANY(%s)", (ids,))
    missing = sorted(set(ids) - {event_id for (event_id,) in known})
    if missing:
        raise ConfigurationError(
            f"there is no event {', '.join(map(str, missing))}",
            "Use ids that m3sync events --all shows.",
        )
    return connection.execute(
        "UPDATE m3sync.integration_event AS one SET actioned = clock_timestamp() "  # noqa: S608 - constants
        f"FROM m3sync.integration_event AS other WHERE other.id = ANY(%s) AND {_SAME_CAUSE} "
        "AND one.id <= other.id AND one.actioned IS NULL",
        (ids,),
    ).rowcount


def mark_all_actioned(
    connection: psycopg.Connection, integration: str | None, wanted: EventFilter
) -> int:
    """Mark the events that are meant as actioned; returns how many were."""
    return connection.execute(
        "UPDATE m3sync.integration_event SET actioned = clock_timestamp() "  # noqa: S608 - constants
        f"WHERE actioned IS NULL AND {_WANTED}",
        wanted.values(integration),
    ).rowcount
