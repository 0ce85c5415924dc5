"""The run launcher for one machine: a process for each run, which loads one integration alone.

Named in ``dagster.yaml``. A process begins with all imports done, and inherits no connection and no
definition; it reads its ``defs.yaml`` files itself, so a reload of the code location does not
concern it. It lives on when the daemon ends, and any process of the same user on this machine can
find it by its id.
"""

import os
import signal
import socket
import threading
from functools import partial

import dagster as dg
import psutil

from m3sync_dagster.dagster_internals import (
    CheckRunHealthResult,
    ConfigurableClassData,
    ExecuteRunArgs,
    GrpcServerCodeLocationOrigin,
    LaunchRunContext,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    WorkerStatus,
)
from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.runs.fork_server import Request
from m3sync_dagster.runs.run_processes import RunProcesses
from m3sync_dagster.runs.run_status import INTEGRATION_TAG, VERIFIED_TAG

PROCESS_ID_TAG = "m3sync/process_id"
"""Run tag with host and id of the run's process."""
_ENTITY_ASSETS = {f"salesforce_{entity}" for entity in ENTITIES}
"""The second part of the asset key of each entity."""


class OneIntegrationRunLauncher(dg.DefaultRunLauncher):
    """Launches runs of one integration in a process of their own, others as Dagster does.

    Others are runs of several integrations or of other assets, the daily purge, and all runs of a
    code server that the workspace names by host and port: it may be on another machine.
    """

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._processes: dict[str, RunProcesses] = {}
        self._lock = threading.Lock()

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the process of a run."""
        run = context.dagster_run
        integration = only_integration(run)
        if integration is None or not _has_local_code_server(run):
            super().launch_run(context)
            return
        process_id = self._start(run, integration)
        try:
            tag = {PROCESS_ID_TAG: f"{socket.gethostname()} {process_id}"}
            self._instance.add_run_tags(run.run_id, tag)
        except BaseException:
            os.kill(process_id, signal.SIGKILL)  # Dagster records the launch as failed.
            raise

    def dispose(self) -> None:
        """End what starts processes. The processes of runs go on."""
        super().dispose()
        for processes in self._processes.values():
            processes.close()
        self._processes.clear()

    def terminate(self, run_id: str) -> bool:
        """Interrupt a run's process, and say whether there was one."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or PROCESS_ID_TAG not in run.tags:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call] # Dagster's own
        if run.is_finished:
            return False
        self._instance.report_run_canceling(run)
        try:
            process = _process_of(run)
            if process:
                process.send_signal(signal.SIGINT)
                return True
            reason = "it has ended, or runs on another machine"
        except psutil.Error as error:
            reason = str(error)
        message = f"The run's process ({run.tags[PROCESS_ID_TAG]}) was not interrupted: {reason}."
        self._instance.report_engine_event(message, run, cls=type(self))
        return False

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Dagster's monitoring asks whether a run's process is alive."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Whether a run's process is alive; what cannot be known counts as alive.

        A code server watches the processes that it has started, and the guard the locks of runs.
        """
        if not _is_on_this_machine(run):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        try:
            if _process_of(run):
                return CheckRunHealthResult(WorkerStatus.RUNNING)
        except psutil.AccessDenied:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND, f"there is no process {run.tags[PROCESS_ID_TAG]} of this run"
        )

    def _start(self, run: dg.DagsterRun, integration: str) -> int:
        origin = run.job_code_origin
        assert origin is not None  # noqa: S101 - a run that was launched has it
        arguments = ExecuteRunArgs(origin, run.run_id, self._instance.get_ref())
        request = Request(integration, run.run_id, arguments.get_command_args()[-1])
        processes = self._processes_of(origin.executable_path)
        return processes.start(request, partial(self._report_end, run.run_id))

    def _processes_of(self, interpreter: str) -> RunProcesses:
        """What starts processes with a code server's interpreter."""
        with self._lock:
            processes = self._processes.get(interpreter)
            if processes and not processes.can_start:
                processes.close()
                processes = None
            if processes is None:
                processes = self._processes[interpreter] = RunProcesses(interpreter)
            return processes

    def _report_end(self, run_id: str, code: int) -> None:
        """Report a run whose process has ended, if it has no end on record."""
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished:
            return
        message = f"The run's process has ended with the exit code {code}, and without a result."
        if run.status is dg.DagsterRunStatus.CANCELING:
            self._instance.report_run_canceled(run, message)
        else:
            self._instance.report_run_failed(run, message)


def only_integration(run: dg.DagsterRun) -> str | None:
    """The one integration that a run syncs or verifies.

    ``None`` if there are several, if the run has other assets too, or if its tags name another one.
    """
    checked = {check.asset_key for check in run.asset_check_selection or ()}
    keys = {*(run.asset_selection or ()), *checked}
    if not all(_is_entity(key) for key in keys):
        return None
    names = {key.path[0] for key in keys}
    tagged = run.tags.get(INTEGRATION_TAG) or run.tags.get(VERIFIED_TAG)
    return names.pop() if len(names) == 1 and {tagged} <= {None, *names} else None


def _is_entity(key: dg.AssetKey) -> bool:
    return len(key.path) == 2 and key.path[1] in _ENTITY_ASSETS


def _has_local_code_server(run: dg.DagsterRun) -> bool:
    """Whether the code server is on the machine of daemon and webserver.

    They have started it themselves, or reach it by a socket, as ``dagster dev`` lets them.
    """
    job = run.remote_job_origin
    origin = job.repository_origin.code_location_origin if job else None
    if isinstance(origin, GrpcServerCodeLocationOrigin):
        return origin.socket is not None
    return isinstance(origin, ManagedGrpcPythonEnvCodeLocationOrigin)


def _is_on_this_machine(run: dg.DagsterRun) -> bool:
    return run.tags.get(PROCESS_ID_TAG, "").split(" ")[0] == socket.gethostname()


def _process_of(run: dg.DagsterRun) -> psutil.Process | None:
    """The process of a run, if it is alive on this machine.

    Raises:
        psutil.AccessDenied: it is another user's.
    """
    if not _is_on_this_machine(run):
        return None
    try:
        process = psutil.Process(int(run.tags[PROCESS_ID_TAG].split(" ")[1]))
        # The system gives the id of a process that has ended to another one.
        shown = " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return None
    # The system shows nothing for a moment while a process begins or ends.
    return process if not shown or run.run_id in shown else None
