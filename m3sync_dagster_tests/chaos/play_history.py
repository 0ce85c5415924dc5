"""Plays histories, and compares Salesforce with m3ter after each quiet hour."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from m3sync_dagster.m3ter import source
from m3sync_dagster_tests.chaos.disturbed_world import DisturbedScenario, DisturbedWorld
from m3sync_dagster_tests.chaos.faults import Answered
from m3sync_dagster_tests.chaos.history import History, Hour
from m3sync_dagster_tests.model.machine import load
from m3sync_dagster_tests.model.reference import ENTITIES
from m3sync_dagster_tests.model.runs import Run

RunOnce = Callable[..., Run]


@dataclass
class Summary:
    """What was played.

    Args:
        hours: the hours, quiet ones included.
        quiet: the quiet hours, after each of which Salesforce was compared with m3ter.
        changes: what was changed, by kind.
        ends: how the runs have ended.
        compared: the records that were compared.
        listed: those that differ and are listed by m3sync, by the class of the reject.
    """

    hours: int = 0
    quiet: int = 0
    changes: Counter[str] = field(default_factory=Counter)
    ends: Counter[str] = field(default_factory=Counter)
    compared: int = 0
    listed: Counter[str] = field(default_factory=Counter)

    def lines(self, faults: Counter[str]) -> list[str]:
        """What to print."""
        return [
            f"{self.hours} hours, {self.quiet} of them quiet",
            f"changes drawn: {_counts(self.changes)}",
            f"runs: {_counts(self.ends)}",
            f"faults: {faults.total()}, each with its count",
            *(f"  {count:5} {name}" for name, count in sorted(faults.items())),
            f"records compared after quiet hours: {self.compared}",
            f"of these listed as rejected, invalid or waiting: {_counts(self.listed)}",
            "other differences: 0",
        ]


def _counts(counter: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counter.items())) or "0"


@dataclass
class Player:
    """Plays histories in a world.

    Args:
        disturbed: the world.
        run_once: how a run is made.
        settles: after the last quiet hour there are quiet runs until nothing changes any more, and
            then every reject must have a cause in m3ter's records.
        summary: what was played so far.
    """

    disturbed: DisturbedWorld
    run_once: RunOnce
    settles: bool = False
    summary: Summary = field(default_factory=Summary)
    _latest: Run = field(default_factory=Run)
    _calm: bool = True

    def play(self, history: History) -> None:
        """Play a history from the beginning.

        Raises:
            AssertionError: Salesforce differs from m3ter, and m3sync does not list it.
        """
        scenario = self.begin(history)
        for hour in history.hours:
            self._disturbed_hour(scenario, hour)
            if hour.quiet_next:
                self.quiet_hour(scenario)
        self.quiet_hour(scenario)
        if self.settles:
            scenario.quiet()

    def begin(self, history: History) -> DisturbedScenario:
        """The beginning of a history, with a few records on both sides."""
        disturbed = self.disturbed
        disturbed.boundary.calm()
        disturbed.database.free()
        disturbed.world.reset()
        disturbed.world.send_by_jobs(history.jobs_above)
        disturbed.world.patch.setattr(source, "PAGE_SIZE", history.page)
        scenario = DisturbedScenario(
            disturbed.world,
            self._counted_run,
            boundary=disturbed.boundary,
            database=disturbed.database,
        )
        load(scenario)
        self._calm = True
        return scenario

    def _counted_run(self, *, full: bool = False, only: str | None = None) -> Run:
        run = self.run_once(full=full, only=only)
        self._latest = run
        self.summary.ends["killed" if run.killed else "failed" if run.errors else "complete"] += 1
        return run

    def _disturbed_hour(self, scenario: DisturbedScenario, hour: Hour) -> None:
        for change in hour.changes:
            change.apply(scenario)
            self.summary.changes[change.how] += 1
        hour.fault.run(scenario, full=hour.full)
        if self._calm and isinstance(hour.fault, Answered) and hour.fault.survived:
            assert self._latest.complete, f"{hour.fault} fails a run: {self._latest.errors}"
        self._calm = False
        if hour.taken_back:
            hour.take_back(scenario)
        self._end_hour(scenario)

    def _end_hour(self, scenario: DisturbedScenario) -> None:
        scenario.boundary.calm()
        scenario.database.free()
        scenario.database.pass_hours(1)
        self.summary.hours += 1

    def quiet_hour(self, scenario: DisturbedScenario) -> None:
        """An hour in which nothing changes or fails, and the comparison after it."""
        scenario.calm()
        self._calm = True
        run = scenario.run()
        assert run.complete, f"the run of a quiet hour fails: {run.errors}"
        scenario.check()
        check_waiting(scenario)
        if daemon := scenario.database.daemon:
            daemon.check_hours()
        self._note(scenario)
        self._end_hour(scenario)

    def _note(self, scenario: DisturbedScenario) -> None:
        listed = scenario.world.rejects()
        self.summary.listed.update(listed.values())
        self.summary.compared += sum(len(scenario.listed(entity)) for entity in ENTITIES)
        self.summary.quiet += 1


def check_waiting(scenario: DisturbedScenario) -> None:
    """See that no record is listed as waiting for parents that are all in Salesforce."""
    accounts = scenario.listed("account")
    for (entity, record_id), error_class in scenario.world.rejects().items():
        row = scenario.expected(entity, record_id)
        if error_class != "dependency" or row is None or _is_in_cycle(accounts, record_id):
            continue
        missing = list(scenario.missing_parents(entity, row))
        assert missing, f"{entity} {record_id} waits, and its parents are in Salesforce"


def _is_in_cycle(accounts: Mapping[str, Mapping[str, Any]], account_id: str) -> bool:
    """Whether the parents of an account have no first one: then none can be sent before another."""
    passed: set[str | None] = set()
    parent: str | None = account_id
    while parent in accounts and parent not in passed:
        passed.add(parent)
        parent = accounts[str(parent)].get("parentAccountId")
    return parent in passed
