"""The guard's state of each integration: what counts, what was notified, whether it is disabled.

Dagster's storage has the runs; this is what cannot be read there.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, dataclass
from datetime import UTC, datetime

import psycopg
from psycopg.rows import class_row

from m3sync_dagster.state.error_events import storable

_GUARD_LOCK = 0x6D33_0002  # an advisory lock's key; 0x6D33 is "m3"
_COLUMNS = (
    "integration, schedule_started, count_from, notified_level, notified_at, disabled_since, "
    "disabled_reason, guard_error, late_since, rejects_since, disabled_until"
)


@dataclass(frozen=True, slots=True)
class GuardState:
    """The guard's state of an integration.

    Args:
        integration: its name.
        schedule_started: when its schedule was started, as the guard last read it (Unix time). A
            different start means that a person has enabled the integration again.
        count_from: runs that ended up to this moment do not count (Unix time).
        notified_level: the number of failures in a row of the last notification: 0, 5, 8 or 10.
        notified_at: when the last failed run of that notification ended (Unix time); ``None``
            once the integration has recovered.
        disabled_since, disabled_reason: set while it is disabled.
        guard_error: why the guard's last tick could not evaluate this integration.
        late_since: Unix time since which it has had no success; set once people are notified.
        rejects_since: Unix time since which too many rows are rejected; set likewise.
        disabled_until: when the guard starts the schedule again; ``None`` unless
            ``m3sync disable --until`` has disabled it.
    """

    integration: str
    schedule_started: float | None = None
    count_from: float = 0.0
    notified_level: int = 0
    notified_at: float | None = None
    disabled_since: datetime | None = None
    disabled_reason: str | None = None
    guard_error: str | None = None
    late_since: float | None = None
    rejects_since: float | None = None
    disabled_until: datetime | None = None

    @property
    def disabled(self) -> bool:
        """Whether the integration is disabled, by the guard or with ``m3sync disable``."""
        return self.disabled_since is not None

    @property
    def disabled_period(self) -> str:
        """Since when it is disabled, and until when if that is known."""
        since = f"since {_moment(self.disabled_since)}" if self.disabled_since else ""
        return f"until {_moment(self.disabled_until)}, {since}" if self.disabled_until else since

    @property
    def reported(self) -> bool:
        """Whether people are notified of failures, which a start of the schedule makes outdated."""
        return self.disabled or self.notified_level > 0


@contextmanager
def guard_lock(connection: psycopg.Connection) -> Iterator[None]:
    """Wait until nobody else changes states or schedules, and keep others from it.

    The lock ends with the connection, so a killed process blocks nobody.
    """
    connection.execute("SELECT pg_advisory_lock(%s)", (_GUARD_LOCK,))
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_GUARD_LOCK,))


def read_guard_states(connection: psycopg.Connection) -> dict[str, GuardState]:
    """Read all states, by integration."""
    with connection.cursor(row_factory=class_row(GuardState)) as cursor:
        cursor.execute(f"SELECT {_COLUMNS} FROM m3sync.integration_state")  # noqa: S608 - a constant
        return {state.integration: state for state in cursor}


def read_guard_state(connection: psycopg.Connection, integration: str) -> GuardState:
    """Read one integration's state; without a row it is the state of a new integration."""
    with connection.cursor(row_factory=class_row(GuardState)) as cursor:
        found = cursor.execute(
            f"SELECT {_COLUMNS} FROM m3sync.integration_state WHERE integration = %s",  # noqa: S608 - a constant
            (integration,),
        ).fetchone()
    return found or GuardState(integration)


def write_guard_states(connection: psycopg.Connection, states: Iterable[GuardState]) -> None:
    """Write states, in one round trip."""
    with connection.cursor() as cursor:
        cursor.executemany(
            f"INSERT INTO m3sync.integration_state ({_COLUMNS}) "  # noqa: S608 - constants
            "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s) "
            "ON CONFLICT (integration) DO UPDATE SET "
            "schedule_started = excluded.schedule_started, count_from = excluded.count_from, "
            "notified_level = excluded.notified_level, notified_at = excluded.notified_at, "
            "disabled_since = excluded.disabled_since, "
            "disabled_reason = excluded.disabled_reason, guard_error = excluded.guard_error, "
            "late_since = excluded.late_since, rejects_since = excluded.rejects_since, "
            "disabled_until = excluded.disabled_until",
            [astuple(state) for state in states],
        )


def write_guard_error(connection: psycopg.Connection, integration: str, error: str) -> None:
    """Write why the guard could not evaluate an integration, and leave its state as it is."""
    connection.execute(
        "INSERT INTO m3sync.integration_state "
        "(integration, count_from, notified_level, guard_error) VALUES (%s, 0, 0, %s) "
        "ON CONFLICT (integration) DO UPDATE SET guard_error = excluded.guard_error",
        (integration, storable(error)),
    )


def _moment(moment: datetime) -> str:
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
