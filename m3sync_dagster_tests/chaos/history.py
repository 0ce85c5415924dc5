"""A history: hours of a moving organization, and what goes wrong in each."""

from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from m3sync_dagster.m3ter.source import PAGE_SIZE
from m3sync_dagster_tests.chaos.disturbed_world import DisturbedScenario
from m3sync_dagster_tests.chaos.faults import Fault, Faults, weighted
from m3sync_dagster_tests.model.machine import ACCOUNTS, FIELDS, SETTINGS, put
from m3sync_dagster_tests.model.reference import ENTITIES
from m3sync_dagster_tests.model.scenario import name_of

Given = dict[str, Any]
"""Fields of a record, or settings of an integration."""
_PLACE, _KEY = {"org", "m3ter"}, {"second_key"}
"""The settings that choose the orgs, and the one that chooses the external ID field."""


@dataclass(frozen=True)
class Record:
    """A record of m3ter is changed.

    Args:
        how: ``put`` creates or replaces it, ``move`` changes some of its fields, ``revert``
            restores its earlier content, also after ``delete``.
        entity: its type.
        number: which one of this type.
        fields: what it gets.
    """

    how: str
    entity: str
    number: int
    fields: Given

    def apply(self, scenario: DisturbedScenario) -> None:
        listed = name_of(self.entity, self.number) in scenario.listed(self.entity)
        match self.how:
            case "put":
                put(scenario, self.entity, self.number, self.fields)
            case "move" if listed:
                latest = scenario.versions(self.entity, self.number)[-1]
                put(scenario, self.entity, self.number, latest | self.fields)
            case "revert":
                scenario.revert(self.entity, self.number)
            case "delete":
                scenario.drop(self.entity, self.number)


@dataclass(frozen=True)
class Configure:
    """The mapping or scope changes, or the credentials open another org.

    Args:
        settings: what changes; empty: the change before is undone.
    """

    settings: Given

    @property
    def how(self) -> str:
        """What changes, for the summary."""
        return "org" if self.settings.keys() & _PLACE else "mapping or scope"

    def apply(self, scenario: DisturbedScenario) -> None:
        if self.settings:
            scenario.configure(**self.settings)
        else:
            scenario.configure_back()


Change = Record | Configure


@dataclass(frozen=True)
class Hour:
    """An hour.

    Args:
        changes: what is changed before its run.
        fault: how its run goes.
        taken_back: after the run the changed records get their earlier content back.
        quiet_next: the next hour is quiet, and then Salesforce is compared with m3ter.
        full: the run sends every row.
    """

    changes: list[Change]
    fault: Fault
    taken_back: bool
    quiet_next: bool
    full: bool

    def take_back(self, scenario: DisturbedScenario) -> None:
        """Give the changed records their earlier content back."""
        for entity, number in {
            (one.entity, one.number): None for one in self.changes if isinstance(one, Record)
        }:
            scenario.revert(entity, number)


@dataclass(frozen=True)
class History:
    """Hours, one after the other.

    Args:
        jobs_above: ingest jobs send what is more than so many rows.
        hours: the disturbed hours.
        page: m3ter lists so many records on a page.
    """

    jobs_above: int
    hours: list[Hour]
    page: int = PAGE_SIZE


NUMBERS = st.integers(1, 6)
"""Records of each type."""
LOADED = {
    "account": st.integers(1, 2),
    "contract": st.just(1),
    "commitment": st.just(1),
    "balance": st.just(1),
}
"""Those that every history begins with, see ``machine.load``."""
_ENTITY = st.sampled_from(ENTITIES)
_ACCOUNT = ACCOUNTS.map(lambda account: {"accountId": account})
_PARENT = ACCOUNTS.map(lambda account: {"parentAccountId": account})
_RECORDS: st.SearchStrategy[Change] = st.one_of(
    *(
        st.builds(Record, st.just("put"), st.just(entity), NUMBERS, fields)
        for entity, fields in FIELDS.items()
    ),
    st.builds(Record, st.just("move"), st.just("account"), NUMBERS, _PARENT),
    st.builds(Record, st.just("move"), st.sampled_from(ENTITIES[1:]), NUMBERS, _ACCOUNT),
    st.builds(Record, st.sampled_from(["revert", "delete"]), _ENTITY, NUMBERS, st.just({})),
)


def _without(settings: st.SearchStrategy[Given], names: set[str]) -> st.SearchStrategy[Given]:
    return settings.filter(lambda given: not given.keys() & names)


SETTINGS_OF_A_PROCESS = _without(SETTINGS, _PLACE)
"""A process has in its environment which org and which organization its credentials open."""


def histories(
    faults: Faults,
    hours: tuple[int, int],
    settings: st.SearchStrategy[Given] = SETTINGS,
) -> st.SearchStrategy[History]:
    """Arbitrary histories, in which either the orgs change or the external ID field, but not both.

    m3sync forgets the records of an org that its credentials no longer open. If it returns to them
    with another external ID field, it creates them again: docs/when-it-goes-wrong.md.

    Args:
        faults: what goes wrong.
        hours: the least and the most disturbed hours of a history.
        settings: changes of the integration's settings.
    """
    return st.one_of(
        [_histories(faults, hours, _without(settings, fixed)) for fixed in (_KEY, _PLACE)]
    )


def _histories(
    faults: Faults, hours: tuple[int, int], settings: st.SearchStrategy[Given]
) -> st.SearchStrategy[History]:
    configured = st.builds(Configure, st.just({}) | settings)
    hour = st.builds(
        Hour,
        st.lists(weighted({_RECORDS: 4, configured: 1}), min_size=1, max_size=10),
        faults.all,
        weighted({st.just(False): 3, st.just(True): 1}),
        weighted({st.just(True): 2, st.just(False): 1}),
        weighted({st.just(False): 5, st.just(True): 1}),
    )
    any_hour = weighted({hour: 3, _taken_back(faults): 1})
    played = st.lists(any_hour, min_size=hours[0], max_size=hours[1])
    most, page = st.sampled_from([2_000, 2, 0]), st.sampled_from([PAGE_SIZE, 2, 1])
    return st.builds(History, most, played, page)


def _taken_back(faults: Faults) -> st.SearchStrategy[Hour]:
    """An hour in which only records are changed that every history begins with.

    After the run they are what they were before, and the next hour is quiet. So it shows whether
    the run has left a fingerprint that is no longer true.
    """
    edited = st.one_of(
        *(
            st.builds(Record, st.just("move"), st.just(entity), LOADED[entity], fields)
            for entity, fields in FIELDS.items()
        )
    )
    return st.builds(
        Hour,
        st.lists(edited, min_size=1, max_size=3),
        weighted({faults.unrecorded: 2, faults.all: 1}),
        st.just(True),
        st.just(True),
        st.just(False),
    )
