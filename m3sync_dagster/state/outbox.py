"""The outbox: notices of changes of state, one for each change and receiver.

A notice is written in the transaction that writes the change, so neither is there without the
other. It is sent afterwards, as often as it takes, and never again once it is handed over.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import psycopg
from psycopg.rows import class_row
from psycopg.types.json import Jsonb

ATTEMPTS_IN_A_ROW = 20
"""So many attempts are made one at each tick of the guard; after that, one an hour."""
KEPT_FOR_REMOVED = timedelta(days=7)
"""How long a notice waits for an integration that is no longer loaded, before it is withdrawn."""

_COLUMNS = "id, change, target, integration, content, digest, created_at"
_WAITING = "confirmed_at IS NULL AND handed_over_at IS NULL AND withdrawn_at IS NULL"


Content = dict[str, Any]
"""What a message is made from, as JSON."""


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice that has not been delivered.

    Args:
        id: its number.
        change: the change of state, named by the run that caused it.
        target: ``user:<m3ter user id>``, ``channel:<fingerprint of its URL>`` or ``dagster``.
        integration: the integration that changed.
        content: what the message is made from.
        digest: the message that it was put into, alone or with others; it stays the same at each
            attempt.
        created_at: when it was written.
    """

    id: int
    change: str
    target: str
    integration: str
    content: Content
    digest: str | None
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A notice that has not been delivered, as far as we know, and why."""

    integration: str
    change: str
    target: str
    attempts: int
    error: str | None

    def __str__(self) -> str:
        return (
            f"{self.integration}: {self.target} has not been notified of {self.change} "
            f"({self.attempts} attempts): {self.error}"
        )


def enqueue(
    connection: psycopg.Connection,
    integration: str,
    change: str,
    targets: Iterable[str],
    content: Content,
) -> None:
    """Write a notice to each target, unless it is there already."""
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO m3sync.notice (change, target, integration, content) "
            "VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
            [(change, target, integration, Jsonb(content)) for target in targets],
        )


def withdraw_overtaken(
    connection: psycopg.Connection, integration: str, *, about_rejects: bool = False
) -> None:
    """Withdraw the integration's notices that have not left us: its state has changed since.

    What Dagster's UI shows is a history, and stays. Rejected rows are a state of their own.
    """
    connection.execute(
        f"DELETE FROM m3sync.notice WHERE integration = %s AND target <> 'dagster' AND {_WAITING} "  # noqa: S608 - a constant
        "AND starts_with(coalesce(content->>'kind', ''), 'rejects') = %s",
        (integration, about_rejects),
    )


def due_notices(connection: psycopg.Connection) -> Sequence[Notice]:
    """Give the notices that are to be tried now: the least tried first, then the oldest."""
    with connection.cursor(row_factory=class_row(Notice)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM m3sync.notice WHERE {_WAITING} AND (attempts < %s "  # noqa: S608 - constants
            "OR attempted_at < clock_timestamp() - interval '1 hour') ORDER BY attempts, id",
            (ATTEMPTS_IN_A_ROW,),
        ).fetchall()


def sent_lately(connection: psycopg.Connection, within: timedelta) -> Sequence[Notice]:
    """Give the notices that were handed over within this time."""
    with connection.cursor(row_factory=class_row(Notice)) as cursor:
        return cursor.execute(
            f"SELECT {_COLUMNS} FROM m3sync.notice "  # noqa: S608 - a constant
            "WHERE handed_over_at > clock_timestamp() - %s",
            (within,),
        ).fetchall()


def put_into_digest(connection: psycopg.Connection, notices: Iterable[Notice], digest: str) -> None:
    """Write down which notices one message holds, before it is sent for the first time."""
    _update(connection, notices, "digest = %(digest)s", digest=digest)


def handed_over(connection: psycopg.Connection, notices: Iterable[Notice]) -> None:
    """Record that the whole message was sent: from now on it may have arrived."""
    _update(connection, notices, "handed_over_at = clock_timestamp()")


def delivered(connection: psycopg.Connection, notices: Iterable[Notice]) -> None:
    """Record that the receiver accepted the message."""
    _update(
        connection,
        notices,
        "handed_over_at = coalesce(handed_over_at, clock_timestamp()), "
        "confirmed_at = clock_timestamp(), error = NULL, attempts = attempts + 1",
    )


def not_delivered(connection: psycopg.Connection, notices: Iterable[Notice], error: str) -> None:
    """Record that the receiver did not accept the message, so that it is tried again."""
    _update(
        connection,
        notices,
        "handed_over_at = NULL, attempted_at = clock_timestamp(), attempts = attempts + 1, "
        "error = %(error)s",
        error=error,
    )


def withdraw(connection: psycopg.Connection, notices: Iterable[Notice]) -> None:
    """Delete notices that the configuration no longer asks for."""
    connection.execute(
        "DELETE FROM m3sync.notice WHERE id = ANY(%s)", ([notice.id for notice in notices],)
    )


def withdraw_removed(connection: psycopg.Connection, loaded: Iterable[str]) -> None:
    """Withdraw the notices of integrations that are not loaded, once they have waited a week."""
    connection.execute(
        f"UPDATE m3sync.notice SET withdrawn_at = clock_timestamp(), error = %s WHERE {_WAITING} "  # noqa: S608 - a constant
        "AND integration <> ALL(%s) AND created_at < clock_timestamp() - %s",
        ("withdrawn: the integration is no longer loaded", list(loaded), KEPT_FOR_REMOVED),
    )


def undelivered(connection: psycopg.Connection) -> list[Undelivered]:
    """List the notices that have failed so far.

    For a week also those that may or may not have arrived, and those that were withdrawn because
    their integration is no longer loaded.
    """
    with connection.cursor(row_factory=class_row(Undelivered)) as cursor:
        return cursor.execute(
            "SELECT integration, change, target, attempts, CASE WHEN handed_over_at IS NULL "
            "THEN error ELSE 'handed over, but we ended before the answer came' END AS error "
            "FROM m3sync.notice WHERE confirmed_at IS NULL "
            "AND (handed_over_at IS NULL AND withdrawn_at IS NULL AND attempts > 0 "
            "OR greatest(handed_over_at, withdrawn_at) > clock_timestamp() - interval '7 days') "
            "ORDER BY id"
        ).fetchall()


def _update(
    connection: psycopg.Connection, notices: Iterable[Notice], assignments: str, **values: object
) -> None:
    connection.execute(
        f"UPDATE m3sync.notice SET {assignments} WHERE id = ANY(%(ids)s)",  # noqa: S608 - constants
        {"ids": [notice.id for notice in notices], **values},
    )
