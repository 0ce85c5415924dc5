"""Reading the invalid and rejected rows."""

from dataclasses import dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row


@dataclass(frozen=True, slots=True)
class Reject:
    """A record whose present row is invalid or rejected, and why.

    Args:
        integration, entity, m3ter_id: the record.
        error_class: see ``ErrorClass``.
        code, message, fields: the cause.
        attempts: consecutive runs in which this row was rejected.
        first_seen, last_seen: when a run first and last recorded it.
    """

    integration: str
    entity: str
    m3ter_id: str
    error_class: str
    code: str
    message: str
    fields: list[str]
    attempts: int
    first_seen: datetime
    last_seen: datetime


def list_rejects(connection: psycopg.Connection, integration: str | None = None) -> list[Reject]:
    """List rejects, the newest first; only those of an integration if it is given."""
    with connection.cursor(row_factory=class_row(Reject)) as cursor:
        return cursor.execute(
            "SELECT integration, entity, m3ter_id, class AS error_class, code, message, fields, "
            "attempts, first_seen, last_seen FROM m3sync.rejected_record "
            "WHERE %(name)s::text IS NULL OR integration = %(name)s "
            "ORDER BY last_seen DESC, integration, entity, m3ter_id",
            {"name": integration},
        ).fetchall()


def count_rejects(connection: psycopg.Connection) -> dict[str, int]:
    """Count rejects by integration."""
    rows = connection.execute(
        "SELECT integration, count(*) FROM m3sync.rejected_record GROUP BY integration"
    )
    return dict(rows.fetchall())


def retry_rejects(connection: psycopg.Connection, integration: str) -> int:
    """End the pauses of an integration's rejects, and count them: the next run sends them all."""
    return connection.execute(
        "UPDATE m3sync.rejected_record SET retry_at = NULL WHERE integration = %s", (integration,)
    ).rowcount
