"""Gives Dagster the time that a file names, in each process that has this folder on its path.

Dagster's ``freeze_time`` puts a time into these two functions, for its own process. Here every
server, daemon and run reads it, so that a test can turn the hours of all of them.
"""

import atexit
import gc
import os
import sys
from datetime import UTC, datetime
from pathlib import Path

# As the one in the folder "startup", of which this takes the place.
gc.set_threshold(10_000, 20, 20)
atexit.register(gc.freeze)

_CLOCK = Path(os.environ["M3SYNC_TEST_CLOCK"])


def _now() -> datetime:
    return datetime.fromtimestamp(float(_CLOCK.read_text()), UTC)


# Python's tracker of shared resources, which each code server starts, never asks for the time.
if not any("resource_tracker" in argument for argument in sys.orig_argv):
    import dagster._time as dagster_time

    dagster_time._mockable_get_current_datetime = _now
    dagster_time._mockable_get_current_timestamp = lambda: _now().timestamp()
