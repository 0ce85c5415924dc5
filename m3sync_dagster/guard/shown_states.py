"""The states that a tick's text has, so that Dagster's list of automations shows them."""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime

from m3sync_dagster.state import GuardState

SHOWN = 10
"""States in one tick's text: Dagster stores the text of every tick."""


def shown_states(states: Iterable[GuardState]) -> list[str]:
    """A line for each integration that is disabled, fails or is late; the disabled ones first."""
    ordered = sorted(states, key=lambda state: (not state.disabled, state.integration))
    lines = [line for state in ordered for line in _lines(state)]
    more = len(lines) - SHOWN
    return [*lines[:SHOWN], *([f"and {more} more: see m3sync status"] if more > 0 else ())]


def _lines(state: GuardState) -> Iterator[str]:
    name = state.integration
    if state.disabled:
        reason = f"{state.disabled_reason}".rstrip(".")
        yield f"{name} is disabled {state.disabled_period}: {reason}. Run: m3sync enable {name}."
    elif state.notified_level:
        yield f"{name} has failed at least {state.notified_level} times in a row."
    elif state.late_since:
        late = datetime.fromtimestamp(state.late_since, UTC)
        yield f"{name} has had no complete sync since {late:%Y-%m-%d %H:%M} UTC."
