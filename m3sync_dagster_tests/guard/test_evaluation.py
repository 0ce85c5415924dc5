"""What the guard has to do about one integration, by its failed runs and by its complete syncs."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from dagster._core.test_utils import freeze_time

from m3sync_dagster.guard.disable_policy import Change, ChangeKind, Decision, History
from m3sync_dagster.guard.enable_disable import BY_HAND
from m3sync_dagster.guard.evaluation import Evaluation, evaluate, read_histories
from m3sync_dagster.guard.failure_history import Failures, FinishedRun
from m3sync_dagster.guard.guarded_integration import GuardedIntegration, UserDirectory
from m3sync_dagster.guard.health_policy import LATE_AFTER, HealthChange, RejectLimit
from m3sync_dagster.guard.schedules import Schedule
from m3sync_dagster.state import GuardState, SyncedEntity
from m3sync_dagster_tests.guard.fixtures import Fleet, Status, asset, nobody
from m3sync_dagster_tests.guard.test_health_policy import schedule

MOMENT = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOW = MOMENT.timestamp()
STARTED = NOW - 2 * LATE_AFTER
LATE = NOW - LATE_AFTER
RUNNING, STOPPED = schedule(STARTED), schedule(None)
ACCOUNT = frozenset({"account"})
ACME = GuardedIntegration(
    "acme",
    "acme_hourly",
    (asset("acme"),),
    (),
    UserDirectory("nobody", nobody),
    reject_limit=RejectLimit(rows=10),
)
REJECTED = "10 of 100 records are invalid or were rejected by Salesforce"
NOT_SYNCED = "it has not synced completely since it was enabled"
PAUSED = GuardState("acme", disabled_since=MOMENT, disabled_reason=BY_HAND, disabled_until=MOMENT)
SEEN = GuardState("acme", STARTED, guard_error="what the last tick has found")
TOLD = replace(SEEN, notified_level=5, notified_at=LATE, late_since=LATE)


def run(name: str, ended: float) -> FinishedRun:
    return FinishedRun(name, name, ended, ended, ACCOUNT)


def synced(ended: float, rejected: int = 0) -> dict[str, SyncedEntity]:
    at = datetime.fromtimestamp(ended, UTC)
    return {"account": SyncedEntity("acme", "account", "sync", at, 100, rejected)}


SUCCESS = run("success", NOW - 1)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        pytest.param(
            (PAUSED, STOPPED, History(), {}),
            Evaluation(PAUSED, Decision(PAUSED), (), STOPPED, pause_is_over=True),
            id="a pause ends, and nothing else is decided",
        ),
        pytest.param(
            (SEEN, RUNNING, History(ACCOUNT), synced(NOW)),
            Evaluation(SEEN, Decision(replace(SEEN, guard_error=None)), [], RUNNING),
            id="an error of the last tick is over",
        ),
        pytest.param(
            (SEEN, RUNNING, History(ACCOUNT), {}),
            Evaluation(
                SEEN,
                Decision(replace(SEEN, guard_error=None, late_since=STARTED)),
                [HealthChange(ChangeKind.LATE, STARTED, None, NOT_SYNCED)],
                RUNNING,
            ),
            id="it is late",
        ),
        pytest.param(
            (SEEN, None, History(ACCOUNT), synced(NOW, rejected=10)),
            Evaluation(
                SEEN,
                Decision(replace(SEEN, guard_error=None, rejects_since=NOW)),
                [HealthChange(ChangeKind.REJECTS, NOW, "sync", REJECTED)],
                None,
            ),
            id="rows are rejected",
        ),
        pytest.param(
            (
                TOLD,
                RUNNING,
                History(ACCOUNT, [run("failure", LATE)], {"account": SUCCESS}),
                synced(NOW, rejected=10),
            ),
            Evaluation(
                TOLD,
                Decision(
                    GuardState("acme", STARTED, SUCCESS.ended, rejects_since=NOW),
                    Change(ChangeKind.RECOVERED, SUCCESS, 5),
                ),
                [HealthChange(ChangeKind.REJECTS, NOW, "sync", REJECTED)],
                RUNNING,
            ),
            id="it works again, which is said once",
        ),
        pytest.param(
            (
                replace(SEEN, late_since=LATE),
                RUNNING,
                History(ACCOUNT, [run(f"{number}", LATE + number) for number in range(5)]),
                synced(NOW),
            ),
            Evaluation(
                replace(SEEN, late_since=LATE),
                Decision(
                    GuardState("acme", STARTED, notified_level=5, notified_at=LATE + 4),
                    Change(ChangeKind.FAILING, run("4", LATE + 4), 5),
                ),
                [HealthChange(ChangeKind.RECOVERED, NOW, "sync")],
                RUNNING,
            ),
            id="it is no longer late, and fails",
        ),
    ],
)
def test_an_evaluation(
    given: tuple[GuardState, Schedule | None, History, dict[str, SyncedEntity]],
    expected: Evaluation,
) -> None:
    with freeze_time(MOMENT):
        assert evaluate(ACME, *given) == expected


def test_an_evaluation_has_work_if_anything_is_to_be_written_or_done() -> None:
    nothing = Evaluation(SEEN, Decision(SEEN), (), RUNNING)
    late = HealthChange(ChangeKind.LATE, LATE, None)
    over = HealthChange(ChangeKind.REJECTS_OVER, NOW, None)
    change = Change(ChangeKind.FAILING, SUCCESS, 5)
    cases = {
        "nothing": (nothing, False, False, None),
        "state": (replace(nothing, decision=Decision(TOLD)), True, True, None),
        "change": (replace(nothing, decision=Decision(SEEN, change)), True, True, None),
        "late": (replace(nothing, changes=[over, late]), True, True, LATE),
        "rejects": (replace(nothing, changes=[over]), True, True, None),
        "stop": (replace(nothing, decision=Decision(SEEN, stop=True)), False, True, None),
        "unrecorded": (replace(nothing, unrecorded=["run"]), False, True, None),
        "pause": (replace(nothing, pause_is_over=True), False, True, None),
    }
    found = {
        name: (one, one.changed, one.has_work, one.late_since) for name, (one, *_) in cases.items()
    }
    assert found == cases
    assert nothing.name == "acme"


def test_successes_are_read_of_those_that_failed_often_or_of_which_people_know(
    fleet: Fleet,
) -> None:
    """And only those since the first of the failures."""
    second, both = timedelta(seconds=1), {"account", "contract"}
    five = [run(f"{number}", NOW + number) for number in range(5)]
    states = {
        "often": GuardState("often"),
        "notified": GuardState("notified", notified_at=NOW),
        "started_since": GuardState("started_since", schedule_started=NOW + 5),
        "seldom": GuardState("seldom"),
        "fine": GuardState("fine"),
    }
    failures = Failures(
        {"often": five, "started_since": five, "seldom": five[:4]}, {}, since=MOMENT
    )
    runs = {}
    for name in states:
        fleet.add(name, entities=["account", "contract"])
        with freeze_time(MOMENT - second):
            fleet.run(name, Status.SUCCESS, entities=["contract"])
        with freeze_time(MOMENT + second):
            success = fleet.run(name, Status.SUCCESS)
        runs[name] = run(success.run_id, NOW + 1)
    assert read_histories(fleet.instance, fleet.watched, states, failures) == {
        "often": History(both, five, {"account": runs["often"]}),
        "notified": History(both, [], {"account": runs["notified"]}),
        "started_since": History(both, five),
        "seldom": History(both, five[:4]),
        "fine": History(both, []),
    }
