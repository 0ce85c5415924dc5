"""Runs whose process is gone although Dagster's storage says that they are under way."""

import time
from collections.abc import Sequence
from datetime import timedelta

import dagster as dg
import psycopg

from m3sync_dagster.runs.run_status import INTEGRATION_TAG
from m3sync_dagster.state import is_locked, is_run_locked

PROCESS_TAG = "m3sync/process_lock"
"""Run tag with the id of a run that holds a lock of its own: ``m3sync run`` for as long as its
process lives, another run from its first step to the end of its last one."""
RELEASED = "released"
"""Value of the tag of a run that has released the lock, because its last step has ended."""
SILENCE = timedelta(minutes=2)
"""Time after which a run without such a lock is dead if it has logged nothing and does not hold its
integration's lock: it has not come to its first step, or has ended its last one."""

# Dagster itself ends a run that is queued or starting for too long; these two it leaves alone.
_MAY_BE_DEAD = (dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.STARTED)


def report_dead_runs(
    instance: dg.DagsterInstance, connection: psycopg.Connection, integrations: Sequence[str]
) -> None:
    """Report the dead runs of these integrations to Dagster as failed."""
    if not integrations:
        return
    wanted = dg.RunsFilter(tags={INTEGRATION_TAG: list(integrations)}, statuses=[*_MAY_BE_DEAD])
    for record in instance.get_run_records(wanted):
        report_if_dead(instance, connection, record)


def report_if_dead(
    instance: dg.DagsterInstance, connection: psycopg.Connection, record: dg.RunRecord
) -> bool:
    """Report a run to Dagster as failed if it is dead, and say whether it is."""
    if record.dagster_run.status not in _MAY_BE_DEAD:
        return False
    reason = _why_dead(instance, connection, record)
    run = instance.get_run_by_id(record.dagster_run.run_id) if reason else None
    # It may have ended since its record was read, or released its lock in order to end.
    if run is None or run.is_finished or _tag(run) != _tag(record.dagster_run):
        return False
    instance.report_run_failed(run, reason)
    return True


def _why_dead(
    instance: dg.DagsterInstance, connection: psycopg.Connection, record: dg.RunRecord
) -> str | None:
    run = record.dagster_run
    if _tag(run) == run.run_id:
        if is_run_locked(connection, run.run_id):
            return None
        return "The run's process is gone: the lock that it holds while it lives is free."
    if is_locked(connection, run.tags[INTEGRATION_TAG]):
        return None
    logged = instance.get_records_for_run(run.run_id, limit=1, ascending=False).records
    last = logged[0].timestamp if logged else record.create_timestamp.timestamp()
    if time.time() - last <= SILENCE.total_seconds():
        return None
    return "The run's process is gone: it logs nothing, and its integration's lock is free."


def _tag(run: dg.DagsterRun) -> str | None:
    return run.tags.get(PROCESS_TAG)
