"""The tools that are compared: how each is installed and started.

A rival gets a virtual environment of its own in ``.bench/``, with the versions that
``benchmarks/rivals/`` names. m3sync runs as people run it, ``m3sync run``, with a PostgreSQL
database of its own for each round.
"""

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import psycopg
from process_figures import Program

from m3sync_dagster.entities import ENTITIES, EntityType
from m3sync_dagster.salesforce.bulk_job_poller import FIRST_PAUSE, LONGEST_PAUSE
from m3sync_dagster.state import embedded_postgres

ROOT = Path(__file__).parents[1]
RIVALS = Path(__file__).parent / "rivals"
ENVIRONMENTS = ROOT / ".bench"
PAUSES = {"first": FIRST_PAUSE, "factor": 1.5, "longest": LONGEST_PAUSE}
"""The pauses between two requests for the state of a job: m3sync's own, for every tool."""
M3SYNC = "m3sync"
ALL_ENTITIES = ("account", "contract", "commitment", "balance")
DEFS = """\
type: m3sync_dagster.M3terCredential
attributes:
  name: m3ter
  requests_per_second: 1000000
---
type: m3sync_dagster.SalesforceCredential
attributes:
  name: salesforce
---
type: m3sync_dagster.SalesforceSync
attributes:
  name: comparison
  m3ter_credential: m3ter
  salesforce_credential: salesforce
  namespace: custom_objects
  start: 2026-01-01-00:00
  entities: {entities}
"""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where both systems are, and what they accept.

    Args:
        m3ter_url, salesforce_url: their base URLs.
        organization_id, access_key_id, api_secret: m3ter's organization and access key.
        client_id, client_secret: of m3sync's app in Salesforce.
        token: a Salesforce session for the tools that are given one.
    """

    m3ter_url: str
    salesforce_url: str
    organization_id: str = "organization"
    access_key_id: str = "key"
    api_secret: str = field(default="secret", repr=False)
    client_id: str = "client"
    client_secret: str = field(default="secret", repr=False)
    token: str = field(default="token", repr=False)


def rivals() -> list[str]:
    """The names of the other tools."""
    return sorted(file.stem for file in RIVALS.glob("*.txt"))


def install(tool: str) -> str | None:
    """Make a rival's virtual environment, if it is not there; gives the error if that fails."""
    wanted, folder = RIVALS / f"{tool}.txt", ENVIRONMENTS / tool
    installed = folder / "installed.txt"
    if installed.is_file() and installed.read_text() == wanted.read_text():
        return None
    venv.create(folder, clear=True, with_pip=True)
    pip = [str(_python(tool)), "-m", "pip", "--quiet", "install", "--requirement", str(wanted)]
    done = subprocess.run(pip, capture_output=True, text=True, check=False)  # noqa: S603 - pip
    if done.returncode:
        return done.stderr.strip().rpartition("\n")[2]
    shutil.copy(wanted, installed)
    return None


def version_of(tool: str) -> str:
    """The version that is compared."""
    if tool == M3SYNC:
        return version("m3sync-dagster")
    lines = (RIVALS / f"{tool}.txt").read_text().splitlines()
    return next(line.partition("==")[2] for line in lines if line.startswith(f"{tool}=="))


def _python(tool: str) -> Path:
    return ENVIRONMENTS / tool / "bin" / "python"


def columns(entity: EntityType) -> list[tuple[str, str, list[str]]]:
    """The columns that m3sync sends, besides the external ID: name, kind, and paths in m3ter."""
    found = []
    for one in entity.fields:
        name = one.salesforce
        if one.kind == "lookup":
            name = f"{name.removesuffix('__c')}__r.m3ter_Id__c"
        found.append((name, str(one.kind), list(one.sources or (one.source,))))
    return found


def rival_program(
    tool: str,
    servers: Servers,
    folder: Path,
    entities: tuple[str, ...],
    *,
    own_pauses: bool = False,
) -> Program:
    """A rival's process.

    Args:
        tool: its name.
        servers: both systems.
        folder: an empty folder for its files.
        entities: what it carries.
        own_pauses: whether it waits for jobs as it does by default.
    """
    plan = {
        "m3ter_url": servers.m3ter_url,
        "salesforce_url": servers.salesforce_url,
        "organization_id": servers.organization_id,
        "access_key_id": servers.access_key_id,
        "api_secret": servers.api_secret,
        "token": servers.token,
        "folder": str(folder),
        "pauses": None if own_pauses else PAUSES,
        "entities": [
            {"name": e.name, "path": e.path, "object": e.object, "columns": columns(e)}
            for e in map(ENTITIES.__getitem__, entities)
        ],
    }
    (folder / "plan.json").write_text(json.dumps(plan))
    script = str(Path(__file__).parent / "rival.py")
    command = [str(_python(tool)), script, tool, str(folder / "plan.json")]
    return Program(command, {"PATH": os.environ["PATH"], "LANG": "C.UTF-8"}, folder)


class Postgres:
    """An embedded PostgreSQL server, with a new database for each round."""

    def __init__(self, folder: Path) -> None:
        self._url = embedded_postgres.start(folder)
        self._rounds = 0
        self.pid = int((folder / "postmaster.pid").read_text().split()[0])

    @contextmanager
    def database(self) -> Iterator[str]:
        """A new database while the block runs; gives its URL."""
        self._rounds += 1
        name = f"round_{self._rounds}"
        self._execute(f"CREATE DATABASE {name}")
        try:
            yield self._url.replace("/postgres?", f"/{name}?")
        finally:
            self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _execute(self, statement: str) -> None:
        with psycopg.connect(self._url, autocommit=True) as connection:
            connection.execute(statement.encode())


def m3sync_program(  # noqa: PLR0913 - where it runs, and what it carries
    servers: Servers,
    folder: Path,
    entities: tuple[str, ...],
    postgres: Postgres,
    url: str,
    *,
    options: str = "{}",
) -> Program:
    """The process of ``m3sync run``, in a project that is ready for it.

    Args:
        servers: both systems.
        folder: an empty folder for the project.
        entities: what it carries.
        postgres: the server of its database.
        url: the database.
        options: the YAML of each entity's options.
    """
    shutil.copy(ROOT / "dagster.yaml", folder)
    shutil.copy(ROOT / "workspace.yaml", folder)
    (folder / "defs" / "comparison").mkdir(parents=True)
    listed = "{" + ", ".join(f"{name}: {options}" for name in entities) + "}"
    (folder / "defs" / "comparison" / "defs.yaml").write_text(DEFS.format(entities=listed))
    environment = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "DAGSTER_HOME": str(folder),
        "M3SYNC_DEFS": str(folder / "defs"),
        "M3SYNC_POSTGRES_URL": url,
        "M3TER_BASE_URL": servers.m3ter_url,
        "M3TER_ORG_ID": servers.organization_id,
        "M3TER_API_KEY": servers.access_key_id,
        "M3TER_API_SECRET": servers.api_secret,
        "SALESFORCE_LOGIN_URL": servers.salesforce_url,
        "SALESFORCE_CLIENT_ID": servers.client_id,
        "SALESFORCE_CLIENT_SECRET": servers.client_secret,
    }
    m3sync = str(Path(sys.executable).with_name("m3sync"))
    subprocess.run(  # noqa: S603 - our own
        [m3sync, "migrate"], env=environment, cwd=folder, check=True, capture_output=True
    )
    command = [m3sync, "run", "comparison", "--json"]
    return Program(command, environment, folder, postgres.pid)
