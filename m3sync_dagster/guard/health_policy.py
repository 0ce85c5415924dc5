"""Whether an integration is late, or has too many rejected rows: pure functions.

A run that fails is the matter of ``disable_policy``. Here it is what no failed run shows: that
nothing succeeds, for whatever reason, and that Salesforce does not accept the rows of runs that
succeed.
"""

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from m3sync_dagster.guard.disable_policy import ChangeKind
from m3sync_dagster.guard.schedules import Schedule
from m3sync_dagster.state import EntitySyncs, GuardState

LATE_AFTER = 6 * 3600.0
"""Seconds without a success after which an enabled integration is late."""


@dataclass(frozen=True, slots=True)
class RejectLimit:
    """How many rejected rows people are notified of: once there are so many, or such a share.

    Args:
        rows: the number, 1 or more; ``None``: only the share counts.
        share: the share of the records read, above 0 and up to 1; ``None``: only the number counts.
    """

    rows: int | None = None
    share: float | None = None

    def is_reached(self, read: int, rejected: int) -> bool:
        """Whether one of the two limits is reached."""
        by_rows = self.rows is not None and rejected >= self.rows
        by_share = self.share is not None and read > 0 and rejected / read >= self.share
        return by_rows or by_share


@dataclass(frozen=True, slots=True)
class HealthChange:
    """A change of state that no failed run causes.

    Args:
        kind: which.
        since: when it began (Unix time).
        run_id: the newest complete sync; ``None`` if there was none.
        text: what is the matter, in words.
    """

    kind: ChangeKind
    since: float
    run_id: str | None
    text: str = ""

    def name(self, integration: str) -> str:
        """A name that is the same however often this change is found, and no other change has."""
        return f"{integration}:{self.kind}:{self.since:.0f}"


@dataclass(frozen=True, slots=True)
class Health:
    """An integration's complete syncs.

    Args:
        entities: all that it carries.
        syncs: the last complete sync of each.
        limit: how many rejected rows people are notified of; ``None``: of none.
    """

    entities: frozenset[str]
    syncs: EntitySyncs
    limit: RejectLimit | None = None

    @property
    def last_success(self) -> float | None:
        """When the entity that was synced longest ago was synced (Unix time)."""
        ends = [self.syncs[name].ended_at for name in self.entities if name in self.syncs]
        complete = ends and len(ends) == len(self.entities)
        return min(ends).timestamp() if complete else None

    @property
    def last_run(self) -> str | None:
        """The run that synced an entity last."""
        newest = max(self.syncs.values(), key=lambda one: one.ended_at, default=None)
        return newest.run_id if newest else None

    @property
    def counts(self) -> tuple[int, int] | None:
        """Records read and rejected; ``None`` while they are not known of every entity."""
        known = [self.syncs[name] for name in self.entities if name in self.syncs]
        if len(known) < len(self.entities) or any(one.read is None for one in known):
            return None
        return sum(one.read or 0 for one in known), sum(one.rejected or 0 for one in known)


def watch(
    state: GuardState, schedule: Schedule | None, health: Health, now: float
) -> tuple[GuardState, list[HealthChange]]:
    """Find the changes of an integration, and its state from now on.

    Args:
        state: the state as the decision about failed runs has left it.
        schedule: its schedule; ``None`` when nobody has ever started or stopped it.
        health: its complete syncs.
        now: Unix time.
    """
    changes: list[HealthChange] = []
    state = _watch_lateness(state, schedule, health, now, changes)
    return _watch_rejects(state, health, now, changes), changes


def _watch_lateness(
    state: GuardState,
    schedule: Schedule | None,
    health: Health,
    now: float,
    changes: list[HealthChange],
) -> GuardState:
    """Once it is late, people are told, unless they know already that its runs fail."""
    started = schedule.started if schedule and schedule.enabled and not state.disabled else None
    if started is None or (state.late_since is not None and started > state.late_since):
        state = replace(state, late_since=None)
    if started is None:
        return state
    success = health.last_success
    if state.late_since is not None:
        if success is None or success <= state.late_since:
            return state
        changes.append(HealthChange(ChangeKind.RECOVERED, success, health.last_run))
        return replace(state, late_since=None)
    base = max(success or 0.0, started)
    if now - base < LATE_AFTER or state.notified_level:
        return state
    changes.append(HealthChange(ChangeKind.LATE, base, health.last_run, _lateness(success)))
    return replace(state, late_since=base)


def _lateness(success: float | None) -> str:
    if success is None:
        return "it has not synced completely since it was enabled"
    return f"it has not synced completely since {_text(success)}"


def _watch_rejects(
    state: GuardState, health: Health, now: float, changes: list[HealthChange]
) -> GuardState:
    counts = health.counts
    if health.limit is None or counts is None:
        return state if health.limit else replace(state, rejects_since=None)
    reached, before = health.limit.is_reached(*counts), state.rejects_since is not None
    if reached == before:
        return state
    read, rejected = counts
    text = f"{rejected} of {read} records are invalid or were rejected by Salesforce"
    kind = ChangeKind.REJECTS if reached else ChangeKind.REJECTS_OVER
    changes.append(HealthChange(kind, now, health.last_run, text))
    return replace(state, rejects_since=now if reached else None)


def _text(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M} UTC"
