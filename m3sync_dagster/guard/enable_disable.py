"""Enabling and disabling an integration, as a person decides."""

from dataclasses import dataclass, replace
from datetime import datetime

import dagster as dg
import psycopg

from m3sync_dagster.dagster_internals import CodeLocationOrigin, get_current_datetime
from m3sync_dagster.guard.schedules import (
    Schedule,
    read_schedules,
    start,
    start_again,
    stop_for_good,
)
from m3sync_dagster.runs.run_status import INTEGRATION_TAG
from m3sync_dagster.state import (
    GuardState,
    close_disabled,
    guard_lock,
    read_guard_state,
    withdraw_overtaken,
    write_guard_states,
)
from m3sync_dagster.sync.errors import ConfigurationError

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
            started = start(self.instance, self.origin, self.schedule, self.cron)
            before = read_guard_state(self.connection, self.integration)
            _record_start(self.instance, self.connection, before, started)

    def disable(self, until: datetime | None = None) -> None:
        """Stop the integration's schedule, so that nothing but a person starts it again.

        Args:
            until: when the guard starts it again all the same.

        Raises:
            ConfigurationError: there is such a time, but the guard has disabled the integration.
        """
        with guard_lock(self.connection):
            state = read_guard_state(self.connection, self.integration)
            if until:
                _require_not_by_guard(state)
            known = read_schedules(self.instance, self.origin.location_name)
            running = known.get(self.schedule)
            if running and running.started:
                state = replace(state, schedule_started=running.started)
            if not state.disabled:
                state = replace(
                    state, disabled_since=get_current_datetime(), disabled_reason=BY_HAND
                )
            write_guard_states(self.connection, [replace(state, disabled_until=until)])
            stop_for_good(self.instance, self.origin, self.schedule, self.cron)


def end_pause(
    instance: dg.DagsterInstance,
    connection: psycopg.Connection,
    state: GuardState,
    schedule: Schedule,
) -> None:
    """Enable an integration at the time that ``m3sync disable --until`` was given.

    The caller holds the guard's lock. If the process is killed after the start, the guard's next
    tick finds a schedule that was started, and clears the state as after any other start.

    Args:
        instance: Dagster's.
        connection: to our tables.
        state: the integration's, as it was written last.
        schedule: its schedule.
    """
    started = start_again(instance, schedule)
    with connection.transaction():
        _record_start(instance, connection, state, started)


def _record_start(
    instance: dg.DagsterInstance,
    connection: psycopg.Connection,
    before: GuardState,
    started: Schedule,
) -> None:
    """Write that an integration is enabled: its failures so far no longer count."""
    name = before.integration
    moments = (started.started, before.notified_at, _newest_end(instance, name))
    state = replace(
        before,
        schedule_started=started.started,
        count_from=max(filter(None, moments)),
        notified_level=0,
        disabled_since=None,
        disabled_reason=None,
        disabled_until=None,
    )
    if before.reported:
        withdraw_overtaken(connection, name)
    close_disabled(connection, name)
    write_guard_states(connection, [state])


def _newest_end(instance: dg.DagsterInstance, integration: str) -> float | None:
    """When a run of it ended last, by the clock of the machine that it ran on."""
    ended = dg.RunsFilter(
        tags={INTEGRATION_TAG: integration},
        statuses=[dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE],
    )
    newest = instance.get_run_records(ended, limit=1, order_by="end_time")
    return newest[0].end_time if newest else None


def _require_not_by_guard(state: GuardState) -> None:
    """Refuse to start again, at some time, what fails."""
    if state.disabled and state.disabled_reason != BY_HAND:
        raise ConfigurationError(
            f"{state.integration} is disabled {state.disabled_period}: {state.disabled_reason}",
            f"Correct what is wrong, then run: m3sync enable {state.integration}.",
        )
