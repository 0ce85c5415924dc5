"""An integration that a person has disabled until some time."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from dagster._core.test_utils import freeze_time

from m3sync_dagster.guard.enable_disable import Switch
from m3sync_dagster.guard.schedule_tick_check import disabled_reason
from m3sync_dagster.guard.schedules import start_again
from m3sync_dagster.state import connect, postgres_url
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster_tests.guard.fixtures import LOCATION, Fleet, changes, state, tick

UNTIL = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
BEFORE, AFTER = UNTIL - timedelta(seconds=1), UNTIL + timedelta(seconds=1)


@contextmanager
def switch(fleet: Fleet) -> Iterator[Switch]:
    with connect(postgres_url()) as connection:
        yield Switch(fleet.instance, connection, LOCATION, "acme", "acme_hourly", "3 * * * *")


def disable(fleet: Fleet, until: datetime | None = UNTIL) -> None:
    with switch(fleet) as one:
        one.disable(until)


def enable(fleet: Fleet) -> None:
    with switch(fleet) as one:
        one.enable()


@pytest.mark.slow
def test_the_guard_starts_the_schedule_at_the_time(fleet: Fleet) -> None:
    fleet.add("acme")
    fleet.fail("acme", 4)
    disable(fleet)
    assert "acme is disabled until " in tick(fleet)
    assert "disabled until" in str(disabled_reason(fleet.instance, "acme", "acme_hourly"))
    fleet.fail("acme", 6)
    with freeze_time(BEFORE):
        tick(fleet)
        assert not fleet.schedule("acme").running
    with freeze_time(AFTER):
        assert "acme: its schedule is started, because the time of --until has come" in tick(fleet)
        assert fleet.schedule("acme").started == AFTER.timestamp()
        assert not state().disabled
        assert disabled_reason(fleet.instance, "acme", "acme_hourly") is None
        # The failures before the start no longer count, as after m3sync enable.
        assert "acme" not in tick(fleet).partition("\n")[2]
        assert fleet.schedule("acme").started == AFTER.timestamp()
    assert changes() == []


@pytest.mark.slow
def test_a_pause_before_the_first_start_ends_with_a_start(fleet: Fleet) -> None:
    fleet.add("acme", started=False)
    disable(fleet)
    with freeze_time(AFTER):
        tick(fleet)
        assert fleet.schedule("acme").enabled


@pytest.mark.slow
def test_a_later_command_or_start_replaces_the_pause(fleet: Fleet) -> None:
    fleet.add("acme")
    disable(fleet)
    disable(fleet, None)
    with freeze_time(AFTER):
        tick(fleet)
    assert not fleet.schedule("acme").running
    disable(fleet, AFTER + timedelta(days=1))
    with freeze_time(AFTER):
        tick(fleet)
    assert not fleet.schedule("acme").running
    enable(fleet)
    assert state().disabled_until is None
    disable(fleet)
    fleet.start("acme")
    tick(fleet)
    assert (state().disabled, state().disabled_until) == (False, None)
    started = fleet.schedule("acme").started
    with freeze_time(AFTER):
        tick(fleet)
    assert fleet.schedule("acme").started == started


@pytest.mark.slow
def test_a_guard_that_is_killed_after_the_start_has_enabled_it(fleet: Fleet) -> None:
    fleet.add("acme")
    disable(fleet)
    with freeze_time(AFTER):
        start_again(fleet.instance, fleet.schedule("acme"))
    with freeze_time(AFTER + timedelta(seconds=30)):
        tick(fleet)
    assert fleet.schedule("acme").started == AFTER.timestamp()
    assert (state().disabled, state().disabled_until) == (False, None)


@pytest.mark.slow
def test_what_the_guard_has_disabled_is_not_started_at_a_time(fleet: Fleet) -> None:
    fleet.add("acme")
    fleet.fail("acme", 10)
    tick(fleet)
    before = state()
    with pytest.raises(ConfigurationError, match="10 runs in a row") as refused:
        disable(fleet)
    assert "m3sync enable acme" in refused.value.remedy
    assert state() == before
    disable(fleet, None)
    assert state() == before
