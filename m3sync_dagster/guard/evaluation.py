"""What the guard has to do about one integration: by its failed runs, and by its complete syncs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import dagster as dg

from m3sync_dagster.dagster_internals import get_current_timestamp
from m3sync_dagster.guard.disable_policy import (
    WARNINGS,
    ChangeKind,
    Decision,
    History,
    decide,
    is_pause_over,
)
from m3sync_dagster.guard.failure_history import Failures, FinishedRun, in_a_row, read_successes
from m3sync_dagster.guard.guarded_integration import GuardedIntegration
from m3sync_dagster.guard.health_policy import Health, HealthChange, watch
from m3sync_dagster.guard.schedules import Schedule
from m3sync_dagster.runs.run_status import entity_of
from m3sync_dagster.state import EntitySyncs, GuardState


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What the guard has to do about one integration.

    Args:
        before: its state as it was written last.
        decision: its state from now on, and what its failed runs change.
        changes: what its complete syncs change.
        schedule: its schedule; ``None`` when nobody has ever started or stopped it.
        unrecorded: its failed runs that have recorded nothing about their failure.
        pause_is_over: whether its schedule has to be started, and nothing else is decided.
    """

    before: GuardState
    decision: Decision
    changes: Sequence[HealthChange]
    schedule: Schedule | None
    unrecorded: Sequence[str] = ()
    pause_is_over: bool = False

    @property
    def name(self) -> str:
        """The integration's."""
        return self.before.integration

    @property
    def changed(self) -> bool:
        """Whether anything has to be written down."""
        return bool(self.decision.change or self.changes or self.decision.state != self.before)

    @property
    def has_work(self) -> bool:
        """Whether anything has to be done."""
        return bool(self.changed or self.decision.stop or self.unrecorded or self.pause_is_over)

    @property
    def late_since(self) -> float | None:
        """Since when it has had no success (Unix time), if that is what has changed."""
        late = (one.since for one in self.changes if one.kind is ChangeKind.LATE)
        return next(late, None)


def evaluate(
    integration: GuardedIntegration,
    state: GuardState,
    schedule: Schedule | None,
    history: History,
    syncs: EntitySyncs,
) -> Evaluation:
    """Decide about one integration. Nothing is read or written here.

    Args:
        integration: which.
        state: its state as it was written last.
        schedule: its schedule; ``None`` when nobody has ever started or stopped it.
        history: its runs.
        syncs: the last complete sync of each of its entities.
    """
    now = get_current_timestamp()
    if is_pause_over(state, schedule, now):
        return Evaluation(state, Decision(state), (), schedule, pause_is_over=True)
    decision = decide(replace(state, guard_error=None), schedule, history)
    health = Health(frozenset(history.entities), syncs, integration.reject_limit)
    after, changes = watch(decision.state, schedule, health, now)
    if decision.change and decision.change.kind is ChangeKind.RECOVERED:
        changes = [one for one in changes if one.kind is not ChangeKind.RECOVERED]
    return Evaluation(state, replace(decision, state=after), changes, schedule)


def read_histories(
    instance: dg.DagsterInstance,
    integrations: Mapping[str, GuardedIntegration],
    states: Mapping[str, GuardState],
    failures: Failures,
) -> dict[str, History]:
    """Read what the runs of each integration say; successes only where they matter."""
    chosen = {
        name: integrations[name].assets
        for name, state in states.items()
        if _needs_successes(state, failures.runs.get(name, []))
    }
    successes = read_successes(instance, chosen, failures.since)
    return {
        name: History(
            {entity_of(key) for key in integrations[name].assets},
            failures.runs.get(name, []),
            successes.get(name, {}),
        )
        for name in states
    }


def _needs_successes(state: GuardState, failures: Sequence[FinishedRun]) -> bool:
    """Whether it matters when this integration succeeded last."""
    often = len(in_a_row(failures, state, {})) >= min(WARNINGS)
    return often or state.notified_at is not None
