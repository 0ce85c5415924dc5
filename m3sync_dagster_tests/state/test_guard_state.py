from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import psycopg
import pytest

from m3sync_dagster.state import (
    GuardState,
    connect,
    guard_lock,
    read_guard_state,
    read_guard_states,
    write_guard_error,
    write_guard_states,
)
from m3sync_dagster_tests.state.ledger_fixtures import connection

__all__ = ["connection"]  # a fixture

SINCE = datetime(2026, 11, 24, 10, 5, tzinfo=UTC)
UNTIL = datetime(2026, 11, 26, 0, 30, tzinfo=timezone(timedelta(hours=1)))
FULL = GuardState(
    "acme",
    schedule_started=1.5,
    count_from=2.5,
    notified_level=8,
    notified_at=3.5,
    disabled_since=SINCE,
    disabled_reason="it failed",
    guard_error="no answer",
    late_since=4.5,
    rejects_since=5.5,
    disabled_until=UNTIL,
)


def test_states_are_read_as_they_were_written(connection: psycopg.Connection) -> None:
    assert read_guard_state(connection, "acme") == GuardState("acme")
    other = GuardState("other")
    write_guard_states(connection, [FULL, other])
    assert read_guard_states(connection) == {"acme": FULL, "other": other}
    changed = GuardState("acme", 6.0, 7.0, 5, 8.0, UNTIL, "by hand", None, 9.0, 10.0, SINCE)
    write_guard_states(connection, [changed])
    assert read_guard_state(connection, "acme") == changed
    assert read_guard_state(connection, "other") == other


def test_an_error_of_the_guard_leaves_the_rest_of_a_state(connection: psycopg.Connection) -> None:
    write_guard_states(connection, [FULL])
    for name in ("acme", "new"):
        write_guard_error(connection, name, "no run can be read")
    assert read_guard_states(connection) == {
        "acme": replace(FULL, guard_error="no run can be read"),
        "new": GuardState("new", guard_error="no run can be read"),
    }


@pytest.mark.parametrize(
    ("since", "until", "period"),
    [
        (None, None, ""),
        (SINCE, None, "since 2026-11-24 10:05 UTC"),
        (SINCE, UNTIL, "until 2026-11-25 23:30 UTC, since 2026-11-24 10:05 UTC"),
    ],
)
def test_since_when_and_until_when(
    since: datetime | None, until: datetime | None, period: str
) -> None:
    assert GuardState("a", disabled_since=since, disabled_until=until).disabled_period == period


def test_people_are_notified_of_warnings_and_of_the_end() -> None:
    reported = [
        GuardState("a").reported,
        GuardState("a", notified_level=5).reported,
        GuardState("a", disabled_since=SINCE).reported,
    ]
    assert reported == [False, True, True]


def test_one_at_a_time_changes_states(postgres_url: str) -> None:
    def is_free() -> bool:
        row = other.execute("SELECT pg_try_advisory_lock(%s)", (0x6D33_0002,)).fetchone()
        other.execute("SELECT pg_advisory_unlock_all()")
        return bool(row and row[0])

    with connect(postgres_url) as own, connect(postgres_url) as other:
        with guard_lock(own):
            assert not is_free()
        assert is_free()
        with pytest.raises(ValueError, match="it failed"), guard_lock(own):
            raise ValueError("it failed")
        assert is_free()
