"""The daemon's own loops over the hours: the scheduler at set times, the queue, run workers.

Time is Dagster's own means for tests; all else is as in production: PostgreSQL, a code server, runs
in processes of their own.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

import dagster._daemon.daemon  # isort: skip
import psutil
import pytest
from dagster._core.test_utils import freeze_time
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceFileTarget
from dagster._daemon import get_default_daemon_logger
from dagster._daemon.controller import create_daemon_grpc_server_registry
from dagster._daemon.monitoring.run_monitoring import execute_run_monitoring_iteration
from dagster._daemon.run_coordinator.queued_run_coordinator_daemon import (
    QueuedRunCoordinatorDaemon,
)
from dagster._scheduler.scheduler import launch_scheduled_runs
from dagster_shared.error import SerializableErrorInfo

from m3sync_dagster.runs import dead_runs
from m3sync_dagster.runs.dead_runs import PROCESS_TAG, report_if_dead
from m3sync_dagster.runs.fork_server import title
from m3sync_dagster.runs.run_launcher import PROCESS_ID_TAG
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.state import connect, is_run_locked, postgres_url
from m3sync_dagster_tests.conftest import (
    CREDENTIALS,
    INTEGRATION,
    ROOT,
    DefsFolder,
    Sandbox,
    sandbox_of,
)
from m3sync_dagster_tests.live.conftest import REFUSED, until

pytestmark = pytest.mark.slow

MINUTES = {"acme": 3, "globex": 5}


@dataclass
class Daemon:
    """The daemon's loops, one turn at a time."""

    instance: dg.DagsterInstance
    workspace: WorkspaceProcessContext
    seen: set[str] = field(default_factory=set)

    def start_schedules(self, at: datetime) -> None:
        entries = self.workspace.create_request_context().get_code_location_entries().values()
        (location,) = [entry.code_location for entry in entries]
        assert location is not None
        (repository,) = location.get_repositories().values()
        with freeze_time(at):
            for name in MINUTES:
                self.instance.start_schedule(repository.get_schedule(f"{name}_hourly"))

    def schedule(self, at: datetime) -> None:
        """Evaluate the schedules at a time, as a scheduler that was just started."""
        with freeze_time(at):
            logger = get_default_daemon_logger("SchedulerDaemon")
            launched = list(launch_scheduled_runs(self.workspace, logger, at, {}))
        assert [error for error in launched if isinstance(error, SerializableErrorInfo)] == []

    def work(self) -> dict[str, tuple[str, str]]:
        """Launch the queued runs, and wait for their end.

        Returns:
            The new run of each integration: its hours and its status.
        """
        open_runs = dg.RunsFilter(
            statuses=[
                dg.DagsterRunStatus.QUEUED,
                dg.DagsterRunStatus.STARTING,
                dg.DagsterRunStatus.STARTED,
            ]
        )
        with QueuedRunCoordinatorDaemon(interval_seconds=1) as queue:

            def poll() -> bool:
                list(queue.run_iteration(self.workspace))
                return not self.instance.get_runs(open_runs)

            until(poll, "the end of the runs")
        runs = [run for run in self.instance.get_runs() if run.run_id not in self.seen]
        self.seen |= {run.run_id for run in runs}
        ended = {run.tags["m3sync/integration"]: (hours_of(run), run.status.value) for run in runs}
        assert len(ended) == len(runs), "an integration has two runs"
        return ended


def hours_of(run: dg.DagsterRun) -> str:
    one = run.tags.get("dagster/partition")
    first = run.tags.get("dagster/asset_partition_range_start")
    return one or f"{first}...{run.tags['dagster/asset_partition_range_end']}"


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    organization = Organization.generate(12, contracts=10, commitments=8, balances=10)
    with sandbox_of(organization) as running_sandbox:
        yield running_sandbox


@pytest.fixture
def daemon(
    instance: dg.DagsterInstance,
    sandbox: Sandbox,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Daemon]:
    """Two integrations with different minutes."""
    defs = DefsFolder(tmp_path / "defs")
    defs.write("credentials", CREDENTIALS)
    for name, minute in MINUTES.items():
        text = INTEGRATION.replace("name: acme", f"name: {name}\n  minute_of_hour: {minute}")
        defs.write(name, text.replace("2026-11-01-00:00", "2025-01-01-00:00"))
    for variable, value in sandbox.environment.items():
        monkeypatch.setenv(variable, value)
    monkeypatch.setenv("M3SYNC_DEFS", str(defs.path))
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    workspace = WorkspaceFileTarget([str(ROOT / "workspace.yaml")])
    # The registry is left before we wait, so that the code server is asked to end.
    with (
        create_daemon_grpc_server_registry(instance) as registry,
        WorkspaceProcessContext(instance, workspace, grpc_server_registry=registry) as context,
    ):
        yield Daemon(instance, context)
    registry.wait_for_processes()


def at(hour: int, minute: int) -> datetime:
    return datetime(2025, 3, 4, hour, minute, tzinfo=UTC)


def key(hour: int) -> str:
    return f"2025-03-04-{hour:02}:00"


def status_of_both(hours: str, status: str) -> dict[str, tuple[str, str]]:
    return dict.fromkeys(MINUTES, (hours, status))


def test_the_hours_of_two_integrations(daemon: Daemon, sandbox: Sandbox) -> None:
    daemon.start_schedules(at(11, 30))

    # Before and just after the hour there is nothing to do yet.
    daemon.schedule(at(11, 59))
    daemon.schedule(at(12, 1))
    assert daemon.work() == {}

    # The first is due, then the second; a second evaluation launches none twice.
    daemon.schedule(at(12, 4))
    daemon.schedule(at(12, 6))
    daemon.schedule(at(12, 7))
    assert daemon.work() == status_of_both(key(11), "SUCCESS")
    daemon.schedule(at(12, 59))
    assert daemon.work() == {}
    assert len(sandbox.records("m3ter_Account__c")) == 12

    # Four hours without a daemon.
    daemon.schedule(at(16, 6))
    assert daemon.work() == status_of_both(f"{key(12)}...{key(15)}", "SUCCESS")

    # An hour in which Salesforce refuses the credential, and something has changed.
    organization = sandbox.organization
    changed = organization.ids("accounts")[2]
    organization.change("accounts", changed, name="Renamed")
    sandbox.salesforce.post("/sandbox/faults", json=REFUSED).raise_for_status()
    daemon.schedule(at(17, 6))
    assert daemon.work() == status_of_both(key(16), "FAILURE")
    failed = daemon.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.FAILURE]))
    assert [run.tags["m3sync/status"] for run in failed] == ["AUTH_FAILED", "AUTH_FAILED"]
    assert sandbox.records("m3ter_Account__c")[changed]["Account_Name__c"] != "Renamed"

    # It works again: the next hour covers the failed one.
    sandbox.salesforce.delete("/sandbox/faults").raise_for_status()
    daemon.schedule(at(18, 6))
    assert daemon.work() == status_of_both(f"{key(16)}...{key(17)}", "SUCCESS")
    assert sandbox.records("m3ter_Account__c")[changed]["Account_Name__c"] == "Renamed"
    for name in MINUTES:
        for entity in ("account", "contract", "commitment", "balance"):
            asset = dg.AssetKey([name, f"salesforce_{entity}"])
            hours = daemon.instance.get_materialized_partitions(asset)
            assert hours == {key(hour) for hour in range(11, 18)}


def both_at_work(daemon: Daemon, sandbox: Sandbox) -> tuple[dg.RunRecord, dg.RunRecord]:
    """A run of acme and one of globex that are in their first step, and wait for m3ter."""
    fault = {"path": "*/accounts", "action": {"kind": "delay", "seconds": 600}, "times": None}
    sandbox.m3ter.post("/sandbox/faults", json=fault).raise_for_status()
    daemon.start_schedules(at(11, 30))
    daemon.schedule(at(12, 6))
    with QueuedRunCoordinatorDaemon(interval_seconds=1) as queue:
        list(queue.run_iteration(daemon.workspace))

    def in_first_steps() -> dict[str, dg.RunRecord] | None:
        runs = [(record, record.dagster_run) for record in daemon.instance.get_run_records()]
        begun = [record for record, run in runs if run.tags.get(PROCESS_TAG) == run.run_id]
        names = {record.dagster_run.tags["m3sync/integration"]: record for record in begun}
        return names if len(names) == len(MINUTES) else None

    found = until(in_first_steps, "the first steps of both runs")
    return found["acme"], found["globex"]


def process_of(run: dg.DagsterRun) -> psutil.Process:
    return psutil.Process(int(run.tags[PROCESS_ID_TAG].split(" ")[1]))


def ended(daemon: Daemon, run: dg.DagsterRun) -> dg.DagsterRunStatus:
    """The status of a run, once it is over."""

    def status() -> dg.DagsterRunStatus | None:
        (now,) = daemon.instance.get_runs(dg.RunsFilter(run_ids=[run.run_id]))
        return now.status if now.is_finished else None

    return until(status, "the end of the run")


def test_a_killed_worker_is_dead_at_once_and_a_slow_one_is_not(
    daemon: Daemon, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What has started them was killed, so nothing waits for their end, as after a restart."""
    acme, globex = both_at_work(daemon, sandbox)
    psutil.Process(process_of(acme.dagster_run).ppid()).kill()
    logger = get_default_daemon_logger("MonitoringDaemon")

    def monitor() -> bool:
        """Let the daemon look at all processes, and say whether every run is over."""
        assert not any(execute_run_monitoring_iteration(daemon.workspace, logger))
        return all(run.is_finished for run in daemon.instance.get_runs())

    assert not monitor()
    assert len(daemon.instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.STARTED]))) == 2
    with connect(postgres_url()) as connection:
        with monkeypatch.context() as patch:
            patch.setattr(dead_runs, "SILENCE", timedelta(0))
            assert not report_if_dead(daemon.instance, connection, acme)
        for record in (acme, globex):
            process_of(record.dagster_run).kill()
        until(lambda: not is_run_locked(connection, acme.dagster_run.run_id), "PostgreSQL's notice")
        assert report_if_dead(daemon.instance, connection, acme)
    assert ended(daemon, acme.dagster_run) is dg.DagsterRunStatus.FAILURE
    until(monitor, "the end of both runs")
    assert ended(daemon, globex.dagster_run) is dg.DagsterRunStatus.FAILURE
    messages = [entry.message for entry in daemon.instance.all_logs(globex.dagster_run.run_id)]
    assert any("there is no process" in message for message in messages)


def test_a_run_of_one_integration_has_a_process_that_can_be_ended_from_elsewhere(
    daemon: Daemon, sandbox: Sandbox, tmp_path: Path
) -> None:
    acme, globex = (record.dagster_run for record in both_at_work(daemon, sandbox))
    process = process_of(acme)
    assert " ".join(process.cmdline()).strip() == title("acme", acme.run_id)
    # The webserver has an instance of its own.
    with dg.DagsterInstance.from_config(str(tmp_path)) as webserver:
        assert webserver.run_launcher.terminate(acme.run_id)
        assert ended(daemon, acme) is dg.DagsterRunStatus.CANCELED
        assert not webserver.run_launcher.terminate(acme.run_id)
    # The daemon that has launched a run reports its end at once.
    process_of(globex).kill()
    assert ended(daemon, globex) is dg.DagsterRunStatus.FAILURE
    messages = [entry.message for entry in daemon.instance.all_logs(globex.run_id)]
    assert any("exit code -9" in message for message in messages)
