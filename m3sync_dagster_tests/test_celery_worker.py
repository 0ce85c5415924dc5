"""What a Celery worker's process does before it executes a run."""

import os
import sys

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import RepositoryPythonOrigin
from dagster._core.test_utils import create_run_for_test
from dagster._grpc.types import ExecuteRunArgs
from dagster_celery.config import TASK_EXECUTE_JOB_NAME
from dagster_shared.serdes import pack_value

from m3sync_dagster.celery_worker import app
from m3sync_dagster.project_folder import ONLY_INTEGRATION
from m3sync_dagster_tests.conftest import DefsFolder

JOB = "salesforce_sync"
TAGS = {"m3sync/integration": "acme"}


@pytest.mark.parametrize(
    ("integrations", "only"), [(["acme"], "acme"), (["acme", "globex"], ""), (["globex"], "")]
)
def test_a_process_loads_the_one_integration_of_its_run(
    integrations: list[str],
    only: str,
    instance: dg.DagsterInstance,
    defs_folder: DefsFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(instance.root_directory))
    monkeypatch.setenv(ONLY_INTEGRATION, "")
    code = ModuleCodePointer("m3sync_dagster.definitions", "defs", None)
    origin = RepositoryPythonOrigin(sys.executable, code).get_job_origin(JOB)
    run = create_run_for_test(
        instance,
        JOB,
        tags=TAGS,
        asset_selection=frozenset(dg.AssetKey([one, "salesforce_account"]) for one in integrations),
        job_code_origin=origin,
        status=dg.DagsterRunStatus.SUCCESS,  # so that Dagster loads its job and does no more
    )
    arguments = pack_value(ExecuteRunArgs(origin, run.run_id, instance.get_ref()))
    done = app.tasks[TASK_EXECUTE_JOB_NAME].apply(kwargs={"execute_job_args_packed": arguments})
    assert done.get() == 0
    assert os.environ[ONLY_INTEGRATION] == only


def test_a_process_ends_with_its_run_and_takes_none_before() -> None:
    assert app.conf.worker_max_tasks_per_child == 1
    assert app.conf.worker_disable_prefetch
