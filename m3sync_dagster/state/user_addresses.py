"""The names and addresses of m3ter's users who are notified, as m3ter last gave them.

They are kept for the hour in which m3ter cannot be asked: that is when people have to be notified.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

import psycopg
from psycopg.rows import class_row

from m3sync_dagster.state.error_events import storable

REFRESH_AFTER = timedelta(days=1)
"""Age at which an address is looked up again although nobody has to be notified."""
RETRY_AFTER = timedelta(hours=1)
"""Time between two such look-ups with a credential that has failed."""


@dataclass(frozen=True, slots=True)
class UserAddress:
    """A user of m3ter.

    Args:
        id: m3ter's.
        name: what to call the user.
        email: ``None`` where m3ter has none.
        read_at: when m3ter gave it.
    """

    id: str
    name: str
    email: str | None
    read_at: datetime


@dataclass(frozen=True, slots=True)
class FailedLookup:
    """A credential with which the last look-up failed."""

    credential: str
    failed_at: datetime
    error: str


def read_addresses(
    connection: psycopg.Connection, credential: str, ids: Collection[str]
) -> dict[str, UserAddress]:
    """Read the addresses of these users, by user id."""
    with connection.cursor(row_factory=class_row(UserAddress)) as cursor:
        cursor.execute(
            "SELECT user_id AS id, name, email, read_at FROM m3sync.user_address "
            "WHERE credential = %s AND user_id = ANY(%s)",
            (credential, list(ids)),
        )
        return {user.id: user for user in cursor}


def write_address(
    connection: psycopg.Connection, credential: str, user_id: str, name: str, email: str | None
) -> None:
    """Write what m3ter says of a user; one that it does not know has no name and no address."""
    connection.execute(
        "INSERT INTO m3sync.user_address (credential, user_id, name, email, read_at) "
        "VALUES (%s, %s, %s, %s, clock_timestamp()) ON CONFLICT (credential, user_id) "
        "DO UPDATE SET name = excluded.name, email = excluded.email, read_at = excluded.read_at",
        (credential, user_id, storable(name), email and storable(email)),
    )


def write_lookup_result(connection: psycopg.Connection, credential: str, error: str | None) -> None:
    """Write whether a look-up failed; ``None`` says that it did not."""
    connection.execute(
        "DELETE FROM m3sync.failed_address_lookup WHERE credential = %s", (credential,)
    )
    if error is not None:
        connection.execute(
            "INSERT INTO m3sync.failed_address_lookup VALUES (%s, clock_timestamp(), %s) "
            "ON CONFLICT (credential) DO UPDATE SET failed_at = excluded.failed_at, "
            "error = excluded.error",
            (credential, storable(error)),
        )


def read_failed_lookups(connection: psycopg.Connection) -> list[FailedLookup]:
    """Read which credentials have failed, by name."""
    with connection.cursor(row_factory=class_row(FailedLookup)) as cursor:
        return cursor.execute(
            "SELECT credential, failed_at, error FROM m3sync.failed_address_lookup "
            "ORDER BY credential"
        ).fetchall()


def stale_users(
    connection: psycopg.Connection, wanted: Iterable[tuple[str, str]]
) -> dict[str, list[str]]:
    """Give the users, by credential, whose address is old or unknown and may be looked up now.

    Args:
        connection: to our tables.
        wanted: credential and user id of everybody who may have to be notified.
    """
    pairs = sorted(set(wanted))
    found = connection.execute(
        "SELECT credential, array_agg(user_id ORDER BY user_id) "
        "FROM unnest(%s::text[], %s::text[]) AS w (credential, user_id) "
        "LEFT JOIN m3sync.user_address a USING (credential, user_id) "
        "LEFT JOIN m3sync.failed_address_lookup f USING (credential) "
        "WHERE (a.read_at IS NULL OR a.read_at < clock_timestamp() - %s) "
        "AND (f.failed_at IS NULL OR f.failed_at < clock_timestamp() - %s) GROUP BY credential",
        ([c for c, _ in pairs], [u for _, u in pairs], REFRESH_AFTER, RETRY_AFTER),
    )
    return dict(found.fetchall())
