"""Whatever happens to runs, schedules, mails and processes, the guard does what the docs say.

By default the same sequences are tried each time, for less than a minute. ``make model MINUTES=60``
tries others for an hour.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from m3sync_dagster.state import connect, postgres_url
from m3sync_dagster_tests.conftest import Sandbox
from m3sync_dagster_tests.guard.fixtures import PostOffice
from m3sync_dagster_tests.guard.killed_ticks import processes
from m3sync_dagster_tests.guard.model.machine import Guard
from m3sync_dagster_tests.guard.model.world import World

pytestmark = pytest.mark.slow

MINUTES = float(os.environ.get("M3SYNC_MODEL_MINUTES", "0"))
"""How long to try sequences; 0: those of every day."""
EVERY_DAY = settings(
    max_examples=25 if MINUTES else 12,
    stateful_step_count=20,
    deadline=None,
    derandomize=not MINUTES,
    database=None,
    print_blob=False,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.data_too_large,
        HealthCheck.filter_too_much,
    ],
)


@pytest.fixture
def world(
    instance: dg.DagsterInstance,
    sandbox: Sandbox,
    post_office: PostOffice,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[World]:
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    # As in the webserver, connections are kept, and not made for each statement.
    instance.optimize_for_webserver(statement_timeout=60_000, pool_recycle=3_600, max_overflow=10)
    with connect(postgres_url()) as connection:
        without_fsync(connection)
        yield World(instance, connection, tmp_path, sandbox, post_office, processes())


def without_fsync(connection: psycopg.Connection) -> None:
    """No example outlives a crash of the server."""
    name = connection.info.dbname
    connection.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")


def test_any_sequence_agrees_with_the_reference(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    Guard.prepare(world)
    started = time.monotonic()
    try:
        run_state_machine_as_test(Guard, settings=EVERY_DAY)
        while time.monotonic() < started + 60 * MINUTES:
            run_state_machine_as_test(Guard, settings=EVERY_DAY)
    finally:
        with capsys.disabled():
            took = time.monotonic() - started
            print(f"\n{Guard.examples} sequences of runs and ticks, {took:.0f} s")
