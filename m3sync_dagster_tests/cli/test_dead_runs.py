"""A killed ``m3sync run`` is shown as dead at once, and so reported to Dagster."""

import os
import signal
import subprocess
import time
from typing import Any

import dagster as dg
import httpx
import psycopg
import pytest

from m3sync_dagster.state import postgres_url
from m3sync_dagster_tests.cli.conftest import Stage
from m3sync_dagster_tests.cli.processes import PROGRAM
from m3sync_dagster_tests.conftest import PATIENCE

pytestmark = pytest.mark.slow


def started() -> bool:
    with dg.DagsterInstance.get() as instance:
        return bool(instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED])))


def wait_until_started(process: subprocess.Popen[str]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not started():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.2)


def wait_for_free_locks() -> None:
    """PostgreSQL frees the locks of a killed process when it sees that its connection is gone."""
    with psycopg.connect(postgres_url(), autocommit=True) as connection:
        deadline = time.monotonic() + PATIENCE
        while connection.execute(
            "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' LIMIT 1"
        ).fetchone():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def newest(stage: Stage, command: str) -> dict[str, Any]:
    (row,) = (
        stage.run(command, "acme", "--json").json
        if command == "runs"
        else [stage.run(command, "--json").json[0]["last_run"]]
    )
    assert isinstance(row, dict)
    return row


@pytest.mark.parametrize("first_view", ["runs", "status"])
def test_a_killed_run_is_dead_in_the_first_view_after_it(stage: Stage, first_view: str) -> None:
    slow = {"action": {"kind": "delay", "seconds": 600}, "path": "*/accounts", "times": None}
    m3ter = os.environ["M3TER_BASE_URL"]
    httpx.post(f"{m3ter}/sandbox/faults", json=slow).raise_for_status()
    process = subprocess.Popen(
        [PROGRAM, "run", "acme", "--entity", "account"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        wait_until_started(process)
        assert newest(stage, first_view)["status"] == "STARTED"
        process.send_signal(signal.SIGKILL)
        process.wait(PATIENCE)
    wait_for_free_locks()
    assert newest(stage, first_view)["status"] == "ERROR"
    (run,) = stage.run("runs", "acme", "--json").json
    assert run["status"] == "ERROR"
    assert "The run's process is gone" in run["error"]
