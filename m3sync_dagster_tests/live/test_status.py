"""``m3sync status`` and ``m3sync enable`` beside a daemon that runs."""

import json
from datetime import UTC, datetime

import pytest

from m3sync_dagster_tests.cli.conftest import Answer, invoke_in
from m3sync_dagster_tests.live.conftest import Live
from m3sync_dagster_tests.live.test_graphql import SCHEDULE, STATE, STOP

pytestmark = pytest.mark.slow


def command(live: Live, *args: str) -> Answer:
    answer = invoke_in(live.home, live.environment, *args)
    assert answer.code == 0, answer
    return answer


def test_the_daemon_is_seen(live: Live) -> None:
    assert "no daemon" not in command(live, "enable", "acme").err
    try:
        (row,) = json.loads(command(live, "status", "--json").out)
    finally:
        # Not by "m3sync disable": a tick would then say so, also to the tests that come later.
        schedule = live.ask(STATE, s=SCHEDULE)["scheduleOrError"]["scheduleState"]
        live.ask(STOP, id=schedule["id"])
    assert row["daemon_alive"] is True
    seen = datetime.fromisoformat(row["daemon_seen"])
    assert abs((datetime.now(UTC) - seen).total_seconds()) < 180
    assert datetime.fromisoformat(row["next_run"]) > seen
