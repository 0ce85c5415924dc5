"""Finding m3sync's code location in the workspaces that people have."""

from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from m3sync_dagster.cli.own_code_location import MODULE, own_code_location
from m3sync_dagster.cli.prepare_environment import Environment
from m3sync_dagster.dagster_internals import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    RemoteRepositoryOrigin,
    WorkspaceFileTarget,
)
from m3sync_dagster.guard.sensor import GUARD
from m3sync_dagster.sync.errors import ConfigurationError

Locate = Callable[[str | None], str]

OURS = "python_module: {module_name: m3sync_dagster.definitions, location_name: LOCATION}"
OTHER = "python_module: {module_name: other.definitions, location_name: other}"
SERVER = "grpc_server: {host: code, port: 4000, location_name: LOCATION}"


def workspace(*entries: str) -> str:
    return "load_from:\n" + "".join(f"  - {entry}\n" for entry in entries)


@pytest.fixture
def locate(tmp_path: Path, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch) -> Locate:
    """The name of the code location in a workspace, or without one."""
    monkeypatch.delenv("DAGSTER_HOME", raising=False)

    def find(text: str | None) -> str:
        if text is not None:
            (tmp_path / "workspace.yaml").write_text(text)
        return own_code_location(Environment(tmp_path, embedded=False), instance).location_name

    return find


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (workspace(OURS.replace("LOCATION", "m3sync")), "m3sync"),
        (workspace(OTHER, OURS.replace("LOCATION", "m3sync")), "m3sync"),
        (workspace(OTHER, OURS.replace("LOCATION", "billing")), "billing"),
        (
            workspace(OTHER, f"python_module: {MODULE}"),
            MODULE,
        ),
        (workspace(SERVER.replace("LOCATION", "remote")), "remote"),
        (workspace(OTHER, SERVER.replace("LOCATION", "m3sync")), "m3sync"),
        (workspace(OTHER), "other"),
        (None, "m3sync"),
    ],
)
def test_ours_is_found(locate: Locate, text: str | None, name: str) -> None:
    assert locate(text) == name


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (workspace(OTHER, SERVER.replace("LOCATION", "remote")), "location_name: m3sync"),
        ("load_from: [", "cannot be read"),
        ("load_from:\n  - nothing: {a: b}\n", "cannot be read"),
        ("load_from: []\n", "no code location"),
    ],
)
def test_a_workspace_without_ours_is_refused_in_words(
    locate: Locate, text: str, words: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"workspace\.yaml") as refused:
        locate(text)
    assert words in str(refused.value)


def test_of_several_servers_it_is_the_one_whose_guard_has_ticked(
    locate: Locate, tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    text = workspace(OTHER, SERVER.replace("LOCATION", "remote"))
    (tmp_path / "workspace.yaml").write_text(text)
    origins = WorkspaceFileTarget([str(tmp_path / "workspace.yaml")]).create_origins()
    (remote,) = (origin for origin in origins if origin.location_name == "remote")
    sensor = RemoteRepositoryOrigin(remote, "__repository__").get_instigator_origin(GUARD)
    instance.add_instigator_state(
        InstigatorState(sensor, InstigatorType.SENSOR, InstigatorStatus.RUNNING)
    )
    assert locate(text) == "remote"
    (tmp_path / "workspace.yaml").unlink()
    assert locate(None) == "remote"
