"""Runs that ended some days ago, with what they wrote, in Dagster's storage."""

import dagster as dg
from dagster._core.events import StepMaterializationData

from m3sync_dagster.state import connect, postgres_url

_UNIX_TIMES = ("start_time", "end_time")
_TIMES = (
    *(("runs", column) for column in ("create_timestamp", "update_timestamp", *_UNIX_TIMES)),
    ("event_logs", "timestamp"),
    ("asset_check_executions", "create_timestamp"),
)


def age(run: dg.DagsterRun | str, days: float) -> None:
    """Let a run, its events and its check executions be so many days older."""
    run_id = run if isinstance(run, str) else run.run_id
    with connect(postgres_url()) as connection:
        for table, column in _TIMES:
            before = "interval '1 second' * %s" if column not in _UNIX_TIMES else "%s"
            connection.execute(
                f"UPDATE {table} SET {column} = {column} - {before} WHERE run_id = %s",  # noqa: S608
                (days * 86_400, run_id),
            )


def materialize(
    instance: dg.DagsterInstance, run: dg.DagsterRun, key: dg.AssetKey, hour: str
) -> None:
    """Let a run materialize an hour of an asset."""
    event = dg.DagsterEvent(
        dg.DagsterEventType.ASSET_MATERIALIZATION.value,
        run.job_name,
        event_specific_data=StepMaterializationData(dg.AssetMaterialization(key, partition=hour)),
    )
    instance.report_dagster_event(event, run.run_id)


def count(table: str, run: dg.DagsterRun | str) -> int:
    """The rows of a run in a table of Dagster's."""
    run_id = run if isinstance(run, str) else run.run_id
    with connect(postgres_url()) as connection:
        query = f"SELECT count(*) FROM {table} WHERE run_id = %s"  # noqa: S608
        (number,) = connection.execute(query, (run_id,)).fetchone() or (0,)
        return int(number)
