"""Finds the integration or the m3ter credential that a command names."""

from collections.abc import Sequence

from m3sync_dagster.components.credential_components import M3terCredential
from m3sync_dagster.components.load_one_integration import (
    invalid_files,
    load_integration,
    not_found,
)
from m3sync_dagster.components.load_project import Project, load_project
from m3sync_dagster.components.loaded_integration import (
    LoadedIntegration,
    loaded_integrations,
    with_file_position,
)
from m3sync_dagster.m3ter import M3terAccessKey
from m3sync_dagster.sync.errors import ConfigurationError


def find(name: str, entity: str | None = None) -> LoadedIntegration:
    """Find an integration by its name.

    Raises:
        ConfigurationError: there is none of this name, its file is invalid, or it does not
            carry the entity.
    """
    project = load_integration(name)
    loaded = next(one for one in loaded_integrations(project) if one.integration.name == name)
    carried = list(loaded.integration.entities)
    if entity is not None and entity not in carried:
        raise ConfigurationError(
            f"the integration {name} carries no entity {entity!r}",
            f"Use one of {', '.join(carried)}, or add it under entities in {loaded.path}.",
        )
    return loaded


def find_m3ter_credential(project: Project, name: str | None) -> tuple[str, M3terAccessKey]:
    """Find an m3ter credential, and read its values from the environment.

    Args:
        project: the project.
        name: the credential; ``None`` for the project's only one.

    Raises:
        ConfigurationError: there is none of this name, there are several to choose from, or one
            of its variables is not set.
    """
    placed = {
        one.name: (unit.path, one)
        for unit in project.units
        for one in unit.components
        if isinstance(one, M3terCredential)
    }
    chosen = name or next(iter(placed), None)
    if chosen not in placed:
        raise _no_m3ter_credential(project, name, sorted(placed))
    if name is None and len(placed) > 1:
        raise ConfigurationError(
            "the project has several m3ter credentials",
            f"Add --credential with one of {', '.join(sorted(placed))}.",
        )
    path, credential = placed[chosen]
    return chosen, with_file_position(path, chosen, credential.resource().read)


def _no_m3ter_credential(
    project: Project, name: str | None, known: Sequence[str]
) -> ConfigurationError:
    invalid = invalid_files([problem.path for problem in project.problems])
    return ConfigurationError(
        f"there is no M3terCredential{f' of the name {name}' if name else ''}{invalid}",
        f"Use one of {', '.join(known)}." if known else "Define one in a defs.yaml.",
    )


def require_known(name: str) -> None:
    """Make sure that there is an integration of this name, whether or not its file is valid.

    Raises:
        ConfigurationError: there is none.
    """
    project = load_project()
    if name not in names_in(project):
        raise not_found(project, name)


def names_in(project: Project) -> list[str]:
    """The names of a project's integrations, and of what invalid files define."""
    return [*_valid_names(project), *(problem.name for problem in project.problems)]


def _valid_names(project: Project) -> list[str]:
    return [loaded.integration.name for loaded in loaded_integrations(project)]
