from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.remote_origin import RemoteRepositoryOrigin
from dagster._core.workspace.load_target import WorkspaceFileTarget

from m3sync_dagster.runs.failure_tags import STATUS_TAG
from m3sync_dagster.runs.run_list import list_runs
from m3sync_dagster.runs.run_status import (
    INTEGRATION_TAG,
    failure_text,
    last_run,
    status_word,
)

Status = dg.DagsterRunStatus
WORKSPACE = str(Path(__file__).parents[2] / "workspace.yaml")
(LOCATION,) = WorkspaceFileTarget([WORKSPACE]).create_origins()
ORIGIN = RemoteRepositoryOrigin(LOCATION, "__repository__").get_job_origin("salesforce_sync")
OURS = {INTEGRATION_TAG: "acme"}
RETRIED = {"dagster/will_retry": "true"}
GIVEN_UP = {"dagster/will_retry": "false"}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def add(
    instance: dg.DagsterInstance, status: Status, tags: dict[str, str] | None = None
) -> dg.DagsterRun:
    return instance.add_run(made_run(status, OURS | (tags or {})))


def made_run(status: Status, tags: dict[str, str]) -> dg.DagsterRun:
    return dg.DagsterRun(
        job_name="salesforce_sync", status=status, tags=tags, remote_job_origin=ORIGIN
    )


@pytest.mark.parametrize(
    ("status", "tags", "word"),
    [
        (Status.SUCCESS, {}, "COMPLETE"),
        (Status.FAILURE, {}, "ERROR"),
        (Status.FAILURE, {STATUS_TAG: "AUTH_FAILED"}, "AUTH_FAILED"),
        (Status.FAILURE, {STATUS_TAG: "RATE_LIMIT_RETRY"} | GIVEN_UP, "RATE_LIMIT_RETRY"),
        (Status.FAILURE, {STATUS_TAG: "ERROR"} | RETRIED, "AWAITING_RETRY"),
        (Status.CANCELED, {STATUS_TAG: "AUTH_FAILED"}, "ERROR"),
        (Status.STARTED, {}, "STARTED"),
        (Status.CANCELING, {}, "STARTED"),
        (Status.QUEUED, {}, "WAITING"),
        (Status.NOT_STARTED, {}, "WAITING"),
        (Status.STARTING, {}, "WAITING"),
    ],
)
def test_every_status_has_m3ter_s_word(status: Status, tags: dict[str, str], word: str) -> None:
    assert status_word(made_run(status, tags)) == word


def test_the_newest_run_is_the_last(instance: dg.DagsterInstance) -> None:
    assert last_run(instance, "acme") is None
    add(instance, Status.FAILURE, {"dagster/partition": "2026-01-01-00:00"})
    hours = {
        "dagster/asset_partition_range_start": "2026-01-01-01:00",
        "dagster/asset_partition_range_end": "2026-01-01-03:00",
    }
    newest = add(instance, Status.QUEUED, hours)
    found = last_run(instance, "acme")
    assert found
    assert (found.run_id, found.status) == (newest.run_id, "WAITING")
    assert found.partition == "2026-01-01-01:00...2026-01-01-03:00"
    assert (found.started, found.ended) == (None, None)


def test_moments_are_utc(instance: dg.DagsterInstance) -> None:
    @dg.op
    def nothing() -> None: ...

    @dg.job
    def empty() -> None:
        nothing()

    before = datetime.now(UTC).replace(microsecond=0)
    empty.execute_in_process(instance=instance, tags=OURS)
    found = last_run(instance, "acme")
    assert found
    assert found.started
    assert found.ended
    started = datetime.fromisoformat(found.started)
    assert started.utcoffset() == before.utcoffset()
    assert before <= started <= datetime.fromisoformat(found.ended)


def test_a_run_that_no_step_has_failed_says_why_all_the_same(instance: dg.DagsterInstance) -> None:
    run = add(instance, Status.STARTED)
    assert failure_text(instance, run.run_id) is None
    instance.report_run_failed(run, "The run's process is gone.")
    assert failure_text(instance, run.run_id) == "The run's process is gone."


def test_a_canceled_run_says_so(instance: dg.DagsterInstance) -> None:
    run = add(instance, Status.QUEUED)
    instance.report_run_canceled(run)
    (listed,) = list_runs(instance, ["acme"])
    assert (listed.summary.status, listed.error) == ("ERROR", "The run was canceled.")


def reading(name: str, read: int) -> dg.AssetsDefinition:
    @dg.asset(key=[name, "salesforce_account"])
    def account() -> dg.MaterializeResult[None]:
        return dg.MaterializeResult(metadata={"read": read})

    return account


def test_what_a_run_did_for_another_integration_is_not_this_one_s(
    instance: dg.DagsterInstance,
) -> None:
    dg.materialize([reading("acme", 3), reading("globex", 5)], instance=instance, tags=OURS)
    (listed,) = list_runs(instance, ["acme"])
    assert listed.entities["account"]["read"] == 3


def test_an_error_is_told_by_what_lies_beneath_it(instance: dg.DagsterInstance) -> None:
    @dg.op
    def bad() -> None:
        raise ValueError("the cause") from KeyError("what lies beneath")

    @dg.job
    def failing() -> None:
        bad()

    result = failing.execute_in_process(instance=instance, tags=OURS, raise_on_error=False)
    assert "what lies beneath" in str(failure_text(instance, result.run_id))
