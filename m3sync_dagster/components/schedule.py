"""The hourly schedule: asks for the hours that are not filled yet, as one run.

Dagster's partitioned schedules neither catch up after an outage nor try a failed hour again. A
sync converges, so one run over all the missed hours does both.
"""

import time
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

import dagster as dg
from dagster._core.definitions.partitions.context import partition_loading_context

from m3sync_dagster.components.integration import Integration
from m3sync_dagster.components.materialize import run_tags, sync_checks
from m3sync_dagster.guard.disabled_check import disabled_reason
from m3sync_dagster.runs.run_status import INTEGRATION_TAG
from m3sync_dagster.state import connect, is_locked, postgres_url

JOB = "salesforce_sync"
"""The one job of all integrations; a run selects its integration's assets."""
LONGEST_CATCH_UP = 7 * 24
"""Hours that one run covers at most; older ones stay unfilled."""
SILENCE = timedelta(minutes=2)
"""How long a living run may say nothing while it does not hold its integration's lock: it takes the
lock soon after its start, and frees it just before its end."""
RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
PARTITION = "dagster/partition"

# Dagster itself ends a run that is queued or starting for too long; these two it leaves alone.
_MAY_BE_DEAD = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED]
_OPEN = [*_MAY_BE_DEAD, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.STARTING]


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
    def hourly(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        if not integration.connected:
            return dg.SkipReason(
                f"{integration.name} is NOT CONNECTED. "
                f"Run: m3sync connect {integration.name} CREDENTIAL."
            )
        if quiet := disabled_reason(
            context.instance, integration.name, schedule_name(integration.name)
        ):
            return dg.SkipReason(quiet)
        if run := _run_under_way(context.instance, integration.name):
            return dg.SkipReason(f"{run} of {integration.name} is under way")
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
) -> Sequence[str]:
    """The hours since the last one that every asset has."""
    filled = {key: instance.get_materialized_partitions(key) for key in keys}
    runs = [] if all(filled.values()) else _last_runs(instance, integration)
    return window[min(_start(window, filled[key], _tried(runs, key)) for key in keys) :]


def _start(window: Sequence[str], filled: Collection[str], tried: Collection[str]) -> int:
    """Where in the window the unfilled hours of an asset begin; its length where there are none.

    A new asset begins with the last hour; one that has never succeeded begins with the first hour
    that it has tried.
    """
    if filled:
        return max((place for place, hour in enumerate(window, 1) if hour in filled), default=0)
    first = min(tried, default=window[-1])
    return next((place for place, hour in enumerate(window) if hour >= first), len(window) - 1)


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
    integration: Integration, keys: Sequence[dg.AssetKey], hours: Sequence[str]
) -> dg.RunRequest:
    first, last = hours[0], hours[-1]
    if first == last:
        return dg.RunRequest(
            run_key=last,
            partition_key=last,
            asset_selection=list(keys),
            asset_check_keys=sync_checks(keys),
            tags=run_tags(integration),
        )
    return dg.RunRequest(
        run_key=f"{first}...{last}",
        asset_selection=list(keys),
        asset_check_keys=sync_checks(keys),
        tags={**run_tags(integration), RANGE_START: first, RANGE_END: last},
    )


def _run_under_way(instance: dg.DagsterInstance, integration: str) -> str | None:
    """What to call the run of this integration that has not ended, and is not dead."""
    with connect(postgres_url()) as connection:
        locked = is_locked(connection, integration)
    open_runs = dg.RunsFilter(tags={INTEGRATION_TAG: integration}, statuses=_OPEN)
    for record in instance.get_run_records(open_runs):
        run = record.dagster_run
        if locked or not _is_dead(instance, record):
            return f"run {run.run_id}"
        instance.report_run_failed(
            run, "The run's process is gone: it says nothing, and its integration's lock is free."
        )
    return "another run" if locked else None


def _is_dead(instance: dg.DagsterInstance, record: dg.RunRecord) -> bool:
    """Whether a run that does not hold its integration's lock never will."""
    if record.dagster_run.status not in _MAY_BE_DEAD:
        return False
    said = instance.get_records_for_run(record.dagster_run.run_id, limit=1, ascending=False).records
    last_word = said[0].timestamp if said else record.create_timestamp.timestamp()
    return time.time() - last_word > SILENCE.total_seconds()
