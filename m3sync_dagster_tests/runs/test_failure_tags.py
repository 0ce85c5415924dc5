"""What a failed run records of itself, and who reads it."""

from collections.abc import Iterator

import dagster as dg
import pytest

from m3sync_dagster.runs.failure_tags import (
    STATUS_TAG,
    RecordedFailure,
    counts_as_failure,
    record_failure,
    recorded_failure,
)
from m3sync_dagster.runs.run_status import status_word
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    ConfigurationError,
    DeadlineError,
    IntegrationLockedError,
    RateLimitError,
    RemoteError,
    SyncError,
)

TEXTS = ("cause", "Do it.")


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as made:
        yield made


def add(
    instance: dg.DagsterInstance, tags: dict[str, str] | None = None, parent: str | None = None
) -> dg.DagsterRun:
    return instance.add_run(
        dg.DagsterRun(
            job_name="salesforce_sync",
            status=dg.DagsterRunStatus.FAILURE,
            tags=tags or {},
            parent_run_id=parent,
            root_run_id=parent,
        )
    )


def stored(instance: dg.DagsterInstance, run: dg.DagsterRun) -> dg.DagsterRun:
    found = instance.get_run_by_id(run.run_id)
    assert found
    return found


@pytest.mark.parametrize(
    ("error", "status", "counts"),
    [
        (RemoteError(*TEXTS), "ERROR", True),
        (AuthenticationError(*TEXTS), "AUTH_FAILED", True),
        (ConfigurationError(*TEXTS), "ERROR", True),
        (RateLimitError(*TEXTS), "RATE_LIMIT_RETRY", False),
        (DeadlineError(*TEXTS), "TIMEOUT_LIMIT_EXCEEDED", True),
        (DeadlineError(*TEXTS, advanced=True), "TIMEOUT_LIMIT_EXCEEDED", False),
        (IntegrationLockedError(*TEXTS), "ERROR", False),
    ],
)
def test_which_errors_count(
    instance: dg.DagsterInstance, error: SyncError, status: str, counts: bool
) -> None:
    run = add(instance)
    assert recorded_failure(run) is None
    record_failure(instance, run.run_id, error, "acme/account")
    recorded = recorded_failure(stored(instance, run))
    assert recorded == RecordedFailure(status, frozenset({"acme/account"}), counts)


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(
    ("first", "second", "status", "counts"),
    [
        (RateLimitError(*TEXTS), RemoteError(*TEXTS), "ERROR", True),
        (RateLimitError(*TEXTS), AuthenticationError(*TEXTS), "AUTH_FAILED", True),
        (RemoteError(*TEXTS), AuthenticationError(*TEXTS), "AUTH_FAILED", True),
        (RemoteError(*TEXTS), DeadlineError(*TEXTS, advanced=True), "ERROR", True),
        (
            RateLimitError(*TEXTS),
            DeadlineError(*TEXTS, advanced=True),
            "TIMEOUT_LIMIT_EXCEEDED",
            False,
        ),
    ],
)
def test_of_several_entities_the_gravest_status_is_the_run_s(  # noqa: PLR0917 - a table's columns
    instance: dg.DagsterInstance,
    first: SyncError,
    second: SyncError,
    status: str,
    counts: bool,
    turned: bool,
) -> None:
    run = add(instance)
    errors = [("acme/account", first), ("acme/contract", second)]
    for entity, error in reversed(errors) if turned else errors:
        record_failure(instance, run.run_id, error, entity)
    # Beside an entity whose failure counts, one whose failure does not count has not failed.
    entities = {entity for entity, error in errors if counts_as_failure(error) or not counts}
    found = stored(instance, run)
    assert recorded_failure(found) == RecordedFailure(status, frozenset(entities), counts)
    assert status_word(found) == status


def test_a_run_that_is_executed_again_does_not_take_over_the_status(
    instance: dg.DagsterInstance,
) -> None:
    """Dagster copies the tags of a run to the one that executes it again."""
    first = add(instance)
    record_failure(instance, first.run_id, AuthenticationError(*TEXTS), "acme/account")
    again = add(instance, dict(stored(instance, first).tags), parent=first.run_id)
    assert recorded_failure(again) is None
    assert status_word(again) == "ERROR"
    record_failure(instance, again.run_id, RateLimitError(*TEXTS), "acme/contract")
    assert recorded_failure(stored(instance, again)) == RecordedFailure(
        "RATE_LIMIT_RETRY", frozenset({"acme/contract"}), False
    )


@pytest.mark.parametrize(("status", "counts"), [("RATE_LIMIT_RETRY", False), ("AUTH_FAILED", True)])
def test_tags_of_an_earlier_version_are_read(
    instance: dg.DagsterInstance, status: str, counts: bool
) -> None:
    run = add(instance, {STATUS_TAG: status})
    assert recorded_failure(run) == RecordedFailure(status, frozenset(), counts)
    assert recorded_failure(add(instance, {STATUS_TAG: status}, parent=run.run_id)) is None
