"""The tag that restricts a run's pod on Kubernetes to the run's integration."""

import json

import dagster as dg

from m3sync_dagster.project_folder import ONLY_INTEGRATION

POD_TAG = "dagster-k8s/config"
"""Run tag with additions to the run's pod.

Source: Dagster documentation, "Customizing your Kubernetes deployment"."""
_LAUNCHER = ("dagster_k8s", "K8sRunLauncher")


def kubernetes_tags(instance: dg.DagsterInstance, integration: str) -> dict[str, str]:
    """The tags by which a run's pod loads one integration; none with another run launcher.

    Args:
        instance: the daemon's, whose ``dagster.yaml`` names the run launcher. It is not opened:
            only the daemon and the webserver may call the Kubernetes API.
        integration: the one integration of the run.
    """
    launcher = instance.get_ref().run_launcher_data
    if launcher is None or (launcher.module_name, launcher.class_name) != _LAUNCHER:
        return {}
    variable = {"name": ONLY_INTEGRATION, "value": integration}
    return {POD_TAG: json.dumps({"container_config": {"env": [variable]}})}
