"""Loads one integration and what it needs, almost independently of the number of the others.

A file that can define neither the integration nor what it names is read, but not loaded. So the
result for the integration is the same as if every file were loaded, conflicts of names included.
"""

import re
from collections.abc import Collection, Sequence
from pathlib import Path

import yaml

from m3sync_dagster.components.load_project import (
    Project,
    defs_files,
    load_files,
    load_project,
    without_conflicts,
)
from m3sync_dagster.components.salesforce_sync import SalesforceSync
from m3sync_dagster.components.yaml_text_checks import FAST_LOADER, read_defs_yaml
from m3sync_dagster.sync.errors import ConfigurationError

_HIDES_A_NAME = re.compile(r"\{[{%]|\\")
"""A template, or an escape sequence of YAML: a name may be written in another way."""


def load_integration(name: str) -> Project:
    """Load the files that an integration needs.

    Returns:
        A project that has the integration. It may have others too, such as those of the same file.

    Raises:
        ConfigurationError: there is no integration of this name, or its file is invalid.
    """
    project = _related(name)
    if name in project.of_type(SalesforceSync):
        return project
    everything = load_project()  # for the message, and for names that only Python code has
    if name in everything.of_type(SalesforceSync):
        return everything
    raise not_found(everything, name)


def not_found(project: Project, name: str) -> ConfigurationError:
    """The error that a project has no valid integration of this name."""
    for problem in project.problems:
        if problem.name == name:
            return ConfigurationError(problem.message, "Correct the file.")
    names = sorted(project.of_type(SalesforceSync))
    invalid = invalid_files([problem.path for problem in project.problems])
    return ConfigurationError(
        f"there is no integration of the name {name}{invalid}",
        f"There are: {', '.join(names)}." if names else "Make one: see the README.",
    )


def invalid_files(paths: Sequence[Path]) -> str:
    """The part of a message that names the files that cannot be used; empty if there are none."""
    if not paths:
        return ""
    return f" (files that cannot be used: {', '.join(map(str, sorted(set(paths))))})"


def _related(name: str) -> Project:
    """The integration, what it names, and what is in the same files or has the same names."""
    unread = {path: _text(path) for path in defs_files()}
    project, known, new = Project(), set[str](), {name}
    while new:
        known |= new
        chosen = [path for path, text in unread.items() if _may_define(text, new)]
        for path in chosen:
            del unread[path]
        load_files(chosen, project)
        new = _names(project) - known
    return without_conflicts(project)


def _text(path: Path) -> str:
    """A file's text; empty if it cannot be read, since it then defines nothing."""
    try:
        return read_defs_yaml(path)
    except (ConfigurationError, OSError):
        return ""


def _may_define(text: str, names: Collection[str]) -> bool:
    """Whether a file may define something of these names, in whatever way it is written."""
    if not (_mentions(text, names) or _HIDES_A_NAME.search(text)):
        return False
    try:
        documents = [*yaml.load_all(text, Loader=FAST_LOADER)]
    except Exception:  # noqa: BLE001 - the file's error is found when it is loaded
        return True
    return any(name in names or "{" in name for name in map(_name_in, documents))


def _mentions(text: str, names: Collection[str]) -> bool:
    """Whether names are in a text at any place but those that name a credential to be used.

    Most integrations use the same credentials, and need not be parsed for them.
    """
    anywhere = "|".join(map(re.escape, names))
    found = re.finditer(rf"(_credential[\"']?\s*:\s*[\"']?)?\b(?:{anywhere})\b", text)
    return any(match[1] is None for match in found)


def _name_in(document: object) -> str:
    attributes = document.get("attributes") if isinstance(document, dict) else None
    name = attributes.get("name") if isinstance(attributes, dict) else None
    return name if isinstance(name, str) else ""


def _names(project: Project) -> set[str]:
    """The names of what is loaded, and of the credentials that it needs."""
    names: set[str] = set()
    for unit in project.units:
        for one in unit.components:
            names.add(one.name)
            if isinstance(one, SalesforceSync):
                names |= {one.m3ter_credential, one.salesforce_credential or one.name}
    return names
