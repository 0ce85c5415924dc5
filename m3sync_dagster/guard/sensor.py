"""The guard: one sensor that watches every integration, and disables one that keeps failing.

It is level-triggered. Each tick reads the state of things from Dagster's storage, and does what
remains to be done: the scheduler can undo a stop once an hour, and sensors of run failures lose
events. What a tick decides is written, together with the notices of it, before anything is done
about it; so a tick may be killed anywhere, and the next one goes on.
"""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import dagster as dg
import psycopg

from m3sync_dagster.dagster_internals import get_current_timestamp
from m3sync_dagster.guard.disable_policy import (
    WARNINGS,
    Change,
    ChangeKind,
    Decision,
    History,
    decide,
)
from m3sync_dagster.guard.failure_history import (
    Failures,
    FinishedRun,
    in_a_row,
    read_failures,
    read_successes,
    read_untagged_runs,
)
from m3sync_dagster.guard.guarded_integration import GuardedIntegration
from m3sync_dagster.guard.health_policy import Health, HealthChange, watch
from m3sync_dagster.guard.schedules import Schedules, read_schedules, stop
from m3sync_dagster.guard.shown_states import shown_states
from m3sync_dagster.notifications.delivery import deliver
from m3sync_dagster.notifications.message_text import content_of, content_of_health
from m3sync_dagster.notifications.notice_targets import reject_targets_of, targets_of
from m3sync_dagster.runs.failure_tags import record_failure
from m3sync_dagster.runs.run_status import (
    COMPLETE,
    INTEGRATION_TAG,
    entity_of,
    failure,
    last_run,
)
from m3sync_dagster.salesforce import OrgLinks
from m3sync_dagster.state import (
    DISABLED_EVENT,
    EntitySyncs,
    GuardState,
    close_disabled,
    connect,
    enqueue,
    guard_lock,
    objects_with_rejects,
    postgres_url,
    read_entity_syncs,
    read_guard_states,
    record_event,
    undelivered,
    withdraw_overtaken,
    write_guard_error,
    write_guard_states,
    wrong_schema,
)
from m3sync_dagster.sync.errors import SyncError

GUARD = "integration_guard"
"""The sensor's name."""
INTERVAL = 30
"""Seconds between two ticks."""
_NO_FAILURE = {COMPLETE, "STARTED", "WAITING"}


class DisabledError(SyncError):
    """An integration has failed too often in a row, and its schedule was stopped."""

    status = "DISABLED"
    event = DISABLED_EVENT


def build_guard(integrations: Sequence[GuardedIntegration]) -> dg.SensorDefinition:
    """Build the sensor that watches these integrations."""
    by_name = {integration.name: integration for integration in integrations}

    @dg.sensor(
        name=GUARD,
        minimum_interval_seconds=INTERVAL,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Disables an integration after 10 failures in a row, and notifies people.",
    )
    def integration_guard(context: dg.SensorEvaluationContext) -> dg.SkipReason:
        origin = context.code_location_origin
        location = origin.location_name if origin else None
        return dg.SkipReason(tick(context.instance, by_name, location))

    return integration_guard


def tick(
    instance: dg.DagsterInstance,
    integrations: Mapping[str, GuardedIntegration],
    location: str | None = None,
) -> str:
    """Do once what the guard does, and give a line for each thing done, or that failed.

    The lines also say which integrations are disabled, fail or are late: Dagster shows them with
    the sensor, in its list of automations.

    It does nothing without the tables of this version: no run can have written them. The line says
    how to make them.

    Args:
        instance: Dagster's.
        integrations: what to watch, by name.
        location: the code location whose schedules they are; ``None`` takes any.

    Raises:
        SyncError: the database cannot be reached or used.
    """
    begun = time.monotonic()
    if wrong := wrong_schema(postgres_url()):
        return str(wrong)
    with connect(postgres_url()) as connection:
        with guard_lock(connection):
            syncs = read_entity_syncs(connection)
            lines = _Tick(instance, connection, integrations, location, syncs).run()
        states = read_guard_states(connection)
        lines += shown_states(states[name] for name in integrations if name in states)
        lines += deliver(instance, connection, integrations, begun)
        lines += map(str, undelivered(connection))
    return "\n".join([f"{len(integrations)} integrations are watched.", *lines])


@dataclass(frozen=True, slots=True)
class _Tick:
    """One tick, up to the delivery of notices.

    What goes wrong with one integration is written down as its error, and the tick goes on with
    the next one. An error of PostgreSQL's connection ends the tick: it concerns all.
    """

    instance: dg.DagsterInstance
    connection: psycopg.Connection
    integrations: Mapping[str, GuardedIntegration]
    location: str | None
    syncs: Mapping[str, EntitySyncs]

    def run(self) -> list[str]:
        known = read_guard_states(self.connection)
        schedules = read_schedules(self.instance, self.location)
        assets = {name: one.assets for name, one in self.integrations.items()}
        failures = read_failures(self.instance, assets)
        for run_id, name in read_untagged_runs(self.instance, self.integrations).items():
            self.instance.add_run_tags(run_id, {INTEGRATION_TAG: name})
        states = {name: known.get(name, GuardState(name)) for name in self.integrations}
        histories = self._histories(states, failures)
        return [
            line
            for name, state in states.items()
            for line in self._one(state, schedules, histories[name], failures)
        ]

    def _histories(
        self, states: Mapping[str, GuardState], failures: Failures
    ) -> dict[str, History]:
        """What the runs of each integration say; successes only where they matter."""
        chosen = {
            name: self.integrations[name].assets
            for name, state in states.items()
            if _needs_successes(state, failures.runs.get(name, []))
        }
        successes = read_successes(self.instance, chosen, failures.since)
        return {
            name: History(
                {entity_of(key) for key in self.integrations[name].assets},
                failures.runs.get(name, []),
                successes.get(name, {}),
            )
            for name in states
        }

    def _one(
        self, state: GuardState, schedules: Schedules, history: History, failures: Failures
    ) -> Sequence[str]:
        """Do all there is to do for one integration."""
        name = state.integration
        try:
            for run_id in failures.unrecorded.get(name, ()):
                self._record_unrecorded(name, run_id)
            schedule = schedules.get(self.integrations[name].schedule)
            decision = decide(replace(state, guard_error=None), schedule, history)
            health = Health(
                frozenset(history.entities),
                self.syncs.get(name, {}),
                self.integrations[name].reject_limit,
            )
            after, changes = watch(decision.state, schedule, health, get_current_timestamp())
            if decision.change and decision.change.kind is ChangeKind.RECOVERED:
                changes = [one for one in changes if one.kind is not ChangeKind.RECOVERED]
            decision = replace(decision, state=after)
            if decision.change or changes or after != state:
                with self.connection.transaction():
                    self._write(state, decision)
                    for change in changes:
                        self._write_health(self.integrations[name], change)
            return [
                *self._act(decision, schedules),
                *(f"{name}: {change.kind}" for change in changes),
            ]
        except Exception as error:
            if self.connection.broken:
                raise
            cause = str(error) if isinstance(error, SyncError) else repr(error)
            write_guard_error(self.connection, name, cause)
            return [f"{name}: the guard could not evaluate it: {cause}"]

    def _record_unrecorded(self, name: str, run_id: str) -> None:
        """Record a run that failed where our own code could not: it has no tag and no event."""
        error = failure(self.instance, run_id)
        record_event(self.connection, name, None, run_id, error)
        self.instance.add_run_tags(run_id, {INTEGRATION_TAG: name})
        record_failure(self.instance, run_id, error)

    def _write(self, before: GuardState, decision: Decision) -> None:
        """Write what has changed at once: the state, the event, and the notices."""
        name, change, state = before.integration, decision.change, decision.state
        if change:
            error = failure(self.instance, change.run.run_id)
            state = _with_reason(state, change, error)
            self._write_change(self.integrations[name], change, error)
        elif before.reported and not state.reported:
            withdraw_overtaken(self.connection, name)
        if before.disabled and not state.disabled:
            close_disabled(self.connection, name)
        write_guard_states(self.connection, [state])

    def _write_change(
        self, integration: GuardedIntegration, change: Change, error: SyncError
    ) -> None:
        name = integration.name
        if change.kind is ChangeKind.DISABLED:
            remedy = f"Correct what is wrong, then run: m3sync enable {name}."
            disabled = DisabledError(f"{name} is disabled: {_reason(change, error)}", remedy)
            record_event(self.connection, name, None, change.run.run_id, disabled)
        withdraw_overtaken(self.connection, name)
        content = content_of(integration, change, error) | {"location": self.location}
        enqueue(self.connection, name, change.name(name), targets_of(integration), content)

    def _write_health(self, integration: GuardedIntegration, change: HealthChange) -> None:
        name = integration.name
        rejects = change.kind in {ChangeKind.REJECTS, ChangeKind.REJECTS_OVER}
        targets = reject_targets_of(integration) if rejects else targets_of(integration)
        withdraw_overtaken(self.connection, name, about_rejects=rejects)
        content = content_of_health(integration, change, self._explain(name, change))
        content["location"] = self.location
        if change.kind is ChangeKind.REJECTS:
            found = objects_with_rejects(self.connection, name)
            content["list_views"] = {o: OrgLinks(url).list_view(o) for o, url in found.items()}
        enqueue(self.connection, name, change.name(name), targets, content)

    def _explain(self, name: str, change: HealthChange) -> SyncError:
        """What is the matter, and what to do about it."""
        if change.kind is not ChangeKind.LATE:
            return SyncError(change.text, f"See: m3sync rejects {name}")
        remedy = f"See: m3sync status {name}; m3sync runs {name}"
        newest = last_run(self.instance, name)
        if newest is None:
            return SyncError(f"{change.text}, and no run of it was started", remedy)
        if newest.status in _NO_FAILURE:
            return SyncError(f"{change.text}, and its newest run is {newest.status}", remedy)
        error = failure(self.instance, newest.run_id)
        return SyncError(f"{change.text}; the last error: {error.cause}", error.remedy)

    def _act(self, decision: Decision, schedules: Schedules) -> Iterator[str]:
        name, change = decision.state.integration, decision.change
        if change:
            yield f"{name}: {change.kind} ({change.failures} in a row)"
        if decision.stop:
            stop(self.instance, schedules[self.integrations[name].schedule])
            yield f"{name}: its schedule is stopped"


def _needs_successes(state: GuardState, failures: Sequence[FinishedRun]) -> bool:
    """Whether it matters when this integration succeeded last."""
    often = len(in_a_row(failures, state, {})) >= min(WARNINGS)
    return often or state.notified_at is not None


def _with_reason(state: GuardState, change: Change, error: SyncError) -> GuardState:
    """The state with the reason, where it is newly disabled."""
    if change.kind is not ChangeKind.DISABLED:
        return state
    return replace(state, disabled_reason=_reason(change, error))


def _reason(change: Change, error: SyncError) -> str:
    cause = error.cause.rstrip(".")
    not_started = f"{change.not_started} of them could not start, " if change.not_started else ""
    return f"{change.failures} runs in a row have failed, {not_started}the last one because {cause}"
