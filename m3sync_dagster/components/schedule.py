"""The hourly schedule: asks for the hours that are not filled yet, as one run.

Dagster's partitioned schedules neither catch up after an outage nor try a failed hour again. A
sync converges, so one run over all the missed hours does both.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import takewhile

import dagster as dg
from dagster._core.definitions.partitions.context import partition_loading_context

from m3sync_dagster.components.integration import Integration
from m3sync_dagster.components.materialize import INTEGRATION_TAG, run_tags
from m3sync_dagster.state import connect, is_locked, postgres_url
from m3sync_dagster.sync.errors import SyncError

JOB = "salesforce_sync"
"""The one job of all integrations; a run selects its integration's assets."""
LONGEST_CATCH_UP = 7 * 24
"""Hours that one run covers at most; older ones stay unfilled."""
STARTING_UP = timedelta(minutes=2)
"""How long a run may say STARTED before it holds its integration's lock."""
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"

_WAITING = [
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.STARTING,
]


def schedule_name(integration: str) -> str:
    """The name of an integration's schedule."""
    return f"{integration}_hourly"


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
        cron_schedule=f"{integration.minute} * * * *",
        execution_timezone="UTC",
        description=f"Syncs {integration.name} every hour, and every hour it has missed, "
        "for at most a week.",
        tags={INTEGRATION_TAG: integration.name},
        default_status=dg.DefaultScheduleStatus.STOPPED,
    )
    def hourly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if not integration.connected:
            return dg.SkipReason(
                f"{integration.name} is NOT CONNECTED. "
                f"Run: m3sync connect {integration.name} CREDENTIAL."
            )
        if under_way := _run_under_way(context.instance, integration.name):
            return dg.SkipReason(f"run {under_way} of {integration.name} is under way")
        window = _complete_hours(partitions, context.scheduled_execution_time)
        if not window:
            return dg.SkipReason(f"the first hour, {integration.start}, is not over yet")
        hours = _unfilled(context.instance, integration.name, window, keys)
        if not hours:
            return dg.SkipReason(f"the hour {window[-1]} is filled already")
        return _request(integration, keys, hours)

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


def _unfilled(
    instance: dg.DagsterInstance,
    integration: str,
    window: Sequence[str],
    keys: Sequence[dg.AssetKey],
) -> list[str]:
    """The hours since the last one that every asset has, or since the first that was tried."""
    filled = set.intersection(*(instance.get_materialized_partitions(key) for key in keys))
    tail = list(takewhile(lambda hour: hour not in filled, reversed(window)))[::-1]
    if len(tail) < len(window) or not tail:
        return tail
    # Nothing in the whole window is filled. A new integration begins with the last hour; one that
    # has never succeeded begins with the first hour that it tried.
    tried = _first_tried(instance, integration)
    return [hour for hour in tail if tried is not None and hour >= tried] or tail[-1:]


def _first_tried(instance: dg.DagsterInstance, integration: str) -> str | None:
    runs = instance.get_runs(
        dg.RunsFilter(tags={INTEGRATION_TAG: integration}), limit=LONGEST_CATCH_UP
    )
    hours = [run.tags.get(PARTITION) or run.tags.get(RANGE_START) for run in runs]
    return min((hour for hour in hours if hour), default=None)


def _request(
    integration: Integration, keys: Sequence[dg.AssetKey], hours: Sequence[str]
) -> dg.RunRequest:
    first, last = hours[0], hours[-1]
    if first == last:
        return dg.RunRequest(
            run_key=last, partition_key=last, asset_selection=list(keys), tags=run_tags(integration)
        )
    return dg.RunRequest(
        run_key=f"{first}...{last}",
        asset_selection=list(keys),
        tags={**run_tags(integration), RANGE_START: first, RANGE_END: last},
    )


def _run_under_way(instance: dg.DagsterInstance, integration: str) -> str | None:
    """The id of a run of this integration that has not ended, and is not dead."""
    tags = {INTEGRATION_TAG: integration}
    waiting = instance.get_runs(dg.RunsFilter(tags=tags, statuses=_WAITING), limit=1)
    if waiting:
        return waiting[0].run_id
    started = instance.get_run_records(
        dg.RunsFilter(tags=tags, statuses=[dg.DagsterRunStatus.STARTED])
    )
    if started and (_holds_lock(integration) or any(map(_starting_up, started))):
        return started[0].dagster_run.run_id
    for record in started:
        instance.report_run_failed(
            record.dagster_run,
            "The run's process is gone: its integration's lock is free.",
        )
    return None


def _starting_up(record: dg.RunRecord) -> bool:
    begun = datetime.fromtimestamp(record.start_time or 0)  # noqa: DTZ006 - compared with naive local time
    return datetime.now() - begun < STARTING_UP  # noqa: DTZ005 - as above


def _holds_lock(integration: str) -> bool:
    try:
        with connect(postgres_url()) as connection:
            return is_locked(connection, integration)
    except SyncError:
        # Without the database nobody can tell, and nothing could be written either.
        return True
