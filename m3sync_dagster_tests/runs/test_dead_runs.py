"""Which runs count as dead: by their lock, or by their silence where they have none."""

import logging
import time
from contextlib import ExitStack
from datetime import timedelta

import dagster as dg
import pytest

from m3sync_dagster.components.materialize import watcher
from m3sync_dagster.runs import dead_runs
from m3sync_dagster.runs.dead_runs import PROCESS_TAG, RELEASED, SILENCE, report_if_dead
from m3sync_dagster.state import IntegrationLock, connect, hold_run_lock, postgres_url
from m3sync_dagster.sync.engine import Progress
from m3sync_dagster_tests.conftest import Sandbox, sync
from m3sync_dagster_tests.guard.fixtures import Fleet, Status

pytestmark = pytest.mark.slow

QUIET, LOGGING = SILENCE * 2, timedelta(0)
OWN_ID = "the id of the run"


def a_run(fleet: Fleet, status: Status, tag: str | None, ago: timedelta) -> dg.DagsterRun:
    """A run that has logged nothing for so long."""
    run = fleet.run("acme", status)
    if tag:
        value = run.run_id if tag == OWN_ID else tag
        fleet.instance.add_run_tags(run.run_id, {PROCESS_TAG: value})
    fleet.instance.event_log_storage.delete_events(run.run_id)
    fleet.instance.store_event(
        dg.EventLogEntry(  # type: ignore[no-untyped-call] # Dagster leaves it untyped
            error_info=None,
            user_message="at work",
            level=logging.INFO,
            run_id=run.run_id,
            timestamp=time.time() - ago.total_seconds(),
            job_name=run.job_name,
        )
    )
    return run


def is_dead(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether a look at the run reports it as dead."""
    record = instance.get_run_record_by_id(run_id)
    assert record
    with connect(postgres_url()) as connection:
        return report_if_dead(instance, connection, record)


@pytest.mark.parametrize(
    ("status", "tag", "ago", "locks", "dead"),
    [
        pytest.param(Status.STARTED, OWN_ID, QUIET, {"run"}, False, id="at work for long"),
        pytest.param(Status.STARTED, OWN_ID, LOGGING, set(), True, id="killed a moment ago"),
        pytest.param(Status.STARTED, OWN_ID, LOGGING, {"acme"}, True, id="killed, another writes"),
        pytest.param(Status.STARTED, None, LOGGING, set(), False, id="before its first step"),
        pytest.param(Status.STARTED, None, QUIET, set(), True, id="never came to its first step"),
        pytest.param(Status.STARTED, None, QUIET, {"acme"}, False, id="of an earlier version"),
        pytest.param(Status.STARTED, RELEASED, LOGGING, set(), False, id="after its last step"),
        pytest.param(Status.STARTED, RELEASED, QUIET, set(), True, id="killed after its last step"),
        pytest.param(Status.STARTED, "another id", LOGGING, set(), False, id="executed again"),
        pytest.param(Status.STARTED, "another id", QUIET, set(), True, id="executed again, killed"),
        pytest.param(Status.QUEUED, None, QUIET, set(), False, id="waits in the queue"),
        pytest.param(Status.STARTING, None, QUIET, set(), False, id="imports its code for long"),
        pytest.param(Status.NOT_STARTED, None, QUIET, set(), True, id="never launched"),
        pytest.param(Status.SUCCESS, OWN_ID, QUIET, set(), False, id="ended"),
    ],
)
def test_which_runs_are_dead(  # noqa: PLR0917 - the columns of the table
    fleet: Fleet, status: Status, tag: str | None, ago: timedelta, locks: set[str], dead: bool
) -> None:
    run = a_run(fleet, status, tag, ago)
    with ExitStack() as held:
        if "run" in locks:
            held.enter_context(
                hold_run_lock(held.enter_context(connect(postgres_url())), run.run_id)
            )
        if "acme" in locks:
            held.enter_context(IntegrationLock(held.enter_context(connect(postgres_url())), "acme"))
        assert is_dead(fleet.instance, run.run_id) is dead
    found = fleet.instance.get_run_by_id(run.run_id)
    assert found
    assert found.status is (Status.FAILURE if dead else status)


def test_a_run_that_releases_its_lock_in_order_to_end_is_not_dead(fleet: Fleet) -> None:
    """Its record was read before."""
    run = a_run(fleet, Status.STARTED, OWN_ID, LOGGING)
    record = fleet.instance.get_run_record_by_id(run.run_id)
    assert record
    fleet.instance.add_run_tags(run.run_id, {PROCESS_TAG: RELEASED})
    with connect(postgres_url()) as connection:
        assert not report_if_dead(fleet.instance, connection, record)


def test_a_run_holds_its_lock_while_it_works(
    instance: dg.DagsterInstance, environment: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However long it logs nothing, as while m3ter is slow."""
    monkeypatch.setattr(dead_runs, "SILENCE", timedelta(0))
    seen = set()

    def look(_entity: str, _progress: Progress) -> None:
        (run,) = instance.get_runs(dg.RunsFilter(statuses=[Status.STARTED]))
        seen.add((run.tags[PROCESS_TAG] == run.run_id, is_dead(instance, run.run_id)))

    before = watcher.set(look)
    try:
        result = sync(instance, "account")
    finally:
        watcher.reset(before)
    assert result.success
    assert seen == {(True, False)}
    ended = instance.get_run_by_id(result.run_id)
    assert ended
    assert ended.tags[PROCESS_TAG] == RELEASED
