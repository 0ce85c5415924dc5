"""Faults at the boundaries, each as a way in which the run of an hour goes."""

import os
import resource
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Protocol, TypeVar

import pytest
from hypothesis import strategies as st

from m3sync_dagster.m3ter import client as m3ter_client
from m3sync_dagster.salesforce import retrying_session
from m3sync_dagster_tests.chaos.boundary import (
    M3TER,
    PAGE,
    SALESFORCE,
    SESSION_ENDED,
    Plan,
    Strike,
    answer,
    cut,
    do,
    hang,
    slow,
    truncate,
)
from m3sync_dagster_tests.chaos.disturbed_world import (
    BEFORE_THE_HOUR,
    DURING_THE_TICK,
    Daemon,
    DisturbedScenario,
)
from m3sync_dagster_tests.model.interruptions import die
from m3sync_dagster_tests.model.reference import ENTITIES
from m3sync_dagster_tests.model.ways import (
    CODES,
    BudgetUsedUp,
    JobStopped,
    Refused,
    SessionEnded,
    Way,
)

T = TypeVar("T")


class Fault(Protocol):
    """How the run of an hour goes."""

    def run(self, scenario: DisturbedScenario, *, full: bool = False) -> None:
        """Make a run that goes so."""


def _error(status: int, *, acted: bool = False) -> Strike:
    code = {401: SESSION_ENDED["errorCode"], 429: "TOO_MANY_REQUESTS"}.get(status, "SERVER_ERROR")
    return answer(status, [{"message": f"Status {status}", "errorCode": code}], acted=acted)


NO_ANSWER = "no answer"
ANSWERS: dict[str, Strike] = {
    "cut before the server acted": cut(acted=False),
    "cut after the server acted": cut(acted=True),
    "truncated": truncate,
    "slow": slow,
    NO_ANSWER: hang,
    "HTML": answer(200, PAGE, acted=False),
    "HTML after the server acted": answer(200, PAGE, acted=True),
    "401": _error(401),
    "429": _error(429),
    "500": _error(500),
    "500 after the server acted": _error(500, acted=True),
    "503": _error(503),
    "503 after the server acted": _error(503, acted=True),
}
"""What can happen to a request, by the name that the summary gives it."""
NOT_REPEATED = frozenset({NO_ANSWER, "HTML", "HTML after the server acted"})
"""After these a run may end, even if it happens once."""


@dataclass(frozen=True)
class Answered:
    """A request, and maybe those after it, have an answer of ``ANSWERS``."""

    system: str
    at: int
    times: int
    how: str

    @property
    def survived(self) -> bool:
        """Whether a run must succeed all the same, because it repeats the request.

        The first request is the login, which is not repeated after a 401.
        """
        is_refused_login = self.how == "401" and self.at == 1
        return self.times == 1 and self.how not in NOT_REPEATED and not is_refused_login

    def run(self, scenario: DisturbedScenario, *, full: bool = False) -> None:
        name = f"{self.system}: {self.how}"
        scenario.boundary.add(Plan(self.system, self.at, self.times, name, ANSWERS[self.how]))
        with _impatient() if self.how == NO_ANSWER else nullcontext():
            scenario.run(full=full)


@contextmanager
def _impatient() -> Iterator[None]:
    """Let the clients of this process wait a second for an answer, and not minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrying_session, "TIMEOUT", (10, 1))
        patch.setattr(m3ter_client, "_TIMEOUT", 1.0)
        yield


@dataclass(frozen=True)
class AtStep:
    """One of ``STEP_ACTS`` at a step of the run: a request to Salesforce, or a statement."""

    step: int
    how: str

    def run(self, scenario: DisturbedScenario, *, full: bool = False) -> None:
        def act() -> None:
            scenario.boundary.struck[self.how] += 1
            STEP_ACTS[self.how](scenario)

        steps = scenario.world.steps
        scenario.run(full=full, interrupted=steps.interrupted(self.step, act, after=False))


KILLED = "run killed at a step"
STEP_ACTS: dict[str, Callable[[DisturbedScenario], None]] = {
    KILLED: lambda _: die(),
    "connections to PostgreSQL cut": lambda scenario: scenario.world.drop_connections(),
    "PostgreSQL restarted (fast)": lambda scenario: scenario.database.restart("fast"),
    "PostgreSQL restarted (immediate)": lambda scenario: scenario.database.restart("immediate"),
    "PostgreSQL's disk full": lambda scenario: scenario.database.fill(),
    "ingest jobs aborted": lambda scenario: scenario.org.abort_jobs(),
}
"""What can happen at a step, by the name that the summary gives it."""


@dataclass(frozen=True)
class InSalesforce:
    """A fault of the sandbox, as the model has it: rows, jobs, the session or the daily limit."""

    way: Way

    def run(self, scenario: DisturbedScenario, *, full: bool = False) -> None:
        scenario.boundary.struck[IN_SALESFORCE[type(self.way)]] += 1
        self.way.run(scenario, full=full)


IN_SALESFORCE: dict[type, str] = {
    Refused: "Salesforce: row refused (planned)",
    JobStopped: "Salesforce: next ingest job fails halfway or hangs (planned)",
    SessionEnded: "Salesforce: session ended (planned)",
    BudgetUsedUp: "Salesforce: daily limit reached (planned)",
}
"""Faults that the sandbox applies, by the name that the summary gives them."""


@dataclass(frozen=True)
class ClockJumps:
    """The clock jumps forward or back by hours before the run."""

    hours: int

    def run(self, scenario: DisturbedScenario, *, full: bool = False) -> None:
        scenario.boundary.struck["clock jumped"] += 1
        scenario.database.pass_hours(self.hours)
        if scenario.database.daemon:
            scenario.database.daemon.jump(self.hours)
        scenario.run(full=full)


@dataclass(frozen=True)
class DaemonKilled:
    """The daemon is killed at a moment, ``BEFORE_THE_HOUR`` or ``DURING_THE_TICK``."""

    moment: str

    def run(self, scenario: DisturbedScenario, *, full: bool = False) -> None:
        scenario.boundary.struck[f"daemon killed {self.moment}"] += 1
        _daemon(scenario).kill_at(self.moment)
        scenario.run(full=full)


def _daemon(scenario: DisturbedScenario) -> Daemon:
    assert scenario.database.daemon
    return scenario.database.daemon


@dataclass(frozen=True)
class ProcessStruck:
    """Something happens to the run's process, or to PostgreSQL, at a request of the process."""

    system: str
    at: int
    acted: bool
    how: str

    def run(self, scenario: DisturbedScenario, *, full: bool = False) -> None:
        strike = do((ACTS | DAEMON_ACTS)[self.how](scenario), acted=self.acted)
        scenario.boundary.add(Plan(self.system, self.at, 1, self.how, strike))
        scenario.run(full=full)


def _signal(number: signal.Signals) -> Callable[[DisturbedScenario], Callable[[int], None]]:
    return lambda _: lambda process: os.kill(_other(process), number)


ACTS: dict[str, Callable[[DisturbedScenario], Callable[[int], None]]] = {
    "SIGKILL": _signal(signal.SIGKILL),
    "SIGTERM": _signal(signal.SIGTERM),
    "disk full": lambda _: lambda process: _fill_disk(_other(process)),
    "PostgreSQL restarted (fast)": lambda scenario: lambda _: scenario.database.restart("fast"),
    "PostgreSQL restarted (immediate)": lambda scenario: (
        lambda _: scenario.database.restart("immediate")
    ),
    "PostgreSQL killed": lambda scenario: lambda _: scenario.database.restart("SIGKILL"),
}
"""What can happen to a process, by the name that the summary gives it."""
DAEMON_ACTS: dict[str, Callable[[DisturbedScenario], Callable[[int], None]]] = {
    "daemon killed during the run": lambda scenario: lambda _: _daemon(scenario).kill(),
    "daemon and run killed": lambda scenario: lambda run: _kill_both(run, _daemon(scenario)),
}
"""What can happen to the daemon while a run is under way."""


def _kill_both(run: int, daemon: Daemon) -> None:
    os.kill(_other(run), signal.SIGKILL)
    daemon.kill()


def _fill_disk(process: int) -> None:
    """Let a process write no byte to a file any more."""
    resource.prlimit(process, resource.RLIMIT_FSIZE, (0, 0))


def _other(process: int) -> int:
    """The id of a run's process, which is not the one of the test."""
    assert process not in {0, os.getpid()}
    return process


def weighted(possible: Mapping[st.SearchStrategy[T], int]) -> st.SearchStrategy[T]:
    """One of several, some more often than others."""
    often = [one for one, times in possible.items() for _ in range(times)]
    return st.integers(0, len(often) - 1).flatmap(lambda number: often[number])


SYSTEMS = st.sampled_from([SALESFORCE, M3TER])
REQUESTS = st.integers(1, 7)
"""The requests of a run with a few records."""
STEPS = st.integers(1, 40)
"""Steps of a run: requests to Salesforce, and statements on our state."""
ANSWERED: st.SearchStrategy[Fault] = st.builds(
    Answered,
    SYSTEMS,
    REQUESTS,
    st.sampled_from([1, 2, 12]),
    st.sampled_from(sorted({*ANSWERS} - {NO_ANSWER})),
)
_STRUCK: st.SearchStrategy[Fault] = st.builds(
    ProcessStruck,
    SYSTEMS,
    st.integers(1, 5),
    st.booleans(),
    st.sampled_from([*sorted(ACTS), "SIGKILL", "SIGKILL"]),
)
_WAYS: st.SearchStrategy[Way] = weighted(
    {
        st.builds(JobStopped, st.sampled_from(["fail_after", "hang_after"]), st.integers(0, 3)): 3,
        st.builds(
            Refused,
            st.sampled_from(ENTITIES),
            st.integers(1, 3),
            st.sampled_from(CODES),
            st.sampled_from([1, 5, None]),
        ): 2,
        st.just(SessionEnded()): 1,
        st.just(BudgetUsedUp()): 1,
    }
)
_SIGKILL: st.SearchStrategy[Fault] = st.builds(
    ProcessStruck, st.just(SALESFORCE), st.integers(1, 5), st.booleans(), st.just("SIGKILL")
)


@dataclass(frozen=True)
class Faults:
    """The faults of a kind of run.

    Args:
        all: each of them.
        unrecorded: after these the run ends, maybe before it records what Salesforce has done.
    """

    all: st.SearchStrategy[Fault]
    unrecorded: st.SearchStrategy[Fault]


IN_THIS_PROCESS = Faults(
    weighted(
        {
            ANSWERED: 6,
            st.builds(Answered, SYSTEMS, REQUESTS, st.just(1), st.just(NO_ANSWER)): 1,
            st.builds(AtStep, STEPS, st.sampled_from(sorted(STEP_ACTS))): 5,
            st.builds(InSalesforce, _WAYS): 4,
            st.builds(ClockJumps, st.integers(-48, 72)): 1,
        }
    ),
    weighted(
        {
            st.builds(AtStep, st.integers(15, 40), st.just(KILLED)): 1,
            st.builds(
                Answered,
                st.just(SALESFORCE),
                st.sampled_from([3, 3, 4, 5]),  # The first rows are mostly the third request.
                st.just(12),
                st.just("cut after the server acted"),
            ): 2,
        }
    ),
)
"""The faults of a run in the process of the test."""
IN_OWN_PROCESS = Faults(weighted({_STRUCK: 3, ANSWERED: 1}), _SIGKILL)
"""The faults of a run in a process of its own."""
_DAEMON_KILLED: st.SearchStrategy[Fault] = st.builds(
    DaemonKilled, st.sampled_from([BEFORE_THE_HOUR, DURING_THE_TICK])
) | st.builds(
    ProcessStruck,
    st.just(SALESFORCE),
    st.integers(1, 3),
    st.booleans(),
    st.sampled_from(sorted(DAEMON_ACTS)),
)
BY_THE_DAEMON = Faults(
    weighted(
        {
            _DAEMON_KILLED: 3,
            _STRUCK: 3,
            ANSWERED: 1,
            st.builds(ClockJumps, st.integers(1, 30)): 1,
        }
    ),
    _SIGKILL,
)
"""The faults of a run that a daemon starts."""
