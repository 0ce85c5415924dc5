"""``m3sync rejects``: the rows that did not go through, and why; and sending them again."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3sync_dagster.cli.default_subcommand import ListByDefault
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import Json, print_json, print_table, say

if TYPE_CHECKING:
    from m3sync_dagster.state import Reject

_SHOWN = ("integration", "entity", "m3ter_id", "class", "code", "message", "attempts", "last_seen")
_HEADINGS = [*_SHOWN, "remedy"]

Name = Annotated[
    str | None, typer.Argument(help="The integration; left out: all.", show_default=False)
]
Integration = Annotated[str, typer.Argument(help="The integration.", show_default=False)]


def list_rejects(name: Name = None, *, json: Json = False) -> None:
    """List the rows that are not in Salesforce as they are in m3ter."""
    ready()
    from m3sync_dagster import state
    from m3sync_dagster.cli.find_integration import require_known

    if name is not None:
        require_known(name)
    with state.connect(state.postgres_url()) as connection:
        found = [_told(reject) for reject in state.list_rejects(connection, name)]
    if json:
        print_json(found)
    else:
        print_table("Rejected rows", _HEADINGS, [_line(row) for row in found])


def _line(row: dict[str, Any]) -> list[Any]:
    from m3sync_dagster.salesforce import look_up_code

    return [*(row[key] for key in _SHOWN), look_up_code(row["code"], row["message"]).remedy]


def retry(name: Integration) -> None:
    """Send an integration's rejected rows again in the next run, whatever pause they are in."""
    ready()
    from m3sync_dagster import state
    from m3sync_dagster.cli.find_integration import find

    find(name)
    with state.connect(state.postgres_url()) as connection:
        count = state.retry_rejects(connection, name)
    say(f"The next run of {name} sends its {count} rejected rows again.")


def _told(reject: "Reject") -> dict[str, Any]:
    """A reject under the names that people know; ``class`` is no name for Python."""
    told = asdict(reject)
    return {
        "integration": told.pop("integration"),
        "entity": told.pop("entity"),
        "m3ter_id": told.pop("m3ter_id"),
        "code": told.pop("code"),
        "message": told.pop("message"),
        "fields": told.pop("fields"),
        "class": told.pop("error_class"),
        **told,
    }


rejects = typer.Typer(
    name="rejects",
    cls=ListByDefault,
    help="List rejected rows, or send them again in the next run: m3sync rejects [NAME].",
)
rejects.command("list")(list_rejects)
rejects.command("retry")(retry)
