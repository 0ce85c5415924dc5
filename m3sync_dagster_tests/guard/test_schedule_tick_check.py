"""Whether a schedule's own tick may request a run."""

from datetime import UTC, datetime, timedelta

import pytest

from m3sync_dagster.dagster_internals import InstigatorStatus, ScheduleInstigatorData
from m3sync_dagster.guard.schedule_tick_check import disabled_reason
from m3sync_dagster.guard.schedules import stop
from m3sync_dagster.state import GuardState, connect, postgres_url, write_guard_states
from m3sync_dagster_tests.guard.fixtures import Fleet

SINCE = datetime(2026, 11, 24, 12, tzinfo=UTC)
UNTIL = SINCE + timedelta(days=1)
WHY = "10 runs in a row have failed"
REASON = "{0} is disabled since 2026-11-24 12:00 UTC: " + WHY + ". Run: m3sync enable {0}."


def test_a_disabled_integration_runs_only_after_a_start_that_the_guard_has_not_read(
    fleet: Fleet,
) -> None:
    for name in ("enabled", "undone", "stopped", "by_default", "started_since", "paused"):
        fleet.start(name)
    read = {name: fleet.schedule(name).started for name in ("undone", "paused")}
    # The first was read before the guard has stopped it, and the scheduler has written it back.
    disabled = {
        name: GuardState(name, read.get(name, 1.0), disabled_since=SINCE, disabled_reason=WHY)
        for name in ("undone", "stopped", "by_default", "started_since", "never_started")
    }
    paused = GuardState(
        "paused", read["paused"], disabled_since=SINCE, disabled_reason=WHY, disabled_until=UNTIL
    )
    with connect(postgres_url()) as connection:
        write_guard_states(connection, [*disabled.values(), paused, GuardState("enabled")])
    stop(fleet.instance, fleet.schedule("stopped"))
    by_default = fleet.schedule("by_default").state.with_status(InstigatorStatus.DECLARED_IN_CODE)
    fleet.instance.update_instigator_state(
        by_default.with_data(ScheduleInstigatorData("3 * * * *", 2.0))
    )
    period = "until 2026-11-25 12:00 UTC, since 2026-11-24 12:00 UTC"
    reasons = {
        name: disabled_reason(fleet.instance, name, f"{name}_hourly")
        for name in (*disabled, "paused", "enabled", "unknown")
    }
    assert reasons == {
        "undone": REASON.format("undone"),
        "stopped": REASON.format("stopped"),
        "by_default": REASON.format("by_default"),
        "started_since": None,
        "never_started": REASON.format("never_started"),
        "paused": f"paused is disabled {period}: {WHY}. Run: m3sync enable paused.",
        "enabled": None,
        "unknown": None,
    }


def test_without_our_tables_nothing_is_disabled(
    fleet: Fleet, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The run itself reports what is wrong with the database."""
    for url in (empty_postgres_url, f"{empty_postgres_url}_gone"):
        monkeypatch.setenv("M3SYNC_POSTGRES_URL", url)
        assert disabled_reason(fleet.instance, "acme", "acme_hourly") is None
