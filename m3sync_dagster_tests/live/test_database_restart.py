"""A daemon and a webserver whose database is restarted, and a run whose daemon is killed."""

import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.state import migrate
from m3sync_dagster_tests.conftest import (
    CREDENTIALS,
    INTEGRATION,
    ROOT,
    DefsFolder,
    Sandbox,
    dagster_instance,
    sandbox_of,
)
from m3sync_dagster_tests.live.conftest import DAEMONS, REPOSITORY, Live, serving, until
from m3sync_dagster_tests.live.test_graphql import ended, launch
from m3sync_dagster_tests.postgres.own_server import OwnServer, own_server

pytestmark = pytest.mark.slow

GUARD = """
query($s: SensorSelector!) { sensorOrError(sensorSelector: $s) { ... on Sensor {
  sensorState { ticks(limit: 5) { timestamp skipReason } } } } }
"""


@pytest.fixture
def server() -> Iterator[OwnServer]:
    """A server for this test only."""
    with own_server() as running:
        yield running


def beats(live: Live) -> dict[str, float]:
    """The time of each daemon's last heartbeat."""
    answer = live.ask(DAEMONS.replace("healthy", "healthy lastHeartbeatTime"))
    daemons = answer["instance"]["daemonHealth"]["allDaemonStatuses"]
    return {one["daemonType"]: one["lastHeartbeatTime"] for one in daemons if one["required"]}


def answers(live: Live) -> bool:
    """Whether the webserver can ask the database again."""
    with suppress(AssertionError, httpx.HTTPError):
        return bool(beats(live))
    return False


def guard_ticked(live: Live, since: float) -> bool:
    """Whether the guard has evaluated the integrations since then."""
    answer = live.ask(GUARD, s={"sensorName": "integration_guard", **REPOSITORY})
    return any(
        tick["timestamp"] > since and "1 integrations are watched" in (tick["skipReason"] or "")
        for tick in answer["sensorOrError"]["sensorState"]["ticks"]
    )


def test_a_daemon_works_on_after_a_restart_of_the_database_and_a_run_after_the_daemon_s_end(
    server: OwnServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    defs = DefsFolder(tmp_path / "defs")
    defs.write("credentials", CREDENTIALS)
    defs.write("acme", INTEGRATION)
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", server.url)
    migrate(server.url)
    with dagster_instance(tmp_path):
        pass  # Dagster creates its tables by opening them.
    with (
        sandbox_of(Organization.sample()) as sandbox,
        serving(tmp_path, server.url, sandbox) as live,
    ):
        before = beats(live)
        server.stop()
        assert not answers(live)
        restarted = time.time()
        server.start()
        until(lambda: answers(live), "an answer of the webserver")
        run_id = launch(live, **{"dagster/partition": "2026-11-22-11:00"})
        assert ended(live, run_id)["status"] == "SUCCESS"

        def beaten() -> bool:
            now = beats(live)
            return all(now[name] > before[name] for name in before)

        until(beaten, "a sign of life of every daemon")
        until(lambda: guard_ticked(live, restarted), "a tick of the guard")
        assert live.daemon.poll() is None
        _kill_the_daemon_of_a_run(live, sandbox)


def _kill_the_daemon_of_a_run(live: Live, sandbox: Sandbox) -> None:
    """A run that a daemon has launched ends well without it."""
    slow = {"path": "*/accounts", "action": {"kind": "delay", "seconds": 20}, "times": 1}
    sandbox.m3ter.post("/sandbox/faults", json=slow).raise_for_status()
    tags = {"dagster/partition": "2026-11-22-12:00", "m3sync/integration": "acme"}
    run_id = launch(live, **tags)
    started = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
    until(lambda: live.ask(started, id=run_id)["runOrError"]["status"] == "STARTED", "the run")
    live.daemon.kill()
    live.daemon.wait()
    run = ended(live, run_id)
    assert "m3sync/process_id" in run["tags"]
