"""``m3sync dev``: PostgreSQL, migrations, webserver and daemon for this machine."""

from typing import Annotated

import typer

from m3sync_dagster.cli.migrate import migrate_tables
from m3sync_dagster.cli.output import print_message
from m3sync_dagster.cli.prepare_environment import prepare
from m3sync_dagster.cli.signals import until_stopped

Port = Annotated[
    int, typer.Option(min=0, max=65535, help="Port of the webserver; 0 chooses a free one.")
]


def dev(*, port: Port = 3000) -> None:
    """Run PostgreSQL, Dagster's webserver and its daemon on this machine, until Ctrl-C."""
    from m3sync_dagster.cli.dagster_processes import dagster_servers, free_port

    port = free_port(port)
    environment = prepare()
    migrate_tables()
    with until_stopped() as stopped, dagster_servers(environment, port) as servers:
        if servers.wait_until_up(stopped):
            print_message(f"Dagster is at {servers.url}. Ctrl-C ends it.")
            servers.serve(stopped)
