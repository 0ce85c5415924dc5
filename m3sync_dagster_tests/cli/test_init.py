"""The project that ``m3sync init`` makes."""

import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner, Result

from m3sync_dagster.cli import app
from m3sync_dagster.cli.write_project import TEMPLATES
from m3sync_dagster_tests.cli.conftest import child_environment
from m3sync_dagster_tests.conftest import ROOT

FILES = [
    ".env.example",
    ".gitignore",
    "dagster.yaml",
    "defs/acme/defs.yaml",
    "defs/credentials/defs.yaml",
    "dg.toml",
    "workspace.yaml",
]


def init(*args: str) -> Result:
    return CliRunner().invoke(app, ["init", *args])


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """The folder of a project that is to be made."""
    return tmp_path / "acme"


def start_in(path: Path) -> str:
    (start,) = re.findall(r"^  start: (\S+)", path.read_text(), re.MULTILINE)
    return str(start)


def hours_since(before: datetime) -> set[str]:
    """The hour of a moment and that of now, which may be the next one."""
    return {f"{moment:%Y-%m-%d-%H}:00" for moment in (before, datetime.now(UTC))}


def test_a_project_is_made_in_a_folder_or_in_this_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert init("acme").exit_code == 0
    assert files_in(tmp_path / "acme") == FILES
    monkeypatch.chdir(tmp_path / "acme" / "defs")
    assert init().exit_code == 0
    assert set(files_in(Path.cwd())) > set(FILES)


@pytest.mark.parametrize(
    ("folder", "name"),
    [("globex", "globex"), ("Acme GmbH", "acme"), ("credentials", "acme"), ("9lives", "acme")],
)
def test_the_folder_names_the_integration_if_it_can(tmp_path: Path, folder: str, name: str) -> None:
    assert init(str(tmp_path / folder)).exit_code == 0
    text = (tmp_path / folder / "defs" / name / "defs.yaml").read_text()
    assert yaml.safe_load(text)["attributes"]["name"] == name
    assert "{name}" not in text


def test_the_first_hour_is_this_one(project: Path) -> None:
    before = datetime.now(UTC)
    init(str(project))
    assert start_in(project / "defs" / "acme" / "defs.yaml") in hours_since(before)


def test_the_credentials_read_every_variable_of_the_example(project: Path) -> None:
    init(str(project))
    text = (project / "defs" / "credentials" / "defs.yaml").read_text()
    documents = [document["attributes"] for document in yaml.safe_load_all(text)]
    named = {value for one in documents for key, value in one.items() if key.endswith("_env")}
    offered = set(
        re.findall(r"^(?:# )?(\w+)=", (project / ".env.example").read_text(), re.MULTILINE)
    )
    assert named <= offered
    assert "M3TER_BASE_URL" in named


@pytest.mark.parametrize("existing", FILES)
def test_no_file_is_overwritten(project: Path, existing: str) -> None:
    path = project / existing
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("mine")
    answer = init(str(project))
    assert answer.exit_code == 2
    assert str(path) in answer.stderr
    assert files_in(project) == [existing]
    assert path.read_text() == "mine"


def test_a_file_in_the_way_of_the_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "acme").write_text("")
    answer = init(str(tmp_path / "acme"))
    assert answer.exit_code == 2
    assert str(tmp_path / "acme") in answer.stderr


def test_git_ignores_secrets_and_keeps_the_rest(project: Path) -> None:
    init(str(project))
    secret = [".env", "m3sync.key", "defs/acme/m3sync.key", ".m3sync/postgres/PG_VERSION"]
    subprocess.run(["git", "init", "--quiet", project], check=True)  # noqa: S607 - the user's
    asked = ["git", "-C", str(project), "check-ignore", *secret, *FILES]
    ignored = subprocess.run(asked, check=True, capture_output=True, text=True).stdout
    assert ignored.split() == secret


@pytest.mark.parametrize("name", ["dagster.yaml", "workspace.yaml"])
def test_the_settings_are_those_of_the_clone(name: str) -> None:
    assert (TEMPLATES / name).read_text() == (ROOT / name).read_text()


@pytest.mark.slow
def test_dagsters_own_commands_understand_the_project(project: Path) -> None:
    init(str(project))
    dg(project, "check", "defs")
    dg(project, "check", "yaml")
    before = datetime.now(UTC)
    dg(project, "scaffold", "defs", "m3sync_dagster.SalesforceSync", "globex")
    assert start_in(project / "defs" / "globex" / "defs.yaml") in hours_since(before)
    listed = dg(project, "list", "defs", "--json")
    assert "acme_hourly" in listed
    assert "globex_hourly" in listed


def dg(project: Path, *args: str) -> str:
    done = subprocess.run(
        [Path(sys.executable).parent / "dg", *args],
        cwd=project,
        env=child_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
