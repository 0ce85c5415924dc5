"""Switching an integration on and off, as a person decides."""

from dataclasses import replace

import dagster as dg
import psycopg
from dagster._core.remote_origin import CodeLocationOrigin
from dagster._time import get_current_datetime

from m3sync_dagster.lifecycle.schedules import read_schedules, start, stop_for_good
from m3sync_dagster.state import deciding, read_standing, write_standings

BY_HAND = "a person has switched it off with m3sync disable"
"""The reason on record of an integration that nobody but a person has disabled."""


def enable(
    instance: dg.DagsterInstance,
    connection: psycopg.Connection,
    origin: CodeLocationOrigin,
    integration: str,
    schedule: tuple[str, str],
) -> None:
    """Start an integration's schedule, and forget the failures so far.

    Args:
        instance: Dagster's.
        connection: to our tables.
        origin: the code location.
        integration: its name.
        schedule: its schedule's name, and the cron string of it.
    """
    name, cron = schedule
    with deciding(connection):
        newest = instance.get_run_records(limit=1)
        started = start(instance, origin, name, cron).started
        standing = replace(
            read_standing(connection, integration),
            schedule_started=started,
            counted_after=newest[0].storage_id if newest else 0,
            told=0,
            disabled_since=None,
            disabled_reason=None,
        )
        write_standings(connection, [standing])


def disable(
    instance: dg.DagsterInstance,
    connection: psycopg.Connection,
    origin: CodeLocationOrigin,
    integration: str,
    schedule: tuple[str, str],
) -> None:
    """Stop an integration's schedule, so that nothing but a person starts it again.

    Args:
        instance: Dagster's.
        connection: to our tables.
        origin: the code location.
        integration: its name.
        schedule: its schedule's name, and the cron string of it.
    """
    name, cron = schedule
    with deciding(connection):
        standing = read_standing(connection, integration)
        running = read_schedules(instance, origin.location_name).get(name)
        if running and running.started:
            standing = replace(standing, schedule_started=running.started)
        if not standing.disabled:
            standing = replace(
                standing, disabled_since=get_current_datetime(), disabled_reason=BY_HAND
            )
        write_standings(connection, [standing])
        stop_for_good(instance, origin, name, cron)
