"""``m3sync sandbox``: the stand-in m3ter and Salesforce servers alone."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.output import Json, print_json, say
from m3sync_dagster.cli.signals import until_stopped
from m3sync_dagster.sync.errors import ConfigurationError

if TYPE_CHECKING:
    from m3sync_dagster.sandbox.demo import Sandbox

Port = typer.Option(min=0, max=65535, help="Port on this machine; 0 takes a free one.")


def sandbox(
    *,
    m3ter_port: Annotated[int, Port] = 0,
    salesforce_port: Annotated[int, Port] = 0,
    json: Json = False,
) -> None:
    """Run the stand-in m3ter and Salesforce servers, until Ctrl-C."""
    with until_stopped() as stopped, serving(m3ter_port, salesforce_port) as running:
        _show(running, json=json)
        say("A sample organization of m3ter's, and an empty Salesforce org. Ctrl-C ends them.")
        stopped.wait()


@contextmanager
def serving(m3ter_port: int = 0, salesforce_port: int = 0) -> Iterator["Sandbox"]:
    """Serve the sample organization and an empty Salesforce org while the block lasts.

    Raises:
        ConfigurationError: a port is taken.
    """
    from m3sync_dagster.sandbox.demo import serving as serve
    from m3sync_dagster.sandbox.organization import Organization

    servers = serve(Organization.sample(), m3ter_port=m3ter_port, salesforce_port=salesforce_port)
    try:
        running = servers.__enter__()
    except OSError as error:
        raise ConfigurationError(
            f"the sandbox cannot listen on port {m3ter_port} or {salesforce_port} "
            f"({error.strerror})",
            "Choose other ports, or 0 for free ones.",
        ) from None
    try:
        yield running
    finally:
        servers.__exit__(None, None, None)


def _show(running: "Sandbox", *, json: bool) -> None:
    if json:
        print_json(running.environment)
        return
    for name, value in running.environment.items():
        typer.echo(f"export {name}={shlex.quote(value)}")
