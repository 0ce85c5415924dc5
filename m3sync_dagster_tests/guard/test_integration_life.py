"""The life of an integration: Dagster's daemons, PostgreSQL, a mail server and the sandbox."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.definitions.reconstruct import ReconstructableJob
from typer.testing import CliRunner

from m3sync_dagster.cli import app
from m3sync_dagster.guard.schedules import read_schedules
from m3sync_dagster.runs.run_status import INTEGRATION_TAG
from m3sync_dagster.state import connect, undelivered
from m3sync_dagster_tests.conftest import (
    INTEGRATION,
    DefsFolder,
    Sandbox,
)
from m3sync_dagster_tests.databases import Databases
from m3sync_dagster_tests.guard.daemon_clock import (
    IN_ITS_OWN_PROCESS,
    IN_THIS_PROCESS,
    clockwork,
    home,
)
from m3sync_dagster_tests.guard.fixtures import Fleet, PostOffice
from m3sync_dagster_tests.guard.killed_sensor_daemon import INSTANTS

pytestmark = [
    pytest.mark.slow,
    # Dagster asks itself for it where it loads a code location in its own process.
    pytest.mark.filterwarnings("ignore:Property `ScheduleDefinition.environment_vars`"),
    # Its sensor daemon says so of a tick that a killed one has left.
    pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated"),
]

MIDNIGHT = datetime(2026, 11, 24, tzinfo=UTC)
DISABLED = "m3sync: acme is disabled"


@pytest.fixture
def instance(
    databases: Databases,
    dagster_template: str,
    tmp_path: Path,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dg.DagsterInstance]:
    """Everything that the daemons need, and a database of our own."""
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
    # A process that is loaded once more is to read the files once more.
    ReconstructableJob.get_repository_definition.cache_clear()
    ReconstructableJob.get_definition.cache_clear()
    with databases.copy(dagster_template) as url:
        monkeypatch.setenv("M3SYNC_POSTGRES_URL", url)
        with home(tmp_path) as made:
            yield made


@pytest.fixture
def addresses(sandbox: Sandbox, defs_folder: DefsFolder) -> list[str]:
    """Two users of the sandbox's m3ter who are told of the integration ``acme``."""
    ids = sandbox.organization.ids("users")[:2]
    line = f"  notify_users_if_disabled: {json.dumps(ids)}\n  minute_of_hour: 3\n"
    defs_folder.write("acme", INTEGRATION.replace("  entities:", f"{line}  entities:"))
    return [str(sandbox.organization.get("users", user)["email"]) for user in ids]


def m3sync(*args: str) -> str:
    result = CliRunner().invoke(app, list(args))
    assert result.exit_code == 0, result.output
    return result.stdout


def is_on(instance: dg.DagsterInstance) -> bool:
    return read_schedules(instance, "m3sync")["acme_hourly"].running


def test_three_broken_files_stop_no_other(
    instance: dg.DagsterInstance, sandbox: Sandbox, defs_folder: DefsFolder
) -> None:
    other = INTEGRATION.replace("name: acme", "name: globex")
    defs_folder.write("globex", other)
    broken = {
        "syntax": "type: [",
        "unknown_key": other.replace("globex", "unknown_key").replace("namespace", "namspace"),
        "no_credential": other.replace("globex", "no_credential").replace(
            "salesforce_production", "nobody_s"
        ),
    }
    for name, text in broken.items():
        defs_folder.write(name, text)
    with clockwork(instance, IN_ITS_OWN_PROCESS, MIDNIGHT) as works:
        with works.at(0):
            m3sync("enable", "acme")
            m3sync("enable", "globex")
        works.hour()
        request = works.workspace.create_request_context()
        repository = request.get_code_location("m3sync").get_repository("__repository__")
        ui = {snap.group_name: snap.description for snap in repository.get_asset_node_snaps()}
    for name in ("acme", "globex"):
        (run,) = instance.get_runs(dg.RunsFilter(tags={INTEGRATION_TAG: name}))
        assert run.status is dg.DagsterRunStatus.SUCCESS
        assert run.tags["dagster/schedule_name"] == f"{name}_hourly"
    assert "configuration_errors" in ui
    told = {row["name"]: row for row in json.loads(m3sync("status", "--json"))}
    assert {name for name, row in told.items() if row["enabled"]} == {"acme", "globex"}
    assert broken.keys() <= told.keys()
    for name in broken:
        assert f"{name}/defs.yaml" in told[name]["disabled_reason"]
    assert CliRunner().invoke(app, ["check"]).exit_code == 2


@pytest.mark.parametrize("instant", INSTANTS)
def test_a_daemon_that_is_killed_tells_everybody_once(
    instance: dg.DagsterInstance,
    addresses: list[str],
    post_office: PostOffice,
    tmp_path: Path,
    instant: str,
) -> None:
    fleet = Fleet(instance)
    fleet.start("acme")
    fleet.fail("acme", 10)
    mortal = [sys.executable, "-m", "m3sync_dagster_tests.guard.killed_sensor_daemon"]
    killed = subprocess.run(
        [*mortal, instant, str(tmp_path)], check=False, capture_output=True, text=True
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2_000:]
    with clockwork(instance, IN_THIS_PROCESS, datetime.now(UTC)) as works:
        works.sense(20)
        works.sense(30)
    assert not is_on(instance)
    assert [post_office.subjects(one) for one in addresses] == [[DISABLED], [DISABLED]]
    with connect(os.environ["M3SYNC_POSTGRES_URL"]) as connection:
        events = connection.execute(
            "SELECT count(*) FROM m3sync.integration_event "
            "WHERE name = 'integration.disabled.error'"
        ).fetchone()
        left = undelivered(connection)
    assert events == (1,)
    # Of a mail whose answer nobody has heard, that much is said.
    unheard = instant in list(INSTANTS)[4:6]
    assert [one.error for one in left] == (
        ["handed over, but we ended before the answer came"] if unheard else []
    )
