"""Finding an integration among the ``defs.yaml`` files, and what its configuration lacks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from m3sync_dagster.components.credentials import M3terCredential, SalesforceCredential
from m3sync_dagster.components.integration import Integration
from m3sync_dagster.components.load_errors import locate
from m3sync_dagster.components.loading import Ours, Project, load_project
from m3sync_dagster.components.materialize import require_connected
from m3sync_dagster.components.resources import M3terResource, SalesforceResource
from m3sync_dagster.components.salesforce_sync import SalesforceSync
from m3sync_dagster.sync.errors import ConfigurationError

_T = TypeVar("_T")


Credentials = Mapping[str, tuple[Path, Ours]]
"""The credentials of a project by name, each with its file."""


@dataclass(frozen=True, slots=True)
class Found:
    """An integration whose file holds.

    Args:
        path: its file.
        integration: what the file says.
        credentials: all credentials of the project.
    """

    path: Path
    integration: Integration
    credentials: Credentials

    def require_configured(self) -> None:
        """Make sure that a sync could begin, without asking any system.

        Raises:
            ConfigurationError: it could not; the message names file, line and field.
        """
        self.require_usable()
        self.m3ter()
        self.salesforce()

    def require_usable(self) -> None:
        """Make sure that it is connected, and that its mappings hold.

        Raises:
            ConfigurationError: as for ``require_configured``.
        """
        name = self.integration.name
        at_place(self.path, name, lambda: require_connected(self.integration))
        at_place(self.path, name, lambda: self.integration.mappings)

    def m3ter(self) -> M3terResource:
        """The m3ter credential, whose environment variables are all there.

        Raises:
            ConfigurationError: they are not; the message names file, line and field.
        """
        path, credential = self._credential("m3ter_credential", M3terCredential)
        resource = credential.resource()
        at_place(path, resource.credential, resource.read)
        return resource

    def salesforce(self) -> SalesforceResource:
        """The Salesforce credential, whose environment variables are all there.

        Raises:
            ConfigurationError: they are not; the message names file, line and field.
        """
        path, credential = self._credential("salesforce_credential", SalesforceCredential)
        resource = credential.resource()
        at_place(path, resource.credential, resource.read)
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


def find(name: str, entity: str | None = None) -> Found:
    """Look an integration up.

    Raises:
        ConfigurationError: there is none of this name, its file does not hold, or it does not
            carry the entity.
    """
    project = load_project()
    found = next((one for one in found_in(project) if one.integration.name == name), None)
    if found is None:
        raise _not_found(project, name)
    carried = list(found.integration.entities)
    if entity is not None and entity not in carried:
        raise ConfigurationError(
            f"the integration {name} carries no entity {entity!r}",
            f"Use one of {', '.join(carried)}, or add it under entities in {found.path}.",
        )
    return found


def require_known(name: str) -> None:
    """Make sure that there is an integration of this name, be its file broken or not.

    Raises:
        ConfigurationError: there is none.
    """
    project = load_project()
    if name not in names_in(project):
        raise _not_found(project, name)


def names_in(project: Project) -> list[str]:
    """The names of a project's integrations, and of what is in files that do not hold."""
    sound = [found.integration.name for found in found_in(project)]
    return [*sound, *(problem.name for problem in project.problems)]


def found_in(project: Project) -> list[Found]:
    """The integrations of a project whose files hold, by name."""
    placed = [(unit.path, one) for unit in project.units for one in unit.components]
    credentials = {one.name: (path, one) for path, one in placed if not _is_sync(one)}
    found = [
        Found(path, one.integration(), credentials)
        for path, one in placed
        if isinstance(one, SalesforceSync)
    ]
    return sorted(found, key=lambda one: one.integration.name)


def _is_sync(component: Ours) -> bool:
    return isinstance(component, SalesforceSync)


def at_place(path: Path, name: str, act: Callable[[], _T]) -> _T:
    """Do something, and where the configuration is at fault, say where in its file.

    Raises:
        ConfigurationError: with file, line and field before the cause.
    """
    try:
        return act()
    except ConfigurationError as error:
        cause = f"{locate(path, name, error.where)}: {error.cause}"
        raise ConfigurationError(cause, error.remedy, error.where) from None


def _not_found(project: Project, name: str) -> ConfigurationError:
    for problem in project.problems:
        if problem.name == name:
            return ConfigurationError(problem.message, "Correct the file.")
    names = [found.integration.name for found in found_in(project)]
    broken = _files([problem.path for problem in project.problems])
    return ConfigurationError(
        f"there is no integration of the name {name}{broken}",
        f"There are: {', '.join(names)}." if names else "Make one: see the README.",
    )


def _files(paths: Sequence[Path]) -> str:
    if not paths:
        return ""
    return f" (files that cannot be used: {', '.join(map(str, sorted(set(paths))))})"
