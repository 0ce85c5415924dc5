"""The outbox: messages about changes of state, one for each change and receiver.

A notice is written in the transaction that writes the change, so neither is there without the
other. It is sent afterwards, as often as it takes, and never again once it is handed over.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

EAGER = 20
"""So many attempts are made one at each tick of the guard; after that, one an hour."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A message that is owed.

    Args:
        id: its number; it makes the mail's Message-ID, the same at each attempt.
        change: the change of state, by the run that brought it about.
        target: ``user:<m3ter user id>``, ``channel:<fingerprint of its URL>`` or ``dagster``.
        integration: which one changed.
        content: what is to be said.
    """

    id: int
    change: str
    target: str
    integration: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A notice that has not arrived, as far as we know, and why."""

    integration: str
    change: str
    target: str
    attempts: int
    error: str | None


def enqueue(
    connection: psycopg.Connection,
    integration: str,
    change: str,
    targets: Iterable[str],
    content: dict[str, Any],
) -> None:
    """Put a notice to each target into the outbox, unless it is there already."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO m3sync.notice (change, target, integration, content) "
            "VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [(change, target, integration, Jsonb(content)) for target in targets],
        )


def due_notices(connection: psycopg.Connection) -> Sequence[Notice]:
    """Give the notices that are to be tried now, the oldest first."""
    with connection.cursor(row_factory=class_row(Notice)) as cursor:
        return cursor.execute(
            "SELECT id, change, target, integration, content FROM m3sync.notice "
            "WHERE confirmed_at IS NULL AND handed_over_at IS NULL AND (attempts < %s "
            "OR attempted_at < clock_timestamp() - interval '1 hour') ORDER BY id",
            (EAGER,),
        ).fetchall()


def handed_over(connection: psycopg.Connection, notice: Notice) -> None:
    """Note that the whole message has left us: whatever happens to us now, it may be there."""
    _note(connection, notice, "handed_over_at = clock_timestamp()")


def delivered(connection: psycopg.Connection, notice: Notice) -> None:
    """Note that the receiver took it."""
    _note(
        connection,
        notice,
        "handed_over_at = coalesce(handed_over_at, clock_timestamp()), "
        "confirmed_at = clock_timestamp(), error = NULL, attempts = attempts + 1",
    )


def not_delivered(connection: psycopg.Connection, notice: Notice, error: str) -> None:
    """Note that the receiver did not take it, so that it is tried again."""
    _note(
        connection,
        notice,
        "handed_over_at = NULL, attempted_at = clock_timestamp(), attempts = attempts + 1, "
        "error = %(error)s",
        error=error,
    )


def withdraw(connection: psycopg.Connection, notice: Notice) -> None:
    """Take a notice back that nobody wants any longer."""
    connection.execute("DELETE FROM m3sync.notice WHERE id = %s", (notice.id,))


def undelivered(connection: psycopg.Connection) -> list[Undelivered]:
    """List the notices that have failed so far, and for a week those of which nobody knows."""
    with connection.cursor(row_factory=class_row(Undelivered)) as cursor:
        return cursor.execute(
            "SELECT integration, change, target, attempts, CASE WHEN handed_over_at IS NULL "
            "THEN error ELSE 'handed over, but we ended before the answer came' END AS error "
            "FROM m3sync.notice WHERE confirmed_at IS NULL "
            "AND (handed_over_at IS NULL AND attempts > 0 "
            "OR handed_over_at > clock_timestamp() - interval '7 days') ORDER BY id"
        ).fetchall()


def _note(
    connection: psycopg.Connection, notice: Notice, assignments: str, **values: object
) -> None:
    connection.execute(
        f"UPDATE m3sync.notice SET {assignments} WHERE id = %(id)s",  # noqa: S608 - constants
        {"id": notice.id, **values},
    )
