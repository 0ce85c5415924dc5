"""``m3sync enable`` and ``m3sync disable``: whether an integration runs by itself."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import print_message
from m3sync_dagster.cli.time_arguments import parse_future_instant, time_text

if TYPE_CHECKING:
    from m3sync_dagster.components.integration import Integration
    from m3sync_dagster.guard.enable_disable import Switch
    from m3sync_dagster.runs.daemon_heartbeat import Daemon

Name = Annotated[str, typer.Argument(help="The integration.", show_default=False)]
Until = Annotated[
    datetime | None,
    typer.Option(
        parser=parse_future_instant,
        metavar="TIME",
        help="Enable it again at this time, with its offset from UTC, such as 2026-12-24T08:00Z.",
        show_default=False,
    ),
]


def enable(name: Name) -> None:
    """Start an integration's hourly schedule, and forget the failures so far."""
    from m3sync_dagster.runs.daemon_heartbeat import read_daemon

    with _switch(name) as (switch, integration):
        switch.enable()
        daemon = read_daemon(switch.instance)
    print_message(f"{name} is enabled: it runs every hour, and its count of failures begins again.")
    _report_dead(daemon)
    if not integration.connected:
        print_message(
            f"It is NOT CONNECTED, so that its ticks are skipped. Run: m3sync connect {name} ..."
        )


def disable(name: Name, *, until: Until = None) -> None:
    """Stop an integration's hourly schedule, until somebody enables it or for a time."""
    from m3sync_dagster.runs.daemon_heartbeat import read_daemon

    with _switch(name) as (switch, _):
        switch.disable(until)
        daemon = read_daemon(switch.instance)
    period = f" until {time_text(until)}" if until else ""
    print_message(f"{name} is disabled{period}. A run that has begun goes on to its end.")
    if until:
        _report_dead(daemon)


def _report_dead(daemon: "Daemon") -> None:
    if not daemon.alive:
        print_message(
            f"Nothing runs by itself now: {daemon}. To start one on this machine: m3sync dev. "
            "On a server, start the service of dagster-daemon."
        )


@contextmanager
def _switch(name: str) -> Iterator[tuple["Switch", "Integration"]]:
    environment = ready()
    from dagster import DagsterInstance

    from m3sync_dagster.cli.find_integration import find
    from m3sync_dagster.cli.own_code_location import own_code_location
    from m3sync_dagster.components.schedule import cron_schedule, schedule_name
    from m3sync_dagster.guard.enable_disable import Switch
    from m3sync_dagster.state import connect, postgres_url

    integration = find(name).integration
    schedule, cron = schedule_name(name), cron_schedule(integration)
    with DagsterInstance.get() as instance, connect(postgres_url()) as connection:
        origin = own_code_location(environment, instance)
        yield Switch(instance, connection, origin, name, schedule, cron), integration
