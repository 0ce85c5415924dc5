"""Error events: one for each cause in a run, its repeats, and when it is over."""

from datetime import UTC, datetime, timedelta

import psycopg
import pytest

from m3sync_dagster.state import (
    DISABLED_EVENT,
    Event,
    EventFilter,
    close_disabled,
    list_events,
    list_repeated_events,
    mark_actioned,
    mark_all_actioned,
    record_event,
)
from m3sync_dagster.state.error_events import close_events, close_events_of_all
from m3sync_dagster.state.last_syncs import record_entity_sync
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError, SyncError
from m3sync_dagster_tests.state.ledger_fixtures import connection

__all__ = ["connection"]  # a fixture

MOMENT = datetime(2026, 11, 24, 10, tzinfo=UTC)
HOUR = timedelta(hours=1)
EVERYTHING = EventFilter(everything=True)


class DisabledError(SyncError):
    event = DISABLED_EVENT


def fail(
    connection: psycopg.Connection,
    hours: int,
    cause: str = "job 750{} failed",
    entity: str | None = "account",
    integration: str = "acme",
) -> str:
    """Record an event of a run of its own, so many hours after ``MOMENT``."""
    run_id, error = f"run-{hours}", RemoteError(cause.format(hours), "Wait.")
    record_event(connection, integration, entity, run_id, error)
    connection.execute(
        "UPDATE m3sync.integration_event SET time = %s WHERE run_id = %s",
        (MOMENT + hours * HOUR, run_id),
    )
    return run_id


def runs(connection: psycopg.Connection, state: str = "closed") -> set[str]:
    """The runs of the events that are closed or actioned."""
    return {
        str(event.run_id)
        for event in list_events(connection, wanted=EVERYTHING)
        if getattr(event, state)
    }


def test_an_event_is_what_was_recorded_once_for_each_run(connection: psycopg.Connection) -> None:
    error = ConfigurationError("no field", "Add \0 \ud800 it")
    for run_id in ("run-1", "run-1", "run-2"):
        record_event(connection, "acme", "account", run_id, error)
    newest, oldest = list_events(connection)
    name, texts = "integration.validation.error", ("no field", "Add \ufffd ? it")
    assert [newest, oldest] == [
        Event(one.id, name, one.time, "acme", "account", run_id, *texts, None, None)
        for one, run_id in ((newest, "run-2"), (oldest, "run-1"))
    ]
    assert newest.id > oldest.id


def test_which_events_are_listed(connection: psycopg.Connection) -> None:
    fail(connection, 1)
    fail(connection, 2)
    fail(connection, 3, entity="contract")
    fail(connection, 4, integration="other")
    close_events(connection, "other", "account", "later")
    cases: list[tuple[str | None, EventFilter, int | None, list[int]]] = [
        (None, EventFilter(), None, [3, 2, 1]),
        (None, EventFilter(), 2, [3, 2]),
        (None, EVERYTHING, None, [4, 3, 2, 1]),
        ("other", EVERYTHING, None, [4]),
        ("acme", EventFilter(entity="contract"), None, [3]),
        (None, EventFilter(since=MOMENT + 2 * HOUR), None, [3, 2]),
        (None, EventFilter(until=MOMENT + 2 * HOUR), None, [1]),
    ]
    for integration, wanted, limit, expected in cases:
        found = list_events(connection, integration, wanted, limit)
        assert [event.run_id for event in found] == [f"run-{hours}" for hours in expected]
    assert [event.run_id for event in list_events(connection)] == ["run-3", "run-2", "run-1"]


def test_repeats_are_shown_as_the_newest_of_them(connection: psycopg.Connection) -> None:
    for hours in (1, 2, 3):
        fail(connection, hours)
    fail(connection, 4, "a lock")
    fail(connection, 5, entity=None)
    fail(connection, 6, integration="other")

    def shown(
        integration: str | None = None, limit: int | None = None
    ) -> list[tuple[str | None, int, datetime]]:
        found = list_repeated_events(connection, integration, limit=limit)
        return [(one.run_id, one.count, one.since) for one in found]

    rows = [
        ("run-6", 1, MOMENT + 6 * HOUR),
        ("run-5", 1, MOMENT + 5 * HOUR),
        ("run-4", 1, MOMENT + 4 * HOUR),
        ("run-3", 3, MOMENT + HOUR),
    ]
    assert shown() == rows
    assert shown("acme", 2) == rows[1:3]
    mark_all_actioned(connection, None, EventFilter())
    assert shown() == []
    assert len(list_repeated_events(connection, wanted=EVERYTHING)) == 4


def test_a_complete_sync_closes_what_it_did_not_find_again(connection: psycopg.Connection) -> None:
    over = fail(connection, 1, "a lock")
    fail(connection, 2)
    fail(connection, 3, "a lock", entity="contract")
    fail(connection, 4, "a lock", integration="other")
    fail(connection, 5, "a lock", entity=None)
    lasting = SyncError("a lock", "Wait.")
    record_event(connection, "acme", "account", "run-6", lasting, lasting=True)
    now = fail(connection, 7)
    close_events(connection, "acme", "account", now)
    assert runs(connection) == {over}


@pytest.mark.parametrize(
    ("contract", "is_closed"), [(None, False), (-HOUR, False), (timedelta(), False), (HOUR, True)]
)
def test_an_event_of_the_integration_is_closed_when_all_entities_were_synced_since(
    connection: psycopg.Connection, contract: timedelta | None, is_closed: bool
) -> None:
    killed = fail(connection, 1, entity=None)
    fail(connection, 2)
    fail(connection, 3, entity=None, integration="other")
    record_event(connection, "acme", None, "run-4", SyncError("a", "b"), lasting=True)
    record_event(connection, "acme", None, "run-5", DisabledError("a", "b"))
    for entity, after in (("account", HOUR), ("contract", contract)):
        if after is not None:
            record_entity_sync(connection, "acme", entity, "later", (1, 0))
            connection.execute(
                "UPDATE m3sync.entity_sync SET ended_at = %s WHERE entity = %s",
                (MOMENT + HOUR + after, entity),
            )
    connection.execute("UPDATE m3sync.integration_event SET time = %s", (MOMENT + HOUR,))
    close_events_of_all(connection, "acme", ["account", "contract"])
    assert runs(connection) == ({killed} if is_closed else set())


def test_enabling_closes_what_says_that_the_integration_is_disabled(
    connection: psycopg.Connection,
) -> None:
    fail(connection, 1, entity=None)
    for integration in ("acme", "other"):
        record_event(connection, integration, None, integration, DisabledError("ten", "Enable it."))
    close_disabled(connection, "acme")
    assert runs(connection) == {"acme"}


def test_an_event_is_actioned_with_its_earlier_repeats(connection: psycopg.Connection) -> None:
    for hours in (1, 2, 3):
        fail(connection, hours)
    fail(connection, 4, "a lock")
    ids = {event.run_id: event.id for event in list_events(connection)}
    with pytest.raises(ConfigurationError) as caught:
        mark_actioned(connection, [ids["run-2"], 4712, 4711])
    assert caught.value.cause == "there is no event 4711, 4712"
    assert caught.value.remedy == "Use ids that m3sync events --all shows."
    assert runs(connection, "actioned") == set()
    assert mark_actioned(connection, [ids["run-2"]]) == 2
    assert runs(connection, "actioned") == {"run-1", "run-2"}
    assert mark_actioned(connection, [ids["run-3"], ids["run-4"]]) == 2


def test_all_events_that_are_meant_are_actioned(connection: psycopg.Connection) -> None:
    fail(connection, 1)
    fail(connection, 2, entity="contract")
    fail(connection, 3, entity="contract", integration="other")
    assert mark_all_actioned(connection, "acme", EventFilter(entity="contract")) == 1
    assert runs(connection, "actioned") == {"run-2"}
    assert mark_all_actioned(connection, None, EventFilter()) == 2
    assert mark_all_actioned(connection, None, EVERYTHING) == 0
