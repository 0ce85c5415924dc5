"""What runs say of an integration's health, read from Dagster's storage for all of them at once.

The number of queries does not depend on how many integrations there are: one finds the newest
failure, one reads the failures of the week before it, three find the successes since then of
those integrations alone that have failed often, and one finds the runs that nobody has tagged.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from m3sync_dagster.runs.run_status import INTEGRATION_TAG, STATUS_TAG
from m3sync_dagster.sync.errors import RateLimitError

Assets = Mapping[str, Collection[dg.AssetKey]]
"""The assets of each integration."""
LOOK_BACK = timedelta(days=7)
"""Failures further back than this from the newest one say nothing of today's health."""

UNTAGGED_RUNS = 100
"""So many of the newest runs that have not begun are looked at in each tick."""

_NOT_BEGUN = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.CANCELED,
]
_WILL_RETRY = "dagster/will_retry"
_SCHEDULE = "dagster/schedule_name"
_RANGE = "dagster/asset_partition_range_start"


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that has succeeded or failed.

    Args:
        number: Dagster's storage counts runs by it, in the order of their creation.
        run_id: Dagster's id.
        root: the run that it tries again, directly or not; its own id where it does not.
        created: Unix time of its creation.
        ended: when it ended.
    """

    number: int
    run_id: str
    root: str
    created: float
    ended: datetime


@dataclass(frozen=True, slots=True)
class Failures:
    """The failed runs of the last week that count.

    Args:
        runs: by integration, the newest first.
        unrecorded: runs that failed where our own code could not say so, by integration.
        since: when the first of them ended.
    """

    runs: Mapping[str, list[FinishedRun]]
    unrecorded: Mapping[str, list[str]]
    since: datetime | None


def read_failures(instance: dg.DagsterInstance, integrations: Collection[str]) -> Failures:
    """Read which runs of integrations have failed lately, without backfills."""
    failed = [dg.DagsterRunStatus.FAILURE]
    newest = instance.get_run_records(dg.RunsFilter(statuses=failed, exclude_subruns=True), limit=1)
    if not newest:
        return Failures({}, {}, None)
    since = newest[0].update_timestamp - LOOK_BACK
    records = instance.get_run_records(
        dg.RunsFilter(statuses=failed, exclude_subruns=True, updated_after=since)
    )
    runs, unrecorded = defaultdict(list), defaultdict(list)
    for record in filter(_counts, records):
        for name in _owners(record.dagster_run, integrations):
            runs[name].append(_ended(record))
            if STATUS_TAG not in record.dagster_run.tags:
                unrecorded[name].append(record.dagster_run.run_id)
    return Failures(runs, unrecorded, since)


def read_untagged_runs(
    instance: dg.DagsterInstance, integrations: Collection[str]
) -> dict[str, str]:
    """Find the runs, by id, that a person has launched and that our own code has not tagged.

    They wait, or were canceled before they began. A run of several integrations is nobody's stray.
    """
    waiting = dg.RunsFilter(statuses=_NOT_BEGUN)
    owners = {
        record.dagster_run.run_id: _owners(record.dagster_run, integrations)
        for record in instance.get_run_records(waiting, limit=UNTAGGED_RUNS)
        if INTEGRATION_TAG not in record.dagster_run.tags
    }
    return {run_id: next(iter(names)) for run_id, names in owners.items() if len(names) == 1}


def read_successes(
    instance: dg.DagsterInstance, assets: Assets, since: datetime | None
) -> dict[str, FinishedRun]:
    """Read each integration's newest run that succeeded, if it ended since then.

    A run that a person launches over several integrations has the tag of one alone; for the others
    it is found by what was last materialized.
    """
    names = {key: name for name, keys in assets.items() for key in keys}
    if not names:
        return {}
    written = _last_written(instance, names)
    records = _succeeded(instance, since, tags={INTEGRATION_TAG: sorted(assets)})
    if written:
        records += _succeeded(instance, since, run_ids=sorted(written))
    newest = {}
    for record in sorted(records, key=lambda record: record.storage_id):
        run = record.dagster_run
        for name in written.get(run.run_id, set()) | {run.tags.get(INTEGRATION_TAG)}:
            newest[name] = _ended(record)
    return {name: newest[name] for name in assets if name in newest}


def _last_written(
    instance: dg.DagsterInstance, names: Mapping[dg.AssetKey, str]
) -> Mapping[str, set[str | None]]:
    """By run, the integrations of the assets that were last materialized by it."""
    written: dict[str, set[str | None]] = defaultdict(set)
    for asset in instance.get_asset_records(list(names)):
        if last := asset.asset_entry.last_materialization_record:
            written[last.run_id].add(names[asset.asset_entry.asset_key])
    return written


def _succeeded(
    instance: dg.DagsterInstance,
    since: datetime | None,
    *,
    tags: Mapping[str, list[str]] | None = None,
    run_ids: Sequence[str] | None = None,
) -> list[dg.RunRecord]:
    wanted = dg.RunsFilter(
        statuses=[dg.DagsterRunStatus.SUCCESS], updated_after=since, tags=tags, run_ids=run_ids
    )
    return list(instance.get_run_records(wanted))


def count_in_a_row(
    instance: dg.DagsterInstance, counted_after: Mapping[str, int], assets: Assets
) -> dict[str, int]:
    """Count each integration's failures in a row.

    Args:
        instance: Dagster's.
        counted_after: by integration, the number up to which runs no longer count.
        assets: those of each integration.
    """
    failures = read_failures(instance, counted_after)
    failing = {name: assets[name] for name in failures.runs}
    successes = read_successes(instance, failing, failures.since)
    return {
        name: len(
            in_a_row(
                failures.runs.get(name, []),
                max(after, successes[name].number if name in successes else 0),
            )
        )
        for name, after in counted_after.items()
    }


def in_a_row(failures: Iterable[FinishedRun], after: int) -> list[FinishedRun]:
    """The failures numbered above ``after``, the newest first; all attempts of one run are one."""
    newest_of = {run.root: run for run in sorted(failures, key=lambda run: run.number)}
    counted = (run for run in newest_of.values() if run.number > after)
    return sorted(counted, key=lambda run: run.number, reverse=True)


def _counts(record: dg.RunRecord) -> bool:
    """Whether a failure tells of the integration's health.

    An attempt that Dagster tries again does not, nor does a run that waits for a quota, nor a
    range of hours that a person asks for. The schedule asks for ranges too, to catch up; these do.
    """
    tags = record.dagster_run.tags
    if tags.get(_WILL_RETRY) == "true" or tags.get(STATUS_TAG) == RateLimitError.status:
        return False
    return _RANGE not in tags or _SCHEDULE in tags


def _owners(run: dg.DagsterRun, integrations: Collection[str]) -> set[str]:
    """Whose run it is: as it says itself, and by the assets that it was to materialize."""
    named = {run.tags.get(INTEGRATION_TAG), *(key.path[0] for key in run.asset_selection or ())}
    return {name for name in named if name and name in integrations}


def _ended(record: dg.RunRecord) -> FinishedRun:
    run = record.dagster_run
    moment = record.end_time or record.update_timestamp.timestamp()
    return FinishedRun(
        number=record.storage_id,
        run_id=run.run_id,
        root=run.root_run_id or run.run_id,
        created=record.create_timestamp.timestamp(),
        ended=datetime.fromtimestamp(moment, UTC),
    )
