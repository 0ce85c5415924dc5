"""Runs as tasks of Celery: two workers with Redis, one of which is killed in the middle of an hour.

There are eight integrations, or as many as the variable M3SYNC_TEST_INTEGRATIONS says.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, suppress
from pathlib import Path

import dagster as dg
import pytest
import redis

from m3sync_dagster_tests.conftest import ROOT, DefsFolder, sandbox_of
from m3sync_dagster_tests.databases import new_database
from m3sync_dagster_tests.deploy.many_integrations import (
    HeldAnswers,
    Hours,
    assert_equal,
    organization_of,
    write_integrations,
)
from m3sync_dagster_tests.guard.test_disabling import CLOCK
from m3sync_dagster_tests.live.conftest import free_port, serving, until

CELERY = Path(sys.executable).with_name("celery")
REDIS = shutil.which("redis-server")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        REDIS is None, reason="there is no redis-server here: apt-get install redis-server"
    ),
]

INTEGRATIONS = int(os.environ.get("M3SYNC_TEST_INTEGRATIONS", "8"))
PROCESSES = 2
"""Those of a worker. Two workers have as many as max_concurrent_runs in dagster.yaml."""
WORKER = ("--app", "m3sync_dagster.celery_worker", "worker", "--loglevel", "INFO", "--concurrency")
STATUS = dg.DagsterRunStatus


@contextmanager
def redis_server(folder: Path) -> Iterator[str]:
    """The address of a Redis that keeps nothing on disk."""
    port = free_port()
    command = [str(REDIS), "--bind", "127.0.0.1", "--port", str(port), "--save", ""]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL) as running:
        try:
            with closing(redis.Redis(port=port)) as client:
                until(lambda: _answers(client), "Redis")
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            running.terminate()


def _answers(client: "redis.Redis") -> bool:
    with suppress(redis.ConnectionError):
        return bool(client.ping())
    return False


@contextmanager
def worker(name: str, environment: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A worker, and its processes."""
    with log.open("w") as output:
        running = subprocess.Popen(
            [CELERY, *WORKER, str(PROCESSES), "--hostname", f"{name}@%h"],
            cwd=log.parent,
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until(lambda: "ready." in log.read_text() or running.poll() is not None, "the worker")
        yield running
    finally:
        kill(running)


def kill(running: subprocess.Popen[bytes]) -> None:
    """Kill a worker with all its processes, as the loss of its machine does."""
    with suppress(ProcessLookupError):
        os.killpg(running.pid, signal.SIGKILL)
    running.wait()


def write_settings(home: Path) -> None:
    """Write the settings for Celery; Dagster looks after its runs more often."""
    text = (ROOT / "deploy" / "celery" / "dagster.yaml").read_text()
    changed = text.replace("poll_interval_seconds: 120", "poll_interval_seconds: 5")
    assert changed != text
    (home / "dagster.yaml").write_text(changed)


def test_a_killed_worker_loses_no_hour_and_doubles_no_record(
    postgres_server: str, dagster_template: str, tmp_path: Path
) -> None:
    organization = organization_of(INTEGRATIONS)
    write_integrations(organization, DefsFolder(tmp_path / "defs"))
    write_settings(tmp_path)
    answers = HeldAnswers()
    with ExitStack() as stack:
        database = stack.enter_context(new_database(postgres_server, dagster_template))
        sandbox = stack.enter_context(sandbox_of(organization, before_salesforce=answers.before))
        address = stack.enter_context(redis_server(tmp_path))
        clock = {"M3SYNC_TEST_CLOCK": str(tmp_path / "clock"), "PYTHONPATH": str(CLOCK)}
        queue = {"CELERY_BROKER_URL": address, "CELERY_RESULT_BACKEND": address}
        stack.enter_context(_environment(M3SYNC_POSTGRES_URL=database, **queue))
        instance = stack.enter_context(dg.DagsterInstance.from_config(str(tmp_path)))
        hours = Hours(organization, tmp_path / "clock", instance)
        live = stack.enter_context(serving(tmp_path, database, sandbox, **clock, **queue))
        first, _ = (
            stack.enter_context(worker(name, live.environment, tmp_path / f"{name}.log"))
            for name in ("first", "second")
        )
        hours.start_schedules(live.url)
        answers.hold(after=INTEGRATIONS // 3)
        hours.turn(3, later=1)
        hour = hours.hour
        until(lambda: len(answers.held) == 2 * PROCESSES, "the runs that wait for Salesforce")
        kill(first)
        answers.release()
        left = INTEGRATIONS - PROCESSES
        until(lambda: hours.count(STATUS.SUCCESS) == left, "the end of the other runs")
        assert hours.count(STATUS.STARTED) == PROCESSES
        hours.change_accounts()
        hours.next_hours(hour)
        assert_equal(organization, sandbox)
        hours.assert_synced_once()
        assert hours.count(STATUS.FAILURE) == PROCESSES


@contextmanager
def _environment(**variables: str) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield
