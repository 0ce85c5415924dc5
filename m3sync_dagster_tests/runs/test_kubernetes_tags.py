"""Which runs have the tag for Kubernetes; what Dagster makes of it is in ``deploy``."""

import dagster as dg
import pytest
from dagster._serdes import ConfigurableClassData

from m3sync_dagster.runs.kubernetes_tags import kubernetes_tags


@pytest.mark.parametrize(
    ("module", "name", "tagged"),
    [
        ("dagster_k8s", "K8sRunLauncher", True),
        ("dagster_celery.launcher", "CeleryRunLauncher", False),
        ("dagster", "DefaultRunLauncher", False),
    ],
)
def test_only_the_run_launcher_for_kubernetes_gets_it(
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    module: str,
    name: str,
    tagged: bool,
) -> None:
    launcher = ConfigurableClassData(module, name, "{}")
    ref = instance.get_ref()._replace(run_launcher_data=launcher)
    monkeypatch.setattr(instance, "_ref", ref)
    assert bool(kubernetes_tags(instance, "acme")) is tagged


def test_the_run_launcher_of_a_project_does_not(instance: dg.DagsterInstance) -> None:
    assert kubernetes_tags(instance, "acme") == {}
