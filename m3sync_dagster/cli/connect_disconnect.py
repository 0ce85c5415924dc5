"""``m3sync connect`` and ``m3sync disconnect``: set or remove the Salesforce credential."""

from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.output import print_message
from m3sync_dagster.cli.prepare_environment import prepare
from m3sync_dagster.sync.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from m3sync_dagster.cli.prepare_environment import Environment

Name = Annotated[str, typer.Argument(help="The integration.", show_default=False)]
Credential = Annotated[
    str, typer.Argument(help="Name of the SalesforceCredential.", show_default=False)
]


def connect(name: Name, credential: Credential) -> None:
    """Set an integration's Salesforce credential."""
    environment = prepare()
    from m3sync_dagster.components import edit_defs_yaml

    _require_credential(credential)
    path = edit_defs_yaml.connect(name, credential)
    _report(environment, path, f"The salesforce_credential of {name} is now {credential}")
    print_message(
        f"It is CONNECTED once a login has succeeded. To check that now, run: m3sync check {name}"
    )
    _require_valid(name)


def disconnect(name: Name) -> None:
    """Remove an integration's Salesforce credential, so that it no longer syncs."""
    environment = prepare()
    from m3sync_dagster.components import edit_defs_yaml

    path = edit_defs_yaml.disconnect(name)
    _report(environment, path, f"{name} is NOT CONNECTED")
    _require_valid(name)


def _require_credential(name: str) -> None:
    from m3sync_dagster.components.credential_components import SalesforceCredential
    from m3sync_dagster.components.load_project import load_project

    known = sorted(load_project().of_type(SalesforceCredential))
    if name not in known:
        raise ConfigurationError(
            f"there is no SalesforceCredential of the name {name}",
            f"Use one of {', '.join(known)}." if known else "Define one in a defs.yaml.",
        )


def _require_valid(name: str) -> None:
    """Report at once what else is wrong with the file."""
    from m3sync_dagster.cli.find_integration import find

    find(name)


def _report(environment: "Environment", path: "Path", change: str) -> None:
    from m3sync_dagster.cli.reload_code_location import reload_location
    from m3sync_dagster.cli.webserver_address import webserver_urls

    print_message(f"{change}, in {path}.")
    if reload_location(webserver_urls(environment)):
        print_message(
            "Dagster's webserver has loaded it; a separate daemon loads it within a minute."
        )
    else:
        print_message(
            "No webserver answered. To load it in a running one, click Reload on its page "
            "Deployment; a daemon loads it within a minute."
        )
