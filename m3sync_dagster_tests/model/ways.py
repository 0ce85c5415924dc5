"""How a run can go."""

from dataclasses import dataclass
from typing import Protocol

from hypothesis import strategies as st

from m3sync_dagster_tests.model.reference import ENTITIES
from m3sync_dagster_tests.model.scenario import Scenario

PATHS = (
    "/composite/",
    "/jobs/ingest$",
    "/batches$",
    "/jobs/ingest/750[^/]+$",
    "/successfulResults",
    "/failedResults",
    "/describe$",
    "/oauth2/token",
)
CODES = (
    "FIELD_CUSTOM_VALIDATION_EXCEPTION",
    "DUPLICATE_VALUE",
    "UNABLE_TO_LOCK_ROW",
    "STORAGE_LIMIT_EXCEEDED",
    "REQUEST_LIMIT_EXCEEDED",
)
ONCE_OR_LONG = st.sampled_from([1, 2, 12])
"""How often a request fails: a run repeats one a few times, and then gives up."""


class Way(Protocol):
    """How a run goes."""

    def run(self, scenario: Scenario, *, full: bool = False) -> None:
        """Make a run that goes so."""


@dataclass(frozen=True)
class Undisturbed:
    """Nothing happens, but what is in force already."""

    def run(self, scenario: Scenario, *, full: bool = False) -> None:
        scenario.run(full=full)


@dataclass(frozen=True)
class Killed:
    """The process dies at a step, before or after it is done."""

    step: int
    after: bool

    def run(self, scenario: Scenario, *, full: bool = False) -> None:
        scenario.killed_run(self.step, after=self.after, full=full)


@dataclass(frozen=True)
class CutOff:
    """The connections to PostgreSQL break at a step."""

    step: int

    def run(self, scenario: Scenario, *, full: bool = False) -> None:
        scenario.cut_run(self.step, full=full)


@dataclass(frozen=True)
class AnswerLost:
    """Requests to Salesforce break off before or after they are carried out."""

    path: str
    when: str
    times: int
    skip: int

    def run(self, scenario: Scenario, *, full: bool = False) -> None:
        scenario.lose_answer(self.path, when=self.when, times=self.times, skip=self.skip)
        scenario.run(full=full)


@dataclass(frozen=True)
class Failing:
    """Salesforce answers requests with a status."""

    path: str
    status: int
    times: int

    def run(self, scenario: Scenario, *, full: bool = False) -> None:
        scenario.fault(path=self.path, status=self.status, times=self.times)
        scenario.run(full=full)


@dataclass(frozen=True)
class SessionEnded:
    """Salesforce ends the session."""

    def run(self, scenario: Scenario, *, full: bool = False) -> None:
        scenario.fault(path="/composite/|/jobs/", revoke=True)
        scenario.run(full=full)


@dataclass(frozen=True)
class Refused:
    """Salesforce refuses a record so many times; ``None``: until all is calm."""

    entity: str
    number: int
    code: str
    times: int | None

    def run(self, scenario: Scenario, *, full: bool = False) -> None:
        scenario.refuse(self.entity, self.number, self.code, self.times)
        scenario.run(full=full)


@dataclass(frozen=True)
class JobStopped:
    """An ingest job fails or hangs after so many rows."""

    how: str
    rows: int

    def run(self, scenario: Scenario, *, full: bool = False) -> None:
        scenario.fault(job={self.how: self.rows})
        scenario.run(full=full)


@dataclass(frozen=True)
class BudgetUsedUp:
    """The org has no API call left for today."""

    def run(self, scenario: Scenario, *, full: bool = False) -> None:
        usage = scenario.org.org.usage
        usage.used = usage.max
        scenario.run(full=full)


@dataclass(frozen=True)
class M3terFailing:
    """m3ter fails to answer."""

    how: str
    times: int

    def run(self, scenario: Scenario, *, full: bool = False) -> None:
        scenario.m3ter_fault(self.how, self.times)
        scenario.run(full=full)


_STEPS = st.integers(1, 80)
WAYS: st.SearchStrategy[Way] = st.one_of(
    st.just(Undisturbed()),
    st.builds(Killed, _STEPS, st.booleans()),
    st.builds(CutOff, _STEPS),
    st.builds(
        AnswerLost,
        st.sampled_from(PATHS),
        st.sampled_from(["before", "after"]),
        ONCE_OR_LONG,
        st.integers(0, 3),
    ),
    st.builds(Failing, st.sampled_from(PATHS), st.sampled_from([500, 503]), ONCE_OR_LONG),
    st.just(SessionEnded()),
    st.builds(
        Refused,
        st.sampled_from(ENTITIES),
        st.integers(1, 3),
        st.sampled_from(CODES),
        st.sampled_from([1, 5, None]),
    ),
    st.builds(JobStopped, st.sampled_from(["fail_after", "hang_after"]), st.integers(0, 3)),
    st.just(BudgetUsedUp()),
    st.builds(M3terFailing, st.sampled_from(["drop", "503"]), ONCE_OR_LONG),
)
