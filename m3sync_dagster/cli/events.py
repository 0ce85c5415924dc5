"""``m3sync events``: lists error events with their remedy, and marks them as actioned."""

from dataclasses import asdict
from typing import Annotated

import typer

from m3sync_dagster.cli.default_subcommand import ListByDefault
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import Json, print_json, print_message, print_table

_SHOWN = ("id", "name", "time", "integration", "entity", "message", "remedy", "actioned", "run_id")

Name = Annotated[
    str | None, typer.Argument(help="The integration; left out: all.", show_default=False)
]
All = Annotated[bool, typer.Option("--all", help="Also list events that are marked as actioned.")]
Id = Annotated[int, typer.Argument(help="The event's id.", show_default=False)]


def list_events(name: Name = None, *, everything: All = False, json: Json = False) -> None:
    """List the error events that are not marked as actioned."""
    ready()
    from m3sync_dagster import state
    from m3sync_dagster.cli.find_integration import require_known

    if name is not None:
        require_known(name)
    with state.connect(state.postgres_url()) as connection:
        listed = [asdict(one) for one in state.list_events(connection, name, actioned=everything)]
    if json:
        print_json([one | {"actioned": one["actioned"] is not None} for one in listed])
    else:
        print_table("Events", _SHOWN, [[one[key] for key in _SHOWN] for one in listed])


def action(event: Id) -> None:
    """Mark an event as actioned."""
    ready()
    from m3sync_dagster import state

    with state.connect(state.postgres_url()) as connection:
        state.mark_actioned(connection, event)
    print_message(f"Event {event} is marked as actioned.")


events = typer.Typer(
    name="events",
    cls=ListByDefault,
    help="List error events, or mark one as actioned: m3sync events [NAME] [--all].",
)
events.command("list")(list_events)
events.command("action")(action)
