"""``m3sync rejects``: lists rejected rows with their cause, and sends them again."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.default_subcommand import ListByDefault
from m3sync_dagster.cli.entity_option import Entity
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import Json, print_csv, print_json, print_message, print_table
from m3sync_dagster.cli.time_arguments import Limit, time_text
from m3sync_dagster.sync.errors import ConfigurationError

if TYPE_CHECKING:
    from m3sync_dagster.state import Reject

_COLUMNS = (
    *("integration", "entity", "record", "m3ter id", "class", "code", "message"),
    *("refused value", "attempts", "last seen", "remedy", "in Salesforce"),
)
_CSV = (
    *("integration", "entity", "m3ter_id", "record_name", "record_code", "class", "code"),
    *("message", "fields", "refused", "remedy", "attempts", "first_seen", "last_seen"),
    *("salesforce_id", "salesforce_url"),
)

Name = Annotated[
    str | None, typer.Argument(help="The integration; left out: all.", show_default=False)
]
Code = Annotated[
    str | None,
    typer.Option(help="Only with this code, such as DUPLICATE_VALUE.", show_default=False),
]
Csv = Annotated[bool, typer.Option("--csv", help="Print CSV to standard output.")]
Integration = Annotated[str, typer.Argument(help="The integration.", show_default=False)]


def list_rejects(  # noqa: PLR0913 - the options that people ask for
    name: Name = None,
    *,
    entity: Entity = None,
    code: Code = None,
    limit: Limit = None,
    csv: Csv = False,
    json: Json = False,
) -> None:
    """List the rows that Salesforce rejected or that could not be sent."""
    ready()
    from m3sync_dagster import state
    from m3sync_dagster.cli.find_integration import require_known

    if csv and json:
        raise ConfigurationError("--csv and --json exclude each other", "Give one of them.")
    if name is not None:
        require_known(name)
    wanted = state.RejectFilter(entity, code, limit)
    with state.connect(state.postgres_url()) as connection:
        listed = state.list_rejects(connection, name, wanted)
    if json:
        print_json([as_dict(reject) for reject in listed])
    elif csv:
        print_csv(_CSV, [_csv_cells(reject) for reject in listed])
    else:
        print_table("Rejected rows", _COLUMNS, [_cells(reject) for reject in listed])


def _cells(reject: "Reject") -> list[object]:
    return [
        *(reject.integration, reject.entity, _record_text(reject), reject.m3ter_id),
        *(reject.error_class, reject.code, reject.message, _refused_text(reject)),
        *(reject.attempts, time_text(reject.last_seen), _remedy(reject), _link(reject)),
    ]


def _csv_cells(reject: "Reject") -> list[object]:
    row = as_dict(reject) | {
        "fields": " ".join(reject.fields),
        "refused": _refused_text(reject),
        "remedy": _remedy(reject),
    }
    return [row[key] for key in _CSV]


def _record_text(reject: "Reject") -> str | None:
    """The record's name and code, as far as m3ter has them."""
    name, code = reject.record_name, reject.record_code
    return f"{name} ({code})" if name and code and name != code else name or code


def _refused_text(reject: "Reject") -> str | None:
    """Each refused field with its value."""
    if not reject.refused:
        return None
    return "; ".join(
        f"{name}: {'no value' if value is None else value!r}"
        for name, value in reject.refused.items()
    )


def _remedy(reject: "Reject") -> str:
    from m3sync_dagster.salesforce import look_up_code

    return look_up_code(reject.code, reject.message).remedy


def _link(reject: "Reject") -> str | None:
    """The record's page in Salesforce, if it is there."""
    from m3sync_dagster.salesforce import record_link

    return record_link(reject.instance_url, reject.object_name, reject.salesforce_id)


def retry(name: Integration) -> None:
    """Send an integration's rejected rows again in the next run, without further pause."""
    ready()
    from m3sync_dagster import state
    from m3sync_dagster.cli.find_integration import find

    find(name)
    with state.connect(state.postgres_url()) as connection:
        count = state.retry_rejects(connection, name)
    print_message(f"The next run of {name} sends its {count} rejected rows again.")


def as_dict(reject: "Reject") -> dict[str, object]:
    """A reject as JSON has it; ``class`` cannot be the name of a Python attribute."""
    row = asdict(reject) | {"salesforce_url": _link(reject)}
    del row["object_name"], row["instance_url"]
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
