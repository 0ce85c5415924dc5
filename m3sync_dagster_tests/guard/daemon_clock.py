"""Dagster's own scheduler and sensor daemon, one iteration at a time, at a time of our choice."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import dagster as dg
import dagster._daemon.daemon  # the scheduler cannot be imported before it
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import freeze_time
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import (
    InProcessWorkspaceLoadTarget,
    WorkspaceFileTarget,
    WorkspaceLoadTarget,
)
from dagster._daemon import get_default_daemon_logger
from dagster._daemon.controller import create_daemon_grpc_server_registry
from dagster._daemon.sensor import execute_sensor_iteration
from dagster._scheduler.scheduler import launch_scheduled_runs

from m3sync_dagster_tests.conftest import ROOT

HOME = """\
telemetry: {enabled: false}
storage:
  postgres:
    postgres_url: {env: M3SYNC_POSTGRES_URL}
run_launcher:
  module: dagster._core.launcher.sync_in_memory_run_launcher
  class: SyncInMemoryRunLauncher
run_coordinator:
  module: dagster._core.run_coordinator.sync_in_memory_run_coordinator
  class: SyncInMemoryRunCoordinator
run_retries: {enabled: true, max_retries: 0, retry_on_asset_or_op_failure: false}
compute_logs:
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""
"""A ``dagster.yaml`` whose runs are over when the scheduler's iteration is."""

IN_ITS_OWN_PROCESS = WorkspaceFileTarget([str(ROOT / "workspace.yaml")])
IN_THIS_PROCESS = InProcessWorkspaceLoadTarget(
    InProcessCodeLocationOrigin(
        loadable_target_origin=LoadableTargetOrigin(module_name="m3sync_dagster.definitions"),
        location_name="m3sync",
    )
)


@dataclass
class Clockwork:
    """The daemons over a workspace, and what time they think it is."""

    workspace: WorkspaceProcessContext
    now: datetime

    def at(self, minute: int) -> contextlib.AbstractContextManager[None]:
        """This minute of the hour, for all of Dagster in this process."""
        return freeze_time(self.now.replace(minute=minute))

    def schedule(self) -> None:
        """An iteration of the scheduler, with whatever runs it launches."""
        with self.at(5):
            logger = get_default_daemon_logger("SchedulerDaemon")
            errors = launch_scheduled_runs(self.workspace, logger, self.now.replace(minute=5), {})
            assert not [str(error) for error in errors if error]

    def sense(self, minute: int = 10) -> None:
        """An iteration of the sensor daemon."""
        with self.at(minute):
            logger = get_default_daemon_logger("SensorDaemon")
            errors = execute_sensor_iteration(self.workspace, logger, None, None)
            assert not [str(error) for error in errors if error]

    def hour(self) -> None:
        """The next hour: what is due, and then what the guard makes of it."""
        self.now += timedelta(hours=1)
        self.schedule()
        self.sense()


@contextlib.contextmanager
def clockwork(
    instance: dg.DagsterInstance, target: WorkspaceLoadTarget, now: datetime
) -> Iterator[Clockwork]:
    """The daemons, for as long as the block lasts."""
    with workspace_of(instance, target) as workspace:
        yield Clockwork(workspace, now)


@contextlib.contextmanager
def workspace_of(
    instance: dg.DagsterInstance, target: WorkspaceLoadTarget
) -> Iterator[WorkspaceProcessContext]:
    """What the daemons work on; no code server of it is left in the end."""
    with (
        create_daemon_grpc_server_registry(instance) as servers,
        WorkspaceProcessContext(instance, target, grpc_server_registry=servers) as workspace,
    ):
        yield workspace
    servers.wait_for_processes()


@contextlib.contextmanager
def home(folder: Path) -> Iterator[dg.DagsterInstance]:
    """An instance in a folder, over the database that the environment names."""
    (folder / "dagster.yaml").write_text(HOME)
    with dg.DagsterInstance.from_config(str(folder)) as instance:
        yield instance
