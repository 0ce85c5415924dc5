"""The second line of defence: a schedule's own tick asks whether its integration is disabled."""

import dagster as dg
import psycopg

from m3sync_dagster.guard.schedules import read_schedules
from m3sync_dagster.state import connect, postgres_url, read_guard_state
from m3sync_dagster.sync.errors import SyncError


def disabled_reason(instance: dg.DagsterInstance, integration: str, schedule: str) -> str | None:
    """Why an integration may not run, or ``None`` where it may.

    If a schedule ticks although its integration is disabled, no person has started it: the
    scheduler has undone the stop, or the code's default says so. If a person has started it
    since, the guard will read that at its next tick, and the schedule may tick.

    Args:
        instance: Dagster's.
        integration: whose schedule ticks.
        schedule: the schedule's name.
    """
    try:
        with connect(postgres_url()) as connection:
            state = read_guard_state(connection, integration)
    except (SyncError, psycopg.Error):
        return None  # the run itself reports what is wrong with the database
    if not state.disabled:
        return None
    found = read_schedules(instance, None).get(schedule)
    if found and found.started not in (None, state.schedule_started):
        return None
    return (
        f"{integration} is disabled {state.disabled_period}: "
        f"{state.disabled_reason}. Run: m3sync enable {integration}."
    )
