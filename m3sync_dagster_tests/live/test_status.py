"""``m3sync status`` and ``m3sync enable`` beside a daemon that runs."""

import json
import subprocess
from datetime import UTC, datetime

import pytest

from m3sync_dagster_tests.cli.processes import PROGRAM
from m3sync_dagster_tests.conftest import PATIENCE
from m3sync_dagster_tests.live.conftest import Live
from m3sync_dagster_tests.live.test_graphql import SCHEDULE, STATE, STOP

pytestmark = pytest.mark.slow


def command(live: Live, *args: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [PROGRAM, *args],
        env=live.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def test_the_daemon_is_seen(live: Live) -> None:
    assert "no daemon" not in command(live, "enable", "acme").stderr
    try:
        (row,) = json.loads(command(live, "status", "--json").stdout)
    finally:
        # Not by "m3sync disable": a tick would then say so, also to the tests that come later.
        schedule = live.ask(STATE, s=SCHEDULE)["scheduleOrError"]["scheduleState"]
        live.ask(STOP, id=schedule["id"])
    assert row["daemon_alive"] is True
    seen = datetime.fromisoformat(row["daemon_seen"])
    assert abs((datetime.now(UTC) - seen).total_seconds()) < 180
    assert datetime.fromisoformat(row["next_run"]) > seen
