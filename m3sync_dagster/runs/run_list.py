"""Integration runs for review: what started them, how long they took, what they did."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import islice

import dagster as dg

from m3sync_dagster.runs.run_status import (
    COMPLETE,
    INTEGRATION_TAG,
    RunSummary,
    entity_measures,
    entity_of,
    failure_text,
    summary,
)

NEWEST = 50
"""So many runs are listed unless another number is asked for."""
PAGE = 100
"""Runs that are read from Dagster's storage at once."""

_SCHEDULE = "dagster/schedule_name"
_BACKFILL = "dagster/backfill"


@dataclass(frozen=True, slots=True)
class ListedRun:
    """A run for review.

    Args:
        integration: whose it is.
        summary: its status word, hour, start and end.
        trigger: ``schedule``, ``backfill`` or ``person``.
        duration: seconds from start to end; ``None`` while it has not ended.
        entities: what it counted, by entity.
        error: why it failed; ``None`` where it did not.
    """

    integration: str
    summary: RunSummary
    trigger: str
    duration: float | None
    entities: dict[str, dict[str, int | float]]
    error: str | None

    def as_dict(self) -> dict[str, object]:
        """The run as JSON has it."""
        summary = asdict(self.summary)
        return {
            "run_id": summary["run_id"],
            "integration": self.integration,
            "partition": summary["partition"],
            "status": summary["status"],
            "started": summary["started"],
            "ended": summary["ended"],
            "entities": self.entities,
            "error": self.error,
            "trigger": self.trigger,
            "duration_seconds": self.duration,
        }


@dataclass(frozen=True, slots=True)
class RunsWanted:
    """Which runs are listed; what is ``None`` does not restrict them.

    Args:
        entity: those that were to sync this entity.
        since, until: when they were created.
        limit: at most so many.
    """

    entity: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    limit: int = NEWEST


DEFAULT = RunsWanted()
"""The newest runs."""


def list_runs(
    instance: dg.DagsterInstance, integrations: Sequence[str], wanted: RunsWanted = DEFAULT
) -> list[ListedRun]:
    """List runs of these integrations, the newest first."""
    if not integrations:
        return []
    records = islice(_records(instance, integrations, wanted), wanted.limit)
    return [_listed(instance, one) for one in records]


def _records(
    instance: dg.DagsterInstance, integrations: Sequence[str], wanted: RunsWanted
) -> Iterator[dg.RunRecord]:
    """The records of the runs that are wanted, read a page at a time."""
    tags = {INTEGRATION_TAG: list(integrations)}
    filters = dg.RunsFilter(tags=tags, created_after=wanted.since, created_before=wanted.until)
    cursor = None
    while page := instance.get_run_records(filters, limit=PAGE, cursor=cursor):
        yield from (record for record in page if _syncs(record.dagster_run, wanted.entity))
        cursor = page[-1].dagster_run.run_id


def _syncs(run: dg.DagsterRun, entity: str | None) -> bool:
    """Whether a run was to sync an entity; without a selection it syncs all of them."""
    chosen = run.asset_selection
    return entity is None or not chosen or any(entity_of(key) == entity for key in chosen)


def has_run_since(instance: dg.DagsterInstance, integration: str, since: datetime) -> bool:
    """Whether a run of the integration was created after this time."""
    wanted = dg.RunsFilter(tags={INTEGRATION_TAG: integration}, created_after=since)
    return bool(instance.get_run_records(wanted, limit=1))


def _listed(instance: dg.DagsterInstance, record: dg.RunRecord) -> ListedRun:
    run = record.dagster_run
    found = summary(record)
    finished = run.is_finished and found.status != COMPLETE
    integration = run.tags[INTEGRATION_TAG]
    return ListedRun(
        integration=integration,
        summary=found,
        trigger=_trigger(run),
        duration=_duration(record),
        entities=entity_measures(instance, integration, run.run_id),
        error=failure_text(instance, run.run_id) if finished else None,
    )


def _trigger(run: dg.DagsterRun) -> str:
    if _SCHEDULE in run.tags:
        return "schedule"
    return "backfill" if _BACKFILL in run.tags else "person"


def _duration(record: dg.RunRecord) -> float | None:
    if record.start_time is None or record.end_time is None:
        return None
    return round(record.end_time - record.start_time, 3)
