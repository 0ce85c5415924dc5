"""The daily purge: a separate job with its schedule.

A separate run shows in Dagster's run history with its counts as metadata, and its failure does not
make another run fail.
"""

from dataclasses import asdict, dataclass
from functools import partial

import dagster as dg
import psycopg

from m3sync_dagster.components.load_project import DefinedNames
from m3sync_dagster.runs.run_list import has_run_since
from m3sync_dagster.state import (
    AbsentIntegration,
    AgedRows,
    connect,
    postgres_url,
    purge_absent_integrations,
    purge_old_rows,
    require_current_schema,
)
from m3sync_dagster.sync.errors import SyncError

PURGE_JOB = "m3sync_purge"
DAILY = "m3sync_purge_daily"


@dataclass(frozen=True, slots=True)
class PurgeReport:
    """The result of a purge.

    Args:
        aged: rows that were too old, by kind.
        absent: integrations that were deleted long enough ago.
        note: why no integration was regarded as deleted, if so.
    """

    aged: list[AgedRows]
    absent: list[AbsentIntegration]
    note: str | None = None

    def as_dict(self) -> dict[str, object]:
        """The report as JSON has it."""
        return {
            "aged": [asdict(one) for one in self.aged],
            "absent_integrations": [asdict(one) for one in self.absent],
            "note": self.note,
        }


def purge(
    instance: dg.DagsterInstance,
    connection: psycopg.Connection,
    defined: DefinedNames,
    *,
    dry_run: bool = False,
) -> PurgeReport:
    """Delete state that is no longer needed.

    Args:
        instance: Dagster's, whose runs show whether another project runs an integration.
        connection: to m3sync's tables.
        defined: the integrations of this project.
        dry_run: only count the rows.
    """
    aged = purge_old_rows(connection, dry_run=dry_run)
    if defined.unreadable:
        # Such a file may define any integration, which then is not deleted.
        files = ", ".join(map(str, defined.unreadable))
        note = f"No integration counts as deleted, because {files} may define it: correct the file"
        return PurgeReport(aged, [], note)
    ran = partial(has_run_since, instance)
    absent = purge_absent_integrations(connection, defined.names, ran, dry_run=dry_run)
    return PurgeReport(aged, absent)


def build_purge(defined: DefinedNames) -> dg.ScheduleDefinition:
    """Build the daily schedule, with its job."""

    @dg.op(description="Deletes state that is too old, or whose integration was deleted.")
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

    @dg.job(
        name=PURGE_JOB,
        executor_def=dg.in_process_executor,
        description="Deletes state that is no longer needed; see docs/state.md.",
    )
    def purge_job() -> None:
        delete_old_state()

    return dg.ScheduleDefinition(
        name=DAILY,
        job=purge_job,
        cron_schedule="20 3 * * *",
        execution_timezone="UTC",
        description="Deletes state that is no longer needed, once a day.",
        default_status=dg.DefaultScheduleStatus.RUNNING,
    )


def _run_purge(context: dg.OpExecutionContext, defined: DefinedNames) -> PurgeReport:
    try:
        require_current_schema(postgres_url())
        with connect(postgres_url()) as connection:
            return purge(context.instance, connection, defined)
    except SyncError as error:
        raise dg.Failure(str(error), allow_retries=False) from None
