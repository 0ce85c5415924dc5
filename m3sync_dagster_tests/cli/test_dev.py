"""``m3sync dev`` while people edit files, and the commands that reach it."""

import subprocess
from pathlib import Path

import httpx
import pytest

from m3sync_dagster.cli.write_project import project_files, write_new
from m3sync_dagster.components.integration import current_hour
from m3sync_dagster_tests.cli.conftest import child_environment
from m3sync_dagster_tests.cli.processes import PROGRAM, program_in
from m3sync_dagster_tests.conftest import PATIENCE

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

        globex.write_text(text.replace("name: acme", "name: globex").replace("start:", "stard:"))
        assert f"{globex}:13" in running.wait_for("did you mean start?")
        running.wait_for("invalid: integration globex")
        assert "globex_hourly" not in schedules(url)

        done = subprocess.run(
            [PROGRAM, "disconnect", "acme"],
            cwd=tmp_path,
            env=child_environment(**given),
            capture_output=True,
            text=True,
            check=True,
        )
        assert "Dagster's webserver has loaded it" in done.stderr
        running.wait_for("changed: integration acme")
    assert not (tmp_path / ".m3sync" / "webserver_url").exists()
