"""The Kubernetes manifests: valid, consistent, without rights that they do not need."""

import copy
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import kubernetes_validate
import pytest
import yaml

from m3sync_dagster.cli.write_project import project_files
from m3sync_dagster_tests.deploy.manifests import (
    FOLDER,
    Object,
    broken_references,
    kustomization,
    objects,
    pods,
    settings,
    unsafe,
)

VERSION = "1.37"
"""The version of Kubernetes whose schemas are used."""
TOKEN = {"Deployment m3sync-daemon", "Deployment m3sync-webserver"}
"""The pods that call the Kubernetes API: one launches runs, the other terminates them."""

Change = Callable[[dict[str, Object]], object]


def by_name() -> dict[str, Object]:
    """The objects by kind and name; a change to them is that of this test alone."""
    found = copy.deepcopy(objects())
    return {f"{one['kind']} {one['metadata']['name']}": one for one in found}


@pytest.mark.parametrize("name", sorted(by_name()))
def test_an_object_is_valid(name: str) -> None:
    kubernetes_validate.validate(by_name()[name], VERSION, strict=True)


def test_what_kubernetes_does_not_know_would_be_found() -> None:
    daemon = by_name()["Deployment m3sync-daemon"]
    daemon["spec"]["template"]["spec"]["containers"][0]["readOnly"] = True
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(daemon, VERSION, strict=True)


def test_all_that_is_referred_to_exists() -> None:
    assert broken_references(objects()) == []


def test_the_migration_needs_only_what_is_applied_before_the_rest() -> None:
    """The two components that the first command of docs/deploying.md applies."""
    before = {"settings", "migration"}
    applied = [
        one
        for one in objects()
        if one["metadata"]["labels"]["app.kubernetes.io/component"] in before
    ]
    kinds = {one["kind"] for one in applied}
    assert {"Namespace", "Secret", "Job"} <= kinds
    assert "Deployment" not in kinds
    assert [one for one in broken_references(applied) if one.startswith("Job")] == []


def container(name: str, all_objects: dict[str, Object]) -> Object:
    (found,) = all_objects[name]["spec"]["template"]["spec"]["containers"]
    assert isinstance(found, dict)
    return found


BREAK: dict[str, tuple[Change, str]] = {
    "service account": (lambda one: one.pop("ServiceAccount m3sync"), "no service account m3sync"),
    "secret": (lambda one: one.pop("Secret m3sync-secrets"), "no Secret m3sync-secrets"),
    "key of the secret": (
        lambda one: one["Secret m3sync-secrets"]["stringData"].pop("M3SYNC_POSTGRES_URL"),
        "no key M3SYNC_POSTGRES_URL in Secret m3sync-secrets",
    ),
    "environment": (lambda one: one.pop("ConfigMap m3sync-environment"), "no ConfigMap"),
    "config map": (lambda one: one.pop("ConfigMap m3sync-dagster"), "no ConfigMap m3sync-dagster"),
    "file of an integration": (
        lambda one: one["ConfigMap m3sync-defs"]["data"].update({"globex.yaml": ""}),
        "the volume defs has ['acme.yaml', 'credentials.yaml'], its ConfigMap ['acme.yaml', 'cred",
    ),
    "mount": (
        lambda one: container("Deployment m3sync-daemon", one)["volumeMounts"].pop(),
        "volume tmp only on one side",
    ),
    "probe": (
        lambda one: container("Deployment m3sync-webserver", one)["ports"].clear(),
        "startupProbe asks the port http",
    ),
    "service's port": (
        lambda one: container("Deployment m3sync-code-server", one)["ports"].clear(),
        "Service m3sync-code-server: no port grpc",
    ),
    "labels": (
        lambda one: one["Deployment m3sync-webserver"]["spec"]["template"]["metadata"].update(
            {"labels": {}}
        ),
        "the selector does not match its own pods",
    ),
    "source of connections": (
        lambda one: one.pop("Deployment m3sync-daemon"),
        "NetworkPolicy m3sync-code-server: no pod has",
    ),
    "role": (lambda one: one.pop("Role m3sync-launcher"), "no Role m3sync-launcher"),
}


@pytest.mark.parametrize("what", BREAK)
def test_a_broken_reference_would_be_found(what: str) -> None:
    change, fault = BREAK[what]
    changed = by_name()
    change(changed)
    assert [one for one in broken_references(changed.values()) if fault in one]


@pytest.mark.parametrize(("name", "pod"), list(pods(objects())))
def test_a_pod_is_restricted_and_its_root_read_only(name: str, pod: Object) -> None:
    assert unsafe(pod["spec"]) == []
    assert pod["spec"]["automountServiceAccountToken"] is (name in TOKEN)


def test_a_pod_with_rights_would_be_found() -> None:
    pod: Object = {"containers": [{"resources": {}, "volumeMounts": []}], "volumes": []}
    assert len(unsafe(pod)) == 7


def test_the_namespace_is_the_same_everywhere() -> None:
    namespace = kustomization()["namespace"]
    assert by_name()[f"Namespace {namespace}"]
    assert settings()["run_launcher"]["config"]["job_namespace"] == namespace
    (subject,) = by_name()["RoleBinding m3sync-launcher"]["subjects"]
    assert subject["namespace"] == namespace


def test_the_workspace_is_the_code_server() -> None:
    (location,) = yaml.safe_load((FOLDER / "workspace.yaml").read_text())["load_from"]
    (port,) = by_name()["Service m3sync-code-server"]["spec"]["ports"]
    args = container("Deployment m3sync-code-server", by_name())["args"]
    (listens,) = container("Deployment m3sync-code-server", by_name())["ports"]
    expected = {"host": "m3sync-code-server", "port": port["port"], "location_name": "m3sync"}
    assert location["grpc_server"] == expected
    assert args[args.index("--port") + 1] == str(listens["containerPort"])


def test_the_example_is_that_of_a_new_project() -> None:
    project = project_files("acme", "2026-01-01-00:00")
    ours = {str(one.relative_to(FOLDER)): one.read_text() for one in FOLDER.glob("defs/*/*.yaml")}
    assert ours == {path: text for path, text in project.items() if path.startswith("defs/")}


def named_by_credentials() -> set[str]:
    """The variables that have to be set for the credentials of the example."""
    credentials = (FOLDER / "defs/credentials/defs.yaml").read_text()
    return set(re.findall(r"^  \w+_env: (\w+)", credentials, re.MULTILINE)) - {"M3TER_BASE_URL"}


def test_the_secret_has_the_variables_of_the_credentials() -> None:
    secret = set(by_name()["Secret m3sync-secrets"]["stringData"])
    assert named_by_credentials() | {"M3SYNC_POSTGRES_URL"} == secret


def test_only_the_code_server_and_the_runs_have_the_credentials() -> None:
    with_all, with_one = set(), {}
    for name, pod in pods(by_name().values()):
        (one,) = pod["spec"]["containers"]
        if {"secretRef": {"name": "m3sync-secrets"}} in one["envFrom"]:
            with_all.add(name)
        else:
            with_one[name] = [variable["name"] for variable in one["env"]]
    assert with_all == {"Deployment m3sync-code-server"}
    assert len(with_one) == 3
    assert all(names == ["M3SYNC_POSTGRES_URL"] for names in with_one.values())


@pytest.mark.skipif(not shutil.which("kubectl"), reason="kubectl is not installed")
def test_kustomize_makes_these_objects_with_the_image_that_is_set(tmp_path: Path) -> None:
    folder = Path(shutil.copytree(FOLDER, tmp_path / "kubernetes"))
    shutil.copy(folder / "secrets.env.example", folder / "secrets.env")
    made = subprocess.run(
        ["kubectl", "kustomize", folder],  # noqa: S607 - the one that users have
        capture_output=True,
        text=True,
        check=True,
    )
    built = {
        f"{one['kind']} {one['metadata']['name']}": one for one in yaml.safe_load_all(made.stdout)
    }
    (image,) = kustomization()["images"]
    full = f"{image['newName']}:{image['newTag']}"
    assert {container(name, built)["image"] for name, _ in pods(built.values())} == {full}
    (reported,) = container("Deployment m3sync-code-server", built)["env"]
    assert reported == {"name": "DAGSTER_CURRENT_IMAGE", "value": full}
    assert set(built) == set(by_name())
    assert all(
        one["metadata"]["namespace"] == "m3sync"
        for one in built.values()
        if one["kind"] != "Namespace"
    )
    for name, one in by_name().items():
        assert one.get("data") == built[name].get("data") or one["kind"] == "Secret"
