"""What is read of runs: for each case an integration, and one look at all of them."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.events import StepMaterializationData
from dagster._core.test_utils import create_run_for_test, freeze_time

from m3sync_dagster.guard import failure_history
from m3sync_dagster.guard.failure_history import (
    Assets,
    Failures,
    FinishedRun,
    count_in_a_row,
    in_a_row,
    oldest_failure_read,
    read_failures,
    read_successes,
    read_untagged_runs,
)
from m3sync_dagster.runs.failure_tags import record_failure
from m3sync_dagster.runs.run_status import INTEGRATION_TAG
from m3sync_dagster.state import GuardState
from m3sync_dagster.sync.errors import RateLimitError, RemoteError
from m3sync_dagster_tests.guard.fixtures import JOB, Fleet, Status, asset

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
WEEK = timedelta(days=7)
SECOND = timedelta(seconds=1)
RANGE = {"dagster/asset_partition_range_start": "2026-11-24-10:00"}
DOWN, QUOTA = RemoteError("Salesforce is down", "Wait."), RateLimitError("used up", "Wait.")
BOTH = ("account", "contract")


def assets_of(*names: str) -> Assets:
    """Integrations of accounts and contracts."""
    return {name: [asset(name, entity) for entity in BOTH] for name in names}


def finished(
    run: dg.DagsterRun,
    ended: datetime,
    entities: Iterable[str] = ("account",),
    *,
    created: datetime | None = None,
    attempt: str | None = None,
    started: bool = True,
) -> FinishedRun:
    began = (created or ended).timestamp()
    names = frozenset(entities)
    return FinishedRun(run.run_id, attempt or run.run_id, began, ended.timestamp(), names, started)


def bare_run(
    fleet: Fleet,
    status: Status,
    assets: Collection[dg.AssetKey] | None = None,
    *,
    checks: Collection[dg.AssetCheckKey] | None = None,
    tag: str | None = None,
) -> dg.DagsterRun:
    """A run of what a person has selected, if anything, that ends now if it ends."""
    run: dg.DagsterRun = create_run_for_test(
        fleet.instance,
        job_name=JOB,
        status=Status.STARTED,
        tags={INTEGRATION_TAG: tag} if tag else {},
        asset_selection=frozenset(assets) if assets else None,
        asset_check_selection=frozenset(checks) if checks else None,
    )
    start = dg.DagsterEvent(dg.DagsterEventType.RUN_START.value, JOB)
    fleet.instance.run_storage.handle_run_event(run.run_id, start)
    fleet.end(run, status)
    return run


def materialize(fleet: Fleet, run: dg.DagsterRun, *keys: dg.AssetKey) -> None:
    for key in keys:
        data = StepMaterializationData(dg.AssetMaterialization(key))
        kind = dg.DagsterEventType.ASSET_MATERIALIZATION.value
        event = dg.DagsterEvent(kind, JOB, event_specific_data=data)
        fleet.instance.report_dagster_event(event, run.run_id)


def test_the_failures_of_all_integrations_are_read_at_once(fleet: Fleet) -> None:
    with freeze_time(NOON):
        whole = fleet.run("whole", entities=BOTH)
        again = fleet.run("again", root=whole.run_id)
        tick_tag = {"m3sync/scheduled_for": "a tick"}
        of_a_tick = fleet.run("of_a_tick", tags=tick_tag, root=whole.run_id)
        without_selection = bare_run(fleet, Status.FAILURE, tag="without_selection")
        scheduled = fleet.run("range", tags=RANGE | {"dagster/schedule_name": "range_hourly"})
        last_attempt = fleet.run("last_attempt", tags={"dagster/will_retry": "false"})
        of_two = bare_run(fleet, Status.FAILURE, [asset("one"), asset("two"), asset("unknown")])
        partly = fleet.run("partly", entities=BOTH)
        reduced = fleet.run("reduced", entities=["bill"])
        no_longer = fleet.run("no_longer")
        unlaunched = fleet.run("unlaunched", Status.STARTING)
        fleet.run("range_by_hand", tags=RANGE)
        fleet.run("attempt", tags={"dagster/will_retry": "true"})
        fleet.run("backfill", tags={"dagster/backfill": "abcdefgh"})
        quota = fleet.run("quota")
        fleet.run("fine", Status.SUCCESS)
        fleet.run("canceled", Status.CANCELED)
        fleet.run("unknown")
    record_failure(fleet.instance, partly.run_id, DOWN, "partly/contract")
    record_failure(fleet.instance, no_longer.run_id, DOWN, "no_longer/bill")
    record_failure(fleet.instance, quota.run_id, QUOTA, "quota/account")
    record_failure(fleet.instance, of_two.run_id, DOWN, "one/contract")
    with freeze_time(NOON + SECOND):
        fleet.end(unlaunched)
        second = fleet.run("whole")
    names = "whole again of_a_tick without_selection range last_attempt one two partly reduced"
    names += " no_longer unlaunched range_by_hand attempt backfill quota fine canceled"
    found = read_failures(fleet.instance, assets_of(*names.split()))
    assert found == Failures(
        runs={
            "whole": [finished(second, NOON + SECOND), finished(whole, NOON, BOTH)],
            "again": [finished(again, NOON, attempt=whole.run_id)],
            "of_a_tick": [finished(of_a_tick, NOON, attempt="a tick")],
            "without_selection": [finished(without_selection, NOON, BOTH)],
            "range": [finished(scheduled, NOON)],
            "last_attempt": [finished(last_attempt, NOON)],
            "one": [finished(of_two, NOON, ["contract"])],
            "two": [finished(of_two, NOON)],
            "partly": [finished(partly, NOON, ["contract"])],
            "unlaunched": [finished(unlaunched, NOON + SECOND, created=NOON, started=False)],
        },
        unrecorded={
            name: [run.run_id for run in runs]
            for name, runs in {
                "whole": [second, whole],
                "again": [again],
                "of_a_tick": [of_a_tick],
                "without_selection": [without_selection],
                "range": [scheduled],
                "last_attempt": [last_attempt],
                "reduced": [reduced],
                "unlaunched": [unlaunched],
            }.items()
        },
        since=NOON,
    )


def test_failures_are_read_up_to_a_week_before_the_newest_one_of_no_backfill(fleet: Fleet) -> None:
    assets = assets_of("acme", "globex")
    assert oldest_failure_read(fleet.instance) is None
    assert read_failures(fleet.instance, assets) == Failures({}, {}, None)
    with freeze_time(NOON - WEEK - SECOND):
        too_old = fleet.run("acme")
    with freeze_time(NOON - WEEK):
        oldest = fleet.run("acme")
    with freeze_time(NOON):
        newest = fleet.run("globex", tags=RANGE)
    with freeze_time(NOON + WEEK):
        fleet.run("acme", tags={"dagster/backfill": "abcdefgh"})
        fleet.run("acme", Status.SUCCESS)
    assert oldest_failure_read(fleet.instance) == NOON - WEEK
    # Dagster reads what was updated since then, and both end earlier than their tags are written.
    for run in (too_old, oldest):
        record_failure(fleet.instance, run.run_id, DOWN, "acme/account")
    assert read_failures(fleet.instance, assets) == Failures(
        {"acme": [finished(oldest, NOON - WEEK)]}, {}, NOON - WEEK
    )
    fleet.instance.delete_run(oldest.run_id)
    assert read_failures(fleet.instance, assets) == Failures({}, {}, NOON - WEEK)
    fleet.instance.delete_run(newest.run_id)
    assert oldest_failure_read(fleet.instance) == NOON - 2 * WEEK - SECOND


def test_a_run_that_waits_or_was_canceled_is_one_integration_s_by_what_it_selects(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    canceled = fleet.run("globex", Status.CANCELED, tagged=False)
    waiting = fleet.run("acme", Status.QUEUED, tagged=False)
    fleet.run("acme", Status.QUEUED)
    fleet.run("acme", Status.STARTED, tagged=False)
    fleet.run("unknown", Status.QUEUED, tagged=False)
    for assets in ([asset("acme"), asset("globex")], None):
        bare_run(fleet, Status.CANCELED, assets)
    owners = {waiting.run_id: "acme", canceled.run_id: "globex"}
    assert read_untagged_runs(fleet.instance, ["acme", "globex"]) == owners
    # The oldest of them was canceled.
    monkeypatch.setattr(failure_history, "UNTAGGED_RUNS", 5)
    assert read_untagged_runs(fleet.instance, ["acme", "globex"]) == {waiting.run_id: "acme"}


def test_the_newest_success_of_each_entity_is_read(fleet: Fleet) -> None:
    """By the tag of a run, or by what it was the last to materialize, as a person launches it."""
    assert read_successes(fleet.instance, {}, NOON) == {}
    check = dg.AssetCheckKey(asset("by_tag", "contract"), "verify")
    with freeze_time(NOON - SECOND):
        early = bare_run(fleet, Status.SUCCESS, [asset("written")])
        fleet.run("early", Status.SUCCESS)
        ends_last = fleet.run("by_tag", Status.STARTED)
    with freeze_time(NOON + SECOND):
        whole = bare_run(fleet, Status.SUCCESS, tag="by_tag")
        written = bare_run(fleet, Status.SUCCESS, [asset("written", "bill")], tag="two")
        # Another run has materialized its asset since.
        untagged = bare_run(fleet, Status.SUCCESS, [asset("failed")])
    with freeze_time(NOON + 2 * SECOND):
        fleet.end(ends_last, Status.SUCCESS)
        failed = fleet.run("failed", entities=BOTH)
    with freeze_time(NOON + 3 * SECOND):
        bare_run(fleet, Status.SUCCESS, checks=[check], tag="by_tag")
    materialize(fleet, early, asset("written"))
    materialize(fleet, untagged, asset("failed"), asset("unknown"))
    materialize(fleet, failed, asset("failed"))
    materialize(fleet, written, asset("written", "contract"), asset("two"))
    materialize(fleet, whole, asset("two", "contract"))
    names = ("by_tag", "early", "written", "two", "failed")
    assert read_successes(fleet.instance, assets_of(*names), NOON) == {
        "by_tag": {
            "account": finished(ends_last, NOON + 2 * SECOND, created=NOON - SECOND),
            "contract": finished(whole, NOON + SECOND, BOTH),
        },
        "early": {},
        "written": {"contract": finished(written, NOON + SECOND, ["contract"])},
        "two": {
            "account": finished(written, NOON + SECOND),
            "contract": finished(whole, NOON + SECOND, ["contract"]),
        },
        "failed": {},
    }


def test_the_failures_in_a_row_of_each_integration_are_counted(fleet: Fleet) -> None:
    with freeze_time(NOON):
        fleet.fail("repaired", 2)
        fleet.fail("failing", 2)
        fleet.fail("started", 1)
        fleet.run("early", Status.SUCCESS)
    with freeze_time(NOON + SECOND):
        fleet.run("repaired", Status.SUCCESS)
        fleet.fail("early", 1)
    started = GuardState("started", schedule_started=NOON.timestamp())
    names = ("repaired", "failing", "early", "fine")
    states = {name: GuardState(name) for name in names} | {"started": started}
    assert count_in_a_row(fleet.instance, states, assets_of(*states)) == {
        "repaired": 0,
        "failing": 2,
        "early": 1,
        "fine": 0,
        "started": 0,
    }


FIRST = FinishedRun("first", "tick", 0.5, 10.0, frozenset({"account"}))
SAME_TICK = FinishedRun("same tick", "tick", 1.0, 20.0, frozenset(BOTH))
LAST = FinishedRun("last", "last", 2.0, 30.0, frozenset({"account"}))


@pytest.mark.parametrize(
    ("state", "successes", "counted"),
    [
        pytest.param({}, {}, [LAST, SAME_TICK], id="runs of one tick are one failure"),
        pytest.param({"count_from": 20.0}, {}, [LAST], id="those that ended later"),
        pytest.param({"schedule_started": 1.0}, {}, [LAST], id="those that began later"),
        pytest.param({"count_from": 10.0, "schedule_started": 2.0}, {}, [], id="both"),
        pytest.param({}, {"account": 10.0, "contract": 10.0}, [LAST, SAME_TICK], id="no later one"),
        pytest.param({}, {"account": 21.0}, [LAST, SAME_TICK], id="one entity of two"),
        pytest.param({}, {"account": 21.0, "contract": 21.0}, [LAST], id="both entities"),
        pytest.param({}, {"account": 30.0, "contract": 20.0}, [LAST, SAME_TICK], id="as late"),
        pytest.param({}, {"account": 31.0}, [SAME_TICK], id="the last one"),
    ],
)
def test_which_failures_are_counted(
    state: dict[str, float], successes: dict[str, float], counted: list[FinishedRun]
) -> None:
    newest = {
        entity: replace(LAST, run_id="success", ended=ended) for entity, ended in successes.items()
    }
    settings = GuardState("acme", **state)  # type: ignore[arg-type] # these are floats
    assert in_a_row([LAST, SAME_TICK, FIRST], settings, newest) == counted
    assert in_a_row([FIRST], GuardState("acme"), {}) == [FIRST]
