"""The status of every integration: what is stored of it, and what is known of its connections."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from m3sync_dagster.components.connection_state import Connection, ConnectionWord, connection_of
from m3sync_dagster.components.integration import Integration
from m3sync_dagster.components.integration_definitions import asset_key
from m3sync_dagster.components.load_errors import LoadError
from m3sync_dagster.components.load_project import Project
from m3sync_dagster.components.loaded_integration import (
    LoadedIntegration,
    loaded_integrations,
)
from m3sync_dagster.components.schedule import schedule_name
from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.guard.enable_disable import BY_HAND
from m3sync_dagster.guard.failure_history import count_in_a_row
from m3sync_dagster.guard.schedules import Schedule, read_schedules
from m3sync_dagster.runs.daemon_heartbeat import Daemon, read_daemon
from m3sync_dagster.runs.dead_runs import report_dead_runs
from m3sync_dagster.runs.run_status import RunSummary, last_run
from m3sync_dagster.state import (
    EntitySyncs,
    GuardState,
    Login,
    SalesforceOrg,
    Undelivered,
    connect,
    count_rejects,
    postgres_url,
    read_entity_syncs,
    read_guard_states,
    read_logins,
    read_salesforce_orgs,
    restored_integrations,
    undelivered,
)


@dataclass(frozen=True, slots=True)
class IntegrationStatus:
    """The status of one integration, also of one whose file is invalid.

    Args:
        name: its name.
        path: its file.
        connection: what is known of its connections.
        schedule: its schedule, if somebody has ever started or stopped it.
        guard: what the guard knows of it.
        last_run: its newest run, whatever its status.
        failures: runs that have failed in a row.
        rejected: its rejected rows.
        syncs: the last complete sync of each entity.
        entities: the entities that it carries; empty if its file is invalid.
        orgs: the Salesforce org that each entity is written to, the latest change first.
        next_tick: the next tick of its schedule, whether or not that is started; the first one
            after ``disable --until``, if a person has disabled it so; ``None`` if its
            ticks start no run, because it has no Salesforce credential.
        undelivered: its messages that have not been delivered.
        restored: whether the state database was restored since its last run.
    """

    name: str
    path: Path
    connection: Connection
    schedule: Schedule | None
    guard: GuardState
    last_run: RunSummary | None
    failures: int
    rejected: int
    syncs: EntitySyncs
    entities: tuple[str, ...]
    orgs: Mapping[str, SalesforceOrg]
    next_tick: datetime | None
    undelivered: Sequence[Undelivered]
    restored: bool

    @property
    def enabled(self) -> bool:
        """Whether its schedule is started, and its file is valid."""
        return self._started and self.connection.word is not ConnectionWord.BROKEN

    @property
    def disabled_reason(self) -> str | None:
        """Why it does not run by itself; nobody may have started its schedule yet."""
        if self.connection.word is ConnectionWord.BROKEN:
            return self.connection.reason
        if self.guard.disabled:
            word = "disabled " if self.guard.disabled_until else ""
            return f"{word}{self.guard.disabled_period}: {self.guard.disabled_reason}"
        if self.connection.word is ConnectionWord.NOT_CONNECTED and not self.enabled:
            return ConnectionWord.NOT_CONNECTED
        if self.schedule is None:
            return "never started"
        return None if self.schedule.enabled else "stopped by a person"

    @property
    def last_success(self) -> datetime | None:
        """When the entity that was synced longest ago was synced; ``None`` if one never was."""
        wanted = self.entities or tuple(self.syncs)
        ends = [self.syncs[entity].ended_at for entity in wanted if entity in self.syncs]
        return min(ends) if ends and len(ends) == len(wanted) else None

    def is_stale(self, limit: timedelta, now: datetime) -> bool:
        """Whether it should run by itself, and has had no success for this long.

        One that the guard has disabled should run; one that a person has disabled should not
        before the time of ``--until``. The time counts from the start of the schedule, or from
        that of ``--until``, at the earliest.
        """
        by_guard = self.guard.disabled and self.guard.disabled_reason != BY_HAND
        until = self.guard.disabled_until
        if not (self._started or by_guard or (until and until <= now)):
            return False
        started = self.schedule.started if self.schedule else None
        known = [self.last_success, until, started and datetime.fromtimestamp(started, UTC)]
        return max((at for at in known if at), default=now - limit) <= now - limit

    def as_dict(self, daemon: Daemon) -> dict[str, object]:
        """The status as JSON has it."""
        row: dict[str, object] = {
            "name": self.name,
            "connected": self.connection.word is ConnectionWord.CONNECTED,
            "enabled": self.enabled,
            "disabled_reason": self.disabled_reason,
            "disabled_until": self.guard.disabled_until,
            "last_run": self.last_run,
            "failures_in_a_row": self.failures,
            "rejected": self.rejected,
            **_orgs_as_dict(self.orgs),
            "connection": self.connection.word,
            "connection_reason": self.connection.reason,
            "checked_at": self.connection.checked_at,
            "last_success": self.last_success,
            "next_run": self.next_run(daemon),
            "daemon_alive": daemon.alive,
            "daemon_seen": daemon.seen,
        }
        return row | dict(self._only_if_there())

    def next_run(self, daemon: Daemon) -> datetime | None:
        """When the next run starts by itself; ``None`` if none will."""
        broken = self.connection.word is ConnectionWord.BROKEN
        will_start = self.guard.disabled_until is not None and not broken
        return self.next_tick if (self.enabled or will_start) and daemon.alive else None

    @property
    def _started(self) -> bool:
        return bool(self.schedule and self.schedule.enabled and not self.guard.disabled)

    def _only_if_there(self) -> Iterator[tuple[str, object]]:
        if self.undelivered:
            yield "undelivered", [asdict(one) for one in self.undelivered]
        if self.restored:
            yield "state_restored", True
        if self.guard.guard_error:
            yield "guard_error", self.guard.guard_error


@dataclass(frozen=True, slots=True)
class ProjectStatus:
    """The status of all integrations.

    Args:
        integrations: each of them; those with an invalid file come last.
        daemon: whether Dagster's daemon is alive.
        undelivered: messages that were not delivered, also of integrations that are not loaded.
        restored: integrations whose state was restored from a backup.
    """

    integrations: list[IntegrationStatus]
    daemon: Daemon
    undelivered: list[Undelivered]
    restored: list[str]


@dataclass(frozen=True, slots=True)
class _Stored:
    """What is stored of all integrations, by name."""

    schedules: Mapping[str, Schedule]
    states: Mapping[str, GuardState]
    failures: Mapping[str, int]
    rejects: Mapping[str, int]
    syncs: Mapping[str, EntitySyncs]
    undelivered: list[Undelivered]
    orgs: Mapping[str, Mapping[str, SalesforceOrg]]
    restored: list[str]
    logins: Mapping[str, Login]


def read_status(instance: dg.DagsterInstance, project: Project) -> ProjectStatus:
    """Read the status of all integrations of a project, those with an invalid file included."""
    loaded = loaded_integrations(project)
    # The entities of an invalid file are not known, so those of any runs of it count.
    carried = {problem.name: tuple(ENTITIES) for problem in project.problems}
    carried |= {one.integration.name: tuple(one.integration.entities) for one in loaded}
    stored = _read(instance, carried)
    return ProjectStatus(
        [
            *(_of_loaded(instance, one, stored) for one in loaded),
            *(_of_broken(instance, problem, stored) for problem in project.problems),
        ],
        read_daemon(instance),
        stored.undelivered,
        stored.restored,
    )


def _read(instance: dg.DagsterInstance, carried: Mapping[str, Sequence[str]]) -> _Stored:
    with connect(postgres_url()) as connection:
        report_dead_runs(instance, connection, list(carried))
        recorded = read_guard_states(connection)
        states = {name: recorded.get(name, GuardState(name)) for name in carried}
        assets = {name: [asset_key(name, one) for one in carried[name]] for name in carried}
        return _Stored(
            schedules=read_schedules(instance, None),
            states=states,
            failures=count_in_a_row(instance, states, assets),
            rejects=count_rejects(connection),
            syncs=read_entity_syncs(connection),
            undelivered=undelivered(connection),
            orgs=read_salesforce_orgs(connection),
            restored=restored_integrations(connection),
            logins=read_logins(connection),
        )


def _of_loaded(
    instance: dg.DagsterInstance, loaded: LoadedIntegration, stored: _Stored
) -> IntegrationStatus:
    integration = loaded.integration
    return _status(
        instance,
        (integration.name, loaded.path),
        connection_of(loaded, stored.logins),
        stored,
        tuple(name for name in ENTITIES if name in integration.entities),
        integration.next_tick(_start(stored, integration)) if integration.connected else None,
    )


def _start(stored: _Stored, integration: Integration) -> datetime:
    """From when on the schedule may tick."""
    now = datetime.now(UTC)
    return max(now, stored.states[integration.name].disabled_until or now)


def _of_broken(
    instance: dg.DagsterInstance, problem: LoadError, stored: _Stored
) -> IntegrationStatus:
    broken = Connection(ConnectionWord.BROKEN, problem.message)
    return _status(instance, (problem.name, problem.path), broken, stored)


def _status(  # noqa: PLR0913, PLR0917 - what the two kinds of integrations differ in
    instance: dg.DagsterInstance,
    place: tuple[str, Path],
    connection: Connection,
    stored: _Stored,
    entities: tuple[str, ...] = (),
    next_tick: datetime | None = None,
) -> IntegrationStatus:
    name, path = place
    orgs = stored.orgs.get(name, {})
    return IntegrationStatus(
        name=name,
        path=path,
        connection=connection,
        schedule=stored.schedules.get(schedule_name(name)),
        guard=stored.states[name],
        last_run=last_run(instance, name),
        failures=stored.failures[name],
        rejected=stored.rejects.get(name, 0),
        syncs=stored.syncs.get(name, {}),
        entities=entities,
        orgs={entity: org for entity, org in orgs.items() if not entities or entity in entities},
        next_tick=next_tick,
        undelivered=[one for one in stored.undelivered if one.integration == name],
        restored=name in stored.restored,
    )


def _orgs_as_dict(orgs: Mapping[str, SalesforceOrg]) -> dict[str, object]:
    """The org that runs have written to; where entities are in several, which is where."""
    latest = next(iter(orgs.values()), None)
    told: dict[str, object] = {"salesforce_org": latest and latest.as_dict()}
    if len({org.id for org in orgs.values()}) > 1:
        told["salesforce_org_by_entity"] = {key: org.as_dict() for key, org in orgs.items()}
    return told
