"""Each document of docs/manage-by-api.md, unchanged, against a live webserver and daemon."""

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from m3sync_dagster.cli.reload_code_location import reload_location
from m3sync_dagster_tests.conftest import PATIENCE, ROOT
from m3sync_dagster_tests.live.conftest import REFUSED, REPOSITORY, Live, until

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "manage-by-api.md").read_text()
DOCUMENTS = {
    re.findall(r"(?:query|mutation) (\w+)", query)[0]: (query, variables)
    for query, variables in re.findall(r"```graphql\n(.*?)```\n```json\n(.*?)```", PAGE, re.DOTALL)
}
DESCRIPTION = """
query($k: AssetKeyInput!) { assetNodeOrError(assetKey: $k) { ... on AssetNode { description } } }
"""
GUARD = """
query($s: SensorSelector!) { sensorOrError(sensorSelector: $s) { ... on Sensor {
  sensorState { status ticks(limit: 5) { status skipReason error { message } } } } } }
"""


def ask(live: Live, name: str, **replaced: str) -> Any:  # noqa: ANN401 - JSON
    """Send a document with its variables, in which placeholders are replaced."""
    query, variables = DOCUMENTS[name]
    for placeholder, value in replaced.items():
        assert placeholder in variables
        variables = variables.replace(placeholder, value)
    (answer,) = live.ask(query, **json.loads(variables)).values()
    return answer


def launched(answer: dict[str, Any]) -> str:
    assert answer["__typename"] == "LaunchRunSuccess", answer
    return str(answer["run"]["runId"])


def ended(live: Live, run_id: str) -> dict[str, Any]:
    def poll() -> dict[str, Any] | None:
        found = {run["runId"]: run for run in ask(live, "Runs")["results"]}
        run: dict[str, Any] | None = found.get(run_id)
        return run if run and run["status"] in {"SUCCESS", "FAILURE"} else None

    return until(poll, f"the end of run {run_id}")


def state(live: Live) -> dict[str, Any]:
    listed = ask(live, "Integrations")
    assert listed["__typename"] == "Schedules", listed
    found: dict[str, Any] = next(one for one in listed["results"] if one["name"] == "acme_hourly")
    return found["scheduleState"]  # type: ignore[no-any-return] # JSON


def test_the_page_has_what_people_need() -> None:
    assert list(DOCUMENTS) == [
        "Integrations", "Launch", "Relaunch", "Backfill", "Enable", "Disable", "Runs", "Events",
        "Reload",
    ]  # fmt: skip
    assert PAGE.count("```graphql") == len(DOCUMENTS)


def test_the_command_of_the_page_gets_an_answer(live: Live) -> None:
    (command,) = re.findall(r"```sh\n(curl .*?)\n```", PAGE, re.DOTALL)
    here = command.replace("http://127.0.0.1:3000", live.url)
    assert here != command
    done = subprocess.run(here, shell=True, check=True, capture_output=True, timeout=PATIENCE)  # noqa: S602 - the page's own
    assert json.loads(done.stdout)["data"]["version"]


def test_enable_and_disable(live: Live) -> None:
    started = ask(live, "Enable")
    assert started["__typename"] == "ScheduleStateResult", started
    assert state(live)["status"] == "RUNNING"
    stopped = ask(live, "Disable", SCHEDULE_STATE_ID=state(live)["id"])
    assert stopped["__typename"] == "ScheduleStateResult", stopped
    assert state(live)["status"] == "STOPPED"


def test_a_run_fails_is_reviewed_and_launched_again(live: Live) -> None:
    account = live.sandbox.organization.ids("accounts")[0]
    live.sandbox.organization.change("accounts", account, name="Changed by a person")
    live.sandbox.salesforce.post("/sandbox/faults", json=REFUSED).raise_for_status()
    try:
        run_id = launched(ask(live, "Launch"))
        failed = ended(live, run_id)
    finally:
        live.sandbox.salesforce.delete("/sandbox/faults").raise_for_status()
    tags = {tag["key"]: tag["value"] for tag in failed["tags"]}
    assert (failed["status"], tags["m3sync/status"]) == ("FAILURE", "AUTH_FAILED")
    observations = ask(live, "Events")["assetObservations"]
    events = [
        {entry["label"]: entry.get("text") for entry in one["metadataEntries"]}
        for one in observations
        if one["runId"] == run_id
    ]
    assert [event["event"] for event in events] == ["integration.authentication.error"]
    assert events[0]["remedy"]
    again = ended(live, launched(ask(live, "Relaunch", RUN_ID=run_id)))
    assert again["status"] == "SUCCESS"
    paths = {tuple(one["assetKey"]["path"]) for one in again["assetMaterializations"]}
    assert paths == {("acme", "salesforce_account"), ("acme", "salesforce_contract")}


def test_the_daemon_lets_the_guard_watch(live: Live) -> None:
    selector = {"sensorName": "integration_guard", **REPOSITORY}

    def poll() -> list[dict[str, Any]]:
        sensor = live.ask(GUARD, s=selector)["sensorOrError"]["sensorState"]
        assert sensor["status"] == "RUNNING"
        return [tick for tick in sensor["ticks"] if tick["status"] != "STARTED"]

    tick = until(poll, "a tick of the guard")[0]
    assert tick["status"] == "SKIPPED", tick
    assert "1 integrations are watched." in tick["skipReason"]


def test_a_backfill_is_taken(live: Live) -> None:
    answer = ask(live, "Backfill")
    assert answer["__typename"] == "LaunchBackfillSuccess", answer
    tag = {"key": "dagster/backfill", "value": answer["backfillId"]}

    def poll() -> str | None:
        runs = ask(live, "Runs")["results"]
        return next((run["runId"] for run in runs if tag in run["tags"]), None)

    assert ended(live, until(poll, "the run of the backfill"))["status"] == "SUCCESS"


def test_the_example_client_follows_a_run_to_its_end(live: Live) -> None:
    script = ROOT / "docs" / "examples" / "sync_an_hour.py"
    server = live.url.removeprefix("http://")
    hour = re.findall(r"acme (\S+)\n", PAGE)[0]
    done = subprocess.run(
        [sys.executable, str(script), server, "acme", hour],
        check=False, capture_output=True, text=True, timeout=PATIENCE,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "has ended: SUCCESS" in done.stdout


def test_a_changed_file_is_loaded(live: Live) -> None:
    assert ask(live, "Reload")["locationOrLoadError"]["__typename"] == "RepositoryLocation"
    assert not reload_location(["http://127.0.0.1:9"])
    path = live.home / "defs" / "acme" / "defs.yaml"
    before = path.read_text()
    try:
        path.write_text(before.replace("  salesforce_credential: salesforce_production\n", ""))
        assert reload_location(["http://127.0.0.1:9", live.url])
        key = {"path": ["acme", "salesforce_account"]}
        assert "NOT CONNECTED" in live.ask(DESCRIPTION, k=key)["assetNodeOrError"]["description"]
    finally:
        path.write_text(before)
        assert reload_location(["http://127.0.0.1:9", live.url])
