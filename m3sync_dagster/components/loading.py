"""Reading the ``defs.yaml`` files, each by itself, so that a broken one breaks nothing else.

Dagster's own loader fails as a whole. Here every folder that holds a ``defs.yaml`` is a component
tree of its own: Dagster parses, validates and builds it as it always does, code references and
post-processing included, and what it refuses becomes a ``LoadError`` of that file.
"""

import os
import warnings
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import cast

import dagster as dg
from dagster.components.core.component_tree import ComponentTree
from dagster.components.core.defs_module import CompositeYamlComponent
from dagster_shared.record import replace

from m3sync_dagster.components.credentials import M3terCredential, SalesforceCredential
from m3sync_dagster.components.defs_yaml_checks import read_defs_yaml, require_clear
from m3sync_dagster.components.load_errors import (
    LoadError,
    declared_names,
    declares_its_names,
    explain,
)
from m3sync_dagster.components.salesforce_sync import SalesforceSync
from m3sync_dagster.sync.errors import ConfigurationError

DEFS = "M3SYNC_DEFS"
"""Environment variable with a folder of ``defs.yaml`` folders outside the package."""
PACKAGE_DEFS = Path(__file__).parent.parent / "defs"
"""The folder of ``defs.yaml`` folders inside the package."""

_FILES = ("defs.yaml", "defs.yml", "component.yaml")  # as Dagster looks for them

Ours = SalesforceSync | M3terCredential | SalesforceCredential


@dataclass(frozen=True, slots=True)
class Unit:
    """One ``defs.yaml`` and what it defines."""

    path: Path
    components: list[Ours]
    definitions: dg.Definitions


@dataclass(frozen=True, slots=True)
class Project:
    """Everything that the ``defs.yaml`` files say.

    Args:
        units: the files that hold.
        problems: why the others do not.
    """

    units: list[Unit] = field(default_factory=list)
    problems: list[LoadError] = field(default_factory=list)

    def of_type(self, kind: type[dg.Component]) -> dict[str, Ours]:
        """The components of one type, by name."""
        return {
            component.name: component
            for unit in self.units
            for component in unit.components
            if isinstance(component, kind)
        }


@dataclass(frozen=True, slots=True)
class DefinedNames:
    """Which integrations the ``defs.yaml`` files define, broken files included.

    Args:
        names: their names, as far as they can be read.
        unreadable: the files that may define others, because they do not tell all their names.
    """

    names: frozenset[str]
    unreadable: tuple[Path, ...] = ()


def defined_names(project: Project) -> DefinedNames:
    """The integrations of a project: an integration whose file is only broken is not gone."""
    broken = {problem.path for problem in project.problems}
    return DefinedNames(
        frozenset(project.of_type(SalesforceSync))
        | {name for path in broken for name in declared_names(path)},
        tuple(sorted(path for path in broken if not declares_its_names(path))),
    )


def load_project() -> Project:
    """Read every ``defs.yaml``, of the package and of ``M3SYNC_DEFS``."""
    with warnings.catch_warnings():
        # Owners, backfill policies and code references are beta in Dagster, and what we build on.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return _load_project()


def _load_project() -> Project:
    project = Project()
    for path in defs_files():
        try:
            project.units.append(_load(path))
        except Exception as error:  # noqa: BLE001 - whatever is wrong with a file is that file's problem
            names = declared_names(path)
            # Where a file holds several, it is not told which of them is at fault.
            name = names[0] if len(names) == 1 else ""
            project.problems.extend(explain(path, [(name, error)], names))
    return _without_conflicts(project)


def defs_files() -> Iterator[Path]:
    """Every ``defs.yaml`` that there is, of the package and of ``M3SYNC_DEFS``.

    Also one in a folder that cannot be read, and one that is a link to nowhere: nothing goes
    missing in silence.
    """
    outside = os.environ.get(DEFS)
    seen: set[str] = set()
    for top in (PACKAGE_DEFS, outside) if outside else (PACKAGE_DEFS,):
        for folder, entries in _folders(top, seen):
            if found := next((name for name in _FILES if name in entries), None):
                yield Path(folder, found)


def _folders(top: Path | str, seen: set[str]) -> Iterator[tuple[str, Collection[str]]]:
    """Each folder, with what is in it.

    Links are followed and hidden folders left out: a mounted config map is made of links into a
    hidden folder. What many links lead to is one folder.
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
    # Not the tree's root, which adds the docs of all component types each time. Definitions of
    # many trees can be merged only without the trees.
    definitions = replace(tree.build_defs(path.parent), component_tree=None)
    file = cast("CompositeYamlComponent", tree.load_structural_component_at_loc(path.parent))
    return Unit(path, [one for one in file.components if isinstance(one, Ours)], definitions)


def _without_conflicts(project: Project) -> Project:
    """Leave out what contradicts another file, so that the rest can be put together."""
    names = Counter(_space(c) for unit in project.units for c in unit.components)
    sound = _without(project, lambda component: _doubled(component, names))
    # A file that is left out takes its credentials with it.
    while True:
        kept = _without(sound, partial(_unknown, known=_credentials(sound)))
        if len(kept.units) == len(sound.units):
            return kept
        sound = kept


def _without(project: Project, faults: Callable[[Ours], Iterable[ConfigurationError]]) -> Project:
    """Leave out the files of which some component has a fault, and say why."""
    kept = Project(problems=list(project.problems))
    for unit in project.units:
        found = [(one.name, fault) for one in unit.components for fault in faults(one)]
        if found:
            names = [component.name for component in unit.components]
            kept.problems.extend(explain(unit.path, found, names))
        else:
            kept.units.append(unit)
    return kept


def _space(component: Ours) -> tuple[str, str]:
    """Integrations have names of their own; credentials, as resources, share theirs."""
    kind = "integration" if isinstance(component, SalesforceSync) else "credential"
    return kind, component.name


def _credentials(project: Project) -> dict[str, type[Ours]]:
    components = [c for unit in project.units for c in unit.components]
    return {c.name: type(c) for c in components if not isinstance(c, SalesforceSync)}


def _doubled(component: Ours, names: Counter[tuple[str, str]]) -> Iterator[ConfigurationError]:
    kind, name = _space(component)
    if names[kind, name] > 1:
        yield ConfigurationError(
            f"there is more than one {kind} of the name {name}",
            "Give each a name of its own.",
            ("name",),
        )


def _unknown(component: Ours, known: Mapping[str, type[Ours]]) -> Iterator[ConfigurationError]:
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
