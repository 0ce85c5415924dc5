"""``m3sync dev``: PostgreSQL, migrations, webserver and daemon for this machine."""

from collections.abc import Callable
from typing import Annotated

import typer

from m3sync_dagster.cli.migrate import migrate_tables
from m3sync_dagster.cli.output import print_error, print_message
from m3sync_dagster.cli.prepare_environment import prepare
from m3sync_dagster.cli.signals import until_stopped

Port = Annotated[
    int, typer.Option(min=0, max=65535, help="Port of the webserver; 0 chooses a free one.")
]


def dev(*, port: Port = 3000) -> None:
    """Run PostgreSQL, Dagster's webserver and its daemon on this machine, until Ctrl-C.

    When a defs.yaml changes, it loads it again and says what has changed.
    """
    from m3sync_dagster.cli.dagster_processes import dagster_servers, free_port

    port = free_port(port)
    environment = prepare()
    migrate_tables()
    with until_stopped() as stopped, dagster_servers(environment, port) as servers:
        look = follow_edits(servers.url)
        if servers.wait_until_up(stopped):
            print_message(f"Dagster is at {servers.url}. Ctrl-C ends it.")
            servers.serve(stopped, look)


def follow_edits(url: str) -> Callable[[], None]:
    """A function that loads edited ``defs.yaml`` files into the webserver; to be called often."""
    from m3sync_dagster.cli.changed_defs import DefsWatch
    from m3sync_dagster.cli.reload_code_location import reload_location

    watch = DefsWatch()

    def look() -> None:
        change = watch.change()
        if change is None:
            return
        for problem in change.problems:
            print_error(problem)
        said = "; ".join(change.changes) or "no integration and no credential has changed"
        loaded = reload_location([url])
        print_message(f"A defs.yaml was edited. {said}. {_LOADED if loaded else _NOT_LOADED}")

    return look


_LOADED = "Dagster's webserver has loaded it; its daemon does within a minute."
_NOT_LOADED = "Dagster could not load it: read its messages on the webserver's page Deployment."
