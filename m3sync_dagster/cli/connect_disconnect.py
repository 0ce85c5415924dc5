"""``m3sync connect`` and ``m3sync disconnect``: which Salesforce org an integration sends to."""

from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.environment import prepare
from m3sync_dagster.cli.output import say
from m3sync_dagster.sync.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

Name = Annotated[str, typer.Argument(help="The integration.", show_default=False)]
Credential = Annotated[
    str, typer.Argument(help="The SalesforceCredential's name.", show_default=False)
]


def connect(name: Name, credential: Credential) -> None:
    """Give an integration a Salesforce credential, or another one."""
    prepare()
    from m3sync_dagster.components import edit_defs_yaml as connecting

    _require_credential(credential)
    path = connecting.connect(name, credential)
    _tell(path, f"{name} is CONNECTED through {credential}")
    _require_sound(name)


def disconnect(name: Name) -> None:
    """Take an integration's Salesforce credential away: it stays, and does nothing."""
    prepare()
    from m3sync_dagster.components import edit_defs_yaml as connecting

    path = connecting.disconnect(name)
    _tell(path, f"{name} is NOT CONNECTED")
    _require_sound(name)


def _require_credential(name: str) -> None:
    from m3sync_dagster.components.credentials import SalesforceCredential
    from m3sync_dagster.components.loading import load_project

    known = sorted(load_project().of_type(SalesforceCredential))
    if name not in known:
        raise ConfigurationError(
            f"there is no SalesforceCredential of the name {name}",
            f"Use one of {', '.join(known)}." if known else "Define one in a defs.yaml.",
        )


def _require_sound(name: str) -> None:
    """What else is wrong with the file is said at once."""
    from m3sync_dagster.cli.find_integration import find

    find(name)


def _tell(path: "Path", what: str) -> None:
    from m3sync_dagster.cli.reload import reload_location

    say(f"{what}, in {path}.")
    if reload_location():
        say("Dagster's webserver has loaded it; a daemon of its own follows within a minute.")
    else:
        say(
            "No webserver has answered. One that runs loads it with Reload on its page "
            "Deployment; a daemon follows within a minute."
        )
