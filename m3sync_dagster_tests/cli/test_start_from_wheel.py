"""From the wheel to the first sync, as a new user types it: no clone, an empty folder."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from m3sync_dagster.sandbox.demo_servers import serving
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.cli.conftest import child_environment
from m3sync_dagster_tests.conftest import ROOT

pytestmark = pytest.mark.slow

NEWER = "3.13"
"""A newer Python than the one of the tests, with its own packages."""


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel in it."""

    folder: Path

    @property
    def python(self) -> str:
        return str(self.folder / "bin" / "python")

    def run(self, *args: str, cwd: Path) -> str:
        """Standard output of ``m3sync``, which succeeds."""
        done = self._ended(*args, cwd=cwd)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refused(self, *args: str, cwd: Path) -> str:
        """The message of ``m3sync``, which refuses to do anything."""
        done = self._ended(*args, cwd=cwd)
        assert (done.returncode, done.stdout) == (2, "")
        return done.stderr

    def _ended(self, *args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [self.folder / "bin" / "m3sync", *args],
            cwd=cwd,
            env=child_environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done

    def json(self, *args: str, cwd: Path) -> Any:  # noqa: ANN401 - JSON
        return json.loads(self.run(*args, "--json", cwd=cwd))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), str(ROOT))
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def venv() -> Iterator[Path]:
    """Where to make a virtual environment.

    PostgreSQL's programs are run by another user, who may not read pytest's own folders.
    """
    with tempfile.TemporaryDirectory(prefix="m3s") as folder:
        yield Path(folder) / "venv"


@pytest.fixture(scope="module")
def installed(venv: Path, wheel: Path) -> Installed:
    return with_this_python(venv, wheel)


def with_this_python(folder: Path, wheel: Path) -> Installed:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    made = Installed(folder)
    # The dependencies of this environment. Its own .pth files, which lead to the clone, are not
    # read for a folder that is only named in a .pth file.
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    pip("--python", made.python, "install", "--no-deps", "--no-index", str(wheel))
    return made


def with_newer_python(folder: Path, wheel: Path) -> Installed:
    python = newer_python()
    if python is None:
        pytest.skip(f"Python {NEWER} is not on this machine")
    subprocess.run([python, "-m", "venv", "--without-pip", folder], check=True)
    made = Installed(folder)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "uv", "pip", "install", "--quiet", "--python", made.python),
            *("--constraint", str(ROOT / "constraints.txt"), str(wheel)),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.skip(f"the packages for Python {NEWER} cannot be installed: {done.stderr[-300:]}")
    return made


def newer_python() -> str | None:
    """A Python of that version that runs; pyenv's ``python3.13`` may only print an error."""
    home = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [shutil.which(f"python{NEWER}"), *map(str, home.glob(f"versions/{NEWER}.*/bin/python"))]
    for python in filter(None, found):
        version = subprocess.run([python, "--version"], capture_output=True, check=False)
        if version.returncode == 0:
            return python
    return None


def pip(*args: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *args], check=True)


def test_the_program_is_the_one_of_the_wheel(installed: Installed, empty_folder: Path) -> None:
    where = "import m3sync_dagster; print(m3sync_dagster.__file__)"
    found = subprocess.check_output([installed.python, "-c", where], cwd=empty_folder, text=True)
    assert Path(found).is_relative_to(installed.folder)
    assert installed.run("--version", cwd=empty_folder).startswith("m3sync ")


def test_without_a_project_the_remedy_is_init(installed: Installed, empty_folder: Path) -> None:
    assert "m3sync init" in installed.refused("status", cwd=empty_folder)
    assert list(empty_folder.iterdir()) == []


def test_the_demo_works_in_an_empty_folder(installed: Installed, empty_folder: Path) -> None:
    mine = empty_folder / "defs" / "acme" / "defs.yaml"
    mine.parent.mkdir(parents=True)
    mine.write_text("type: [")
    shown = installed.run("demo", "--once", cwd=empty_folder)
    assert "acme: COMPLETE" in shown
    assert mine.read_text() == "type: ["
    assert sorted(path.name for path in empty_folder.iterdir()) == [".m3sync", "defs"]
    assert "m3sync status --demo" in installed.refused("status", cwd=empty_folder)
    (row,) = installed.json("status", "--demo", cwd=empty_folder)
    assert (row["name"], row["connected"]) == ("acme", True)


def test_the_demo_of_a_folder_without_one_is_refused(
    installed: Installed, empty_folder: Path
) -> None:
    assert "m3sync demo" in installed.refused("status", "--demo", cwd=empty_folder)


def test_from_an_empty_folder_to_the_first_sync(installed: Installed, empty_folder: Path) -> None:
    start(installed, empty_folder)


def test_a_newer_python_does_so_too(venv: Path, wheel: Path, empty_folder: Path) -> None:
    start(with_newer_python(venv.with_name("newer"), wheel), empty_folder)


def start(installed: Installed, empty_folder: Path) -> None:
    """Make a project in an empty folder, and sync."""
    organization = Organization.generate(6, contracts=5, commitments=4, balances=7)
    with serving(organization) as sandbox:
        installed.run("init", "acme", cwd=empty_folder)
        project = empty_folder / "acme"
        values = "".join(f"{name}={value}\n" for name, value in sandbox.environment.items())
        (project / ".env").write_text(values)
        checks = installed.json("check", cwd=project)
        assert {check["check"] for check in checks} > {"configuration", "m3ter", "salesforce"}
        assert all(check["ok"] for check in checks)
        report = installed.json("run", "acme", cwd=project)
        assert report["status"] == "COMPLETE"
        created = {name: one["created"] for name, one in report["entities"].items()}
        assert created == {"account": 6, "contract": 5, "commitment": 4, "balance": 7}
        (row,) = installed.json("status", cwd=project)
        assert (row["name"], row["connected"], row["enabled"]) == ("acme", True, False)
        assert row["last_run"]["status"] == "COMPLETE"
        records = httpx.get(f"{sandbox.salesforce_url}/sandbox/records/m3ter_Account__c").json()
        assert len(records) == 6
        again = installed.json("run", "acme", cwd=project)
        assert again["entities"]["account"]["unchanged"] == 6
