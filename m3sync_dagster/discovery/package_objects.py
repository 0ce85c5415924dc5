"""Finding m3ter's managed package in an org, and the objects of an entity.

m3ter does not publish the package's API names, so they are searched in the org: objects by their
API names without the prefix, then by labels such as ``m3 Account``.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from m3sync_dagster.discovery.name_matching import (
    has_entity_name,
    namespace_of,
    without_namespace,
)
from m3sync_dagster.entities import ENTITIES, EntityType
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.errors import ConfigurationError

TESTING = "m3ter_connector_testing"


@dataclass(frozen=True, slots=True)
class Package:
    """An installed managed package: its name, and its namespace without underscores."""

    name: str
    namespace: str


@dataclass(frozen=True, slots=True)
class KnownObject:
    """An object that this user sees: API name and label."""

    name: str
    label: str

    @property
    def namespace(self) -> str:
        """The namespace of its package; empty for the org's own and for standard objects."""
        return namespace_of(self.name)


def find_package(
    namespace: str, packages: Sequence[Package] | None, objects: Iterable[KnownObject]
) -> Package:
    """Find the package with m3ter's objects; its name is empty if it is not known.

    Args:
        namespace: the integration's ``namespace``, which selects one of two packages.
        packages: the installed packages; ``None`` if this user may not read them.
        objects: the objects that this user sees.

    Raises:
        ConfigurationError: there is none, or it is not clear which one.
    """
    seen = {one.namespace for one in objects if one.namespace and _is_of_m3ter(one, packages)}
    names = {package.namespace: package.name for package in packages or ()}
    seen = seen & names.keys() or seen
    testing = {one for one in seen if "test" in f"{names.get(one, '')} {one}".casefold()}
    meant = testing or seen if namespace == TESTING else seen - testing
    if len(meant) == 1:
        (found,) = meant
        return Package(names.get(found, ""), found)
    candidates = ", ".join(f"{names.get(one) or 'a package'} ({one})" for one in sorted(seen))
    raise ConfigurationError(
        _not_found(namespace, candidates, meant),
        "Install m3ter's package and assign its permission set to this user, set "
        "namespace_prefix by hand, or choose another namespace.",
        ("namespace",),
    )


def _not_found(namespace: str, candidates: str, meant: set[str]) -> str:
    if not candidates:
        return "this user sees no package with objects such as m3 Account in the org"
    if not meant:
        return (
            f"the org has only {candidates}, a test package by its name; {namespace} means another"
        )
    return f"it is not clear which one of {candidates} {namespace} means"


def _is_of_m3ter(one: KnownObject, packages: Sequence[Package] | None) -> bool:
    """Whether an object of a package is named like one of our entities."""
    publisher = {p.namespace: p.name for p in packages or ()}.get(one.namespace, one.namespace)
    known = publisher.casefold().startswith("m3")
    return any(has_entity_name(one.name, one.label, e, any_name=known) for e in ENTITIES.values())


def find_objects(
    entity: EntityType,
    own: EntityOptions | None,
    namespace: str,
    objects: Sequence[KnownObject],
) -> list[str]:
    """The object that the YAML names; else the package's that match by API name or similar names.

    Salesforce's names are not case-sensitive.
    """
    if own and own.object:
        return [own.object] if own.object.casefold() in _names(objects) else []
    package = [one for one in objects if one.namespace.casefold() == namespace.casefold()]
    exact = [
        one for one in package if without_namespace(one.name).casefold() == entity.object.casefold()
    ]
    matches = exact or [
        one for one in package if has_entity_name(one.name, one.label, entity, any_name=True)
    ]
    return sorted(one.name for one in matches)


def _names(objects: Iterable[KnownObject]) -> set[str]:
    return {one.name.casefold() for one in objects}


def why_no_object(
    entity: EntityType, own: EntityOptions | None, namespace: str, found: Sequence[str]
) -> str:
    """Why an entity has no object, or not one alone."""
    if found:
        return f"several objects match: {', '.join(found)}"
    if own and own.object:
        return f"this user sees no object {own.object} in the org"
    none = f"no object of the package {namespace} matches m3 {entity.label}"
    return f"{none}: name one, or remove {entity.name}"
