"""What enabling and disabling write down, and what they do to the schedule."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin
from dagster._core.test_utils import freeze_time
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin

from m3sync_dagster.dagster_internals import InstigatorStatus, ScheduleInstigatorData
from m3sync_dagster.guard.enable_disable import BY_HAND, Switch, end_pause
from m3sync_dagster.guard.schedules import start, stop
from m3sync_dagster.guard.sensor import DisabledError
from m3sync_dagster.state import (
    GuardState,
    connect,
    enqueue,
    list_events,
    postgres_url,
    read_guard_states,
    record_event,
    write_guard_states,
)
from m3sync_dagster.state.outbox import due_notices
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster_tests.guard.fixtures import LOCATION, Fleet, Status

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
UNTIL = NOON + timedelta(days=1)
STARTED = NOON.timestamp()
CRON = "3 * * * *"
ELSEWHERE = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(), "elsewhere")


@pytest.fixture
def connection(fleet: Fleet) -> Iterator[psycopg.Connection]:
    assert fleet
    with connect(postgres_url()) as opened:
        yield opened


def switch(fleet: Fleet, connection: psycopg.Connection, name: str) -> Switch:
    return Switch(fleet.instance, connection, LOCATION, name, f"{name}_hourly", CRON)


@contextmanager
def seconds_after_noon(seconds: float) -> Iterator[None]:
    with freeze_time(NOON + timedelta(seconds=seconds)):
        yield


def test_enabling_clears_the_state_and_counts_only_what_ends_later(
    fleet: Fleet, connection: psycopg.Connection
) -> None:
    """Later than the start, than what people were notified of, and than every run so far."""
    before = [
        GuardState("notified", 1.0, 2.0, 8, STARTED + 5, guard_error="E", late_since=3.0),
        GuardState("disabled", None, 0.0, 10, STARTED - 5, NOON, "Why", rejects_since=4.0),
        GuardState("paused", disabled_since=NOON, disabled_reason=BY_HAND, disabled_until=UNTIL),
    ]
    write_guard_states(connection, before)
    for name in ("notified", "disabled", "paused", "new"):
        disabled = DisabledError("it is disabled", "Enable it.")
        record_event(connection, name, None, "run", disabled)
        for kind in ("late", "rejects"):
            enqueue(connection, name, f"{name}:{kind}", ["user:u"], {"kind": kind})
    with seconds_after_noon(-9):
        ends_last = fleet.run("ran", Status.STARTED)
        ends_first = fleet.run("ran", Status.STARTED)
        canceled = fleet.run("new", Status.STARTED)
    for run, status, end in (
        (ends_first, Status.FAILURE, 7),
        (ends_last, Status.SUCCESS, 8),
        (canceled, Status.CANCELED, 9),
    ):
        with seconds_after_noon(end):
            fleet.end(run, status)
    with freeze_time(NOON):
        for name in ("notified", "disabled", "paused", "new", "ran"):
            switch(fleet, connection, name).enable()
    assert list(read_guard_states(connection).values()) == [
        GuardState("notified", STARTED, STARTED + 5, 0, STARTED + 5, guard_error="E", late_since=3),
        GuardState("disabled", STARTED, STARTED, 0, STARTED - 5, rejects_since=4.0),
        GuardState("paused", STARTED, STARTED),
        GuardState("new", STARTED, STARTED),
        GuardState("ran", STARTED, STARTED + 8),
    ]
    assert list_events(connection) == []
    # People are to be notified of what does not depend on the failures that are over.
    left = {"notified:rejects", "disabled:rejects", "paused:rejects", "new:late", "new:rejects"}
    assert {notice.change for notice in due_notices(connection)} == left
    assert fleet.schedule("notified").started == STARTED


def test_disabling_stops_the_schedule_and_keeps_the_first_reason(
    fleet: Fleet, connection: psycopg.Connection
) -> None:
    an_hour_ago = NOON - timedelta(hours=1)
    by_hand = GuardState("again", disabled_since=an_hour_ago, disabled_reason=BY_HAND)
    by_guard = GuardState("failed", 1.0, 2.0, 10, 3.0, an_hour_ago, "10 runs in a row have failed")
    stopped = GuardState("stopped", 1.0)
    write_guard_states(connection, [by_hand, by_guard, stopped])
    for name in ("running", "failed", "stopped"):
        with seconds_after_noon(-5):
            fleet.start(name)
    stop(fleet.instance, fleet.schedule("stopped"))
    # Of the same name, in another code location.
    start(fleet.instance, ELSEWHERE, "new_hourly", CRON)
    with freeze_time(NOON):
        for name in ("new", "running", "failed", "stopped"):
            switch(fleet, connection, name).disable()
        switch(fleet, connection, "again").disable(UNTIL)
    begun = STARTED - 5
    assert read_guard_states(connection) == {
        "new": GuardState("new", disabled_since=NOON, disabled_reason=BY_HAND),
        "running": GuardState("running", begun, disabled_since=NOON, disabled_reason=BY_HAND),
        "failed": GuardState("failed", begun, 2.0, 10, 3.0, an_hour_ago, by_guard.disabled_reason),
        "stopped": GuardState("stopped", 1.0, disabled_since=NOON, disabled_reason=BY_HAND),
        "again": GuardState(
            "again", disabled_since=an_hour_ago, disabled_reason=BY_HAND, disabled_until=UNTIL
        ),
    }
    for name in ("new", "running", "failed", "stopped", "again"):
        found = fleet.schedule(name).state
        assert found.status is InstigatorStatus.STOPPED
        assert found.instigator_data == ScheduleInstigatorData(CRON)


def test_a_later_disabling_without_a_time_takes_the_time_back(
    fleet: Fleet, connection: psycopg.Connection
) -> None:
    paused = switch(fleet, connection, "acme")
    with freeze_time(NOON):
        paused.disable(UNTIL)
        paused.disable()
    expected = GuardState("acme", disabled_since=NOON, disabled_reason=BY_HAND)
    assert read_guard_states(connection) == {"acme": expected}


def test_what_the_guard_has_disabled_is_not_to_be_started_at_a_time(
    fleet: Fleet, connection: psycopg.Connection
) -> None:
    state = GuardState("acme", disabled_since=NOON, disabled_reason="10 runs in a row have failed")
    write_guard_states(connection, [state])
    fleet.start("acme")
    with pytest.raises(ConfigurationError) as refused:
        switch(fleet, connection, "acme").disable(UNTIL)
    assert (refused.value.cause, refused.value.remedy) == (
        "acme is disabled since 2026-11-24 12:00 UTC: 10 runs in a row have failed",
        "Correct what is wrong, then run: m3sync enable acme.",
    )
    assert read_guard_states(connection) == {"acme": state}
    assert fleet.schedule("acme").running


def test_the_end_of_a_pause_is_a_start_with_the_schedule_s_own_cron_string(
    fleet: Fleet, connection: psycopg.Connection
) -> None:
    switch(fleet, connection, "acme").disable(UNTIL)
    with seconds_after_noon(5):
        fleet.run("acme")
    state = read_guard_states(connection)["acme"]
    with freeze_time(NOON):
        end_pause(fleet.instance, connection, state, fleet.schedule("acme"))
    assert read_guard_states(connection) == {"acme": GuardState("acme", STARTED, STARTED + 5)}
    started = fleet.schedule("acme").state
    assert started.status is InstigatorStatus.RUNNING
    assert started.instigator_data == ScheduleInstigatorData(CRON, STARTED)
