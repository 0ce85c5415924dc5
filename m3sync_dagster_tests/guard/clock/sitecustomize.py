"""Gives Dagster the time that a file names, in each process that has this folder on its path.

Dagster's ``freeze_time`` puts a time into these two functions, for its own process. Here every
server, daemon and run reads it, so that a test can turn the hours of all of them.
"""

import os
from datetime import UTC, datetime
from pathlib import Path

import dagster._time as dagster_time

_CLOCK = Path(os.environ["M3SYNC_TEST_CLOCK"])


def _now() -> datetime:
    return datetime.fromtimestamp(float(_CLOCK.read_text()), UTC)


dagster_time._mockable_get_current_datetime = _now
dagster_time._mockable_get_current_timestamp = lambda: _now().timestamp()
