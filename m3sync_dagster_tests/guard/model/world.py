"""The product and the reference side by side: whatever happens, happens to both."""

import os
import signal
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from multiprocessing.context import ForkServerContext
from pathlib import Path

import dagster as dg
import psycopg
from dagster._core.scheduler.instigation import InstigatorStatus, ScheduleInstigatorData
from dagster._core.test_utils import freeze_time

from m3sync_dagster.guard.enable_disable import Switch
from m3sync_dagster.guard.failure_history import count_in_a_row
from m3sync_dagster.guard.schedules import read_schedules, start, stop
from m3sync_dagster.runs.run_status import INTEGRATION_TAG, TICK_TAG
from m3sync_dagster.state import GuardState, connect, postgres_url, read_guard_states
from m3sync_dagster_tests.conftest import PATIENCE, Sandbox
from m3sync_dagster_tests.guard.fixtures import LOCATION, PostOffice
from m3sync_dagster_tests.guard.killed_sensor_daemon import INSTANTS
from m3sync_dagster_tests.guard.killed_ticks import (
    ENTITIES,
    Users,
    evaluate,
    guarded,
    start_tick,
)
from m3sync_dagster_tests.guard.model.recorded_runs import RunRecorder, Stored, tags_of
from m3sync_dagster_tests.guard.model.reference import WEEK, Reference
from m3sync_dagster_tests.guard.model.runs import End, Kind, Launcher, Outcome, Run

BEGIN = datetime(2026, 11, 2, tzinfo=UTC).timestamp()
STEP = 61.0
"""Seconds between two things that happen."""
CRON = "3 * * * *"
NAMES = ("acme", "globex")
NOT_RECORDED, NOT_STOPPED, NOT_DELIVERED, NOT_SENT, _, NOT_CONFIRMED, ONE_SENT = INSTANTS
ANSWER_LOST = "the mail server has taken the mail, and its answer is lost"
KILLED_AT = (
    NOT_RECORDED, NOT_STOPPED, NOT_DELIVERED, NOT_SENT, ANSWER_LOST, NOT_CONFIRMED, ONE_SENT,
)  # fmt: skip
_TABLES = (
    "run_tags", "runs", "event_logs", "asset_keys", "instigators", "jobs",
    "m3sync.notice", "m3sync.integration_state", "m3sync.integration_event",
)  # fmt: skip


@dataclass
class World:
    """An instance of Dagster with two integrations, and the reference of each.

    Args:
        instance: Dagster's.
        connection: to our tables.
        home: the folder with ``dagster.yaml``.
        sandbox: an m3ter with the users who are notified.
        office: the mail server.
        context: starts processes.
    """

    instance: dg.DagsterInstance
    connection: psycopg.Connection
    home: Path
    sandbox: Sandbox
    office: PostOffice
    context: ForkServerContext
    now: float = BEGIN
    ticks_of_schedule: int = 0
    open: list[Stored] = field(default_factory=list)
    failed: list[Stored] = field(default_factory=list)
    references: dict[str, Reference] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ids = self.sandbox.organization.ids("users")
        self.users: Users = dict(zip(NAMES, ids, strict=False))
        self.addresses = {
            name: str(self.sandbox.organization.get("users", user)["email"])
            for name, user in self.users.items()
        }

    def reset(self) -> None:
        """Begin with two integrations that nobody has started."""
        for table in _TABLES:
            self.connection.execute(f"DELETE FROM {table}")  # noqa: S608 - a constant
        # Neither is ever late: messages about that are no matter of this model.
        self.connection.execute(
            "INSERT INTO m3sync.entity_sync (integration, entity, run_id, ended_at) "
            "SELECT name, entity, '', '2100-01-01' "
            "FROM unnest(%s::text[]) AS name, unnest(%s::text[]) AS entity ON CONFLICT DO NOTHING",
            (list(NAMES), list(ENTITIES)),
        )
        self.office.mails.clear()
        self.office.refuse.clear()
        self.now, self.ticks_of_schedule = BEGIN, 0
        self.open, self.failed = [], []
        self.references = {name: Reference(frozenset(ENTITIES)) for name in NAMES}

    @contextmanager
    def later(self, seconds: float = STEP) -> Iterator[None]:
        """The time of Dagster in the block, some time after what happened before."""
        self.now += seconds
        with freeze_time(self.now):
            yield

    # Runs

    def begin(
        self,
        selected: Mapping[str, Iterable[str]],
        kind: Kind,
        launcher: Launcher,
        again: Stored | None = None,
        *,
        same_tick: bool = False,
    ) -> Stored:
        """Create a run of these entities of these integrations."""
        tags = dict(tags_of(kind))
        if kind in {Kind.HOUR, Kind.CATCH_UP} and not again:
            self.ticks_of_schedule += not same_tick
            tags[TICK_TAG] = f"tick {self.ticks_of_schedule}"
        if launcher is not Launcher.UI:
            tags[INTEGRATION_TAG] = next(iter(selected))
        with self.later():
            run = RunRecorder(self.instance).create(selected, tags, again)
        attempts = {name: again.runs[name].attempt for name in again.runs} if again else {}
        stored = Stored(
            run.run_id,
            launcher,
            {
                name: Run(
                    kind,
                    frozenset(entities),
                    attempts.get(name) or f"{name} {tags.get(TICK_TAG, run.run_id)}",
                    self.now,
                )
                for name, entities in selected.items()
            },
        )
        self.open.append(stored)
        return stored

    def end(self, stored: Stored, outcome: Outcome) -> None:
        """End a run."""
        self.open.remove(stored)
        with self.later():
            RunRecorder(self.instance).end(stored, outcome)
        for name, run in stored.runs.items():
            run.ended, run.outcome = self.now, outcome
            self.references[name].runs.append(run)
        if outcome.end not in {End.SUCCESS, End.CANCELED}:
            self.failed.append(stored)

    # Enabling and disabling

    def start(self, name: str) -> None:
        """A person starts the schedule in the UI, or starts it again."""
        with self.later():
            start(self.instance, LOCATION, f"{name}_hourly", CRON)
        reference = self.references[name]
        reference.running, reference.started = True, self.now

    def stop(self, name: str) -> None:
        """A person stops the schedule in the UI."""
        with self.later():
            if schedule := read_schedules(self.instance, "m3sync").get(f"{name}_hourly"):
                stop(self.instance, schedule)
        self.references[name].running = False

    def enable(self, name: str) -> None:
        """A person runs ``m3sync enable``."""
        with self.later():
            self._switch(name).enable()
        reference = self.references[name]
        reference.running, reference.started = True, self.now
        reference.clear()

    def disable(self, name: str) -> None:
        """A person runs ``m3sync disable``."""
        with self.later():
            self._switch(name).disable()
        reference = self.references[name]
        if reference.running:
            reference.cleared = reference.started
        reference.running, reference.disabled = False, True

    def undo_stop(self, name: str) -> None:
        """Dagster's scheduler writes back the schedule that it read before the guard's stop."""
        reference = self.references[name]
        schedule = read_schedules(self.instance, "m3sync").get(f"{name}_hourly")
        if schedule is None or not reference.disabled or not reference.cleared or schedule.running:
            return
        before = schedule.state.with_status(InstigatorStatus.RUNNING).with_data(
            ScheduleInstigatorData(CRON, reference.cleared)
        )
        with self.later():
            self.instance.update_instigator_state(before)
        reference.running, reference.started = True, reference.cleared

    def _switch(self, name: str) -> Switch:
        return Switch(self.instance, self.connection, LOCATION, name, f"{name}_hourly", CRON)

    # Mail

    def refuse_mail(self) -> None:
        """Let the mail server refuse every mail."""
        self.office.refuse[:] = ["451 later"] * 1_000

    def accept_mail(self) -> None:
        """Let the mail server accept mails again."""
        self.office.refuse.clear()

    # Ticks

    def tick(self) -> None:
        """A tick of the guard; then both agree."""
        with self.later():
            evaluate(self.instance, self.users)
        self._decide()
        self._deliver()
        self.compare()

    def tick_of_new_process(self) -> None:
        """A tick of a daemon that was started again."""
        with self.later():
            process = start_tick(self.context, self.home, self.users, None, self.now)
            process.join(PATIENCE)
        assert process.exitcode == 0
        self._decide()
        self._deliver()
        self.compare()

    def killed_tick(self, instant: str) -> None:
        """A tick whose process is killed at an instant, if it comes to it."""
        if self.office.refuse:
            return  # whether a killed process had a refusal is not known
        before = len(self.office.mails)
        if not self._killed(instant):
            self._decide()
            self._deliver()
            self.compare()
        elif instant == NOT_STOPPED:
            self._decide(until_stopped=True)
        elif instant != NOT_RECORDED:
            self._decide()
            sent = instant in {ANSWER_LOST, NOT_CONFIRMED, ONE_SENT}
            assert len(self.office.mails) == before + sent
            for mail in self.office.mails[before:]:
                (name,) = (one for one in NAMES if self.addresses[one] in str(mail["To"]))
                self.references[name].deliver()

    def _killed(self, instant: str) -> bool:
        with self.later():
            chosen = None if instant == ANSWER_LOST else instant
            process = start_tick(self.context, self.home, self.users, chosen, self.now)
            if instant == ANSWER_LOST:
                self.office.before_answer = lambda: self._kill_once_handed_over(process.pid)
            process.join(PATIENCE)
            self.office.before_answer = lambda: None
        assert process.exitcode in {0, -signal.SIGKILL}
        return process.exitcode != 0

    @staticmethod
    def _kill_once_handed_over(pid: int | None) -> None:
        """Kill the sender that waits for the answer, once it has noted that the mail has left."""
        assert pid
        deadline = time.monotonic() + PATIENCE
        query = (
            "SELECT 1 FROM m3sync.notice WHERE handed_over_at IS NOT NULL AND confirmed_at IS NULL"
        )
        with connect(postgres_url()) as connection:
            while connection.execute(query).fetchone() is None:
                assert time.monotonic() < deadline
        os.kill(pid, signal.SIGKILL)

    def _decide(self, *, until_stopped: bool = False) -> None:
        """Let the references decide; a killed process comes no further than to the first stop."""
        for reference in self.references.values():
            if reference.tick(self._known_from()) and until_stopped:
                return

    def _known_from(self) -> float:
        """A week before the newest failure, whichever integration failed."""
        failures = [
            run.ended
            for reference in self.references.values()
            for run in reference.runs
            if run.outcome
            and run.outcome.end not in {End.SUCCESS, End.CANCELED}
            and run.kind is not Kind.BACKFILL
        ]
        return max(failures) - WEEK if failures else 0.0

    def _deliver(self) -> None:
        if not self.office.refuse:
            for reference in self.references.values():
                reference.deliver()

    def compare(self) -> None:
        """The product's counts, states and messages are those of the reference."""
        with connect(postgres_url()) as connection:
            known = read_guard_states(connection)
        states = {name: known.get(name, GuardState(name)) for name in NAMES}
        schedules = read_schedules(self.instance, "m3sync")
        assets = {name: one.assets for name, one in guarded(self.users).items()}
        counts = count_in_a_row(self.instance, states, assets)
        for name, reference in self.references.items():
            schedule = schedules.get(f"{name}_hourly")
            found = {
                "count": counts[name],
                "disabled": states[name].disabled,
                "running": schedule is not None and schedule.running,
                "messages": self.office.subjects(self.addresses[name]),
            }
            expected = {
                "count": len(reference.streak()),
                "disabled": reference.disabled,
                "running": reference.running,
                "messages": [f"m3sync: {name} {message}" for message in reference.messages],
            }
            assert found == expected, f"{name}: {found}, but expected {expected}"
