"""The guard from tick to tick, over Dagster's real storage, with runs that the test writes down."""

from dataclasses import replace
from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import InstigatorStatus

from m3sync_dagster.definitions import defs
from m3sync_dagster.guard import sensor as guard
from m3sync_dagster.guard.enable_disable import Switch
from m3sync_dagster.guard.schedule_tick_check import disabled_reason
from m3sync_dagster.state import (
    connect,
    list_events,
    postgres_url,
    record_event,
)
from m3sync_dagster.sync.errors import (
    ConfigurationError,
)
from m3sync_dagster_tests.conftest import DefsFolder
from m3sync_dagster_tests.guard.fixtures import LOCATION as CODE
from m3sync_dagster_tests.guard.fixtures import Fleet, Status, asset, changes, events, state, tick

pytestmark = pytest.mark.slow


def test_the_tenth_failure_in_a_row_stops_the_schedule(fleet: Fleet) -> None:
    fleet.add("acme")
    fleet.add("globex")
    for _ in range(9):
        fleet.fail("acme")
        fleet.run("globex", Status.SUCCESS)
        tick(fleet)
    assert fleet.schedule("acme").running
    (tenth,) = fleet.fail("acme")
    assert "acme: its schedule is stopped" in tick(fleet)
    assert not fleet.schedule("acme").running
    assert fleet.schedule("globex").running
    assert changes() == ["acme:failing-5", "acme:failing-8", "acme:disabled-10"]
    assert events("acme").count("integration.disabled.error") == 1
    with connect(postgres_url()) as connection:
        disabled = next(
            one for one in list_events(connection) if one.name == "integration.disabled.error"
        )
    assert disabled.run_id == tenth.run_id
    assert "m3sync enable acme" in disabled.remedy
    assert state().disabled_reason


def test_a_stop_that_the_scheduler_undid_is_made_again(fleet: Fleet) -> None:
    fleet.add("acme")
    before = fleet.schedule("acme").state
    fleet.fail("acme", 10)
    tick(fleet)
    # The hourly checkpoint writes back what the scheduler read before the stop.
    fleet.instance.update_instigator_state(before)
    assert fleet.schedule("acme").running
    reason = disabled_reason(fleet.instance, "acme", "acme_hourly")
    assert reason
    assert "m3sync enable acme" in reason
    tick(fleet)
    assert not fleet.schedule("acme").running
    assert changes() == ["acme:disabled-10"]


def test_the_schedule_s_own_tick_asks_the_record(fleet: Fleet, defs_folder: DefsFolder) -> None:
    fleet.add("acme")
    before = fleet.schedule("acme").state
    fleet.fail("acme", 10)
    tick(fleet)
    fleet.instance.update_instigator_state(before)
    repository = defs().get_repository_def()
    context = dg.build_schedule_context(
        instance=fleet.instance,
        scheduled_execution_time=datetime(2026, 11, 24, 15, 3, tzinfo=UTC),
        repository_def=repository,
    )
    result = repository.get_schedule_def("acme_hourly").evaluate_tick(context)
    assert not result.run_requests
    assert "acme is disabled since" in str(result.skip_message)
    assert "10 runs in a row have failed" in str(result.skip_message)


def test_a_default_in_the_code_does_not_wake_a_disabled_integration(fleet: Fleet) -> None:
    fleet.add("acme")
    fleet.fail("acme", 10)
    tick(fleet)
    stopped = fleet.schedule("acme").state
    fleet.instance.update_instigator_state(stopped.with_status(InstigatorStatus.DECLARED_IN_CODE))
    assert disabled_reason(fleet.instance, "acme", "acme_hourly")
    tick(fleet)
    assert not fleet.schedule("acme").running


def test_starting_the_schedule_clears_the_count(fleet: Fleet) -> None:
    fleet.add("acme")
    fleet.fail("acme", 10)
    tick(fleet)
    fleet.start("acme")
    assert disabled_reason(fleet.instance, "acme", "acme_hourly") is None
    tick(fleet)
    assert not state().disabled
    fleet.fail("acme", 9)
    tick(fleet)
    assert fleet.schedule("acme").running
    fleet.fail("acme")
    tick(fleet)
    assert not fleet.schedule("acme").running
    assert changes().count("acme:disabled-10") == 2


def test_a_success_resets_the_count_and_is_told_after_a_warning(fleet: Fleet) -> None:
    fleet.add("acme")
    fleet.fail("acme", 5)
    tick(fleet)
    fleet.run("acme", Status.SUCCESS)
    tick(fleet)
    tick(fleet)
    assert changes() == ["acme:failing-5", "acme:recovered"]
    fleet.fail("acme", 4)
    tick(fleet)
    fleet.run("acme", Status.SUCCESS)
    fleet.fail("acme", 9)
    tick(fleet)
    assert fleet.schedule("acme").running


def test_what_goes_wrong_with_one_integration_is_its_own(
    fleet: Fleet,
) -> None:
    for name in ("acme", "globex"):
        fleet.add(name)
        fleet.fail(name, 10)
    working = fleet.watched["acme"]
    fleet.watched["acme"] = replace(working, notify=("a\0b",))  # PostgreSQL refuses it in a target
    assert "acme: the guard could not evaluate it: a value cannot be stored" in tick(fleet)
    assert fleet.schedule("acme").running
    assert not fleet.schedule("globex").running
    assert "a value cannot be stored" in str(state("acme").guard_error)
    assert changes() == ["globex:disabled-10"]
    fleet.watched["acme"] = working
    tick(fleet)
    assert not fleet.schedule("acme").running
    assert state("acme").guard_error is None


def test_a_run_that_never_got_to_our_code_is_put_on_record(fleet: Fleet) -> None:
    """A person launches it, so it has no tag of ours, and the launcher fails."""
    fleet.add("acme")
    run = fleet.run("acme", Status.STARTING, tagged=False)
    fleet.instance.report_run_failed(run, "The launcher could not start it.")
    tick(fleet)
    tick(fleet)
    stored = fleet.instance.get_run_by_id(run.run_id)
    assert stored is not None
    assert stored.tags["m3sync/integration"] == "acme"
    assert events("acme") == ["integration.perform.error"]
    for _ in range(9):
        lost = fleet.run("acme", Status.STARTING, tagged=False)
        fleet.instance.report_run_failed(lost, "The launcher could not start it.")
    tick(fleet)
    assert not fleet.schedule("acme").running
    reason = state().disabled_reason
    assert reason
    assert "The launcher could not start it" in reason


def test_what_failed_the_run_is_the_cause_and_not_what_else_went_wrong(fleet: Fleet) -> None:
    """Rows that Salesforce rejects are an event too, of a run that goes on."""
    fleet.add("acme")
    runs = [fleet.run("acme", Status.STARTED) for _ in range(10)]
    with connect(postgres_url()) as connection:
        for run in runs:
            rejected = ConfigurationError("3 account records were rejected", "See m3sync rejects.")
            record_event(connection, "acme", "account", run.run_id, rejected)
            fleet.instance.report_run_failed(run, "The process is gone.")
    tick(fleet)
    assert "the last one because The process is gone" in str(state().disabled_reason)
    assert events("acme").count("integration.perform.error") == 10


@pytest.mark.parametrize("text", ["a\0b", "a\ud800b", "x" * 200_000])
def test_no_text_keeps_the_guard_from_its_work(fleet: Fleet, text: str) -> None:
    fleet.add("acme")
    for _ in range(10):
        fleet.instance.report_run_failed(fleet.run("acme", Status.STARTED), text)
    tick(fleet)
    assert not fleet.schedule("acme").running
    assert str(state().disabled_reason).endswith(text[-1])


@pytest.mark.parametrize("status", [Status.QUEUED, Status.CANCELED])
def test_a_run_that_waits_or_was_canceled_is_found_by_its_integration(
    fleet: Fleet, status: Status
) -> None:
    """A person launches it, so it has no tag of ours before our code begins."""
    fleet.add("acme")
    run = fleet.run("acme", status, tagged=False)
    tick(fleet)
    stored = fleet.instance.get_run_by_id(run.run_id)
    assert stored is not None
    assert stored.tags["m3sync/integration"] == "acme"


def test_dagsters_ui_shows_each_change_on_the_assets(fleet: Fleet) -> None:
    fleet.add("acme")
    fleet.fail("acme", 10)
    tick(fleet)
    tick(fleet)
    found = fleet.instance.fetch_observations(asset("acme"), limit=10).records
    (observation,) = [record.asset_observation for record in found]
    assert observation is not None
    shown = {name: value.value for name, value in observation.metadata.items()}
    assert (shown["state"], shown["failures_in_a_row"]) == ("disabled", 10)
    assert all(shown[name] for name in ("since", "cause", "remedy", "run"))
    assert "m3sync enable acme" in str(observation.description)
    # Markdown would join the lines of the text to one.
    assert "\nIntegration: acme  \nSince: " in str(observation.description)


def test_a_tick_leaves_to_the_next_one_what_takes_too_long(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["acme", "globex", "initech"]
    for name in names:
        fleet.add(name)
        fleet.fail(name, 10)
    monkeypatch.setattr(guard, "BUDGET", 0.0)
    for left in (2, 1, 0):
        said = f"The next tick does {left} of {left + 1} integrations."
        assert (said in tick(fleet)) == (left > 0)
        assert sum(fleet.schedule(name).running for name in names) == left
    assert changes() == [f"{name}:disabled-10" for name in names]


def test_an_integration_with_an_error_keeps_no_other_one_waiting(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("acme", "globex"):
        fleet.add(name)
        fleet.fail(name, 10)
    fleet.watched["acme"] = replace(fleet.watched["acme"], notify=("a\0b",))
    monkeypatch.setattr(guard, "BUDGET", 0.0)
    tick(fleet)
    assert fleet.schedule("globex").running
    tick(fleet)
    assert not fleet.schedule("globex").running


def test_a_life_goes_on_after_it_was_enabled_by_the_command(fleet: Fleet) -> None:
    fleet.add("acme")
    fleet.fail("acme", 10)
    tick(fleet)
    with connect(postgres_url()) as connection:
        Switch(fleet.instance, connection, CODE, "acme", "acme_hourly", "3 * * * *").enable()
    fleet.run("acme", Status.SUCCESS)
    tick(fleet)
    for _ in range(9):
        fleet.fail("acme")
        tick(fleet)
    assert changes() == [
        "acme:disabled-10",
        "acme:recovered",
        "acme:failing-5",
        "acme:failing-8",
    ]


def test_what_a_person_has_disabled_stays_so(fleet: Fleet) -> None:
    fleet.add("acme")
    before = fleet.schedule("acme").state
    with connect(postgres_url()) as connection:
        Switch(fleet.instance, connection, CODE, "acme", "acme_hourly", "3 * * * *").disable()
    fleet.instance.update_instigator_state(before)
    assert "a person" in str(disabled_reason(fleet.instance, "acme", "acme_hourly"))
    tick(fleet)
    assert not fleet.schedule("acme").running
    assert changes() == []
    fleet.start("acme")
    tick(fleet)
    assert fleet.schedule("acme").running
