"""``m3sync enable`` and ``m3sync disable``: whether an integration runs by itself."""

from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import say

if TYPE_CHECKING:
    from dagster._core.remote_origin import CodeLocationOrigin

    from m3sync_dagster.cli.environment import Environment

Name = Annotated[str, typer.Argument(help="The integration.", show_default=False)]


def enable(name: Name) -> None:
    """Start an integration's hourly schedule, and forget the failures so far."""
    environment = ready()
    from dagster import DagsterInstance

    from m3sync_dagster.lifecycle import switching
    from m3sync_dagster.state import connect, postgres_url

    schedule, connected = _schedule(name)
    with DagsterInstance.get() as instance, connect(postgres_url()) as connection:
        switching.enable(instance, connection, _location(environment), name, schedule)
    say(f"{name} is enabled: it runs every hour, and its count of failures begins anew.")
    if not connected:
        say(f"It is NOT CONNECTED, so that its ticks are skipped. Run: m3sync connect {name} ...")


def disable(name: Name) -> None:
    """Stop an integration's hourly schedule, until somebody enables it."""
    environment = ready()
    from dagster import DagsterInstance

    from m3sync_dagster.lifecycle import switching
    from m3sync_dagster.state import connect, postgres_url

    schedule, _ = _schedule(name)
    with DagsterInstance.get() as instance, connect(postgres_url()) as connection:
        switching.disable(instance, connection, _location(environment), name, schedule)
    say(f"{name} is disabled. A run that has begun goes on to its end.")


def _schedule(name: str) -> tuple[tuple[str, str], bool]:
    """The schedule's name and cron string; and whether the integration is connected."""
    from m3sync_dagster.cli.project import find
    from m3sync_dagster.components.schedule import cron_schedule, schedule_name

    integration = find(name).integration
    return (schedule_name(name), cron_schedule(integration)), integration.connected


def _location(environment: "Environment") -> "CodeLocationOrigin":
    """The workspace's one code location."""
    from dagster._core.workspace.load_target import WorkspaceFileTarget

    (location,) = WorkspaceFileTarget([str(environment.workspace)]).create_origins()
    return location
