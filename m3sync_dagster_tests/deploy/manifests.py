"""The objects of ``deploy/kubernetes``, as kustomize makes them, and what is wrong with them."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import yaml

from m3sync_dagster_tests.conftest import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
LOGIN = {"m3sync/login": "true"}
"""The label of the proxy with the login, which everyone brings themselves."""

Object = dict[str, Any]


def kustomization() -> Object:
    return _file("kustomization.yaml")


def settings() -> Object:
    """The ``dagster.yaml`` of the cluster."""
    return _file("dagster.yaml")


def _file(name: str) -> Object:
    loaded: Object = yaml.safe_load((FOLDER / name).read_text())
    return loaded


def objects() -> list[Object]:
    """All objects: those of the files, and those that kustomize generates."""
    given = kustomization()
    files = [(FOLDER / name).read_text() for name in given["resources"]]
    written = [one for text in files for one in yaml.safe_load_all(text)]
    return [*written, *_generated(given)]


def _generated(given: Object) -> Iterator[Object]:
    labels = given["generatorOptions"]["labels"]
    for one in given["configMapGenerator"]:
        data = dict(_content(name) for name in one.get("files", ()))
        data |= dict(literal.split("=", 1) for literal in one.get("literals", ()))
        yield _settings_object("ConfigMap", one["name"], labels) | {"data": data}
    for one in given["secretGenerator"]:
        lines = (FOLDER / f"{one['envs'][0]}.example").read_text().splitlines()
        data = dict(line.split("=", 1) for line in lines if "=" in line and line[0] != "#")
        yield _settings_object("Secret", one["name"], labels) | {"stringData": data}


def _settings_object(kind: str, name: str, labels: Mapping[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": kind, "metadata": {"name": name, "labels": labels}}


def _content(file: str) -> tuple[str, str]:
    """A generator's entry: a path, or a key and a path."""
    key, _, path = file.rpartition("=")
    return key or path, (FOLDER / path).read_text()


def pods(among: Iterable[Object]) -> Iterator[tuple[str, Object]]:
    """The pod templates, each with the name of its object."""
    for one in among:
        if template := one.get("spec", {}).get("template"):
            yield f"{one['kind']} {one['metadata']['name']}", template


def broken_references(among: Iterable[Object]) -> list[str]:
    """What objects name and what is not there, as sentences."""
    given = list(among)
    return [
        *(f"{name}: {fault}" for name, pod in pods(given) for fault in _of_pod(pod["spec"], given)),
        *(fault for one in given for fault in _of_selectors(one, given)),
        *(fault for one in given if one["kind"] == "RoleBinding" for fault in _of_role(one, given)),
    ]


def _names(given: Iterable[Object], kind: str) -> set[str]:
    return {one["metadata"]["name"] for one in given if one["kind"] == kind}


def _of_pod(spec: Object, given: list[Object]) -> Iterator[str]:
    volumes = {one["name"]: one for one in spec["volumes"]}
    (container,) = spec["containers"]
    if spec["serviceAccountName"] not in _names(given, "ServiceAccount"):
        yield f"no service account {spec['serviceAccountName']}"
    for source in container["envFrom"]:
        for key, kind in (("configMapRef", "ConfigMap"), ("secretRef", "Secret")):
            if key in source and source[key]["name"] not in _names(given, kind):
                yield f"no {kind} {source[key]['name']}"
    for variable in container.get("env", ()):
        if key := variable.get("valueFrom", {}).get("secretKeyRef"):
            yield from _of_secret_key(key, given)
    mounted = {one["name"] for one in container["volumeMounts"]}
    yield from (f"volume {name} only on one side" for name in mounted ^ set(volumes))
    yield from (fault for one in volumes.values() for fault in _of_volume(one, given))
    ports = {one["name"] for one in container.get("ports", ())}
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        port = container.get(probe, {}).get("httpGet", {}).get("port")
        if port is not None and port not in ports:
            yield f"{probe} asks the port {port}, which the container does not have"


def _of_secret_key(reference: Object, given: list[Object]) -> Iterator[str]:
    secrets = {one["metadata"]["name"]: one for one in given if one["kind"] == "Secret"}
    if reference["key"] not in secrets.get(reference["name"], {}).get("stringData", {}):
        yield f"no key {reference['key']} in Secret {reference['name']}"


def _of_volume(volume: Object, given: list[Object]) -> Iterator[str]:
    if "configMap" not in volume:
        return
    source = volume["configMap"]
    if source["name"] not in _names(given, "ConfigMap"):
        yield f"no ConfigMap {source['name']}"
        return
    data = next(one["data"] for one in given if one["metadata"]["name"] == source["name"])
    items = {item["key"] for item in source.get("items", ())}
    if items and items != set(data):
        yield f"the volume {volume['name']} has {sorted(items)}, its ConfigMap {sorted(data)}"


def _of_selectors(one: Object, given: list[Object]) -> Iterator[str]:
    check = {
        "Deployment": _of_deployment,
        "Service": _of_service,
        "NetworkPolicy": _of_network_policy,
    }.get(one["kind"])
    faults = check(one["spec"], given) if check else ()
    yield from (f"{one['kind']} {one['metadata']['name']}: {fault}" for fault in faults)


def _of_deployment(spec: Object, given: list[Object]) -> Iterator[str]:
    if not _matches(spec["selector"]["matchLabels"], spec["template"]):
        yield "the selector does not match its own pods"


def _of_service(spec: Object, given: list[Object]) -> Iterator[str]:
    yield from _of_ports(spec["selector"], [port["targetPort"] for port in spec["ports"]], given)


def _of_network_policy(spec: Object, given: list[Object]) -> Iterator[str]:
    for rule in spec.get("ingress", ()):
        labels = spec["podSelector"]["matchLabels"]
        yield from _of_ports(labels, [port["port"] for port in rule["ports"]], given)
        sources = [source["podSelector"]["matchLabels"] for source in rule["from"]]
        unknown = [one for one in sources if one != LOGIN and not _selected(one, given)]
        yield from (f"no pod has {one}" for one in unknown)


def _of_ports(labels: Mapping[str, str], ports: list[str], given: list[Object]) -> Iterator[str]:
    found = _selected(labels, given)
    if len(found) != 1:
        yield f"{len(found)} pod templates have {labels}"
    for pod in found:
        has = {port["name"] for port in pod["spec"]["containers"][0].get("ports", ())}
        yield from (f"no port {port}" for port in ports if port not in has)


def _selected(labels: Mapping[str, str], given: list[Object]) -> list[Object]:
    return [pod for _, pod in pods(given) if _matches(labels, pod)]


def _matches(labels: Mapping[str, str], pod: Object) -> bool:
    return bool(labels.items() <= pod["metadata"]["labels"].items())


def _of_role(binding: Object, given: list[Object]) -> Iterator[str]:
    if binding["roleRef"]["name"] not in _names(given, "Role"):
        yield f"no Role {binding['roleRef']['name']}"
    for subject in binding["subjects"]:
        if subject["name"] not in _names(given, "ServiceAccount"):
            yield f"no service account {subject['name']}"


def unsafe(spec: Object) -> list[str]:
    """Where a pod is not what Kubernetes calls restricted, or may write its root file system.

    Source: Kubernetes documentation, "Pod Security Standards", Restricted.
    """
    (container,) = spec["containers"]
    security, pod = container.get("securityContext", {}), spec.get("securityContext", {})
    faults = {
        "may run as root": not (pod.get("runAsNonRoot") and pod.get("runAsUser")),
        "no seccomp profile": pod.get("seccompProfile") != {"type": "RuntimeDefault"},
        "may become root": security.get("allowPrivilegeEscalation") is not False,
        "has capabilities": security.get("capabilities") != {"drop": ["ALL"]},
        "may write its root file system": security.get("readOnlyRootFilesystem") is not True,
        "no limit of memory": "memory" not in container["resources"].get("limits", {}),
        "no temporary folder": "/tmp" not in _empty_folders(spec),  # noqa: S108 - in the pod
    }
    return [fault for fault, found in faults.items() if found]


def _empty_folders(spec: Object) -> set[str]:
    empty = {one["name"] for one in spec["volumes"] if "emptyDir" in one}
    mounts = spec["containers"][0]["volumeMounts"]
    return {one["mountPath"] for one in mounts if one["name"] in empty}
