"""The values for Dagster's own Helm chart: the same settings, valid pods."""

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from dagster._core.instance.ref import InstanceRef

from m3sync_dagster.cli.prepare_environment import _keeps_runs_in_postgres
from m3sync_dagster_tests.deploy.helm_chart import (
    SWITCHES,
    dagster_yaml,
    values,
    written_by_the_chart,
)
from m3sync_dagster_tests.deploy.manifests import objects, settings, unsafe
from m3sync_dagster_tests.deploy.test_kubernetes import VERSION, by_name
from m3sync_dagster_tests.deploy.test_settings import differences, read

STORAGES = {"storage", "run_storage", "event_log_storage", "schedule_storage"}
NOOP = "storage.noop_compute_log_manager"


def test_the_settings_are_those_of_the_project_except_storage_and_launcher() -> None:
    chart, project = dagster_yaml(values()), read("dagster.yaml")
    # Both names are of the same module.
    for one in (chart, project):
        one["compute_logs"]["module"] = one["compute_logs"]["module"].partition("core.")[2]
    assert chart["compute_logs"]["module"] == NOOP
    assert differences(chart, project) == STORAGES | {"run_launcher"}


def test_the_chart_writes_no_setting_twice() -> None:
    given = values()
    assert written_by_the_chart(given) == set()
    given["dagsterDaemon"] = {}
    assert written_by_the_chart(given) == set(SWITCHES)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(dagster_yaml(values())))
    return tmp_path


def test_dagster_reads_the_settings_of_the_chart(home: Path) -> None:
    reference = InstanceRef.from_dir(str(home))
    assert "K8sRunLauncher" in str(reference.run_launcher_data)
    assert "QueuedRunCoordinator" in str(reference.run_coordinator_data)
    assert "PostgresRunStorage" in str(reference.storage_data)


def test_m3sync_takes_the_storage_of_the_chart(home: Path) -> None:
    assert _keeps_runs_in_postgres(home / "dagster.yaml")


def code_server() -> dict[str, Any]:
    (deployment,) = values()["dagster-user-deployments"]["deployments"]
    assert isinstance(deployment, dict)
    return deployment


def test_the_image_and_the_integrations_are_those_of_the_manifests() -> None:
    ours, manifest = code_server(), by_name()["Deployment m3sync-code-server"]["spec"]["template"]
    volumes = {one["name"]: one for one in manifest["spec"]["volumes"]}
    assert [one for one in ours["volumes"] if one["name"] == "defs"] == [volumes["defs"]]
    (container,) = manifest["spec"]["containers"]
    assert ours["volumeMounts"] == container["volumeMounts"]
    assert ours["securityContext"] == container["securityContext"]
    assert ours["resources"] == container["resources"]
    assert ours["podSecurityContext"] == manifest["spec"]["securityContext"]
    assert [str(ours["port"]), *ours["codeServerArgs"]] == container["args"][-3:]
    assert ours["envSecrets"] == [container["envFrom"][1]["secretRef"]]


def test_runs_may_do_as_little_as_in_the_manifests() -> None:
    chart = values()["runLauncher"]["config"]["k8sRunLauncher"]
    assert chart["securityContext"] == code_server()["securityContext"]
    pod = chart["runK8sConfig"]["podSpecConfig"]
    assert pod["securityContext"] == code_server()["podSecurityContext"]
    launcher = settings()["run_launcher"]["config"]
    assert pod["automountServiceAccountToken"] is False
    assert launcher["resources"] == code_server()["resources"]


def test_the_migration_is_a_valid_job_with_the_image_of_the_code_server() -> None:
    (job,) = values()["extraManifests"]
    kubernetes_validate.validate(job, VERSION, strict=True)
    pod = job["spec"]["template"]["spec"]
    assert unsafe(pod) == []
    image = code_server()["image"]
    (container,) = pod["containers"]
    assert container["image"] == f"{image['repository']}:{image['tag']}"
    assert container["args"] == _args_of_the_migration()


def _args_of_the_migration() -> list[str]:
    (job,) = (one for one in objects() if one["kind"] == "Job")
    args: list[str] = job["spec"]["template"]["spec"]["containers"][0]["args"]
    return args
