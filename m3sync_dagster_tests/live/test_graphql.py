"""What the UI and other programs do with GraphQL over HTTP."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from m3sync_dagster_tests.live.conftest import REFUSED, REPOSITORY, Live, until

pytestmark = pytest.mark.slow

ENTITIES = ("account", "contract", "commitment", "balance")
PATHS = [{"path": ["acme", f"salesforce_{entity}"]} for entity in ENTITIES]
SCHEDULE = {"scheduleName": "acme_hourly", **REPOSITORY}
BACKFILLED = [f"2026-11-21-{hour:02}:00" for hour in range(6)]
RANGE = ("dagster/asset_partition_range_start", "dagster/asset_partition_range_end")

ASSETS = """
query { assetNodes { assetKey { path } groupName kinds isPartitioned isExecutable hasAssetChecks
  backfillPolicy { policyType } jobNames dependencyKeys { path } } }
"""
LAUNCH = """
mutation($p: ExecutionParams!) { launchRun(executionParams: $p) { __typename
  ... on LaunchRunSuccess { run { runId } } ... on PythonError { message }
  ... on RunConfigValidationInvalid { errors { message } } } }
"""
BACKFILL = """
mutation($b: LaunchBackfillParams!) { launchPartitionBackfill(backfillParams: $b) { __typename
  ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message } } }
"""
BACKFILL_STATUS = """
query($id: String!) { partitionBackfillOrError(backfillId: $id) { ... on PartitionBackfill {
  status numPartitions runs { runId } } } }
"""
RUN = """
query($id: ID!) { runOrError(runId: $id) { ... on Run { status tags { key value }
  assetMaterializations { assetKey { path } partition } } } }
"""
LOGS = """
query($id: ID!) { logsForRun(runId: $id, limit: 1000) { ... on EventConnection {
  events { __typename ... on MessageEvent { message }
    ... on ErrorEvent { error { message stack } } } } } }
"""
MATERIALIZATION = """
query($key: AssetKeyInput!, $hours: [String!]) { assetOrError(assetKey: $key) { ... on Asset {
  assetMaterializations(partitions: $hours, limit: 5) { runId partition metadataEntries {
    __typename label ... on IntMetadataEntry { intValue }
    ... on FloatMetadataEntry { floatValue } } } } } }
"""
CHECK = """
query($key: AssetKeyInput!) { assetCheckExecutions(
  assetKey: $key, checkName: "no_rejected_records", limit: 50) {
    runId status evaluation { severity success } } }
"""
STATE = """
query($s: ScheduleSelector!) { scheduleOrError(scheduleSelector: $s) { ... on Schedule {
  cronSchedule executionTimezone scheduleState { id status } } } }
"""
START = """
mutation($s: ScheduleSelector!) { startSchedule(scheduleSelector: $s) { __typename
  ... on ScheduleStateResult { scheduleState { id status } } ... on PythonError { message } } }
"""
STOP = """
mutation($id: String!) { stopRunningSchedule(id: $id) { __typename
  ... on ScheduleStateResult { scheduleState { status } } ... on PythonError { message } } }
"""
DRY_RUN = """
mutation($s: ScheduleSelector!, $t: Float!) { scheduleDryRun(selectorData: $s, timestamp: $t) {
  __typename ... on PythonError { message } ... on DryRunInstigationTick { evaluationResult {
    skipReason error { message } runRequests { runKey assetSelection { path }
      tags { key value } } } } } }
"""
INSTANCE = (
    "query { instance { id info runQueueConfig { maxConcurrentRuns isOpConcurrencyAware } } }"
)


@pytest.fixture(scope="module")
def backfill(live: Live) -> str:
    """A backfill that begins during the other tests: Dagster looks for one each half minute."""
    asked = {"assetSelection": PATHS, "partitionNames": BACKFILLED, "title": "Again, 21 November"}
    launched = live.ask(BACKFILL, b=asked)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    return str(launched["backfillId"])


@pytest.fixture(scope="module")
def ended_backfill(live: Live, backfill: str) -> dict[str, Any]:
    """The backfill, once it has ended."""

    def poll() -> dict[str, Any] | None:
        found: dict[str, Any] = live.ask(BACKFILL_STATUS, id=backfill)["partitionBackfillOrError"]
        return found if found["status"].startswith(("COMPLETED", "FAILED")) else None

    return until(poll, "the end of the backfill")


def launch(live: Live, *, job: str = "salesforce_sync", **tags: str) -> str:
    """Launch a run of all four assets; its id."""
    params = {
        "selector": {"jobName": job, "assetSelection": PATHS, **REPOSITORY},
        "runConfigData": {},
        "executionMetadata": {"tags": [{"key": k, "value": v} for k, v in tags.items()]},
    }
    launched = live.ask(LAUNCH, p=params)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess", launched
    return str(launched["run"]["runId"])


def ended(live: Live, run_id: str) -> dict[str, Any]:
    """A run, once it has ended."""

    def poll() -> dict[str, Any] | None:
        run: dict[str, Any] = live.ask(RUN, id=run_id)["runOrError"]
        return run if run["status"] in {"SUCCESS", "FAILURE", "CANCELED"} else None

    run = until(poll, f"the end of run {run_id}")
    events = live.ask(LOGS, id=run_id)["logsForRun"]["events"]
    assert run["status"] == "SUCCESS", [event["error"] for event in events if event.get("error")]
    run["tags"] = {tag["key"]: tag["value"] for tag in run["tags"]}
    return run


def filled(run: dict[str, Any]) -> set[tuple[str, str]]:
    """What a run has materialized: entities and hours."""
    return {
        (m["assetKey"]["path"][-1].removeprefix("salesforce_"), m["partition"])
        for m in run["assetMaterializations"]
    }


def measures(live: Live, entity: str, hour: str) -> dict[str, float]:
    """The numbers of an hour's newest materialization."""
    key = {"path": ["acme", f"salesforce_{entity}"]}
    asset = live.ask(MATERIALIZATION, key=key, hours=[hour])["assetOrError"]
    entries = asset["assetMaterializations"][0]["metadataEntries"]
    return {
        entry["label"]: entry.get("intValue", entry.get("floatValue"))
        for entry in entries
        if entry["__typename"] in {"IntMetadataEntry", "FloatMetadataEntry"}
    }


def checked(live: Live, entity: str) -> list[tuple[str, str, dict[str, Any]]]:
    """The executions of the check of rejects: its run, its status, and its result.

    All of them, since the run of the backfill can begin at any moment, and is then the newest.
    """
    found = live.ask(CHECK, key={"path": ["acme", f"salesforce_{entity}"]})["assetCheckExecutions"]
    return [(one["runId"], one["status"], one["evaluation"]) for one in found]


def test_the_assets_are_what_the_yaml_says(live: Live, backfill: str) -> None:
    nodes = {tuple(node["assetKey"]["path"]): node for node in live.ask(ASSETS)["assetNodes"]}
    assert {key for key in nodes if key[0] == "acme"} == {
        ("acme", f"salesforce_{entity}") for entity in ENTITIES
    }
    assert {("m3ter_production", f"m3ter_{entity}") for entity in ENTITIES} <= nodes.keys()
    balance = nodes["acme", "salesforce_balance"]
    source = nodes["m3ter_production", "m3ter_balance"]
    assert balance["groupName"] == "acme"
    assert sorted(balance["kinds"]) == ["m3ter", "salesforce"]
    assert balance["isPartitioned"]
    assert balance["isExecutable"]
    assert balance["hasAssetChecks"]
    assert balance["backfillPolicy"]["policyType"] == "SINGLE_RUN"
    assert "salesforce_sync" in balance["jobNames"]
    assert ["m3ter_production", "m3ter_balance"] in [k["path"] for k in balance["dependencyKeys"]]
    assert not source["isExecutable"]


def test_one_hour_is_launched_followed_and_read(live: Live) -> None:
    hour = "2026-11-20-10:00"
    run_id = launch(live, **{"dagster/partition": hour})
    run = ended(live, run_id)
    assert filled(run) == {(entity, hour) for entity in ENTITIES}
    # It was launched without them.
    assert run["tags"]["m3sync/integration"] == "acme"
    assert run["tags"]["m3sync/salesforce_credential"] == "salesforce_production"
    for entity in ENTITIES:
        got = measures(live, entity, hour)
        assert got["read"] == live.sandbox.organization.count(f"{entity}s")
        parts = ("created", "updated", "unchanged", "invalid", "rejected", "waiting")
        assert got["read"] == sum(got[part] for part in parts)
        assert {"salesforce_api_calls", "duration_seconds"} <= got.keys()
        assert len(live.sandbox.records(f"m3ter_{entity.title()}__c")) == got["read"]
        assert (run_id, "SUCCEEDED", {"severity": "WARN", "success": True}) in checked(live, entity)


def test_three_hours_are_one_run_by_tags(live: Live) -> None:
    hours = ["2026-11-20-13:00", "2026-11-20-14:00", "2026-11-20-15:00"]
    run = ended(live, launch(live, **{RANGE[0]: hours[0], RANGE[1]: hours[-1]}))
    assert filled(run) == {(entity, hour) for entity in ENTITIES for hour in hours}


@pytest.mark.usefixtures("ended_backfill")  # Dagster limits no pool in the first look at its runs.
def test_runs_that_overlap_wait_for_each_other(live: Live) -> None:
    hours = ["2026-11-20-17:00", "2026-11-20-18:00"]
    # As the UI launches them: without m3sync's tags.
    runs = [launch(live, job="__ASSET_JOB", **{"dagster/partition": hour}) for hour in hours]
    for run_id, hour in zip(runs, hours, strict=True):
        run = ended(live, run_id)
        assert filled(run) == {(entity, hour) for entity in ENTITIES}
        assert run["tags"]["m3sync/integration"] == "acme"


def test_the_schedule_is_started_and_stopped(live: Live) -> None:
    found = live.ask(STATE, s=SCHEDULE)["scheduleOrError"]
    assert found["scheduleState"]["status"] == "STOPPED"
    minute, *rest = found["cronSchedule"].split()
    assert 0 <= int(minute) <= 9
    assert (rest, found["executionTimezone"]) == (["*"] * 4, "UTC")
    started = live.ask(START, s=SCHEDULE)["startSchedule"]
    try:
        assert started["scheduleState"]["status"] == "RUNNING"
        now = live.ask(STATE, s=SCHEDULE)["scheduleOrError"]["scheduleState"]
        assert now["status"] == "RUNNING"
    finally:
        stopped = live.ask(STOP, id=started["scheduleState"]["id"])["stopRunningSchedule"]
    assert stopped["scheduleState"]["status"] == "STOPPED"
    assert live.ask(STATE, s=SCHEDULE)["scheduleOrError"]["scheduleState"]["status"] == "STOPPED"


def test_a_dry_run_says_what_a_tick_would_ask_for(live: Live) -> None:
    # Dagster takes the next tick after the given time, which is later than any hour filled here.
    before = datetime(2027, 1, 1, 0, 59, 59, tzinfo=UTC).timestamp()

    def poll() -> list[dict[str, Any]]:
        tick = live.ask(DRY_RUN, s=SCHEDULE, t=before)["scheduleDryRun"]
        result = tick["evaluationResult"]
        assert result["error"] is None
        found: list[dict[str, Any]] = result["runRequests"]
        return found

    # During another test's run, a tick requests none.
    (request,) = until(poll, "a tick that asks for a run")
    tags = {tag["key"]: tag["value"] for tag in request["tags"]}
    assert request["assetSelection"] == PATHS
    assert tags["m3sync/integration"] == "acme"
    assert (tags.get("dagster/partition") or tags[RANGE[1]]) == "2027-01-01-00:00"


def test_a_backfill_of_many_hours_is_one_run(live: Live, ended_backfill: dict[str, Any]) -> None:
    assert ended_backfill["status"] == "COMPLETED_SUCCESS"
    assert ended_backfill["numPartitions"] == len(BACKFILLED)
    (run,) = ended_backfill["runs"]
    assert filled(ended(live, run["runId"])) == {
        (entity, hour) for entity in ENTITIES for hour in BACKFILLED
    }


@pytest.mark.usefixtures("ended_backfill")  # Its run must not meet the fault.
def test_no_secret_is_written_down_anywhere(live: Live) -> None:
    # A failed run has the most output.
    faults = live.sandbox.salesforce
    faults.post("/sandbox/faults", json=REFUSED).raise_for_status()
    organization = live.sandbox.organization
    organization.change("accounts", organization.ids("accounts")[0], name="Changed")
    try:
        run_id = launch(live, **{"dagster/partition": "2026-11-22-11:00"})
        until(
            lambda: live.ask(RUN, id=run_id)["runOrError"]["status"] == "FAILURE",
            "the failure of the run",
        )
    finally:
        faults.delete("/sandbox/faults").raise_for_status()
    assert "invalid_client" in json.dumps(live.ask(LOGS, id=run_id))
    live.ask(INSTANCE)
    written = dict(live.written())
    assert run_id in written["public.event_logs"]
    assert run_id in written["m3sync.integration_event"]
    assert {"GraphQL", "m3sync.synced_record"} <= written.keys()
    found = [(where, s) for where, text in written.items() for s in live.secrets if s in text]
    assert found == []
