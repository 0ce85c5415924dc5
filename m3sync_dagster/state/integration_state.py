"""How each integration stands: what counts of its runs, what people know, whether it is disabled.

Dagster's storage holds the truth about runs; this is what cannot be read there.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import datetime

import psycopg
from psycopg.rows import class_row

_GUARD_LOCK = 0x6D33_0002  # an advisory lock's key; 0x6D33 is "m3"
_COLUMNS = (
    "integration, schedule_started, counted_after, told, told_at, disabled_since, disabled_reason"
)


@dataclass(frozen=True, slots=True)
class GuardState:
    """What is on record of an integration.

    Args:
        integration: its name.
        schedule_started: when its schedule was started, as the guard has last seen it (Unix
            time). A different start means that a person has enabled the integration again.
        counted_after: runs that Dagster's storage numbers up to this one no longer count.
        told: the number of failures in a row that people know of: 0, 5, 8 or 10.
        told_at: the number of the run that they were last told of, until it is made good.
        disabled_since, disabled_reason: set while it is disabled.
    """

    integration: str
    schedule_started: float | None = None
    counted_after: int = 0
    told: int = 0
    told_at: int | None = None
    disabled_since: datetime | None = None
    disabled_reason: str | None = None

    @property
    def disabled(self) -> bool:
        """Whether the integration is disabled, by the guard or with ``m3sync disable``."""
        return self.disabled_since is not None


@contextmanager
def guard_lock(connection: psycopg.Connection) -> Iterator[None]:
    """Let nobody else change a standing or a schedule meanwhile; waits for its turn.

    The lock ends with the connection, so a killed process holds up nobody.
    """
    connection.execute("SELECT pg_advisory_lock(%s)", (_GUARD_LOCK,))
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_GUARD_LOCK,))


def read_guard_states(connection: psycopg.Connection) -> dict[str, GuardState]:
    """Read what is on record, by integration."""
    with connection.cursor(row_factory=class_row(GuardState)) as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM m3sync.integration_state")  # noqa: S608 - a constant
        return {standing.integration: standing for standing in cursor}


def read_guard_state(connection: psycopg.Connection, integration: str) -> GuardState:
    """Read one integration's standing; one that is not on record yet has nothing against it."""
    with connection.cursor(row_factory=class_row(GuardState)) as cursor:
        found = cursor.execute(
            f"SELECT {_COLUMNS} FROM m3sync.integration_state WHERE integration = %s",  # noqa: S608 - a constant
            (integration,),
        ).fetchone()
    return found or GuardState(integration)


def write_guard_states(connection: psycopg.Connection, standings: Iterable[GuardState]) -> None:
    """Put standings on record, in one round trip."""
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO m3sync.integration_state ({_COLUMNS}) "  # noqa: S608 - constants
            "VALUES (%s, %s, %s, %s, %s, %s, %s) ON CONFLICT (integration) DO UPDATE SET "
            "schedule_started = excluded.schedule_started, "
            "counted_after = excluded.counted_after, told = excluded.told, "
            "told_at = excluded.told_at, disabled_since = excluded.disabled_since, "
            "disabled_reason = excluded.disabled_reason",
            [astuple(standing) for standing in standings],
        )
