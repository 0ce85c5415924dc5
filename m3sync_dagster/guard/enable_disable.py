"""Switching an integration on and off, as a person decides."""

from dataclasses import dataclass, replace

import dagster as dg
import psycopg
from dagster._core.remote_origin import CodeLocationOrigin
from dagster._time import get_current_datetime

from m3sync_dagster.guard.schedules import read_schedules, start, stop_for_good
from m3sync_dagster.state import guard_lock, read_guard_state, write_guard_states

BY_HAND = "a person has switched it off with m3sync disable"
"""The reason on record of an integration that nobody but a person has disabled."""


@dataclass(frozen=True, slots=True)
class Switch:
    """What switches one integration on and off.

    Args:
        instance: Dagster's.
        connection: to our tables.
        origin: the code location.
        integration: its name.
        schedule: its schedule's name.
        cron: the cron string of it.
    """

    instance: dg.DagsterInstance
    connection: psycopg.Connection
    origin: CodeLocationOrigin
    integration: str
    schedule: str
    cron: str

    def enable(self) -> None:
        """Start the integration's schedule, and forget the failures so far."""
        with guard_lock(self.connection):
            newest = self.instance.get_run_records(limit=1)
            started = start(self.instance, self.origin, self.schedule, self.cron).started
            standing = replace(
                read_guard_state(self.connection, self.integration),
                schedule_started=started,
                counted_after=newest[0].storage_id if newest else 0,
                told=0,
                disabled_since=None,
                disabled_reason=None,
            )
            write_guard_states(self.connection, [standing])

    def disable(self) -> None:
        """Stop the integration's schedule, so that nothing but a person starts it again."""
        with guard_lock(self.connection):
            standing = read_guard_state(self.connection, self.integration)
            known = read_schedules(self.instance, self.origin.location_name)
            running = known.get(self.schedule)
            if running and running.started:
                standing = replace(standing, schedule_started=running.started)
            if not standing.disabled:
                standing = replace(
                    standing, disabled_since=get_current_datetime(), disabled_reason=BY_HAND
                )
            write_guard_states(self.connection, [standing])
            stop_for_good(self.instance, self.origin, self.schedule, self.cron)
