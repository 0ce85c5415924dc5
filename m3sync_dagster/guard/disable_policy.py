"""What the guard decides for one integration: a pure function, so that each case is a test."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum

from m3sync_dagster.guard.failure_history import (
    FinishedRun,
    Successes,
    in_a_row,
    is_repaired,
)
from m3sync_dagster.guard.schedules import Schedule
from m3sync_dagster.state import GuardState

LIMIT = 10
"""Failures in a row after which an integration is disabled.

Source: m3ter documentation, "Entity data sync integrations", note on automatic disabling.
"""
WARNINGS = (8, 5)
"""Failures in a row at which people are warned, the greatest first."""


class ChangeKind(StrEnum):
    """The changes of state that people are notified of."""

    FAILING = "failing"
    DISABLED = "disabled"
    RECOVERED = "recovered"
    LATE = "late"
    REJECTS = "rejects"
    REJECTS_OVER = "rejects_over"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of state.

    Args:
        kind: which.
        run: the run that caused it.
        failures: how many runs have failed in a row; for a recovery, how many had.
        not_started: how many of these failures are runs that could not start.
    """

    kind: ChangeKind
    run: FinishedRun
    failures: int
    not_started: int = 0

    def name(self, integration: str) -> str:
        """A name that is the same however often this change is found, and no other change has."""
        level = "" if self.kind is ChangeKind.RECOVERED else f"-{self.failures}"
        return f"{integration}:{self.kind}{level}:{self.run.run_id}"


@dataclass(frozen=True, slots=True)
class History:
    """What an integration's runs say.

    Args:
        entities: all that the integration has.
        failures: its failed runs, in any order.
        successes: the newest successful run of each entity, if there is one since the first of
            the failures.
    """

    entities: Collection[str] = ()
    failures: Sequence[FinishedRun] = ()
    successes: Successes = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """What the guard has to do.

    Args:
        state: the integration's state from now on.
        change: what people are to be notified of, if anything.
        stop: whether the schedule has to be stopped, for the first time or again.
    """

    state: GuardState
    change: Change | None = None
    stop: bool = False


def decide(state: GuardState, schedule: Schedule | None, history: History) -> Decision:
    """Decide for one integration.

    Args:
        state: the state as it was written last.
        schedule: its schedule; ``None`` when nobody has ever started or stopped it.
        history: its runs.
    """
    state = _after_start(state, schedule)
    state = _after_success(state, history)
    running = schedule is not None and schedule.running
    if state.disabled:
        return Decision(state, stop=running)
    streak = in_a_row(history.failures, state, history.successes)
    if running and len(streak) >= LIMIT:
        return _disable(state, streak)
    if run := _recovery(state, history):
        return _recover(state, run)
    if running:
        return _warn(state, streak)
    return Decision(state)


def is_pause_over(state: GuardState, schedule: Schedule | None, now: float) -> bool:
    """Whether the time has come to which a person has disabled an integration.

    Args:
        state: the state as it was written last.
        schedule: its schedule. One that Dagster does not know cannot be started again.
        now: Unix time.
    """
    until = _after_start(state, schedule).disabled_until
    return schedule is not None and until is not None and until.timestamp() <= now


def _after_start(state: GuardState, schedule: Schedule | None) -> GuardState:
    """A new start of the schedule, also the first, is a person's decision and clears the count."""
    started = schedule.started if schedule and schedule.running else None
    if started is None or started == state.schedule_started:
        return state
    return replace(
        state,
        schedule_started=started,
        # What people were notified of is cleared too, even if the clocks of machines differ.
        count_from=max(state.count_from, state.notified_at or 0.0),
        notified_level=0,
        disabled_since=None,
        disabled_reason=None,
        disabled_until=None,
    )


def _after_success(state: GuardState, history: History) -> GuardState:
    """Failures before a success of everything stay cleared, even if the success is deleted."""
    ends = [run.ended for run in history.successes.values()]
    if not history.entities or len(ends) < len(history.entities):
        return state
    return replace(state, count_from=max(state.count_from, min(ends)))


def _disable(state: GuardState, streak: Sequence[FinishedRun]) -> Decision:
    """The tenth failure is named, also when more have come in since: so the change is the same."""
    run = streak[len(streak) - LIMIT]
    stopped = replace(
        state,
        notified_level=LIMIT,
        notified_at=streak[0].ended,
        disabled_since=datetime.fromtimestamp(run.ended, UTC),
    )
    return Decision(stopped, _failures(ChangeKind.DISABLED, streak, LIMIT), stop=True)


def _failures(kind: ChangeKind, streak: Sequence[FinishedRun], level: int) -> Change:
    """The change that the first failures of a streak are, whose newest comes first."""
    counted = streak[len(streak) - level :]
    return Change(kind, counted[0], level, sum(not run.started for run in counted))


def _recovery(state: GuardState, history: History) -> FinishedRun | None:
    """The run that repaired what people were notified of: everything that failed was synced."""
    if state.notified_at is None:
        return None
    failed = [run for run in history.failures if run.ended <= state.notified_at]
    if not all(is_repaired(run, history.successes) for run in failed):
        return None
    entities = {entity for run in failed for entity in run.entities} or set(history.entities)
    repairs = [history.successes.get(entity) for entity in entities]
    later = [run for run in repairs if run and run.ended > state.notified_at]
    if not later or (not failed and len(later) < len(entities)):
        return None
    return max(later, key=lambda run: run.ended)


def _recover(state: GuardState, run: FinishedRun) -> Decision:
    change = Change(ChangeKind.RECOVERED, run, state.notified_level)
    return Decision(replace(state, notified_level=0, notified_at=None), change)


def _warn(state: GuardState, streak: Sequence[FinishedRun]) -> Decision:
    for level in WARNINGS:
        if len(streak) >= level:
            if state.notified_level >= level:
                break
            warned = replace(state, notified_level=level, notified_at=streak[0].ended)
            return Decision(warned, _failures(ChangeKind.FAILING, streak, level))
    return Decision(state)
