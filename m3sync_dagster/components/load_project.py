"""Loads each ``defs.yaml`` separately, so that an invalid one does not affect the others.

Dagster's own loader loads all or nothing. Here every folder with a ``defs.yaml`` is a separate
component tree: Dagster parses, validates and builds it as usual, with code references and
post-processing, and an error becomes a ``LoadError`` of that file.
"""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import cast

import dagster as dg

from m3sync_dagster.components.credential_components import M3terCredential, SalesforceCredential
from m3sync_dagster.components.load_errors import (
    LoadError,
    declared_names,
    declares_its_names,
    explain,
)
from m3sync_dagster.components.salesforce_sync import SalesforceSync
from m3sync_dagster.components.yaml_text_checks import read_defs_yaml, require_clear
from m3sync_dagster.dagster_internals import ComponentTree, CompositeYamlComponent, replace_record
from m3sync_dagster.project_folder import DEFS, project_defs
from m3sync_dagster.sync.errors import ConfigurationError

_FILES = ("defs.yaml", "defs.yml", "component.yaml")  # the names that Dagster accepts

AnyComponent = SalesforceSync | M3terCredential | SalesforceCredential

FilesState = Mapping[str, tuple[int, int, int]]
"""By path of each file: when it was written, its size and its inode; zeros if it is unreadable."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One ``defs.yaml`` and what it defines."""

    path: Path
    components: list[AnyComponent]
    definitions: dg.Definitions


@dataclass(frozen=True, slots=True)
class Project:
    """The content of all ``defs.yaml`` files.

    Args:
        units: the valid files.
        problems: the errors of the others.
    """

    units: list[Unit] = field(default_factory=list)
    problems: list[LoadError] = field(default_factory=list)

    def of_type(self, kind: type[dg.Component]) -> dict[str, AnyComponent]:
        """The components of one type, by name."""
        return {
            component.name: component
            for unit in self.units
            for component in unit.components
            if isinstance(component, kind)
        }


@dataclass(frozen=True, slots=True)
class DefinedNames:
    """The integrations that the ``defs.yaml`` files define, invalid files included.

    Args:
        names: their names, as far as they can be read.
        unreadable: the files that may define others, because not all their names can be read.
    """

    names: frozenset[str]
    unreadable: tuple[Path, ...] = ()


def defined_names(project: Project) -> DefinedNames:
    """The integrations of a project, also those whose file is invalid: they are not deleted."""
    invalid = {problem.path for problem in project.problems}
    return DefinedNames(
        frozenset(project.of_type(SalesforceSync))
        | {name for path in invalid for name in declared_names(path)},
        tuple(sorted(path for path in invalid if not declares_its_names(path))),
    )


def load_project() -> Project:
    """Read every ``defs.yaml``, of the project and of ``M3SYNC_DEFS``."""
    project = Project()
    load_files(defs_files(), project)
    return without_conflicts(project)


def load_file(path: Path) -> Unit:
    """Load one ``defs.yaml``, without a look at the others.

    Raises:
        Exception: it is invalid; the error is that of YAML, Pydantic, Dagster or m3sync.
    """
    with _without_beta_warnings():
        return _load(path)


@contextmanager
def _without_beta_warnings() -> Iterator[None]:
    """We use owners, backfill policies and code references, which are beta in Dagster."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", dg.BetaWarning)
        yield


def load_files(paths: Iterable[Path], project: Project) -> None:
    """Add files to a project, and the errors of those that are invalid."""
    for path in paths:
        try:
            project.units.append(load_file(path))
        except Exception as error:  # noqa: BLE001 - an error of one file must not stop the others
            names = declared_names(path)
            # If a file defines several components, Dagster does not say which one the error is in.
            name = names[0] if len(names) == 1 else ""
            project.problems.extend(explain(path, [(name, error)], names))


def defs_files() -> Iterator[Path]:
    """Every ``defs.yaml`` of the project and of ``M3SYNC_DEFS``.

    Also those in unreadable folders and those that are broken links, so that each gets an error.
    """
    seen: set[str] = set()
    for top in defs_folders():
        for folder, entries in _folders(top, seen):
            if file := next((name for name in _FILES if name in entries), None):
                yield Path(folder, file)


def files_state() -> FilesState:
    """Every ``defs.yaml`` as it is now; it differs after an edit."""
    return {str(path): _stamp(str(path)) for path in defs_files()}


def _stamp(path: str) -> tuple[int, int, int]:
    try:
        found = os.stat(path)  # noqa: PTH116 - called for each file each second
    except OSError:
        return (0, 0, 0)
    return (found.st_mtime_ns, found.st_size, found.st_ino)


def defs_folders() -> list[Path | str]:
    """The folders that ``defs.yaml`` folders are looked for in."""
    outside = os.environ.get(DEFS)
    return [project_defs(), outside] if outside else [project_defs()]


def _folders(top: Path | str, seen: set[str]) -> Iterator[tuple[str, Collection[str]]]:
    """Each folder with the names in it.

    Links are followed and hidden folders are skipped: a mounted config map consists of links into
    a hidden folder. A folder that several links lead to is read once.
    """
    unreadable: list[OSError] = []
    for folder, below, files in os.walk(top, followlinks=True, onerror=unreadable.append):
        below[:] = sorted(name for name in below if not name.startswith("."))
        real = os.path.realpath(folder)
        if real in seen:
            below.clear()
        else:
            seen.add(real)
            yield folder, {*below, *files}
    yield from ((error.filename, _FILES) for error in unreadable)


def _load(path: Path) -> Unit:
    require_clear(read_defs_yaml(path))
    module = ModuleType(f"m3sync_dagster.defs.{path.parent.name}")
    module.__file__ = None
    module.__path__ = [str(path.parent.absolute())]
    tree = ComponentTree(defs_module=module, project_root=path.parent.parent.absolute())
    # Building the tree's root would add the docs of all component types each time. Definitions
    # can be merged only if they have no component tree.
    definitions = replace_record(tree.build_defs(path.parent), component_tree=None)
    file = cast("CompositeYamlComponent", tree.load_structural_component_at_loc(path.parent))
    return Unit(
        path, [one for one in file.components if isinstance(one, AnyComponent)], definitions
    )


def without_conflicts(project: Project) -> Project:
    """Leave out files that contradict another one, so that the others can be merged."""
    names = Counter(_name_space(c) for unit in project.units for c in unit.components)
    valid = _without(project, lambda component: _name_conflicts(component, names))
    # The credentials of a file that is left out are unknown to the other files.
    while True:
        kept = _without(valid, partial(_unknown_credentials, known=_credentials(valid)))
        if len(kept.units) == len(valid.units):
            return kept
        valid = kept


def _without(
    project: Project, faults: Callable[[AnyComponent], Iterable[ConfigurationError]]
) -> Project:
    """Leave out the files with a faulty component, and add their problems."""
    kept = Project(problems=list(project.problems))
    for unit in project.units:
        errors = [(one.name, fault) for one in unit.components for fault in faults(one)]
        if errors:
            names = [component.name for component in unit.components]
            kept.problems.extend(explain(unit.path, errors, names))
        else:
            kept.units.append(unit)
    return kept


def _name_space(component: AnyComponent) -> tuple[str, str]:
    """A component's name in its name space: integrations have one, all credentials another."""
    kind = "integration" if isinstance(component, SalesforceSync) else "credential"
    return kind, component.name


def _credentials(project: Project) -> dict[str, type[AnyComponent]]:
    components = [c for unit in project.units for c in unit.components]
    return {c.name: type(c) for c in components if not isinstance(c, SalesforceSync)}


def _name_conflicts(
    component: AnyComponent, names: Counter[tuple[str, str]]
) -> Iterator[ConfigurationError]:
    kind, name = _name_space(component)
    if names[kind, name] > 1:
        yield ConfigurationError(
            f"there is more than one {kind} of the name {name}",
            "Give each a different name.",
            ("name",),
        )


def _unknown_credentials(
    component: AnyComponent, known: Mapping[str, type[AnyComponent]]
) -> Iterator[ConfigurationError]:
    if not isinstance(component, SalesforceSync):
        return
    for attribute, kind in (
        ("m3ter_credential", M3terCredential),
        ("salesforce_credential", SalesforceCredential),
    ):
        wanted = getattr(component, attribute)
        if wanted is not None and known.get(wanted) is not kind:
            yield ConfigurationError(
                f"there is no {kind.__name__} of the name {wanted}",
                "Define it in a defs.yaml, or name one that is defined.",
                (attribute,),
            )
