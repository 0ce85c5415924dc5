"""What runs say of an integration's health, read from Dagster's storage for all of them at once.

The number of queries does not depend on how many integrations there are: one finds the newest
failure, one reads the failures of the week before it, three find the successes since then of
those integrations alone that have failed often, and one finds the runs that have no tag of ours.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from m3sync_dagster.runs.failure_tags import RecordedFailure, recorded_failure
from m3sync_dagster.runs.run_status import INTEGRATION_TAG, TICK_TAG, entity_of
from m3sync_dagster.state import GuardState

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
_FAILED = [dg.DagsterRunStatus.FAILURE]
_WILL_RETRY = "dagster/will_retry"
_SCHEDULE = "dagster/schedule_name"
_RANGE = "dagster/asset_partition_range_start"


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that has succeeded or failed.

    Args:
        run_id: Dagster's id.
        attempt: the same for all runs that count as one: those of one tick of the schedule, and
            those that execute them again; otherwise the id of the run that is executed again.
        created, ended: Unix times.
        entities: the integration's entities that failed, or for a success, that were synced.
        started: whether it came to run any code; a run that could not be launched, or was not
            launched in time, did not.
    """

    run_id: str
    attempt: str
    created: float
    ended: float
    entities: frozenset[str]
    started: bool = True


Successes = Mapping[str, FinishedRun]
"""By entity, the newest run that synced it."""


@dataclass(frozen=True, slots=True)
class Failures:
    """The failed runs of the last week that count.

    Args:
        runs: by integration, the newest first.
        unrecorded: runs that failed where our own code could not record it, by integration.
        since: when the first of them ended.
    """

    runs: Mapping[str, list[FinishedRun]]
    unrecorded: Mapping[str, list[str]]
    since: datetime | None


def read_failures(instance: dg.DagsterInstance, assets: Assets) -> Failures:
    """Read which runs of integrations have failed lately, without backfills."""
    oldest = oldest_failure_read(instance)
    if oldest is None:
        return Failures({}, {}, None)
    records = instance.get_run_records(
        dg.RunsFilter(statuses=_FAILED, exclude_subruns=True, updated_after=oldest)
    )
    # The run that was created last need not be the one that ended last, and a run whose tags are
    # written is updated after its end.
    since = max(map(_ended, records)) - LOOK_BACK.total_seconds()
    existing = {name: frozenset(map(entity_of, keys)) for name, keys in assets.items()}
    runs, unrecorded = defaultdict(list), defaultdict(list)
    for record in (one for one in records if _ended(one) >= since):
        run, recorded = record.dagster_run, recorded_failure(record.dagster_run)
        for name in _owners(run, assets) if _counts(run, recorded) else ():
            if entities := _failed_entities(run, recorded, name, existing[name]):
                runs[name].append(_finished(record, entities))
            if recorded is None:
                unrecorded[name].append(run.run_id)
    # An earlier success repairs none of them.
    first = min((run.ended for failed_runs in runs.values() for run in failed_runs), default=since)
    return Failures(runs, unrecorded, datetime.fromtimestamp(first, UTC))


def oldest_failure_read(instance: dg.DagsterInstance) -> datetime | None:
    """The time before which no failed run is read; ``None`` if none has failed."""
    failed = dg.RunsFilter(statuses=_FAILED, exclude_subruns=True)
    newest = instance.get_run_records(failed, limit=1)
    return datetime.fromtimestamp(_ended(newest[0]), UTC) - LOOK_BACK if newest else None


def read_untagged_runs(
    instance: dg.DagsterInstance, integrations: Collection[str]
) -> dict[str, str]:
    """Find the runs, by id, that a person has launched and that our own code has not tagged.

    They wait, or were canceled before they began. A run of several integrations stays untagged.
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
) -> dict[str, Successes]:
    """Read for each integration the newest successful run of each entity, if it ended since then.

    A run that a person launches over several integrations has the tag of one alone; for the others
    it is found by what was last materialized.
    """
    names = {key: name for name, keys in assets.items() for key in keys}
    if not names:
        return {}
    written = _last_writers(instance, names)
    records = _succeeded(instance, since, tags={INTEGRATION_TAG: sorted(assets)})
    if written:
        records += _succeeded(instance, since, run_ids=sorted(written))
    newest: dict[str, dict[str, FinishedRun]] = {name: {} for name in assets}
    for record in sorted(records, key=_ended):
        for name, keys in _synced(record.dagster_run, assets, written).items():
            run = _finished(record, frozenset(map(entity_of, keys)))
            newest[name].update(dict.fromkeys(run.entities, run))
    return dict(newest)


def _last_writers(
    instance: dg.DagsterInstance, names: Mapping[dg.AssetKey, str]
) -> Mapping[str, set[dg.AssetKey]]:
    """By run, the assets that were last materialized by it."""
    written: dict[str, set[dg.AssetKey]] = defaultdict(set)
    for asset in instance.get_asset_records(list(names)):
        if last := asset.asset_entry.last_materialization_record:
            written[last.run_id].add(asset.asset_entry.asset_key)
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


def _synced(
    run: dg.DagsterRun, assets: Assets, written: Mapping[str, set[dg.AssetKey]]
) -> dict[str, list[dg.AssetKey]]:
    """The assets of each integration that a successful run has synced: all that it selected.

    Without a selection it is all of its integration's; a run of checks alone syncs nothing.
    """
    chosen = {*(run.asset_selection or ()), *written.get(run.run_id, ())}
    if not run.asset_selection and not run.asset_check_selection:
        chosen |= set(assets.get(run.tags.get(INTEGRATION_TAG, ""), ()))
    found: dict[str, list[dg.AssetKey]] = defaultdict(list)
    for key in chosen:
        name = key.path[0]
        if key in assets.get(name, ()):
            found[name].append(key)
    return found


def count_in_a_row(
    instance: dg.DagsterInstance, states: Mapping[str, GuardState], assets: Assets
) -> dict[str, int]:
    """Count each integration's failures in a row.

    Args:
        instance: Dagster's.
        states: the guard's state of each integration.
        assets: those of each integration.
    """
    failures = read_failures(instance, assets)
    failing = {name: assets[name] for name in failures.runs}
    successes = read_successes(instance, failing, failures.since)
    return {
        name: len(in_a_row(failures.runs.get(name, []), state, successes.get(name, {})))
        for name, state in states.items()
    }


def in_a_row(
    failures: Iterable[FinishedRun], state: GuardState, successes: Successes
) -> list[FinishedRun]:
    """The failures that count now, the one that ended last first.

    A failure no longer counts once each entity that failed in it has been synced by a later run, or
    the schedule was started after the run was created. All runs of one attempt that count are one
    failure: each may have failed in another entity.
    """
    counted = (
        run
        for run in failures
        if run.ended > state.count_from
        and run.created > (state.schedule_started or 0.0)
        and not is_repaired(run, successes)
    )
    last = {run.attempt: run for run in sorted(counted, key=lambda run: run.ended)}
    return sorted(last.values(), key=lambda run: run.ended, reverse=True)


def is_repaired(failure: FinishedRun, successes: Successes) -> bool:
    """Whether all that failed in a run has been synced since."""
    return all(
        entity in successes and successes[entity].ended > failure.ended
        for entity in failure.entities
    )


def _counts(run: dg.DagsterRun, recorded: RecordedFailure | None) -> bool:
    """Whether a failure says something of the integration's health.

    An attempt that Dagster makes again does not, nor does what the run itself recorded as no
    failure of the integration, nor a range of hours that a person asks for. The schedule asks for
    ranges too, to catch up; these do.
    """
    if run.tags.get(_WILL_RETRY) == "true" or (recorded and not recorded.counts):
        return False
    return _RANGE not in run.tags or _SCHEDULE in run.tags


def _owners(run: dg.DagsterRun, integrations: Collection[str]) -> set[str]:
    """Whose run it is: by its tag, and by the assets that it was to materialize."""
    named = {run.tags.get(INTEGRATION_TAG), *(key.path[0] for key in run.asset_selection or ())}
    return {name for name in named if name and name in integrations}


def _failed_entities(
    run: dg.DagsterRun,
    recorded: RecordedFailure | None,
    integration: str,
    existing: frozenset[str],
) -> frozenset[str]:
    """What failed in a run: as it has recorded, or else all that it selected.

    What the integration no longer has is left out.
    """
    names = (name.split("/") for name in (recorded.entities if recorded else ()))
    failed = {entity for owner, entity in names if owner == integration}
    chosen = {entity_of(key) for key in run.asset_selection or () if key.path[0] == integration}
    return frozenset(failed or chosen or existing) & existing


def _finished(record: dg.RunRecord, entities: frozenset[str]) -> FinishedRun:
    run = record.dagster_run
    return FinishedRun(
        run_id=run.run_id,
        attempt=run.tags.get(TICK_TAG) or run.root_run_id or run.run_id,
        created=record.create_timestamp.timestamp(),
        ended=_ended(record),
        entities=entities,
        started=record.start_time is not None,
    )


def _ended(record: dg.RunRecord) -> float:
    return record.end_time or record.update_timestamp.timestamp()
