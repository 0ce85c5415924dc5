"""The guard's judgement, case by case."""

from datetime import UTC, datetime

import pytest
from dagster._core.remote_origin import RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)
from dagster._core.workspace.load_target import WorkspaceFileTarget

from m3sync_dagster.guard.disable_policy import Verdict, judge
from m3sync_dagster.guard.failure_history import FinishedRun
from m3sync_dagster.guard.schedules import Schedule
from m3sync_dagster.state import GuardState
from m3sync_dagster_tests.conftest import ROOT

FIRST_START, SECOND_START = 100.0, 5_000.0
SINCE = datetime(2026, 11, 24, 10, tzinfo=UTC)


def ended(number: int, root: str | None = None) -> FinishedRun:
    run_id = f"run-{number}"
    return FinishedRun(number, run_id, root or run_id, number * 100.0, SINCE)


def numbers(*given: int) -> list[FinishedRun]:
    return [ended(number) for number in given]


def schedule(
    status: InstigatorStatus = InstigatorStatus.RUNNING, started: float | None = FIRST_START
) -> Schedule:
    (location,) = WorkspaceFileTarget([str(ROOT / "workspace.yaml")]).create_origins()
    origin = RemoteRepositoryOrigin(location, "__repository__").get_instigator_origin("acme_hourly")
    data = ScheduleInstigatorData("3 * * * *", started)
    return Schedule(InstigatorState(origin, InstigatorType.SCHEDULE, status, data))


RUNNING = schedule()
STOPPED = schedule(InstigatorStatus.STOPPED, None)
BY_DEFAULT = schedule(InstigatorStatus.DECLARED_IN_CODE, 9_999.0)
ENABLED_AGAIN = schedule(started=SECOND_START)
SEEN = GuardState("acme", schedule_started=FIRST_START)
WARNED = GuardState("acme", FIRST_START, told=5, told_at=5)
WARNED_TWICE = GuardState("acme", FIRST_START, told=8, told_at=8)
DISABLED = GuardState(
    "acme", FIRST_START, told=10, told_at=10, disabled_since=SINCE, disabled_reason="it failed"
)
TEN = numbers(*range(1, 11))


def told(verdict: Verdict) -> tuple[str, int, str] | None:
    change = verdict.change
    return (change.kind.value, change.failures, change.run.run_id) if change else None


@pytest.mark.parametrize(
    ("standing", "state", "failures", "success", "change", "stop"),
    [
        pytest.param(SEEN, RUNNING, [], None, None, False, id="all is well"),
        pytest.param(SEEN, RUNNING, TEN[:4], None, None, False, id="four"),
        pytest.param(SEEN, RUNNING, TEN[:5], None, ("failing", 5, "run-5"), False, id="five"),
        pytest.param(WARNED, RUNNING, TEN[:5], None, None, False, id="five, and it is known"),
        pytest.param(WARNED, RUNNING, TEN[:7], None, None, False, id="seven"),
        pytest.param(WARNED, RUNNING, TEN[:8], None, ("failing", 8, "run-8"), False, id="eight"),
        pytest.param(SEEN, RUNNING, TEN[:9], None, ("failing", 8, "run-8"), False, id="late"),
        pytest.param(WARNED_TWICE, RUNNING, TEN[:9], None, None, False, id="nine"),
        pytest.param(
            WARNED_TWICE, RUNNING, TEN, None, ("disabled", 10, "run-10"), True, id="ten"
        ),
        pytest.param(
            WARNED_TWICE,
            RUNNING,
            [*TEN, ended(11)],
            None,
            ("disabled", 10, "run-10"),
            True,
            id="eleven name the tenth",
        ),
        pytest.param(
            GuardState("acme"), RUNNING, TEN, None, ("disabled", 10, "run-10"), True, id="unseen"
        ),
        pytest.param(SEEN, BY_DEFAULT, TEN, None, ("disabled", 10, "run-10"), True, id="default"),
        pytest.param(SEEN, STOPPED, TEN, None, None, False, id="stopped by a person"),
        pytest.param(SEEN, None, TEN, None, None, False, id="never started"),
        pytest.param(DISABLED, STOPPED, TEN, None, None, False, id="disabled stays so"),
        pytest.param(DISABLED, RUNNING, TEN, None, None, True, id="the scheduler undid it"),
        pytest.param(DISABLED, BY_DEFAULT, TEN, None, None, True, id="so did a default"),
        pytest.param(DISABLED, STOPPED, TEN, ended(11), None, False, id="a success by hand"),
        pytest.param(DISABLED, ENABLED_AGAIN, TEN, None, None, False, id="enabled again"),
        pytest.param(
            DISABLED, ENABLED_AGAIN, numbers(*range(1, 11), *range(51, 60)), None,
            ("failing", 8, "run-58"), False, id="nine more"
        ),
        pytest.param(
            DISABLED, ENABLED_AGAIN, numbers(*range(1, 11), *range(51, 61)), None,
            ("disabled", 10, "run-60"), True, id="ten more"
        ),
        pytest.param(SEEN, RUNNING, TEN[:9], ended(5), None, False, id="a success between"),
        pytest.param(
            WARNED, RUNNING, TEN[:5], ended(6), ("recovered", 5, "run-6"), False, id="recovered"
        ),
        pytest.param(
            WARNED, RUNNING, numbers(1, 2, 3, 4, 5, 7), ended(6), ("recovered", 5, "run-6"),
            False, id="recovered, and failing refresh"
        ),
        pytest.param(WARNED, RUNNING, TEN[:5], ended(3), None, False, id="an older success"),
    ],
)  # fmt: skip
def test_what_follows(  # noqa: PLR0917 - the columns of the table
    standing: GuardState,
    state: Schedule | None,
    failures: list[FinishedRun],
    success: FinishedRun | None,
    change: tuple[str, int, str] | None,
    stop: bool,
) -> None:
    verdict = judge(standing, state, failures, success)
    assert (told(verdict), verdict.stop) == (change, stop)
    # The same again changes nothing: a tick that was killed and one that was not agree.
    again = judge(verdict.standing, state, failures, success)
    if change is None or change[0] != "recovered":
        assert (told(again), again.standing) == (None, verdict.standing)


def test_all_attempts_of_one_run_are_one_failure() -> None:
    attempts = [ended(number, root="run-1") for number in range(1, 11)]
    assert told(judge(SEEN, RUNNING, attempts, None)) is None
    assert told(judge(SEEN, RUNNING, [*attempts, *numbers(*range(20, 28))], None)) == (
        "failing", 8, "run-26",
    )  # fmt: skip


def test_enabling_clears_the_count_although_clocks_differ() -> None:
    """The machine where somebody clicks may be behind the one that created the runs."""
    behind = schedule(started=FIRST_START + 1)
    verdict = judge(DISABLED, behind, TEN, None)
    assert not verdict.standing.disabled
    assert not verdict.stop


def test_a_recovery_is_told_after_a_disabled_integration_works_again() -> None:
    enabled = judge(DISABLED, ENABLED_AGAIN, TEN, None).standing
    assert told(judge(enabled, ENABLED_AGAIN, TEN, ended(60))) == ("recovered", 0, "run-60")
