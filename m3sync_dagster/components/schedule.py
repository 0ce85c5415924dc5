"""The hourly schedule: requests the hours that are not filled yet, as one run.

Dagster's partitioned schedules neither catch up after an outage nor try a failed hour again. A
sync converges, so one run over all the missed hours does both. Hours that are filled lie between
missing ones only where somebody has run an hour by hand; then there is one run for each gap.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

import dagster as dg

from m3sync_dagster.components.integration import PARTITION_FORMAT, Integration
from m3sync_dagster.components.materialize import run_tags, sync_checks
from m3sync_dagster.dagster_internals import partition_loading_context
from m3sync_dagster.guard.schedule_tick_check import disabled_reason
from m3sync_dagster.runs.dead_runs import report_if_dead
from m3sync_dagster.runs.kubernetes_tags import kubernetes_tags
from m3sync_dagster.runs.run_status import INTEGRATION_TAG, TICK_TAG
from m3sync_dagster.state import connect, is_locked, postgres_url

JOB = "salesforce_sync"
"""The one job of all integrations; a run selects its integration's assets."""
LONGEST_CATCH_UP = 7 * 24
"""Hours that one run covers at most; older ones stay unfilled."""
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"

_OPEN = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
]


def schedule_name(integration: str) -> str:
    """The name of an integration's schedule."""
    return f"{integration}_hourly"


def cron_schedule(integration: Integration) -> str:
    """When an integration's schedule ticks, in UTC."""
    return f"{integration.minute} * * * *"


def build_schedule(
    integration: Integration,
    partitions: dg.HourlyPartitionsDefinition,
    keys: Sequence[dg.AssetKey],
) -> dg.ScheduleDefinition:
    """Build the schedule of an integration.

    Args:
        integration: whose it is.
        partitions: the hours.
        keys: the integration's assets.
    """

    @dg.schedule(
        name=schedule_name(integration.name),
        job_name=JOB,
        cron_schedule=cron_schedule(integration),
        execution_timezone="UTC",
        description=f"Syncs {integration.name} every hour, and every hour it has missed, "
        "for at most a week.",
        tags={INTEGRATION_TAG: integration.name},
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
    def hourly(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        """Request runs of the hours that have none, or say why not."""
        if not integration.connected:
            return dg.SkipReason(
                f"{integration.name} is NOT CONNECTED. "
                f"Run: m3sync connect {integration.name} CREDENTIAL."
            )
        name = schedule_name(integration.name)
        if quiet := disabled_reason(context.instance, integration.name, name):
            return dg.SkipReason(quiet)
        if run := _run_under_way(context.instance, integration.name):
            return dg.SkipReason(f"{run} of {integration.name} is under way")
        window = _complete_hours(partitions, context.scheduled_execution_time)
        if not window:
            return dg.SkipReason(f"the first hour, {integration.start}, is not over yet")
        gaps = _gaps(context.instance, integration.name, window, keys)
        if not gaps:
            return dg.SkipReason(f"the hour {window[-1]} is filled already")
        moment = f"{context.scheduled_execution_time:%Y-%m-%dT%H:%M}"
        tags = run_tags(integration) | kubernetes_tags(context.instance, integration.name)
        return [_request(keys, hours, moment, tags | {TICK_TAG: moment}) for hours in gaps]

    return hourly


def _complete_hours(partitions: dg.HourlyPartitionsDefinition, now: datetime) -> list[str]:
    """The hours that are over, oldest first, at most a week of them."""
    with partition_loading_context(effective_dt=now):
        last = partitions.get_last_partition_key()
        if last is None:
            return []
        count = min(LONGEST_CATCH_UP, partitions.get_num_partitions())
    end = datetime.strptime(last, partitions.fmt)  # noqa: DTZ007 - a key is a key, UTC by definition
    return [
        (end - timedelta(hours=back)).strftime(partitions.fmt) for back in reversed(range(count))
    ]


def _gaps(
    instance: dg.DagsterInstance,
    integration: str,
    window: Sequence[str],
    keys: Sequence[dg.AssetKey],
) -> list[list[str]]:
    """The hours that an asset lacks, oldest first; those that follow each other are one gap."""
    filled = {key: _filled(instance, key, window) for key in keys}
    # Only runs show hours that failed before the first filled one. Mostly that was long ago.
    recent = any(min(hours, default=window[-1]) > window[0] for hours in filled.values())
    runs = _last_runs(instance, integration) if recent else []
    missing: set[int] = set()
    for key in keys:
        first = _first_hour(window, {*filled[key], *_tried(runs, key)})
        missing |= {
            place for place, hour in enumerate(window) if hour >= first and hour not in filled[key]
        }
    gaps: list[list[str]] = []
    for place in sorted(missing):
        if place - 1 not in missing:
            gaps.append([])
        gaps[-1].append(window[place])
    return gaps


def _filled(instance: dg.DagsterInstance, key: dg.AssetKey, window: Sequence[str]) -> set[str]:
    """The hours of an asset that were synced after their end.

    Only ``m3sync run`` syncs an hour before its end, and only an integration's first one. Later
    hours cover it, so it is looked at only at the first tick.
    """
    filled = instance.get_materialized_partitions(key)
    if len(window) > 1 or window[0] not in filled:
        return filled
    wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=list(window))
    newest = instance.fetch_materializations(wanted, limit=1).records
    over = datetime.strptime(window[0], PARTITION_FORMAT).replace(tzinfo=UTC) + timedelta(hours=1)
    is_early = not newest or newest[0].timestamp < over.timestamp()
    return filled - set(window) if is_early else filled


def _first_hour(window: Sequence[str], known: Collection[str]) -> str:
    """The first hour that an asset has or has tried; a new asset begins with the last hour."""
    return min(min(known, default=window[-1]), window[-1])


def _last_runs(instance: dg.DagsterInstance, integration: str) -> Sequence[dg.DagsterRun]:
    return instance.get_runs(
        dg.RunsFilter(tags={INTEGRATION_TAG: integration}), limit=LONGEST_CATCH_UP
    )


def _tried(runs: Sequence[dg.DagsterRun], key: dg.AssetKey) -> list[str]:
    """The first hour of each run that was to fill an asset."""
    hours = [
        run.tags.get(PARTITION) or run.tags.get(RANGE_START)
        for run in runs
        if run.asset_selection is None or key in run.asset_selection
    ]
    return [hour for hour in hours if hour]


def _request(
    keys: Sequence[dg.AssetKey], hours: Sequence[str], moment: str, tags: dict[str, str]
) -> dg.RunRequest:
    """Request a run of these hours.

    Dagster requests a run key once and for all. It names the tick too, so that the next tick can
    request the same hours if they have failed, also within the hour.
    """
    first, last = hours[0], hours[-1]
    if first == last:
        return dg.RunRequest(
            run_key=f"{last} at {moment}",
            partition_key=last,
            asset_selection=list(keys),
            asset_check_keys=sync_checks(keys),
            tags=tags,
        )
    return dg.RunRequest(
        run_key=f"{first}...{last} at {moment}",
        asset_selection=list(keys),
        asset_check_keys=sync_checks(keys),
        tags={**tags, RANGE_START: first, RANGE_END: last},
    )


def _run_under_way(instance: dg.DagsterInstance, integration: str) -> str | None:
    """What to call the run of this integration that has not ended, and is not dead."""
    open_runs = dg.RunsFilter(tags={INTEGRATION_TAG: integration}, statuses=_OPEN)
    with connect(postgres_url()) as connection:
        for record in instance.get_run_records(open_runs):
            if not report_if_dead(instance, connection, record):
                return f"run {record.dagster_run.run_id}"
        return "another run" if is_locked(connection, integration) else None
