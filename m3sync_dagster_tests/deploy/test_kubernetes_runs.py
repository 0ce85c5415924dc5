"""The job that Dagster's own run launcher creates for a run, with the settings of the cluster."""

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import kubernetes_validate
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.launcher import LaunchRunContext
from dagster._core.origin import RepositoryPythonOrigin
from dagster._core.storage.dagster_run import DagsterRun
from dagster._core.test_utils import create_run_for_test
from kubernetes.config import incluster_config

from m3sync_dagster.definitions import defs
from m3sync_dagster.project_folder import ONLY_INTEGRATION
from m3sync_dagster_tests.conftest import CREDENTIALS, INTEGRATION, DefsFolder
from m3sync_dagster_tests.databases import new_database
from m3sync_dagster_tests.deploy.kubernetes_api import Cluster, kubernetes_api
from m3sync_dagster_tests.deploy.manifests import FOLDER, broken_references, objects, pods, unsafe
from m3sync_dagster_tests.deploy.test_kubernetes import VERSION

NOW = datetime(2026, 11, 24, 15, 3, tzinfo=UTC)
IMAGE = "registry.example.com/m3sync:0.1.0"


@contextmanager
def cluster(folder: Path) -> Iterator[Cluster]:
    """A pod's surroundings: the address of the API, and the files of the service account."""
    with kubernetes_api(folder) as running, pytest.MonkeyPatch.context() as patch:
        patch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        patch.setenv("KUBERNETES_SERVICE_PORT", str(running.port))
        patch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(folder / "token"))
        patch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(folder / "ca.crt"))
        yield running


@contextmanager
def instance(folder: Path, url: str) -> Iterator[dg.DagsterInstance]:
    """Dagster's instance with the ``dagster.yaml`` of the cluster."""
    shutil.copy(FOLDER / "dagster.yaml", folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M3SYNC_POSTGRES_URL", url)
        with dg.DagsterInstance.from_config(str(folder)) as opened:
            yield opened


def requested_by_the_schedule(instance: dg.DagsterInstance, folder: Path) -> dict[str, str]:
    """The tags of a run that the code server's schedule requests; it cannot call the cluster."""
    defs_folder = DefsFolder(folder / "defs")
    defs_folder.write("credentials", CREDENTIALS)
    defs_folder.write("acme", INTEGRATION)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("M3SYNC_DEFS", str(defs_folder.path))
        repository = defs().get_repository_def()
        context = dg.build_schedule_context(
            instance=instance, scheduled_execution_time=NOW, repository_def=repository
        )
        result = repository.get_schedule_def("acme_hourly").evaluate_tick(context)
    (request,) = result.run_requests or ()
    return dict(request.tags)


def run_of_the_code_server(instance: dg.DagsterInstance, tags: dict[str, str]) -> DagsterRun:
    """A run as the code server describes it, which reports the image of its own container."""
    code = ModuleCodePointer("m3sync_dagster.definitions", "defs", None)
    origin = RepositoryPythonOrigin(sys.executable, code, container_image=IMAGE)
    job = "salesforce_sync"
    run = create_run_for_test(instance, job, job_code_origin=origin.get_job_origin(job), tags=tags)
    assert isinstance(run, DagsterRun)
    return run


@pytest.fixture(scope="module")
def job(
    postgres_server: str, dagster_template: str, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Any]:
    """The job that the launcher creates for a run."""
    folder = tmp_path_factory.mktemp("cluster")
    with (
        new_database(postgres_server, dagster_template) as url,
        instance(folder, url) as opened,
    ):
        run = run_of_the_code_server(opened, requested_by_the_schedule(opened, folder))
        with cluster(folder) as api:
            opened.run_launcher.launch_run(LaunchRunContext(dagster_run=run, workspace=None))
    ((path, created),) = api.created
    assert path == "/apis/batch/v1/namespaces/m3sync/jobs"
    assert created["metadata"]["name"] == f"dagster-run-{run.run_id}"
    return created


def test_a_run_is_a_valid_job_whose_references_exist(job: dict[str, Any]) -> None:
    kubernetes_validate.validate(job, VERSION, strict=True)
    # So that the same function as for the manifests looks at it.
    assert broken_references([*objects(), job]) == []


def test_a_run_has_no_rights_and_the_image_of_the_code_server(job: dict[str, Any]) -> None:
    pod = job["spec"]["template"]
    assert unsafe(pod["spec"]) == []
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert pod["metadata"]["labels"]["app.kubernetes.io/component"] == "run"
    (container,) = pod["spec"]["containers"]
    assert container["image"] == IMAGE
    assert "execute_run" in container["args"]
    # Dagster does not repeat a run, and neither does Kubernetes.
    assert (job["spec"]["backoffLimit"], pod["spec"]["restartPolicy"]) == (0, "Never")


def test_a_run_finds_dagster_yaml_and_the_integrations_where_the_code_server_does(
    job: dict[str, Any],
) -> None:
    server = dict(pods(objects()))["Deployment m3sync-code-server"]
    assert _places(job["spec"]["template"]["spec"]) == _places(server["spec"])
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert {"name": "DAGSTER_HOME", "value": "/opt/m3sync"} in container["env"]


def test_a_run_of_the_schedule_loads_its_integration_alone(job: dict[str, Any]) -> None:
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert {"name": ONLY_INTEGRATION, "value": "acme"} in container["env"]


def _places(spec: dict[str, Any]) -> dict[str, Any]:
    """Where each config map is mounted, and which of its files have which path."""
    maps = {one["name"]: one["configMap"] for one in spec["volumes"] if "configMap" in one}
    mounts = spec["containers"][0]["volumeMounts"]
    return {one["mountPath"]: maps[one["name"]] for one in mounts if one["name"] in maps}
