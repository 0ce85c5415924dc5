"""``m3sync sandbox``: runs the sandbox's m3ter and Salesforce servers."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.output import Json, print_json, print_message
from m3sync_dagster.cli.signals import until_stopped
from m3sync_dagster.sync.errors import ConfigurationError

if TYPE_CHECKING:
    from m3sync_dagster.sandbox.demo_servers import Sandbox

_CONTENT = (
    "A sample m3ter organization, and a Salesforce org without records: m3sync's own objects, a "
    "package like m3ter's, and Account. Ctrl-C ends them."
)
Port = typer.Option(min=0, max=65535, help="Port on this machine; 0 chooses a free one.")


def sandbox(
    *,
    m3ter_port: Annotated[int, Port] = 0,
    salesforce_port: Annotated[int, Port] = 0,
    json: Json = False,
) -> None:
    """Run the sandbox's m3ter and Salesforce servers, until Ctrl-C.

    The Salesforce org has no records. It has m3sync's own objects (namespace: custom_objects), a
    package like m3ter's (namespace: m3ter_connector), and Account with the field m3ter_Id__c
    (object: Account).
    """
    with until_stopped() as stopped, serving(m3ter_port, salesforce_port) as running:
        _show(running, json=json)
        print_message(_CONTENT)
        stopped.wait()


@contextmanager
def serving(m3ter_port: int = 0, salesforce_port: int = 0) -> Iterator["Sandbox"]:
    """Serve the sample organization and a Salesforce org without records while the block lasts.

    Raises:
        ConfigurationError: a port is in use.
    """
    from m3sync_dagster.sandbox.demo_servers import serving as serve
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
