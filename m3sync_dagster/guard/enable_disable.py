"""Enabling and disabling an integration, as a person decides."""

from dataclasses import dataclass, replace

import dagster as dg
import psycopg

from m3sync_dagster.dagster_internals import CodeLocationOrigin, get_current_datetime
from m3sync_dagster.guard.schedules import read_schedules, start, stop_for_good
from m3sync_dagster.runs.run_status import INTEGRATION_TAG
from m3sync_dagster.state import (
    close_disabled,
    guard_lock,
    read_guard_state,
    withdraw_overtaken,
    write_guard_states,
)

BY_HAND = "a person has disabled it with m3sync disable"
"""The reason that ``m3sync disable`` gives."""


@dataclass(frozen=True, slots=True)
class Switch:
    """Enables and disables one integration.

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
        """Start the integration's schedule, and clear the count of failures."""
        with guard_lock(self.connection), self.connection.transaction():
            started = start(self.instance, self.origin, self.schedule, self.cron).started
            before = read_guard_state(self.connection, self.integration)
            state = replace(
                before,
                schedule_started=started,
                count_from=max(started or 0.0, before.notified_at or 0.0, self._newest_end()),
                notified_level=0,
                disabled_since=None,
                disabled_reason=None,
            )
            if before.reported:
                withdraw_overtaken(self.connection, self.integration)
            close_disabled(self.connection, self.integration)
            write_guard_states(self.connection, [state])

    def disable(self) -> None:
        """Stop the integration's schedule, so that nothing but a person starts it again."""
        with guard_lock(self.connection):
            state = read_guard_state(self.connection, self.integration)
            known = read_schedules(self.instance, self.origin.location_name)
            running = known.get(self.schedule)
            if running and running.started:
                state = replace(state, schedule_started=running.started)
            if not state.disabled:
                state = replace(
                    state, disabled_since=get_current_datetime(), disabled_reason=BY_HAND
                )
            write_guard_states(self.connection, [state])
            stop_for_good(self.instance, self.origin, self.schedule, self.cron)

    def _newest_end(self) -> float:
        """When a run of it ended last, by the clock of the machine that it ran on."""
        ended = dg.RunsFilter(
            tags={INTEGRATION_TAG: self.integration},
            statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE],
        )
        newest = self.instance.get_run_records(ended, limit=1, order_by="end_time")
        return (newest[0].end_time or 0.0) if newest else 0.0
