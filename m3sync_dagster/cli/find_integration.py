"""Finds the integration that a command names."""

from collections.abc import Sequence
from pathlib import Path

from m3sync_dagster.components.load_project import Project, load_project
from m3sync_dagster.components.loaded_integration import (
    LoadedIntegration,
    loaded_integrations,
)
from m3sync_dagster.sync.errors import ConfigurationError


def find(name: str, entity: str | None = None) -> LoadedIntegration:
    """Find an integration by its name.

    Raises:
        ConfigurationError: there is none of this name, its file is invalid, or it does not
            carry the entity.
    """
    project = load_project()
    loaded = next((o for o in loaded_integrations(project) if o.integration.name == name), None)
    if loaded is None:
        raise _not_found(project, name)
    carried = list(loaded.integration.entities)
    if entity is not None and entity not in carried:
        raise ConfigurationError(
            f"the integration {name} carries no entity {entity!r}",
            f"Use one of {', '.join(carried)}, or add it under entities in {loaded.path}.",
        )
    return loaded


def require_known(name: str) -> None:
    """Make sure that there is an integration of this name, whether or not its file is valid.

    Raises:
        ConfigurationError: there is none.
    """
    project = load_project()
    if name not in names_in(project):
        raise _not_found(project, name)


def names_in(project: Project) -> list[str]:
    """The names of a project's integrations, and of what invalid files define."""
    return [*_valid_names(project), *(problem.name for problem in project.problems)]


def _valid_names(project: Project) -> list[str]:
    return [loaded.integration.name for loaded in loaded_integrations(project)]


def _not_found(project: Project, name: str) -> ConfigurationError:
    for problem in project.problems:
        if problem.name == name:
            return ConfigurationError(problem.message, "Correct the file.")
    names = _valid_names(project)
    invalid = _invalid_files([problem.path for problem in project.problems])
    return ConfigurationError(
        f"there is no integration of the name {name}{invalid}",
        f"There are: {', '.join(names)}." if names else "Make one: see the README.",
    )


def _invalid_files(paths: Sequence[Path]) -> str:
    if not paths:
        return ""
    return f" (files that cannot be used: {', '.join(map(str, sorted(set(paths))))})"
