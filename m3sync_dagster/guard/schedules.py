"""Starting and stopping schedules: all that we use of Dagster's undocumented methods is here.

The instance's methods for schedules carry no promise of stability, though the command and the
webserver have used them for years. A test checks what is said here.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import dagster as dg

from m3sync_dagster.dagster_internals import (
    CodeLocationOrigin,
    InstigatorSelector,
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    RemoteRepositoryOrigin,
    ScheduleInstigatorData,
    get_current_timestamp,
)
from m3sync_dagster.runs.dagster_links import REPOSITORY


@dataclass(frozen=True, slots=True)
class Schedule:
    """The state of a schedule that somebody has started or stopped.

    Args:
        state: what Dagster's storage has of it.
    """

    state: InstigatorState

    @property
    def running(self) -> bool:
        """Whether it may tick, by whatever the code's default is."""
        return self.state.status is not InstigatorStatus.STOPPED

    @property
    def enabled(self) -> bool:
        """Whether somebody has started it; left to our code's default, it does not tick."""
        return self.state.status is InstigatorStatus.RUNNING

    @property
    def started(self) -> float | None:
        """When a person started it (Unix time). A default in the code is no start."""
        data = self.state.instigator_data
        if self.state.status is not InstigatorStatus.RUNNING or data is None:
            return None
        return data.start_timestamp if isinstance(data, ScheduleInstigatorData) else None

    @property
    def cron(self) -> str:
        """The cron string that Dagster keeps beside the state; the ticks follow the code's."""
        data = self.state.instigator_data
        return str(data.cron_schedule) if isinstance(data, ScheduleInstigatorData) else ""


def read_schedules(instance: dg.DagsterInstance, location: str | None) -> dict[str, Schedule]:
    """Read all schedules of a code location that were ever started or stopped, by name.

    Args:
        instance: Dagster's.
        location: the code location's name; ``None`` takes any.
    """
    states = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
    return {
        state.instigator_name: Schedule(state)
        for state in states
        if location in (None, _location(state))
    }


def stop(instance: dg.DagsterInstance, schedule: Schedule) -> None:
    """Stop a schedule. Harmless where it is stopped already."""
    state = schedule.state
    instance.stop_schedule(state.instigator_origin_id, state.selector_id)


def start(
    instance: dg.DagsterInstance, origin: CodeLocationOrigin, name: str, cron: str
) -> Schedule:
    """Start a schedule, again if it is running already.

    Args:
        instance: Dagster's.
        origin: the code location that the schedule belongs to.
        name: the schedule's.
        cron: its cron string, which Dagster keeps beside the start.
    """
    stored = _stored(instance, origin, name)
    if stored:
        return _start_stored(instance, stored, cron)
    data = ScheduleInstigatorData(cron, get_current_timestamp())
    state = _new(origin, name, InstigatorStatus.RUNNING, data)
    instance.add_instigator_state(state)
    return Schedule(state)


def start_again(instance: dg.DagsterInstance, schedule: Schedule) -> Schedule:
    """Start a schedule that was started or stopped before, with its cron string."""
    return _start_stored(instance, schedule.state, schedule.cron)


def _start_stored(instance: dg.DagsterInstance, stored: InstigatorState, cron: str) -> Schedule:
    data = ScheduleInstigatorData(cron, get_current_timestamp())
    state = stored.with_status(InstigatorStatus.RUNNING).with_data(data)
    instance.update_instigator_state(state)
    return Schedule(state)


def stop_for_good(
    instance: dg.DagsterInstance, origin: CodeLocationOrigin, name: str, cron: str
) -> None:
    """Stop a schedule, also one that nobody has started yet."""
    stored = _stored(instance, origin, name)
    if stored:
        stop(instance, Schedule(stored))
    else:
        data = ScheduleInstigatorData(cron)
        instance.add_instigator_state(_new(origin, name, InstigatorStatus.STOPPED, data))


def _stored(
    instance: dg.DagsterInstance, origin: CodeLocationOrigin, name: str
) -> InstigatorState | None:
    selector = InstigatorSelector(
        location_name=origin.location_name, repository_name=REPOSITORY, name=name
    )
    instigator = RemoteRepositoryOrigin(origin, REPOSITORY).get_instigator_origin(name)
    found = instance.get_instigator_state(instigator.get_id(), selector.get_id())
    return found if found and found.instigator_type is InstigatorType.SCHEDULE else None


def _new(
    origin: CodeLocationOrigin, name: str, status: InstigatorStatus, data: ScheduleInstigatorData
) -> InstigatorState:
    instigator = RemoteRepositoryOrigin(origin, REPOSITORY).get_instigator_origin(name)
    return InstigatorState(instigator, InstigatorType.SCHEDULE, status, data)


def _location(state: InstigatorState) -> str:
    return state.origin.repository_origin.code_location_origin.location_name


Schedules = Mapping[str, Schedule]
"""Schedules by name."""
