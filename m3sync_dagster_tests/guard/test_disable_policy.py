"""The guard's judgement, case by case."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from dagster._core.remote_origin import RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    InstigatorType,
    ScheduleInstigatorData,
)
from dagster._core.workspace.load_target import WorkspaceFileTarget

from m3sync_dagster.guard.disable_policy import (
    Change,
    ChangeKind,
    Decision,
    History,
    decide,
    is_pause_over,
)
from m3sync_dagster.guard.failure_history import FinishedRun
from m3sync_dagster.guard.schedules import Schedule
from m3sync_dagster.state import GuardState
from m3sync_dagster_tests.conftest import ROOT

FIRST_START, SECOND_START = 100.0, 5_000.0
SINCE = datetime(2026, 11, 24, 10, tzinfo=UTC)
ACCOUNT, CONTRACT = frozenset({"account"}), frozenset({"contract"})


def at(number: int) -> float:
    """When a run ended."""
    return number * 100.0 + 50


def ended(
    number: int,
    root: str | None = None,
    *,
    entities: frozenset[str] = ACCOUNT,
    created: float | None = None,
) -> FinishedRun:
    run_id = f"run-{number}"
    began = number * 100.0 + 1 if created is None else created
    return FinishedRun(run_id, root or run_id, began, at(number), entities)


def numbers(*given: int) -> list[FinishedRun]:
    return [ended(number) for number in given]


def history(failures: list[FinishedRun], *successes: FinishedRun) -> History:
    newest = {entity: run for run in successes for entity in run.entities}
    names = {entity for run in [*failures, *successes] for entity in run.entities}
    return History(names or ACCOUNT, failures, newest)


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
WARNED = GuardState("acme", FIRST_START, notified_level=5, notified_at=at(5))
WARNED_TWICE = GuardState("acme", FIRST_START, notified_level=8, notified_at=at(8))
DISABLED = GuardState(
    "acme",
    FIRST_START,
    notified_level=10,
    notified_at=at(10),
    disabled_since=SINCE,
    disabled_reason="it failed",
)
TEN = numbers(*range(1, 11))


def change_of(decision: Decision) -> tuple[str, int, str] | None:
    change = decision.change
    return (change.kind.value, change.failures, change.run.run_id) if change else None


@pytest.mark.parametrize(
    ("state", "schedule", "failures", "success", "change", "stop"),
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
    state: GuardState,
    schedule: Schedule | None,
    failures: list[FinishedRun],
    success: FinishedRun | None,
    change: tuple[str, int, str] | None,
    stop: bool,
) -> None:
    runs = history(failures, *([success] if success else []))
    decision = decide(state, schedule, runs)
    assert (change_of(decision), decision.stop) == (change, stop)
    # The same again changes nothing: a tick that was killed and one that was not agree.
    again = decide(decision.state, schedule, runs)
    if change is None or change[0] != "recovered":
        assert (change_of(again), again.state) == (None, decision.state)


def test_all_attempts_of_one_run_are_one_failure() -> None:
    attempts = [ended(number, root="run-1") for number in range(1, 11)]
    assert change_of(decide(SEEN, RUNNING, history(attempts))) is None
    more = [*attempts, *numbers(*range(20, 28))]
    assert change_of(decide(SEEN, RUNNING, history(more))) == ("failing", 8, "run-26")


def test_enabling_clears_the_count_although_clocks_differ() -> None:
    """The machine where somebody clicks may be behind the one that created the runs."""
    behind = schedule(started=FIRST_START + 0.5)
    decision = decide(DISABLED, behind, history(TEN))
    assert not decision.state.disabled
    assert (change_of(decision), decision.stop) == (None, False)


def test_a_start_clears_why_and_until_when_it_was_disabled() -> None:
    disabled = replace(DISABLED, disabled_until=SINCE)
    state = decide(disabled, ENABLED_AGAIN, history([])).state
    assert state == GuardState("acme", SECOND_START, count_from=at(10), notified_at=at(10))


def test_a_recovery_is_reported_after_a_disabled_integration_works_again() -> None:
    enabled = decide(DISABLED, ENABLED_AGAIN, history(TEN)).state
    decision = decide(enabled, ENABLED_AGAIN, history(TEN, ended(60)))
    assert change_of(decision) == ("recovered", 0, "run-60")


def test_the_first_start_clears_the_count_of_trial_runs() -> None:
    """Ten runs by hand fail, the file is corrected, and the schedule is started in the UI."""
    first = decide(GuardState("acme"), schedule(started=1_050.0), history(TEN))
    assert (change_of(first), first.stop) == (None, False)
    nine = history([*TEN, *numbers(*range(20, 29))])
    assert not decide(first.state, schedule(started=1_050.0), nine).stop
    ten = history([*TEN, *numbers(*range(20, 30))])
    assert decide(first.state, schedule(started=1_050.0), ten).stop


def test_a_run_that_was_created_before_the_start_and_fails_after_it_does_not_count() -> None:
    late = [ended(number, created=4_000.0) for number in range(51, 61)]
    assert change_of(decide(DISABLED, ENABLED_AGAIN, history([*TEN, *late]))) is None


def test_order_is_by_the_end_of_the_run() -> None:
    """A long run was created before nine that failed meanwhile, and succeeds after them."""
    long = ended(11, created=50.0)
    decision = decide(SEEN, RUNNING, history(TEN, long))
    assert (change_of(decision), decision.stop) == (None, False)


@pytest.mark.parametrize(
    ("successes", "change"),
    [
        pytest.param([], ("failing", 8, "run-8"), id="none"),
        pytest.param([ended(9)], ("failing", 8, "run-8"), id="of another entity"),
        pytest.param([ended(9, entities=CONTRACT)], None, id="of what failed"),
        pytest.param([ended(9, entities=ACCOUNT | CONTRACT)], None, id="of everything"),
    ],
)
def test_only_a_success_of_what_failed_resets(
    successes: list[FinishedRun], change: tuple[str, int, str] | None
) -> None:
    failures = [ended(number, entities=CONTRACT) for number in range(1, 9)]
    assert change_of(decide(SEEN, RUNNING, history(failures, *successes))) == change


@pytest.mark.parametrize(
    ("successes", "recovered"),
    [
        pytest.param([ended(20)], False, id="of another entity"),
        pytest.param([ended(20, entities=CONTRACT)], True, id="of what failed"),
        pytest.param([ended(20), ended(21, entities=CONTRACT)], True, id="one after the other"),
    ],
)
def test_only_a_success_of_what_failed_is_a_recovery(
    successes: list[FinishedRun], recovered: bool
) -> None:
    failures = [ended(number, entities=CONTRACT) for number in range(1, 11)]
    for state in (WARNED, decide(DISABLED, ENABLED_AGAIN, history(failures)).state):
        found = change_of(decide(state, STOPPED, history(failures, *successes)))
        assert (found is not None and found[0] == "recovered") is recovered


def test_the_last_failure_that_people_know_of_has_to_be_repaired_too() -> None:
    failures = [*TEN[:4], ended(5, entities=CONTRACT)]
    assert change_of(decide(WARNED, STOPPED, history(failures, ended(6)))) is None
    repaired = history(failures, ended(6), ended(7, entities=CONTRACT))
    assert change_of(decide(WARNED, STOPPED, repaired)) == ("recovered", 5, "run-7")


def test_of_failures_too_old_to_be_known_only_a_success_of_everything_is_a_recovery() -> None:
    entities = ACCOUNT | CONTRACT
    some = History(entities, [], {"account": ended(20)})
    every = History(entities, [], dict.fromkeys(entities, ended(20)))
    assert change_of(decide(WARNED, STOPPED, some)) is None
    assert change_of(decide(WARNED, STOPPED, every)) == ("recovered", 5, "run-20")


def test_a_success_that_is_deleted_still_counts() -> None:
    state = decide(SEEN, RUNNING, history(TEN[:9], ended(9, created=50.0))).state
    assert change_of(decide(state, RUNNING, history(TEN[:9]))) is None


def test_the_state_of_a_disabled_integration_names_the_tenth_failure_and_the_newest() -> None:
    state = decide(WARNED_TWICE, RUNNING, history([*TEN, ended(11)])).state
    assert state.disabled_since == datetime.fromtimestamp(at(10), UTC)
    assert (state.notified_level, state.notified_at) == (10, at(11))


def test_a_warning_is_about_the_failures_until_the_newest() -> None:
    state = decide(SEEN, RUNNING, history(TEN[:6])).state
    assert (state.notified_level, state.notified_at) == (5, at(6))


def test_a_change_counts_the_runs_among_its_failures_that_could_not_start() -> None:
    runs = [replace(run, started=number not in {2, 3, 9}) for number, run in enumerate(TEN, 1)]
    change = decide(SEEN, RUNNING, history(runs[:9])).change
    assert change is not None
    assert (change.failures, change.not_started) == (8, 2)


@pytest.mark.parametrize(
    ("kind", "failures", "name"),
    [
        (ChangeKind.FAILING, 5, "acme:failing-5:run-7"),
        (ChangeKind.DISABLED, 10, "acme:disabled-10:run-7"),
        # However many failures are still known when it is found, it is the same recovery.
        (ChangeKind.RECOVERED, 5, "acme:recovered:run-7"),
        (ChangeKind.RECOVERED, 0, "acme:recovered:run-7"),
    ],
)
def test_the_name_of_a_change(kind: ChangeKind, failures: int, name: str) -> None:
    assert Change(kind, ended(7), failures).name("acme") == name


def test_after_a_recovery_people_are_warned_anew() -> None:
    state = decide(WARNED_TWICE, RUNNING, history(TEN[:8], ended(9))).state
    assert (state.notified_level, state.notified_at) == (0, None)
    again = history([*TEN[:8], *numbers(*range(11, 16))], ended(9))
    assert change_of(decide(state, RUNNING, again)) == ("failing", 5, "run-15")


UNTIL = SINCE + timedelta(days=2)
BEFORE, AFTER = UNTIL - timedelta(seconds=1), UNTIL + timedelta(seconds=1)
PAUSED = GuardState(
    "acme", FIRST_START, disabled_since=SINCE, disabled_reason="by hand", disabled_until=UNTIL
)


@pytest.mark.parametrize(
    ("known", "found", "now", "over"),
    [
        pytest.param(PAUSED, STOPPED, BEFORE, False, id="before the time"),
        pytest.param(PAUSED, STOPPED, UNTIL, True, id="at the time"),
        pytest.param(PAUSED, schedule(), AFTER, True, id="the scheduler undid the stop"),
        pytest.param(PAUSED, schedule(started=SECOND_START), AFTER, False, id="started by hand"),
        pytest.param(PAUSED, None, AFTER, False, id="Dagster knows no schedule"),
        pytest.param(GuardState("acme"), STOPPED, AFTER, False, id="never disabled"),
    ],
)
def test_when_a_pause_is_over(
    known: GuardState, found: Schedule | None, now: datetime, *, over: bool
) -> None:
    assert is_pause_over(known, found, now.timestamp()) is over
