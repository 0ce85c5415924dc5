"""``m3sync rejects``: lists rejected rows with their cause, and sends them again."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.default_subcommand import ListByDefault
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import Json, print_json, print_message, print_table

if TYPE_CHECKING:
    from m3sync_dagster.state import Reject

_SHOWN = ("integration", "entity", "m3ter_id", "class", "code", "message", "attempts", "last_seen")
_HEADINGS = [*_SHOWN, "remedy"]

Name = Annotated[
    str | None, typer.Argument(help="The integration; left out: all.", show_default=False)
]
Integration = Annotated[str, typer.Argument(help="The integration.", show_default=False)]


def list_rejects(name: Name = None, *, json: Json = False) -> None:
    """List the rows that Salesforce rejected or that could not be sent."""
    ready()
    from m3sync_dagster import state
    from m3sync_dagster.cli.find_integration import require_known

    if name is not None:
        require_known(name)
    with state.connect(state.postgres_url()) as connection:
        listed = state.list_rejects(connection, name)
    if json:
        print_json([_as_dict(reject) for reject in listed])
    else:
        print_table("Rejected rows", _HEADINGS, [_cells(reject) for reject in listed])


def _cells(reject: "Reject") -> list[object]:
    from m3sync_dagster.salesforce import look_up_code

    row = _as_dict(reject)
    return [*(row[key] for key in _SHOWN), look_up_code(reject.code, reject.message).remedy]


def retry(name: Integration) -> None:
    """Send an integration's rejected rows again in the next run, without further pause."""
    ready()
    from m3sync_dagster import state
    from m3sync_dagster.cli.find_integration import find

    find(name)
    with state.connect(state.postgres_url()) as connection:
        count = state.retry_rejects(connection, name)
    print_message(f"The next run of {name} sends its {count} rejected rows again.")


def _as_dict(reject: "Reject") -> dict[str, object]:
    """A reject as JSON has it; ``class`` cannot be the name of a Python attribute."""
    row = asdict(reject)
    return {
        "integration": row.pop("integration"),
        "entity": row.pop("entity"),
        "m3ter_id": row.pop("m3ter_id"),
        "code": row.pop("code"),
        "message": row.pop("message"),
        "fields": row.pop("fields"),
        "class": row.pop("error_class"),
        **row,
    }


rejects = typer.Typer(
    name="rejects",
    cls=ListByDefault,
    help="List rejected rows, or send them again in the next run: m3sync rejects [NAME].",
)
rejects.command("list")(list_rejects)
rejects.command("retry")(retry)
