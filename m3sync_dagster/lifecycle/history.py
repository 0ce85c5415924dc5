"""What runs say of an integration's health, read from Dagster's storage for all of them at once.

The number of queries does not depend on how many integrations there are: one finds the newest
failure, one reads the failures of the week before it, and one reads the successes since then of
those integrations alone that have failed often.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from m3sync_dagster.lifecycle.runs import INTEGRATION_TAG, STATUS_TAG
from m3sync_dagster.sync.errors import RateLimitError

LOOK_BACK = timedelta(days=7)
"""Failures further back than this from the newest one say nothing of today's health."""

_WILL_RETRY = "dagster/will_retry"
_SCHEDULE = "dagster/schedule_name"
_RANGE = "dagster/asset_partition_range_start"


@dataclass(frozen=True, slots=True)
class Ended:
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
        untagged: runs that never got as far as to say whose they are, by integration.
        since: when the first of them ended.
    """

    runs: Mapping[str, list[Ended]]
    untagged: Mapping[str, list[str]]
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
    runs, untagged = defaultdict(list), defaultdict(list)
    for record in filter(_counts, records):
        for name in _owners(record.dagster_run, integrations):
            runs[name].append(_ended(record))
            if INTEGRATION_TAG not in record.dagster_run.tags:
                untagged[name].append(record.dagster_run.run_id)
    return Failures(runs, untagged, since)


def read_successes(
    instance: dg.DagsterInstance, integrations: Collection[str], since: datetime | None
) -> dict[str, Ended]:
    """Read each integration's newest run that succeeded, if it ended since then."""
    if not integrations:
        return {}
    records = instance.get_run_records(
        dg.RunsFilter(
            statuses=[dg.DagsterRunStatus.SUCCESS],
            tags={INTEGRATION_TAG: sorted(integrations)},
            updated_after=since,
        )
    )
    return {
        record.dagster_run.tags[INTEGRATION_TAG]: _ended(record) for record in reversed(records)
    }


def count_in_a_row(
    instance: dg.DagsterInstance, counted_after: Mapping[str, int]
) -> dict[str, int]:
    """Count each integration's failures in a row.

    Args:
        instance: Dagster's.
        counted_after: by integration, the number up to which runs no longer count.
    """
    failures = read_failures(instance, counted_after)
    successes = read_successes(instance, failures.runs.keys(), failures.since)
    return {
        name: len(
            in_a_row(
                failures.runs.get(name, []),
                max(after, successes[name].number if name in successes else 0),
            )
        )
        for name, after in counted_after.items()
    }


def in_a_row(failures: Iterable[Ended], after: int) -> list[Ended]:
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
    """Whose run it is: as it says itself, or by the assets that it was to materialize."""
    tagged = run.tags.get(INTEGRATION_TAG)
    named = {tagged} if tagged else {key.path[0] for key in run.asset_selection or ()}
    return {name for name in named if name in integrations}


def _ended(record: dg.RunRecord) -> Ended:
    run = record.dagster_run
    moment = record.end_time or record.update_timestamp.timestamp()
    return Ended(
        number=record.storage_id,
        run_id=run.run_id,
        root=run.root_run_id or run.run_id,
        created=record.create_timestamp.timestamp(),
        ended=datetime.fromtimestamp(moment, UTC),
    )
