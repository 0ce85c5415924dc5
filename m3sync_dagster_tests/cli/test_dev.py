"""``m3sync dev`` while people edit files, and the commands that reach it."""

import signal
from pathlib import Path

import httpx
import psutil
import psycopg
import pytest

from m3sync_dagster.cli.write_project import project_files, write_new
from m3sync_dagster.components.integration import current_hour
from m3sync_dagster.runs.dead_runs import PROCESS_TAG
from m3sync_dagster.runs.fork_server import title
from m3sync_dagster.sandbox.demo_servers import serving
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.cli.conftest import child_environment, invoke_in
from m3sync_dagster_tests.cli.processes import program_in
from m3sync_dagster_tests.conftest import PATIENCE
from m3sync_dagster_tests.live.conftest import until

pytestmark = pytest.mark.slow

SCHEDULES = """{
  schedulesOrError(
    repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "m3sync"}
  ) { ... on Schedules { results { name } } }
}"""


def schedules(url: str) -> set[str]:
    asked = httpx.post(f"{url}/graphql", json={"query": SCHEDULES}, timeout=PATIENCE)
    answer = asked.json()["data"]
    return {schedule["name"] for schedule in answer["schedulesOrError"]["results"]}


def test_edits_are_loaded_and_other_commands_find_the_server(
    tmp_path: Path, empty_postgres_url: str
) -> None:
    write_new(tmp_path, project_files("acme", current_hour()))
    acme = tmp_path / "defs" / "acme" / "defs.yaml"
    text = acme.read_text()
    given = {"M3SYNC_POSTGRES_URL": empty_postgres_url}
    with program_in(tmp_path, "dev", "--port", "0", **given) as running:
        url = running.wait_for("Dagster is at").split()[3].rstrip(".")
        assert schedules(url) >= {"acme_hourly"}

        globex = tmp_path / "defs" / "globex" / "defs.yaml"
        globex.parent.mkdir()
        globex.write_text(text.replace("name: acme", "name: globex"))
        line = running.wait_for("added: integration globex")
        assert "Dagster's webserver has loaded it" in line
        assert schedules(url) >= {"acme_hourly", "globex_hourly"}

        wrong = text.replace("name: acme", "name: globex").replace("start:", "stard:")
        globex.write_text(wrong)
        line_number = wrong[: wrong.index("stard:")].count("\n") + 1
        assert f"{globex}:{line_number}," in running.wait_for("did you mean start?")
        running.wait_for("invalid: integration globex")
        assert "globex_hourly" not in schedules(url)

        answer = invoke_in(tmp_path, child_environment(**given), "disconnect", "acme")
        assert answer.code == 0
        assert "Dagster's webserver has loaded it" in answer.err
        running.wait_for("changed: integration acme")
    assert not (tmp_path / ".m3sync" / "webserver_url").exists()


LAUNCH = """mutation($params: ExecutionParams!) {
  launchRun(executionParams: $params) { ... on LaunchRunSuccess { run { runId } } }
}"""
MATERIALIZE = {
    "selector": {
        "repositoryLocationName": "m3sync",
        "repositoryName": "__repository__",
        "jobName": "__ASSET_JOB",
        "assetSelection": [{"path": ["acme", "salesforce_account"]}],
    },
    "executionMetadata": {"tags": [{"key": "dagster/partition", "value": "2026-01-01-00:00"}]},
}
"""What the button *Materialize* sends: it knows nothing of our tags."""


def test_ctrl_c_interrupts_a_run_which_has_loaded_its_integration_alone(
    tmp_path: Path, empty_postgres_url: str
) -> None:
    write_new(tmp_path, project_files("acme", "2026-01-01-00:00"))
    slow = {"path": "*/accounts", "action": {"kind": "delay", "seconds": 600}, "times": None}
    with serving(Organization.generate(3)) as sandbox:
        httpx.post(f"{sandbox.m3ter_url}/sandbox/faults", json=slow).raise_for_status()
        given = {"M3SYNC_POSTGRES_URL": empty_postgres_url, **sandbox.environment}
        with (
            program_in(tmp_path, "dev", "--port", "0", **given) as running,
            psycopg.connect(empty_postgres_url, autocommit=True) as database,
        ):
            url = running.wait_for("Dagster is at").split()[3].rstrip(".")
            request = {"query": LAUNCH, "variables": {"params": MATERIALIZE}}
            launched = httpx.post(f"{url}/graphql", json=request, timeout=PATIENCE).json()
            run_id = launched["data"]["launchRun"]["run"]["runId"]
            tags = "SELECT value FROM run_tags WHERE run_id = %s AND key = 'm3sync/process_id'"
            (tag,) = until(lambda: database.execute(tags, (run_id,)).fetchone(), "the tag")
            process = psutil.Process(int(tag.split(" ")[1]))
            status = "SELECT status FROM runs WHERE run_id = %s"
            first_step = "SELECT 1 FROM run_tags WHERE run_id = %s AND key = %s"
            until(
                lambda: database.execute(first_step, (run_id, PROCESS_TAG)).fetchone(), "the step"
            )
            assert " ".join(process.cmdline()).strip() == title("acme", run_id)
            assert running.stop(signal.SIGINT) == 0
            assert not process.is_running()
            assert database.execute(status, (run_id,)).fetchone() == ("FAILURE",)
