"""The Celery application of a worker: Dagster's own, with a process for each run.

Run: ``celery --app m3sync_dagster.celery_worker worker``. A worker imports m3sync once and forks
a process for each run, which loads the run's integration alone, opens its own connections, and ends
with the run. So nothing of one run reaches the next: no variable, no connection, no memory.
"""

import importlib
import os
from collections.abc import Mapping
from typing import Any

import dagster as dg
from celery.signals import task_prerun
from dagster_celery.app import app

from m3sync_dagster.dagster_internals import ExecuteRunArgs, unpack_value
from m3sync_dagster.project_folder import ONLY_INTEGRATION
from m3sync_dagster.runs.fork_server import NEEDED
from m3sync_dagster.runs.run_launcher import only_integration

__all__ = ["app"]

for module in NEEDED:  # here, so that no run's process has to
    importlib.import_module(module)

# Source: Celery documentation, "Configuration and defaults".
app.conf.update(
    worker_max_tasks_per_child=1,
    # A worker takes a run only when it has a process for it, so that no run waits for one worker
    # while another is free. Celery has this for Redis alone.
    worker_disable_prefetch=True,
    # A worker may start before Redis.
    broker_connection_retry_on_startup=True,
)


@task_prerun.connect  # type: ignore[untyped-decorator] # Celery has no types
def load_only_its_integration(kwargs: Mapping[str, Any], **_: object) -> None:
    """Restrict this process, which executes one run, to the run's integration.

    Celery logs an error raised here, and executes the run, which then loads all integrations.
    """
    packed = kwargs.get("execute_job_args_packed")
    if packed is None:  # another task of Dagster
        return
    run_id = unpack_value(packed, as_type=ExecuteRunArgs).run_id
    with dg.DagsterInstance.get() as instance:
        run = instance.get_run_by_id(run_id)
    if run and (integration := only_integration(run)):
        os.environ[ONLY_INTEGRATION] = integration
