"""The guard: one sensor that watches every integration, and disables one that keeps failing.

It is level-triggered. Each tick reads from Dagster's storage how things are, and does what is
still to be done: the scheduler can undo a stop once an hour, and sensors of run failures lose
events. What a tick decides is on record, with the messages it owes, before anything is done about
it; so a tick may be killed anywhere, and the next one goes on.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import dagster as dg
import psycopg

from m3sync_dagster.guard.disable_policy import WARNINGS, Change, ChangeKind, Verdict, judge
from m3sync_dagster.guard.failure_history import (
    Failures,
    FinishedRun,
    in_a_row,
    read_failures,
    read_successes,
    read_untagged_runs,
)
from m3sync_dagster.guard.guarded_integration import GuardedIntegration
from m3sync_dagster.guard.schedules import Schedules, read_schedules, stop
from m3sync_dagster.notifications.delivery import deliver
from m3sync_dagster.notifications.message_text import content_of
from m3sync_dagster.notifications.recipients import targets_of
from m3sync_dagster.runs.run_status import INTEGRATION_TAG, STATUS_TAG, failure
from m3sync_dagster.state import (
    GuardState,
    connect,
    enqueue,
    guard_lock,
    postgres_url,
    read_guard_states,
    record_event,
    require_current_schema,
    undelivered,
    write_guard_states,
)
from m3sync_dagster.sync.errors import SyncError

GUARD = "integration_guard"
"""The sensor's name."""
INTERVAL = 30
"""Seconds between two ticks."""


class DisabledError(SyncError):
    """An integration has failed too often in a row, and was switched off."""

    status = "DISABLED"
    event = "integration.disabled.error"


def build_guard(integrations: Sequence[GuardedIntegration]) -> dg.SensorDefinition:
    """Build the sensor that watches these integrations."""
    by_name = {watched.name: watched for watched in integrations}

    @dg.sensor(
        name=GUARD,
        minimum_interval_seconds=INTERVAL,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Disables an integration after 10 failures in a row, and tells people.",
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
    """Do once what the guard does; gives a line for each thing that it has done or could not do.

    Args:
        instance: Dagster's.
        integrations: what to watch, by name.
        location: the code location whose schedules they are; ``None`` takes any.

    Raises:
        SyncError: our tables are not there, or PostgreSQL is not.
    """
    require_current_schema(postgres_url())
    with connect(postgres_url()) as connection:
        with guard_lock(connection):
            lines = list(_decide(instance, connection, integrations, location))
        deliver(instance, connection, integrations)
        lines += [
            f"{one.integration}: {one.target} does not know of {one.change} yet "
            f"({one.attempts} attempts): {one.error}"
            for one in undelivered(connection)
        ]
    return "\n".join([f"{len(integrations)} integrations are watched.", *lines])


def _decide(
    instance: dg.DagsterInstance,
    connection: psycopg.Connection,
    integrations: Mapping[str, GuardedIntegration],
    location: str | None,
) -> Iterator[str]:
    known = read_guard_states(connection)
    schedules = read_schedules(instance, location)
    failures = read_failures(instance, integrations)
    adopt(instance, connection, failures)
    for run_id, name in read_untagged_runs(instance, integrations).items():
        instance.add_run_tags(run_id, {INTEGRATION_TAG: name})
    verdicts = _verdicts(instance, integrations, known, schedules, failures)
    changes = {name: verdict.change for name, verdict in verdicts.items() if verdict.change}
    causes = {name: failure(instance, change.run.run_id) for name, change in changes.items()}
    news = {name: verdict for name, verdict in verdicts.items() if _news(known, verdict)}
    _write(connection, integrations, news, causes)
    for name, verdict in verdicts.items():
        if verdict.change:
            yield f"{name}: {verdict.change.kind} ({verdict.change.failures} in a row)"
        if verdict.stop:
            stop(instance, schedules[integrations[name].schedule])
            yield f"{name}: its schedule is stopped"


def adopt(instance: dg.DagsterInstance, connection: psycopg.Connection, failures: Failures) -> None:
    """Put runs on record that failed where our own code could not: without a tag, or an event."""
    for name, run_ids in failures.unrecorded.items():
        for run_id in run_ids:
            error = failure(instance, run_id)
            record_event(connection, name, None, run_id, error)
            instance.add_run_tags(run_id, {INTEGRATION_TAG: name, STATUS_TAG: error.status})


def _verdicts(
    instance: dg.DagsterInstance,
    integrations: Mapping[str, GuardedIntegration],
    known: Mapping[str, GuardState],
    schedules: Schedules,
    failures: Failures,
) -> dict[str, Verdict]:
    standings = {name: known.get(name, GuardState(name)) for name in integrations}
    suspects = {
        name
        for name, standing in standings.items()
        if _suspect(standing, failures.runs.get(name, []))
    }
    assets = {name: integrations[name].assets for name in suspects}
    successes = read_successes(instance, assets, failures.since)
    return {
        name: judge(
            standing,
            schedules.get(integrations[name].schedule),
            failures.runs.get(name, []),
            successes.get(name),
        )
        for name, standing in standings.items()
    }


def _suspect(standing: GuardState, failures: Sequence[FinishedRun]) -> bool:
    """Whether it matters when this integration succeeded last."""
    often = len(in_a_row(failures, standing.counted_after)) >= min(WARNINGS)
    return often or standing.told_at is not None


def _news(known: Mapping[str, GuardState], verdict: Verdict) -> bool:
    name = verdict.standing.integration
    return verdict.change is not None or verdict.standing != known.get(name, GuardState(name))


def _write(
    connection: psycopg.Connection,
    integrations: Mapping[str, GuardedIntegration],
    news: Mapping[str, Verdict],
    causes: Mapping[str, SyncError],
) -> None:
    """Put what has changed on record, at once: standings, events, and messages that are owed."""
    with connection.transaction():
        write_guard_states(connection, [_reasoned(one, causes) for one in news.values()])
        for name, verdict in news.items():
            if verdict.change:
                _write_change(connection, integrations[name], verdict.change, causes[name])


def _reasoned(verdict: Verdict, causes: Mapping[str, SyncError]) -> GuardState:
    """The standing from now on, with the reason where it is newly disabled."""
    change, standing = verdict.change, verdict.standing
    if change is None or change.kind is not ChangeKind.DISABLED:
        return standing
    return replace(standing, disabled_reason=_reason(change, causes[standing.integration]))


def _reason(change: Change, error: SyncError) -> str:
    cause = error.cause.rstrip(".")
    return f"{change.failures} runs in a row have failed, the last one because {cause}"


def _write_change(
    connection: psycopg.Connection, watched: GuardedIntegration, change: Change, error: SyncError
) -> None:
    name = watched.name
    if change.kind is ChangeKind.DISABLED:
        remedy = f"Put right what is wrong, then run: m3sync enable {name}."
        disabled = DisabledError(f"{name} is disabled: {_reason(change, error)}", remedy)
        record_event(connection, name, None, change.run.run_id, disabled)
    content = content_of(watched, change, error)
    enqueue(connection, name, change.name(name), targets_of(watched), content)
