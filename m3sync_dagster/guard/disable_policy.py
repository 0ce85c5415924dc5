"""The guard's judgement of one integration: pure, so that each case can be put to it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from m3sync_dagster.guard.failure_history import FinishedRun, in_a_row
from m3sync_dagster.guard.schedules import Schedule
from m3sync_dagster.state import GuardState

LIMIT = 10
"""Failures in a row after which an integration is disabled.

Source: m3ter documentation, "Entity data sync integrations", note on automatic disabling.
"""
WARNINGS = (8, 5)
"""Failures in a row at which people are warned, the greatest first."""


class ChangeKind(StrEnum):
    """The changes of state that people are told of."""

    FAILING = "failing"
    DISABLED = "disabled"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class Change:
    """A change of state.

    Args:
        kind: which.
        run: the run that brought it about.
        failures: how many runs have failed in a row; for a recovery, how many had.
    """

    kind: ChangeKind
    run: FinishedRun
    failures: int

    def name(self, integration: str) -> str:
        """What tells this change from all others, however often it is found out."""
        level = "" if self.kind is ChangeKind.RECOVERED else f"-{self.failures}"
        return f"{integration}:{self.kind}{level}:{self.run.run_id}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from what is known.

    Args:
        standing: the standing from now on.
        change: what people are to be told, if anything.
        stop: whether the schedule has to be stopped, for the first time or again.
    """

    standing: GuardState
    change: Change | None = None
    stop: bool = False


def judge(
    standing: GuardState,
    schedule: Schedule | None,
    failures: Sequence[FinishedRun],
    success: FinishedRun | None,
) -> Verdict:
    """Judge one integration.

    Args:
        standing: what is on record of it.
        schedule: its schedule; ``None`` when nobody has ever started or stopped it.
        failures: its failed runs, in any order.
        success: its newest success, as far as there is one since the failures began.
    """
    standing = _enabled_again(standing, schedule, failures)
    if success and success.number > standing.counted_after:
        standing = replace(standing, counted_after=success.number)
    running = schedule is not None and schedule.running
    if standing.disabled:
        return Verdict(standing, stop=running)
    streak = in_a_row(failures, standing.counted_after)
    if running and len(streak) >= LIMIT:
        return _disable(standing, streak)
    if _made_good(standing, success):
        return _recover(standing, success)
    if running:
        return _warn(standing, streak)
    return Verdict(standing)


def _enabled_again(
    standing: GuardState, schedule: Schedule | None, failures: Sequence[FinishedRun]
) -> GuardState:
    """A new start of the schedule is a person's doing, and clears the count."""
    started = schedule.started if schedule and schedule.running else None
    if started is None or started == standing.schedule_started:
        return standing
    if standing.schedule_started is None and not standing.disabled:
        return replace(standing, schedule_started=started)
    before = [run.number for run in failures if run.created <= started]
    return replace(
        standing,
        schedule_started=started,
        # What people were told of is over too, whatever the clocks say.
        counted_after=max([standing.counted_after, standing.told_at or 0, *before]),
        told=0,
        disabled_since=None,
        disabled_reason=None,
    )


def _disable(standing: GuardState, streak: Sequence[FinishedRun]) -> Verdict:
    """The tenth failure counts, also when more have come in since: it stays the same one."""
    run = streak[len(streak) - LIMIT]
    stopped = replace(standing, told=LIMIT, told_at=streak[0].number, disabled_since=run.ended)
    return Verdict(stopped, Change(ChangeKind.DISABLED, run, LIMIT), stop=True)


def _made_good(standing: GuardState, success: FinishedRun | None) -> bool:
    return (
        standing.told_at is not None and success is not None and success.number > standing.told_at
    )


def _recover(standing: GuardState, success: FinishedRun | None) -> Verdict:
    assert success is not None  # noqa: S101 - see _made_good
    change = Change(ChangeKind.RECOVERED, success, standing.told)
    return Verdict(replace(standing, told=0, told_at=None), change)


def _warn(standing: GuardState, streak: Sequence[FinishedRun]) -> Verdict:
    for level in WARNINGS:
        if len(streak) >= level:
            if standing.told >= level:
                break
            run = streak[len(streak) - level]
            warned = replace(standing, told=level, told_at=streak[0].number)
            return Verdict(warned, Change(ChangeKind.FAILING, run, level))
    return Verdict(standing)
