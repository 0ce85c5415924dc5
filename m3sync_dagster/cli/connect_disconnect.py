"""``m3sync connect`` and ``m3sync disconnect``: set or remove the Salesforce credential."""

from typing import Annotated

import typer

from m3sync_dagster.cli.output import print_message
from m3sync_dagster.cli.prepare_environment import prepare
from m3sync_dagster.sync.errors import ConfigurationError

Name = Annotated[str, typer.Argument(help="The integration.", show_default=False)]
Credential = Annotated[
    str, typer.Argument(help="Name of the SalesforceCredential.", show_default=False)
]


def connect(name: Name, credential: Credential) -> None:
    """Set an integration's Salesforce credential."""
    environment = prepare()
    from m3sync_dagster.cli.reload_code_location import report_change
    from m3sync_dagster.components import edit_defs_yaml

    _require_credential(credential)
    path = edit_defs_yaml.connect(name, credential)
    report_change(
        environment, f"The salesforce_credential of {name} is now {credential}, in {path}."
    )
    print_message(
        f"It is CONNECTED once a login has succeeded. To check that now, run: m3sync check {name}"
    )
    _require_valid(name)


def disconnect(name: Name) -> None:
    """Remove an integration's Salesforce credential, so that it no longer syncs."""
    environment = prepare()
    from m3sync_dagster.cli.reload_code_location import report_change
    from m3sync_dagster.components import edit_defs_yaml

    path = edit_defs_yaml.disconnect(name)
    report_change(environment, f"{name} is NOT CONNECTED, in {path}.")
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
