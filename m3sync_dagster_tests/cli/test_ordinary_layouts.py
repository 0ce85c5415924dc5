"""Folders, users and servers as people have them; commands work, or say what to do."""

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

import pytest

from m3sync_dagster.cli.write_project import project_files, write_new
from m3sync_dagster.components.integration import current_hour
from m3sync_dagster.sandbox.demo_servers import Sandbox, serving
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.cli.conftest import child_environment, invoke_in
from m3sync_dagster_tests.cli.processes import PROGRAM

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with serving(Organization.generate(2, contracts=1, commitments=1, balances=1)) as running:
        yield running


def project(folder: Path) -> Path:
    write_new(folder, project_files("acme", current_hour()))
    return folder


def m3sync(
    *args: str,
    cwd: Path,
    sandbox: Sandbox,
    code: int = 0,
    user: str | None = None,
    given: Mapping[str, str | None] = MappingProxyType({}),
) -> str:
    """What ``m3sync`` prints, once it has ended with this exit code; ``None`` unsets a variable."""
    environment = {**child_environment(**sandbox.environment), **given}
    done = subprocess.run(
        [PROGRAM, *args],
        cwd=cwd,
        env={name: value for name, value in environment.items() if value is not None},
        capture_output=True,
        text=True,
        check=False,
        user=user,
    )
    said = done.stdout + done.stderr
    assert done.returncode == code, said
    assert "Traceback" not in said
    return said


def said(*args: str, cwd: Path, sandbox: Sandbox, given: Mapping[str, str]) -> str:
    """What a command prints that succeeds, where nothing depends on how the program is started."""
    answer = invoke_in(cwd, child_environment(**sandbox.environment, **given), *args)
    assert answer.code == 0, answer
    return answer.out + answer.err


def test_a_home_apart_from_the_project_needs_no_workspace(
    tmp_path: Path, sandbox: Sandbox, migrated_url: str
) -> None:
    code, home = project(tmp_path / "code"), tmp_path / "home"
    home.mkdir()
    (code / "dagster.yaml").rename(home / "dagster.yaml")
    given = {"DAGSTER_HOME": str(home), "M3SYNC_POSTGRES_URL": migrated_url}
    assert "COMPLETE" in said("run", "acme", cwd=code, sandbox=sandbox, given=given)
    assert "is enabled" in said("enable", "acme", cwd=code, sandbox=sandbox, given=given)
    given["M3SYNC_DEFS"] = str(code / "defs")
    assert "is disabled" in said("disable", "acme", cwd=tmp_path, sandbox=sandbox, given=given)
    assert "COMPLETE" in said("run", "acme", cwd=tmp_path, sandbox=sandbox, given=given)


def test_a_workspace_may_have_other_code_locations_and_servers_elsewhere(
    tmp_path: Path, sandbox: Sandbox, migrated_url: str
) -> None:
    code = project(tmp_path / "code")
    (code / "workspace.yaml").write_text(
        "load_from:\n"
        "  - python_module: {module_name: other.definitions}\n"
        "  - grpc_server: {host: code, port: 4000, location_name: m3sync}\n"
    )
    given = {"M3SYNC_POSTGRES_URL": migrated_url}
    for command in ("enable", "run", "disable"):
        said(command, "acme", cwd=code, sandbox=sandbox, given=given)


def test_a_path_with_spaces_is_no_problem(empty_folder: Path, sandbox: Sandbox) -> None:
    folder = project(empty_folder / "a folder" / "with spaces")
    given = {"HOME": str(empty_folder)}
    assert "COMPLETE" in m3sync("run", "acme", cwd=folder, sandbox=sandbox, given=given)
    shown = m3sync("demo", "--once", cwd=folder, sandbox=sandbox, given=given)
    assert "acme: COMPLETE" in shown


def test_no_home_folder_is_needed(empty_folder: Path, sandbox: Sandbox) -> None:
    folder = project(empty_folder / "project")
    assert "COMPLETE" in m3sync("run", "acme", cwd=folder, sandbox=sandbox, given={"HOME": None})


def test_any_user_has_the_embedded_server(
    somebody: str, empty_folder: Path, sandbox: Sandbox
) -> None:
    folder = project(empty_folder / "project")
    for path in (empty_folder, folder):
        shutil.chown(path, somebody)
    given = {"HOME": "/nonexistent"}
    said = m3sync("run", "acme", cwd=folder, sandbox=sandbox, user=somebody, given=given)
    assert "COMPLETE" in said


def test_read_only_files_are_named_with_what_to_write(
    somebody: str, empty_folder: Path, sandbox: Sandbox, migrated_url: str
) -> None:
    empty_folder.chmod(0o755)
    path = project(empty_folder) / "defs" / "acme" / "defs.yaml"
    before = path.read_text()
    given = {"M3SYNC_POSTGRES_URL": migrated_url, "HOME": "/nonexistent"}
    for command, words in (
        (["disconnect", "acme"], "delete line 7, salesforce_credential"),
        (
            ["connect", "acme", "salesforce_production"],
            "write salesforce_credential: salesforce_production in line 7, under attributes",
        ),
        (["init", "other"], "may write"),
        (["demo", "--once"], "may write"),
    ):
        said = m3sync(
            *command, cwd=empty_folder, sandbox=sandbox, code=2, user=somebody, given=given
        )
        assert str(empty_folder) in said or command[0] == "init"
        assert words in said
    assert path.read_text() == before
