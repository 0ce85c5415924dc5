"""The states that a tick's text has."""

from datetime import UTC, datetime

import pytest

from m3sync_dagster.guard.shown_states import SHOWN, shown_states
from m3sync_dagster.state import GuardState
from m3sync_dagster_tests.guard.fixtures import Fleet, tick

SINCE = datetime(2026, 11, 26, 19, 5, tzinfo=UTC)
UNTIL = datetime(2026, 12, 24, 8, tzinfo=UTC)
SINCE_TEXT, UNTIL_TEXT = "2026-11-26 19:05 UTC", "2026-12-24 08:00 UTC"
ENABLE = "m3sync enable acme"


@pytest.mark.parametrize(
    ("state", "lines"),
    [
        (GuardState("acme"), []),
        (GuardState("acme", notified_level=5), ["acme has failed at least 5 times in a row."]),
        (
            GuardState("acme", late_since=SINCE.timestamp()),
            ["acme has had no complete sync since 2026-11-26 19:05 UTC."],
        ),
        (
            GuardState("acme", notified_level=10, disabled_since=SINCE, disabled_reason="No X."),
            ["acme is disabled since 2026-11-26 19:05 UTC: No X. Run: m3sync enable acme."],
        ),
        (
            GuardState("acme", disabled_since=SINCE, disabled_reason="Why", disabled_until=UNTIL),
            [f"acme is disabled until {UNTIL_TEXT}, since {SINCE_TEXT}: Why. Run: {ENABLE}."],
        ),
    ],
)
def test_a_line_for_what_is_not_fine(state: GuardState, lines: list[str]) -> None:
    assert shown_states([state]) == lines


@pytest.mark.parametrize(
    ("more", "last"), [(0, "a08 has"), (1, "and 1 more: see"), (5, "and 5 more: see")]
)
def test_disabled_ones_come_first_and_the_text_stays_short(more: int, last: str) -> None:
    failing = [GuardState(f"a{number:02}", notified_level=5) for number in range(SHOWN - 1 + more)]
    disabled = GuardState("z", disabled_since=SINCE, disabled_reason="Why")
    lines = shown_states([*failing, disabled])
    assert lines[0].startswith("z is disabled")
    assert lines[1].startswith("a00 has failed")
    assert len(lines) == SHOWN + bool(more)
    assert lines[-1].startswith(last)


def test_every_tick_says_what_is_disabled(fleet: Fleet) -> None:
    fleet.add("acme")
    fleet.add("globex")
    fleet.fail("acme", 10)
    tick(fleet)
    for _ in range(2):
        lines = tick(fleet).splitlines()
        assert lines[0] == "2 integrations are watched."
        assert lines[1].startswith("acme is disabled since ")
        assert lines[1].endswith(". Run: m3sync enable acme.")
        assert not any("globex" in line for line in lines)
