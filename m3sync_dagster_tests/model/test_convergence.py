"""Whatever happens, two quiet runs bring Salesforce to what m3ter holds, or rejects say why not.

By default the same sequences are tried each time, for about a minute. ``make model MINUTES=60``
tries others for an hour.
"""

import os
import time

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from m3sync_dagster_tests.model import runs
from m3sync_dagster_tests.model.machine import Convergence
from m3sync_dagster_tests.model.scenario import Scenario
from m3sync_dagster_tests.model.world import World

pytestmark = pytest.mark.slow

MINUTES = float(os.environ.get("M3SYNC_MODEL_MINUTES", "0"))
"""How long to try sequences; 0: those of every day."""
BUT_QUICK = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
EVERY_DAY = settings(
    max_examples=20 if MINUTES else 15,
    stateful_step_count=20,
    deadline=None,
    derandomize=not MINUTES,
    database=None,
    print_blob=False,
    suppress_health_check=BUT_QUICK,
)


def test_any_sequence_converges(the_world: World, capsys: pytest.CaptureFixture[str]) -> None:
    Convergence.prepare(lambda: Scenario(the_world))
    started = time.monotonic()
    try:
        run_state_machine_as_test(Convergence, settings=EVERY_DAY)
        while time.monotonic() < started + 60 * MINUTES:
            run_state_machine_as_test(Convergence, settings=EVERY_DAY)
    finally:
        with capsys.disabled():
            took = time.monotonic() - started
            print(f"\n{Convergence.examples} sequences, {Convergence.runs} runs, {took:.0f} s")


def test_any_sequence_of_commands_converges(the_world: World) -> None:
    Convergence.prepare(lambda: Scenario(the_world, runs.typed, quick_repairs=False))
    few = settings(EVERY_DAY, max_examples=2, stateful_step_count=8, derandomize=True)
    run_state_machine_as_test(Convergence, settings=few)
