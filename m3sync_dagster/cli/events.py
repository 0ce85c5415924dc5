"""``m3sync events``: lists error events with their remedy, and marks them as actioned."""

from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.default_subcommand import ListByDefault
from m3sync_dagster.cli.entity_option import Entity
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import Json, print_json, print_message, print_table
from m3sync_dagster.cli.time_arguments import Limit, Since, Until, parse_time, time_text
from m3sync_dagster.sync.errors import ConfigurationError

if TYPE_CHECKING:
    from m3sync_dagster.state import Event, RepeatedEvent

_COLUMNS = ("id", "event", "when", "integration", "entity", "message", "remedy", "state", "run")

Name = Annotated[
    str | None, typer.Argument(help="The integration; left out: all.", show_default=False)
]
All = Annotated[
    bool, typer.Option("--all", help="Also list events that are closed or marked as actioned.")
]
Ids = Annotated[
    list[int] | None,
    typer.Argument(help="The events' ids; earlier repeats are marked too.", show_default=False),
]
Before = Annotated[
    datetime | None,
    typer.Option(
        parser=parse_time, metavar="TIME", help="All before this time, in UTC.", show_default=False
    ),
]
AllOf = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="All of this integration.", show_default=False),
]


def list_events(  # noqa: PLR0913 - the options that people ask for
    name: Name = None,
    *,
    everything: All = False,
    entity: Entity = None,
    since: Since = None,
    until: Until = None,
    limit: Limit = None,
    json: Json = False,
) -> None:
    """List the open error events, the newest first; repeats are one line."""
    ready()
    from m3sync_dagster import state
    from m3sync_dagster.cli.find_integration import require_known

    if name is not None:
        require_known(name)
    wanted = state.EventFilter(entity, since, until, everything)
    with state.connect(state.postgres_url()) as connection:
        if json:
            found = state.list_events(connection, name, wanted, limit)
            print_json([_as_dict(event) for event in found])
        else:
            lines = state.list_repeated_events(connection, name, wanted, limit)
            print_table("Events", _COLUMNS, [_cells(line) for line in lines])


def _as_dict(event: "Event") -> dict[str, object]:
    return asdict(event) | {"actioned": event.actioned is not None}


def _cells(event: "RepeatedEvent") -> list[object]:
    return [
        *(event.id, event.name, _when(event), event.integration, event.entity),
        *(event.message, event.remedy, _state(event), event.run_id),
    ]


def _when(event: "RepeatedEvent") -> str:
    repeats = f", ×{event.count} since {time_text(event.since)}" if event.count > 1 else ""  # noqa: RUF001 - the sign for "times"
    return f"{time_text(event.time)}{repeats}"


def _state(event: "Event") -> str:
    if event.actioned:
        return "actioned"
    return "closed" if event.closed else "open"


def action(ids: Ids = None, *, before: Before = None, all_of: AllOf = None) -> None:
    """Mark events as actioned: by their ids, or all of an integration, or all before a time."""
    ready()
    from m3sync_dagster import state
    from m3sync_dagster.cli.find_integration import require_known

    if bool(ids) == bool(before or all_of):
        raise ConfigurationError(
            "it is not clear which events to mark as actioned",
            "Give ids that m3sync events shows; or --all-of NAME, or --before TIME, or both.",
        )
    if all_of is not None:
        require_known(all_of)
    with state.connect(state.postgres_url()) as connection:
        if ids:
            count = state.mark_actioned(connection, ids)
        else:
            wanted = state.EventFilter(until=before, everything=True)
            count = state.mark_all_actioned(connection, all_of, wanted)
    print_message(f"{count} {'event is' if count == 1 else 'events are'} now marked as actioned.")


events = typer.Typer(
    name="events",
    cls=ListByDefault,
    help="List error events, or mark them as actioned: m3sync events [NAME] [--all].",
)
events.command("list")(list_events)
events.command("action")(action)
