"""The command ``m3sync``, one file for each subcommand. Only commands that run import Dagster."""

import sys
from importlib import metadata
from typing import Annotated

import typer

from m3sync_dagster.cli.check import check
from m3sync_dagster.cli.connect_disconnect import connect, disconnect
from m3sync_dagster.cli.demo import demo
from m3sync_dagster.cli.dev import dev
from m3sync_dagster.cli.enable_disable import disable, enable
from m3sync_dagster.cli.events import events
from m3sync_dagster.cli.exit_codes import Commands
from m3sync_dagster.cli.help_texts import add_help_texts
from m3sync_dagster.cli.import_integrations import import_integrations
from m3sync_dagster.cli.init import init
from m3sync_dagster.cli.migrate import migrate
from m3sync_dagster.cli.output import escape_unknown_characters
from m3sync_dagster.cli.plan import plan
from m3sync_dagster.cli.purge import purge
from m3sync_dagster.cli.record import record
from m3sync_dagster.cli.rejects import rejects
from m3sync_dagster.cli.run import run
from m3sync_dagster.cli.runs import runs
from m3sync_dagster.cli.salesforce import salesforce
from m3sync_dagster.cli.sandbox import sandbox
from m3sync_dagster.cli.status import status
from m3sync_dagster.cli.verify import verify
from m3sync_dagster.core_files import forbid_core_files
from m3sync_dagster.gc_settings import collect_less_often


def _print_version(wanted: bool) -> None:  # noqa: FBT001 - typer's signature of a callback
    if wanted:
        sys.stdout.write(f"m3sync {metadata.version('m3sync-dagster')}\n")
        raise typer.Exit


Version = Annotated[
    bool,
    typer.Option(
        "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
]

app = typer.Typer(
    name="m3sync",
    cls=Commands,
    help="Keep Salesforce records equal to m3ter's.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@app.callback()
def m3sync(*, version: Version = False) -> None:
    """Keep Salesforce records equal to m3ter's."""


for _command in (init, dev, demo, migrate, sandbox, check, plan, run, verify, status):
    app.command()(_command)
app.command()(enable)
app.command()(disable)
app.command()(connect)
app.command()(disconnect)
app.command("import")(import_integrations)
app.command()(runs)
app.command()(record)
app.command()(purge)
app.add_typer(events)
app.add_typer(rejects)
app.add_typer(salesforce)
add_help_texts(app)


def main() -> None:
    """Run the command line, and exit with 0, 1 or 2; see ``exit_codes``."""
    forbid_core_files()
    collect_less_often()
    escape_unknown_characters()
    app()
