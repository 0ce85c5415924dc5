"""The second line of defence: a schedule's own tick asks whether its integration is disabled."""

import dagster as dg
import psycopg

from m3sync_dagster.guard.schedules import read_schedules
from m3sync_dagster.state import connect, postgres_url, read_guard_state
from m3sync_dagster.sync.errors import SyncError


def disabled_reason(instance: dg.DagsterInstance, integration: str, schedule: str) -> str | None:
    """Why an integration is to stay quiet, or ``None`` where it is not.

    A schedule that ticks although its integration is disabled was started by nobody: the
    scheduler has undone the stop, or the code's default says so. If a person has started it
    since, the guard will know in a moment, and it may tick.

    Args:
        instance: Dagster's.
        integration: whose schedule ticks.
        schedule: the schedule's name.
    """
    try:
        with connect(postgres_url()) as connection:
            standing = read_guard_state(connection, integration)
    except (SyncError, psycopg.Error):
        return None  # the run itself says what is wrong with the database
    if not standing.disabled:
        return None
    found = read_schedules(instance, None).get(schedule)
    if found and found.started not in (None, standing.schedule_started):
        return None
    return (
        f"{integration} is disabled since {standing.disabled_since:%Y-%m-%d %H:%M} UTC: "
        f"{standing.disabled_reason}. Run: m3sync enable {integration}."
    )
