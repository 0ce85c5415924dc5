"""The Compose file: valid, consistent, and the same commands as on Kubernetes."""

import json
from typing import Any

import pytest
import yaml
from compose_spec import PyCompose

from m3sync_dagster_tests.conftest import ROOT
from m3sync_dagster_tests.deploy.compose_file import (
    FOLDER,
    OURS,
    compose,
    service,
    variables_of_the_example,
)
from m3sync_dagster_tests.deploy.manifests import settings
from m3sync_dagster_tests.deploy.test_kubernetes import by_name, container, named_by_credentials


def parse(file: dict[str, Any]) -> object:
    """Parse it by the Compose specification; JSON, because the parser knows no merge keys."""
    return PyCompose.from_json(json.dumps(file))


def test_the_file_is_valid() -> None:
    parse(compose())


FAULTS: dict[str, dict[str, Any]] = {
    "readonly": {"readonly": True},
    "healthy": {"depends_on": {"code-server": {"condition": "healthy"}}},
    "soon": {"healthcheck": {"test": ["CMD", "true"], "interval": "soon"}},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_an_invalid_file_would_be_found(fault: str) -> None:
    file = compose()
    file["services"]["daemon"] |= FAULTS[fault]
    with pytest.raises(ValueError, match=f"`{fault}`"):
        parse(file)


def test_what_it_names_is_there() -> None:
    file = compose()
    for name, one in file["services"].items():
        assert set(one.get("depends_on", ())) <= set(file["services"]), name
        assert {used["source"] for used in one.get("configs", ())} <= set(file["configs"]), name
    assert all((FOLDER / one["file"]).is_file() for one in file["configs"].values())
    build = file["x-m3sync"]["build"]
    assert (FOLDER / build["context"]).resolve() == ROOT
    assert (ROOT / build["dockerfile"]).is_file()


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_not_root_and_its_root_is_read_only(name: str) -> None:
    one = service(name)
    assert (one["user"], one["read_only"], one["tmpfs"]) == ("10001:10001", True, ["/tmp"])  # noqa: S108 - in it
    assert (one["cap_drop"], one["security_opt"]) == (["ALL"], ["no-new-privileges:true"])
    assert all(volume["read_only"] for volume in one["volumes"])


def test_only_the_ui_can_be_reached_and_only_from_this_machine() -> None:
    ports = {name: one["ports"] for name, one in compose()["services"].items() if "ports" in one}
    assert ports == {"webserver": ["127.0.0.1:3000:3000"]}


def test_only_the_code_server_has_the_credentials() -> None:
    """``test_compose_processes`` runs the services so."""
    assert [name for name in OURS if "env_file" in service(name)] == ["code-server"]
    variables = {name: set(service(name)["environment"]) for name in OURS}
    assert all(names == {"M3SYNC_POSTGRES_URL"} for names in variables.values())


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_the_command_of_its_pod(name: str) -> None:
    kind = "Job" if name == "migration" else "Deployment"
    pod = container(f"{kind} m3sync-{name}", by_name())
    assert service(name)["command"] == pod["args"]
    if command := pod.get("livenessProbe", {}).get("exec", {}).get("command"):
        assert service(name)["healthcheck"]["test"] == ["CMD", *command]


def test_files_are_where_the_pods_have_them() -> None:
    one, launcher = service("code-server"), settings()["run_launcher"]["config"]
    home = launcher["dagster_home"]
    targets = {used["target"] for used in one["configs"]}
    assert targets == {f"{home}/dagster.yaml", f"{home}/workspace.yaml"}
    (defs,) = one["volumes"]
    assert defs["target"] in {mount["mount_path"] for mount in launcher["volume_mounts"]}


def test_the_settings_are_those_of_the_project() -> None:
    path = FOLDER / compose()["configs"]["dagster"]["file"]
    assert path.resolve() == ROOT / "dagster.yaml"


def test_the_workspace_is_the_code_server() -> None:
    (location,) = yaml.safe_load((FOLDER / "workspace.yaml").read_text())["load_from"]
    command = service("code-server")["command"]
    port = int(command[command.index("--port") + 1])
    expected = {"host": "code-server", "port": port, "location_name": "m3sync"}
    assert location["grpc_server"] == expected


def test_the_example_has_the_variables_of_the_credentials() -> None:
    named = named_by_credentials() | {"POSTGRES_PASSWORD", "M3SYNC_WEBSERVER_URL"}
    assert variables_of_the_example() == named
