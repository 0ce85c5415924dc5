"""Deleting runs that are too old from Dagster's storage, with their events.

Dagster itself deletes no run. Of old runs, some are kept: the newest of each kind, and those that
last materialized an asset. With them, commands show the last run of every integration, the guard
counts as before, and the schedule requests the same hours.
"""

import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from m3sync_dagster.runs.run_status import INTEGRATION_TAG
from m3sync_dagster.state import read_days

DAYS = "M3SYNC_KEEP_RUNS_DAYS"
"""The environment variable with the number of days for which runs are kept."""
DEFAULT_DAYS = 30
LEAST_DAYS = 8
"""The schedule fills the missing hours of a week, and the guard counts the failures of a week."""
MOST_DAYS = 10_000
PAGE = 200
"""Runs that are read from Dagster's storage at once."""

_ENDED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
]
_Kind = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class OldRuns:
    """Which runs are old.

    Args:
        jobs: the names of our jobs; of other jobs' runs, those with our tag are ours.
        before: a run is old if it has not changed since then.
        failed_before: the same for a failed run, if this is earlier.
    """

    jobs: Collection[str]
    before: datetime
    failed_before: datetime | None = None

    def includes(self, record: dg.RunRecord) -> bool:
        """Whether a run that has not changed since ``before`` is one of them."""
        run = record.dagster_run
        if run.job_name not in self.jobs and INTEGRATION_TAG not in run.tags:
            return False
        if run.status is not dg.DagsterRunStatus.FAILURE or self.failed_before is None:
            return True
        return record.update_timestamp < self.failed_before


@dataclass(frozen=True, slots=True)
class DeletedRuns:
    """What was deleted.

    Args:
        runs: how many runs.
        finished: whether no other old run has to be deleted.
    """

    runs: int
    finished: bool


def days_to_keep() -> int:
    """For how many days runs are kept.

    Raises:
        ConfigurationError: the variable has no valid value.
    """
    return read_days(DAYS, DEFAULT_DAYS, LEAST_DAYS, MOST_DAYS)


def delete_old_runs(
    instance: dg.DagsterInstance, old: OldRuns, until: float, *, dry_run: bool = False
) -> DeletedRuns:
    """Delete old runs and their events, the oldest first.

    Each run is deleted by itself, so no lock is held for long, and what is left when the time is
    over is deleted by the next purge.

    Args:
        instance: Dagster's.
        old: which runs are old.
        until: when to stop, by the monotonic clock.
        dry_run: only count the runs.
    """
    writers = _last_writers(instance)
    runs = 0
    for run_id in _replaced(record for record in _read(instance, old) if old.includes(record)):
        if run_id in writers:
            continue
        if time.monotonic() >= until:
            return DeletedRuns(runs, finished=False)
        if not dry_run:
            _delete(instance, run_id)
        runs += 1
    return DeletedRuns(runs, finished=True)


def age_limit(days: int) -> datetime:
    """The time so many days ago."""
    return datetime.now(UTC) - timedelta(days=days)


def _delete(instance: dg.DagsterInstance, run_id: str) -> None:
    """Delete a run and its events, the events first.

    ``DagsterInstance.delete_run`` does the same two things in the other order. If it broke off in
    between, nothing would find the events any more.
    """
    instance.event_log_storage.delete_events(run_id)
    instance.run_storage.delete_run(run_id)


def _last_writers(instance: dg.DagsterInstance) -> set[str]:
    """The runs that last materialized an asset."""
    entries = (asset.asset_entry for asset in instance.get_asset_records())
    newest = (entry.last_materialization_record for entry in entries)
    return {one.run_id for one in newest if one}


def _read(instance: dg.DagsterInstance, old: OldRuns) -> Iterator[dg.RunRecord]:
    """The runs that have ended and have not changed lately, the oldest first, a page at a time."""
    wanted = dg.RunsFilter(statuses=_ENDED, updated_before=old.before)
    cursor = None
    while page := instance.get_run_records(wanted, limit=PAGE, cursor=cursor, ascending=True):
        # The newest run of each kind is never deleted, so the last one of a page is still there
        # when the next page is read.
        yield from page
        cursor = page[-1].dagster_run.run_id


def _replaced(records: Iterable[dg.RunRecord]) -> Iterator[str]:
    """The ids of the runs that are followed by another one of their kind.

    That is one that was created later, and one that ended later. Mostly both are the same run.
    """
    newest: dict[_Kind, dict[str, dg.RunRecord]] = {}
    for record in records:
        before = newest.get(_kind(record), {})
        last = max([*before.values(), record], key=_ended)
        kept = {one.dagster_run.run_id: one for one in (record, last)}
        newest[_kind(record)] = kept
        yield from before.keys() - kept.keys()


def _kind(record: dg.RunRecord) -> _Kind:
    """What a run was to do, and how it ended: of two runs of a kind, the newer one says as much."""
    run = record.dagster_run
    return (
        run.job_name,
        run.tags.get(INTEGRATION_TAG),
        run.status,
        run.asset_selection,
        run.asset_check_selection,
    )


def _ended(record: dg.RunRecord) -> float:
    return record.end_time or record.update_timestamp.timestamp()
