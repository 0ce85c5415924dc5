"""``m3sync sandbox``: runs the sandbox's m3ter and Salesforce servers."""

import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.output import Json, print_json, print_message
from m3sync_dagster.cli.signals import until_stopped
from m3sync_dagster.sync.errors import ConfigurationError

if TYPE_CHECKING:
    from m3sync_dagster.sandbox.demo_servers import Access, Sandbox

_CONTENT = (
    "A sample m3ter organization, and a Salesforce org with m3sync's own objects, a package like "
    "m3ter's, and ten Accounts. Ctrl-C ends them."
)
_MADE_UP = "Use a made-up value, not a real one."
Port = typer.Option(min=0, max=65535, help="Port on this machine; 0 chooses a free one.")
M3terCredentials = typer.Option(
    metavar="KEY:SECRET", help=f"Access key that m3ter accepts. {_MADE_UP}", show_default=False
)
SalesforceCredentials = typer.Option(
    metavar="ID:SECRET", help=f"Client that Salesforce accepts. {_MADE_UP}", show_default=False
)
Token = typer.Option(
    help=f"Access token that Salesforce accepts without a login. {_MADE_UP}", show_default=False
)
Schema = typer.Option(
    help="Salesforce DX project with the org's objects, in place of m3sync's own.",
    exists=True,
    file_okay=False,
)
RequestsPerSecond = typer.Option(
    min=0, help="Requests that the m3ter server accepts in a second; 0 for any number."
)
Lenient = typer.Option(
    "--lenient",
    help="The m3ter server accepts made-up ids and tokens, for the tests of m3ter's SDKs.",
)


def sandbox(  # noqa: PLR0913 - the options of a command
    *,
    m3ter_port: Annotated[int, Port] = 0,
    salesforce_port: Annotated[int, Port] = 0,
    m3ter_credentials: Annotated[str, M3terCredentials] = "",
    salesforce_credentials: Annotated[str, SalesforceCredentials] = "",
    token: Annotated[str, Token] = "",
    schema: Annotated[Path | None, Schema] = None,
    requests_per_second: Annotated[int, RequestsPerSecond] = 50,
    lenient: Annotated[bool, Lenient] = False,
    json: Json = False,
) -> None:
    """Run the sandbox's m3ter and Salesforce servers, until Ctrl-C.

    The Salesforce org has no records. It has m3sync's own objects (namespace: custom_objects), a
    package like m3ter's (namespace: m3ter_connector), and Account with the field m3ter_Id__c
    (object: Account).
    """
    access = access_of(m3ter_credentials, salesforce_credentials, token, schema)
    access = replace(access, requests_per_second=requests_per_second or None, lenient=lenient)
    with until_stopped() as stopped, serving(m3ter_port, salesforce_port, access) as running:
        _show(running, json=json)
        print_message(_CONTENT)
        stopped.wait()


def access_of(m3ter: str, salesforce: str, token: str, schema: Path | None) -> "Access":
    """What the servers accept; credentials that are not given have their defaults.

    Args:
        m3ter: the access key of m3ter and its secret, with a colon between them; or empty.
        salesforce: the client of Salesforce and its secret, in the same way.
        token: an access token that Salesforce accepts; or empty.
        schema: a Salesforce DX project with the org's objects.

    Raises:
        ConfigurationError: credentials are not written as two parts.
    """
    from m3sync_dagster.sandbox.demo_servers import Access

    access = Access(token=token)
    if schema:
        access = replace(access, schema=schema)
    if m3ter:
        key, secret = _pair(m3ter, "--m3ter-credentials")
        given = replace(access.m3ter_credentials, access_key_id=key, api_secret=secret)
        access = replace(access, m3ter_credentials=given)
    if salesforce:
        key, secret = _pair(salesforce, "--salesforce-credentials")
        client = replace(access.salesforce_credentials, client_id=key, client_secret=secret)
        access = replace(access, salesforce_credentials=client)
    return access


def _pair(text: str, option: str) -> tuple[str, str]:
    name, _, secret = text.partition(":")
    if not (name and secret):
        raise ConfigurationError(
            f"the value of {option} is not an id and a secret",
            "Write both, with a colon between them.",
        )
    return name, secret


@contextmanager
def _readable(schema: Path | None) -> Iterator[None]:
    """Report a schema that cannot be read as a mistake in the command."""
    from xml.etree.ElementTree import ParseError

    try:
        yield
    except (FileNotFoundError, ParseError, ValueError) as error:
        raise ConfigurationError(
            f"the sandbox cannot read the objects in {schema}: {error}",
            "Give the folder of a Salesforce DX project that has objects/*/*.object-meta.xml.",
        ) from None


@contextmanager
def serving(
    m3ter_port: int = 0, salesforce_port: int = 0, access: "Access | None" = None
) -> Iterator["Sandbox"]:
    """Serve the sample organization and a Salesforce org without m3ter's records, for a block.

    Raises:
        ConfigurationError: a port is in use, or the schema has no objects or is not readable.
    """
    from m3sync_dagster.sandbox.demo_servers import serving as serve
    from m3sync_dagster.sandbox.organization import Organization

    servers = serve(
        Organization.sample(),
        m3ter_port=m3ter_port,
        salesforce_port=salesforce_port,
        access=access,
    )
    try:
        with _readable(access.schema if access else None):
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
