"""A valid integration with its file and the project's credentials, and what it still lacks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from m3sync_dagster.components.credential_components import M3terCredential, SalesforceCredential
from m3sync_dagster.components.integration import Integration
from m3sync_dagster.components.load_errors import locate
from m3sync_dagster.components.load_project import AnyComponent, Project
from m3sync_dagster.components.materialize import require_connected
from m3sync_dagster.components.resources import M3terResource, SalesforceResource
from m3sync_dagster.components.salesforce_sync import SalesforceSync
from m3sync_dagster.sync.errors import ConfigurationError

_T = TypeVar("_T")

Credentials = Mapping[str, tuple[Path, AnyComponent]]
"""The credentials of a project by name, each with its file."""


@dataclass(frozen=True, slots=True)
class LoadedIntegration:
    """An integration whose file is valid.

    Args:
        path: its file.
        integration: its configuration.
        credentials: all credentials of the project.
    """

    path: Path
    integration: Integration
    credentials: Credentials

    def require_configured(self) -> None:
        """Make sure that the configuration is complete, without a request to any system.

        Raises:
            ConfigurationError: it is not; the message names file, line and field.
        """
        self.require_usable()
        self.m3ter()
        self.salesforce()

    def require_usable(self) -> None:
        """Make sure that the integration is connected and that its mappings are valid.

        Raises:
            ConfigurationError: as for ``require_configured``.
        """
        name = self.integration.name
        with_file_position(self.path, name, lambda: require_connected(self.integration))
        with_file_position(self.path, name, lambda: self.integration.mappings)

    def m3ter(self) -> M3terResource:
        """The m3ter resource, once all its environment variables are set.

        Raises:
            ConfigurationError: one is not set; the message names file, line and field.
        """
        path, credential = self._credential("m3ter_credential", M3terCredential)
        resource = credential.resource()
        with_file_position(path, resource.credential, resource.read)
        return resource

    def salesforce(self) -> SalesforceResource:
        """The Salesforce resource, once all its environment variables are set.

        Raises:
            ConfigurationError: one is not set; the message names file, line and field.
        """
        path, credential = self._credential("salesforce_credential", SalesforceCredential)
        resource = credential.resource()
        with_file_position(path, resource.credential, resource.read)
        return resource

    def _credential(self, attribute: str, kind: type[_T]) -> tuple[Path, _T]:
        name = getattr(self.integration, attribute)
        path, credential = self.credentials.get(name, (self.path, None))
        if isinstance(credential, kind):
            return path, credential
        where = locate(self.path, self.integration.name, (attribute,))
        raise ConfigurationError(
            f"{where}: there is no {kind.__name__} of the name {name}",
            "Give the integration the name of a credential of the right kind.",
            (attribute,),
        )


def loaded_integrations(project: Project) -> list[LoadedIntegration]:
    """The integrations of a project whose files are valid, by name."""
    placed = [(unit.path, one) for unit in project.units for one in unit.components]
    credentials = {
        one.name: (path, one) for path, one in placed if not isinstance(one, SalesforceSync)
    }
    loaded = [
        LoadedIntegration(path, one.integration(), credentials)
        for path, one in placed
        if isinstance(one, SalesforceSync)
    ]
    return sorted(loaded, key=lambda one: one.integration.name)


def with_file_position(path: Path, name: str, act: Callable[[], _T]) -> _T:
    """Call a function; a configuration error of it gets the place in the file.

    Raises:
        ConfigurationError: with file, line and field before the cause.
    """
    try:
        return act()
    except ConfigurationError as error:
        cause = f"{locate(path, name, error.where)}: {error.cause}"
        raise error.with_cause(cause) from None
