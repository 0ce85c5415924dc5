"""What a failed run says of itself, as run tags that the guard and every view read.

Dagster copies a run's tags to a run that executes it again, so the tags name the run that they
belong to. What another run earned is not read.
"""

from dataclasses import dataclass

import dagster as dg

from m3sync_dagster.sync.errors import (
    DeadlineError,
    IntegrationLockedError,
    RateLimitError,
    SyncError,
)

STATUS_TAG = "m3sync/status"
"""Run tag with m3ter's status word of a run that failed."""
RUN_TAG = "m3sync/status_of_run"
"""Run tag with the id of the run that the other tags of this module belong to."""
ENTITIES_TAG = "m3sync/failed_entities"
"""Run tag with the entities that failed, separated by commas."""
COUNTS_TAG = "m3sync/counts_as_failure"
"""Run tag that says whether the guard counts the failure: ``true`` or ``false``."""

_GRAVEST_FIRST = ("AUTH_FAILED", "ERROR", "TIMEOUT_LIMIT_EXCEEDED", "RATE_LIMIT_RETRY")


@dataclass(frozen=True, slots=True)
class RecordedFailure:
    """What a failed run recorded.

    Args:
        status: m3ter's status word; of several the gravest.
        entities: the entities that failed; empty where the run has not recorded them.
        counts: whether the failure says something of the integration's health.
    """

    status: str
    entities: frozenset[str]
    counts: bool


def recorded_failure(run: dg.DagsterRun) -> RecordedFailure | None:
    """Read what a run recorded of its failure; ``None`` where it recorded nothing.

    Tags without a run id come from an earlier version. They are the run's own unless it executes
    another one again.
    """
    status = run.tags.get(STATUS_TAG)
    if status is None or run.tags.get(RUN_TAG, run.root_run_id or run.run_id) != run.run_id:
        return None
    entities = run.tags.get(ENTITIES_TAG, "")
    counts = run.tags.get(COUNTS_TAG, str(status != RateLimitError.status).lower())
    return RecordedFailure(status, frozenset(filter(None, entities.split(","))), counts == "true")


def record_failure(
    instance: dg.DagsterInstance, run_id: str, error: SyncError, entity: str | None = None
) -> None:
    """Record in a run's tags that it failed, or that one of its entities did."""
    run = instance.get_run_by_id(run_id)
    before = recorded_failure(run) if run else None
    entities = {entity} if entity else set()
    status, counts = error.status, counts_as_failure(error)
    if before:
        status = min(before.status, status, key=_gravity)
        entities = _failed(before, entities, counts=counts)
        counts = counts or before.counts
    instance.add_run_tags(
        run_id,
        {
            STATUS_TAG: status,
            RUN_TAG: run_id,
            ENTITIES_TAG: ",".join(sorted(entities)),
            COUNTS_TAG: str(counts).lower(),
        },
    )


def _failed(before: RecordedFailure, entities: set[str], *, counts: bool) -> set[str]:
    """The entities that failed: if some count as failures, these alone."""
    if counts == before.counts:
        return entities | before.entities
    return entities if counts else set(before.entities)


def counts_as_failure(error: SyncError) -> bool:
    """Whether an error counts towards disabling an integration.

    A used-up quota does not, nor a lock that another run of the integration holds, nor a
    Salesforce job that advanced while the run waited for it: the next run goes on with it.
    """
    if isinstance(error, DeadlineError):
        return not error.advanced
    return not isinstance(error, RateLimitError | IntegrationLockedError)


def _gravity(status: str) -> int:
    return _GRAVEST_FIRST.index(status) if status in _GRAVEST_FIRST else 0
