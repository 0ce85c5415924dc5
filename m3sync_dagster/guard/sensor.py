"""The guard: one sensor that watches every integration, and disables one that keeps failing.

It is level-triggered. Each tick reads the state of things from Dagster's storage, and does what
remains to be done: the scheduler can undo a stop once an hour, and sensors of run failures lose
events. What a tick decides is written, together with the notices of it, before anything is done
about it; so a tick may be killed anywhere, and the next one goes on.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import TypeVar

import dagster as dg
import psycopg

from m3sync_dagster.guard.disable_policy import Change, ChangeKind
from m3sync_dagster.guard.enable_disable import end_pause
from m3sync_dagster.guard.evaluation import Evaluation, evaluate, read_histories
from m3sync_dagster.guard.failure_history import read_failures, read_untagged_runs
from m3sync_dagster.guard.guarded_integration import GuardedIntegration
from m3sync_dagster.guard.health_policy import HealthChange
from m3sync_dagster.guard.schedules import read_schedules, stop
from m3sync_dagster.guard.shown_states import shown_states
from m3sync_dagster.notifications.delivery import deliver
from m3sync_dagster.notifications.message_text import content_of, content_of_health
from m3sync_dagster.notifications.notice_targets import reject_targets_of, targets_of
from m3sync_dagster.runs.failure_tags import record_failure
from m3sync_dagster.runs.run_status import (
    COMPLETE,
    INTEGRATION_TAG,
    RunSummary,
    failure,
    newest_runs,
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
BUDGET = 20.0
"""Seconds after its begin at which a tick leaves further changes to the next one.

Dagster ends a tick after 60 seconds. Source: Dagster documentation, "Sensors", on timeouts.
"""
_NO_FAILURE = {COMPLETE, "STARTED", "WAITING"}

_Given = TypeVar("_Given")


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
    with connect(postgres_url()) as connection:
        if wrong := wrong_schema(connection):
            return str(wrong)
        with guard_lock(connection):
            syncs = read_entity_syncs(connection)
            lines = _Tick(instance, connection, integrations, location, syncs, begun).run()
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
    begun: float

    def run(self) -> list[str]:
        lines: list[str] = []
        work = [one for one in self._evaluate_all(lines) if one.has_work]
        # Whatever keeps one of them from being done keeps no other one waiting.
        work.sort(key=lambda one: one.before.guard_error is not None)
        newest = self._newest_runs_of_late(work)
        for done, one in enumerate(work, start=1):
            lines += self._alone(one.name, partial(self._act, one, newest.get(one.name)), lines)
            if done < len(work) and time.monotonic() > self.begun + BUDGET:
                left = len(work) - done
                return [*lines, f"The next tick does {left} of {len(work)} integrations."]
        return lines

    def _evaluate_all(self, lines: list[str]) -> list[Evaluation]:
        """What has to be done about each integration."""
        known = read_guard_states(self.connection)
        schedules = read_schedules(self.instance, self.location)
        assets = {name: one.assets for name, one in self.integrations.items()}
        failures = read_failures(self.instance, assets)
        for run_id, name in read_untagged_runs(self.instance, self.integrations).items():
            self.instance.add_run_tags(run_id, {INTEGRATION_TAG: name})
        states = {name: known.get(name, GuardState(name)) for name in self.integrations}
        histories = read_histories(self.instance, self.integrations, states, failures)

        def one(name: str) -> Iterator[Evaluation]:
            integration, syncs = self.integrations[name], self.syncs.get(name, {})
            schedule = schedules.get(integration.schedule)
            found = evaluate(integration, states[name], schedule, histories[name], syncs)
            yield replace(found, unrecorded=failures.unrecorded.get(name, ()))

        return [found for name in states for found in self._alone(name, partial(one, name), lines)]

    def _newest_runs_of_late(self, work: Sequence[Evaluation]) -> Mapping[str, RunSummary]:
        """The newest run of each integration that is newly late: one query for all of them."""
        late = {one.name: one.late_since for one in work if one.late_since is not None}
        if not late:
            return {}
        return newest_runs(self.instance, late, datetime.fromtimestamp(min(late.values()), UTC))

    def _alone(
        self, name: str, work: Callable[[], Iterable[_Given]], lines: list[str]
    ) -> list[_Given]:
        """What the work for one integration gives; its error concerns this integration alone."""
        try:
            return list(work())
        except Exception as error:
            if self.connection.broken:
                raise
            cause = str(error) if isinstance(error, SyncError) else repr(error)
            write_guard_error(self.connection, name, cause)
            lines.append(f"{name}: the guard could not evaluate it: {cause}")
            return []

    def _act(self, found: Evaluation, newest_run: RunSummary | None) -> Iterator[str]:
        """Do all there is to do for one integration, and give a line for each thing done."""
        name, decision = found.name, found.decision
        for run_id in found.unrecorded:
            self._record_unrecorded(name, run_id)
        if found.pause_is_over and found.schedule:
            end_pause(self.instance, self.connection, found.before, found.schedule)
            yield f"{name}: its schedule is started, because the time of --until has come"
        if found.changed:
            with self.connection.transaction():
                self._write(found, newest_run)
        if change := decision.change:
            yield f"{name}: {change.kind} ({change.failures} in a row)"
        if decision.stop and found.schedule:
            stop(self.instance, found.schedule)
            yield f"{name}: its schedule is stopped"
        yield from (f"{name}: {change.kind}" for change in found.changes)

    def _record_unrecorded(self, name: str, run_id: str) -> None:
        """Record a run that failed where our own code could not: it has no tag and no event."""
        error = failure(self.instance, run_id)
        record_event(self.connection, name, None, run_id, error)
        self.instance.add_run_tags(run_id, {INTEGRATION_TAG: name})
        record_failure(self.instance, run_id, error)

    def _write(self, found: Evaluation, newest_run: RunSummary | None) -> None:
        """Write what has changed at once: the state, the event, and the notices."""
        name, change, state = found.name, found.decision.change, found.decision.state
        if change:
            error = failure(self.instance, change.run.run_id)
            state = _with_reason(state, change, error)
            self._write_change(self.integrations[name], change, error)
        elif found.before.reported and not state.reported:
            withdraw_overtaken(self.connection, name)
        if found.before.disabled and not state.disabled:
            close_disabled(self.connection, name)
        write_guard_states(self.connection, [state])
        for one in found.changes:
            self._write_health(self.integrations[name], one, newest_run)

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

    def _write_health(
        self, integration: GuardedIntegration, change: HealthChange, newest_run: RunSummary | None
    ) -> None:
        name = integration.name
        rejects = change.kind in {ChangeKind.REJECTS, ChangeKind.REJECTS_OVER}
        targets = reject_targets_of(integration) if rejects else targets_of(integration)
        withdraw_overtaken(self.connection, name, about_rejects=rejects)
        content = content_of_health(integration, change, self._explain(name, change, newest_run))
        content["location"] = self.location
        if change.kind is ChangeKind.REJECTS:
            found = objects_with_rejects(self.connection, name)
            content["list_views"] = {o: OrgLinks(url).list_view(o) for o, url in found.items()}
        enqueue(self.connection, name, change.name(name), targets, content)

    def _explain(self, name: str, change: HealthChange, newest_run: RunSummary | None) -> SyncError:
        """What is the matter, and what to do about it."""
        if change.kind is not ChangeKind.LATE:
            return SyncError(change.text, f"See: m3sync rejects {name}")
        remedy = f"See: m3sync status {name}; m3sync runs {name}"
        if newest_run is None:
            return SyncError(f"{change.text}, and no run of it was started since then", remedy)
        if newest_run.status in _NO_FAILURE:
            return SyncError(f"{change.text}, and its newest run is {newest_run.status}", remedy)
        error = failure(self.instance, newest_run.run_id)
        return SyncError(f"{change.text}; the last error: {error.cause}", error.remedy)


def _with_reason(state: GuardState, change: Change, error: SyncError) -> GuardState:
    """The state with the reason, where it is newly disabled."""
    if change.kind is not ChangeKind.DISABLED:
        return state
    return replace(state, disabled_reason=_reason(change, error))


def _reason(change: Change, error: SyncError) -> str:
    cause = error.cause.rstrip(".")
    not_started = f"{change.not_started} of them could not start, " if change.not_started else ""
    return f"{change.failures} runs in a row have failed, {not_started}the last one because {cause}"
