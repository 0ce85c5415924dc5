"""The daily purge of our state and of Dagster's runs: a separate job with its schedule.

A separate run shows in Dagster's run history with its counts as metadata, and its failure does not
make another run fail.
"""

import time
from dataclasses import asdict, dataclass
from functools import partial

import dagster as dg
import psycopg

from m3sync_dagster.components.load_project import DefinedNames
from m3sync_dagster.components.schedule import JOB
from m3sync_dagster.guard.failure_history import oldest_failure_read
from m3sync_dagster.runs.old_runs import OldRuns, age_limit, days_to_keep, delete_old_runs
from m3sync_dagster.runs.run_list import has_run_since
from m3sync_dagster.state import (
    AbsentIntegration,
    AgedRows,
    connect,
    delete_old_check_executions,
    history_days,
    postgres_url,
    purge_absent_integrations,
    purge_old_rows,
    purge_sent_changes,
    require_current_schema,
)
from m3sync_dagster.sync.errors import SyncError

PURGE_JOB = "m3sync_purge"
DAILY = "m3sync_purge_daily"
RUN_SECONDS = 1_800.0
CHECK_SECONDS = 600.0
"""How long a purge deletes runs, and then check executions; the next one deletes what is left.

Run monitoring ends a run after 3,000 seconds.
"""
NOT_FINISHED = (
    "The purge has deleted for its longest time, and old runs are left: the next one deletes them."
)


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """The result of a purge.

    Args:
        aged: rows that were too old, by kind.
        absent: integrations that were deleted long enough ago.
        note: why no integration was regarded as deleted, if so.
        finished: whether all runs and check executions that are too old were deleted.
    """

    aged: list[AgedRows]
    absent: list[AbsentIntegration]
    note: str | None = None
    finished: bool = True

    def as_dict(self) -> dict[str, object]:
        """The report as JSON has it."""
        return {
            "aged": [asdict(one) for one in self.aged],
            "absent_integrations": [asdict(one) for one in self.absent],
            "note": self.note,
            "finished": self.finished,
        }


def purge(
    instance: dg.DagsterInstance,
    connection: psycopg.Connection,
    defined: DefinedNames,
    *,
    dry_run: bool = False,
) -> PurgeReport:
    """Delete what is no longer needed.

    Args:
        instance: Dagster's. Its runs also show whether another project runs an integration.
        connection: to m3sync's tables, and to Dagster's, which are in the same database.
        defined: the integrations of this project.
        dry_run: only count the rows.

    Raises:
        ConfigurationError: a number of days for which something is kept is not valid.
        SyncError: another program holds a table.
    """
    days, kept = days_to_keep(), history_days()
    aged = purge_old_rows(connection, dry_run=dry_run)
    absent, note = _purge_absent(instance, connection, defined, dry_run=dry_run)
    old = OldRuns({JOB, PURGE_JOB}, age_limit(days), oldest_failure_read(instance))
    runs = delete_old_runs(instance, old, time.monotonic() + RUN_SECONDS, dry_run=dry_run)
    until = time.monotonic() + CHECK_SECONDS
    checks = delete_old_check_executions(connection, days, until, dry_run=dry_run)
    aged.append(AgedRows("runs, with their events in Dagster", days, runs.runs))
    aged.append(AgedRows("check executions", days, checks.rows))
    # The last one, because it fails while a backup holds the table.
    sent = purge_sent_changes(connection, kept, dry_run=dry_run)
    aged.append(AgedRows("rows of the history of what was sent", kept, sent))
    return PurgeReport(aged, absent, note, finished=runs.finished and checks.finished)


def _purge_absent(
    instance: dg.DagsterInstance,
    connection: psycopg.Connection,
    defined: DefinedNames,
    *,
    dry_run: bool,
) -> tuple[list[AbsentIntegration], str | None]:
    """Delete the state of deleted integrations, and say why none counts as deleted, if so."""
    if defined.unreadable:
        # Such a file may define any integration, which then is not deleted.
        files = ", ".join(map(str, defined.unreadable))
        note = f"No integration counts as deleted, because {files} may define it: correct the file"
        return [], note
    ran = partial(has_run_since, instance)
    return purge_absent_integrations(connection, defined.names, ran, dry_run=dry_run), None


def build_purge(defined: DefinedNames) -> dg.ScheduleDefinition:
    """Build the daily schedule, with its job."""

    @dg.op(description="Deletes what is too old, and the state of deleted integrations.")
    def delete_old_state(context: dg.OpExecutionContext) -> None:
        report = _run_purge(context, defined)
        context.add_output_metadata({one.what: one.rows for one in report.aged})
        for one in report.absent:
            context.log.info(
                "%s, absent since %s: %d rows deleted%s",
                one.integration,
                one.absent_since,
                one.rows,
                f"; kept, because {one.kept_because}" if one.kept_because else "",
            )
        if report.note:
            context.log.warning(report.note)
        if not report.finished:
            context.log.info(NOT_FINISHED)

    @dg.job(
        name=PURGE_JOB,
        executor_def=dg.in_process_executor,
        description="Deletes runs and state that are no longer needed; see docs/state.md.",
    )
    def purge_job() -> None:
        delete_old_state()

    return dg.ScheduleDefinition(
        name=DAILY,
        job=purge_job,
        cron_schedule="20 3 * * *",
        execution_timezone="UTC",
        description="Deletes runs and state that are no longer needed, once a day.",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def _run_purge(context: dg.OpExecutionContext, defined: DefinedNames) -> PurgeReport:
    try:
        with connect(postgres_url()) as connection:
            require_current_schema(connection)
            return purge(context.instance, connection, defined)
    except SyncError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
