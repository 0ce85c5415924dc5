"""The results of checks, and freshness, after launches from the UI and by the documented API."""

from collections.abc import Callable
from typing import Any

import pytest

from m3sync_dagster_tests.live.conftest import REFUSED, REPOSITORY, Live, until
from m3sync_dagster_tests.live.test_manage_by_api import DOCUMENTS, ask, launched

pytestmark = pytest.mark.slow

CHECK = "salesforce_matches_m3ter"
HOUR = "2026-11-23-12:00"
ASSETS = [{"path": ["acme", f"salesforce_{name}"]} for name in ("account", "contract")]
LAUNCH = DOCUMENTS["Launch"][0]
EXECUTIONS = """
query($key: AssetKeyInput!, $name: String!) {
  assetCheckExecutions(assetKey: $key, checkName: $name, limit: 20) { runId status evaluation {
    success metadataEntries { label ... on PipelineRunMetadataEntry { runId } } } }
}
"""
CHECKS = """
query($key: AssetKeyInput!) { assetNodeOrError(assetKey: $key) { ... on AssetNode {
  jobNames
  freshnessStatusInfo { freshnessStatus }
  assetChecksOrError { ... on AssetChecks { checks { name jobNames } } } } } }
"""
BACKFILL = """
query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
  status error { message } } } }
"""
ENDED = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"


def end_of(live: Live, run_id: str) -> str:
    def poll() -> str | None:
        status = str(live.ask(ENDED, id=run_id)["runOrError"]["status"])
        return status if status in {"SUCCESS", "FAILURE"} else None

    return until(poll, f"the end of run {run_id}")


def launch(live: Live, job: str, hour: str | None = HOUR, **selection: object) -> str:
    params = {
        "selector": {**REPOSITORY, "jobName": job, **selection},
        "runConfigData": {},
        "executionMetadata": {
            "tags": [{"key": "dagster/partition", "value": hour}] if hour else []
        },
    }
    return launched(live.ask(LAUNCH, params=params)["launchRun"])


def executions(live: Live, name: str = CHECK) -> list[dict[str, Any]]:
    found = live.ask(EXECUTIONS, key=ASSETS[0], name=name)["assetCheckExecutions"]
    return list(found)


def newest(live: Live) -> tuple[str, str]:
    last = executions(live)[0]
    return last["runId"], last["status"]


def node(live: Live) -> dict[str, Any]:
    return dict(live.ask(CHECKS, key=ASSETS[0])["assetNodeOrError"])


@pytest.fixture
def verified(live: Live) -> str:
    """A run of the check, as a click on it in the UI launches it; it has succeeded."""
    run_id = launch(
        live,
        "salesforce_verify",
        None,
        assetSelection=[],
        assetCheckSelection=[{"assetKey": key, "name": CHECK} for key in ASSETS],
    )
    assert end_of(live, run_id) == "SUCCESS"
    assert newest(live) == (run_id, "SUCCEEDED")
    return run_id


def test_only_its_own_job_evaluates_the_check(live: Live) -> None:
    found = node(live)
    jobs = {check["name"]: check["jobNames"] for check in found["assetChecksOrError"]["checks"]}
    assert jobs[CHECK] == ["salesforce_verify"]
    # The UI materializes with the first job of the asset, and the checks that this job has.
    assert found["jobNames"] == ["__ASSET_JOB", "salesforce_sync"]
    assert jobs["no_rejected_records"] == found["jobNames"]


def test_a_materialization_leaves_the_result_of_the_check(live: Live, verified: str) -> None:
    rejects = [{"assetKey": key, "name": "no_rejected_records"} for key in ASSETS]
    runs: list[str] = []
    starts: list[Callable[[], str]] = [
        # As the UI launches one hour, and as the documents do.
        lambda: launch(live, "__ASSET_JOB", assetSelection=ASSETS, assetCheckSelection=rejects),
        lambda: launched(ask(live, "Launch")),
        lambda: launched(ask(live, "Relaunch", RUN_ID=runs[-1])),
    ]
    for start in starts:
        runs.append(start())
        assert end_of(live, runs[-1]) == "SUCCESS"
    live.sandbox.salesforce.post("/sandbox/faults", json=REFUSED).raise_for_status()
    account = live.sandbox.organization.ids("accounts")[0]
    live.sandbox.organization.change("accounts", account, name="Changed for the check")
    try:
        failed = launch(live, "__ASSET_JOB", assetSelection=ASSETS, assetCheckSelection=rejects)
        assert end_of(live, failed) == "FAILURE"
        assert end_of(live, launched(ask(live, "Launch"))) == "FAILURE"
    finally:
        live.sandbox.salesforce.delete("/sandbox/faults").raise_for_status()
    assert newest(live) == (verified, "SUCCEEDED")
    # What a sync does evaluate is evaluated.
    of_rejects = executions(live, "no_rejected_records")
    assert {one["runId"] for one in of_rejects if one["status"] == "SUCCEEDED"} >= set(runs)


def test_a_backfill_leaves_the_result_of_the_check(live: Live, verified: str) -> None:
    backfill = ask(live, "Backfill")["backfillId"]

    def poll() -> str | None:
        found = live.ask(BACKFILL, id=backfill)["partitionBackfillOrError"]
        assert not found["error"], found["error"]["message"]
        return found["status"] if found["status"].startswith("COMPLETED") else None

    assert until(poll, "the end of the backfill") == "COMPLETED_SUCCESS"
    # Dagster plans the check, so its last result is repeated, and says whose it is.
    last = executions(live)[0]
    assert last["runId"] != verified
    assert last["status"] == "SUCCEEDED"
    entries = {
        entry["label"]: entry.get("runId") for entry in last["evaluation"]["metadataEntries"]
    }
    assert entries["evaluated_in"] == verified
    assert last["evaluation"]["success"]


def test_a_synced_entity_is_fresh(live: Live) -> None:
    assert end_of(live, launch(live, "__ASSET_JOB", assetSelection=ASSETS)) == "SUCCESS"

    def poll() -> bool:
        return bool(node(live)["freshnessStatusInfo"]["freshnessStatus"] == "HEALTHY")

    assert until(poll, "the freshness of the asset")
