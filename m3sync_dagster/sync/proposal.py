"""Finding m3ter's managed package in an org, and proposing where each field could go.

m3ter does not publish the package's API names, so they are looked up: objects by their API names
without the prefix, then by labels such as ``m3 Account``; fields the same way, as far as their
types fit. Nothing here is used by a sync: a person reads the proposal and takes it over.
"""

from collections.abc import Callable, Iterable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field

from m3sync_dagster.entities import ENTITIES, EntityType, Field, Kind
from m3sync_dagster.sync.alike import (
    bare,
    by_label,
    by_name,
    by_source,
    external_ids,
    is_called,
    namespace_of,
)
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.holding import holds
from m3sync_dagster.sync.mapping import EntityOptions
from m3sync_dagster.sync.ports import SalesforceField, SalesforceObject

TESTING = "m3ter_connector_testing"


@dataclass(frozen=True, slots=True)
class Package:
    """An installed managed package: its name, and its namespace without underscores."""

    name: str
    namespace: str


@dataclass(frozen=True, slots=True)
class KnownObject:
    """An object that the org shows: API name and label."""

    name: str
    label: str

    @property
    def namespace(self) -> str:
        """The namespace of its package; empty for the org's own and for standard objects."""
        return namespace_of(self.name)


@dataclass(slots=True)
class EntityProposal:
    """Where the records of one type could go.

    Args:
        object: API name; ``None`` where no object, or no single one, is like it.
        external_id_field: API name; ``None`` as for ``object``.
        fields: m3ter field to Salesforce field.
        unmatched: what could not be matched, an m3ter field or ``object`` or
            ``external_id_field``, with the reason.
    """

    object: str | None = None
    external_id_field: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    unmatched: dict[str, str] = field(default_factory=dict)


def find_namespace(
    namespace: str, packages: Sequence[Package] | None, objects: Iterable[KnownObject]
) -> str:
    """Find the namespace of the package that carries m3ter's objects.

    Args:
        namespace: which of the two installations is meant, as the integration says.
        packages: what is installed; ``None`` where that may not be asked.
        objects: what this user sees.

    Raises:
        ConfigurationError: there is none, or no telling which.
    """
    seen = {one.namespace for one in objects if one.namespace and _is_m3ters(one, packages)}
    names = {package.namespace: package.name for package in packages or ()}
    if packages is not None:
        seen = seen & names.keys() or seen
    testing = {one for one in seen if "test" in f"{names.get(one, '')} {one}".casefold()}
    meant = testing or seen if namespace == TESTING else seen - testing
    if len(meant) == 1:
        return meant.pop()
    told = ", ".join(f"{names.get(one) or 'a package'} ({one})" for one in sorted(seen))
    raise ConfigurationError(
        f"of {told} there is no telling which one {namespace} means"
        if told
        else "this user sees no package with objects such as m3 Account in the org",
        "Install m3ter's package and assign its permission set to this user, set "
        "namespace_prefix by hand, or choose another namespace.",
        ("namespace",),
    )


def propose(
    entities: Dict[str, EntityOptions],
    namespace: str,
    objects: Sequence[KnownObject],
    describe: Callable[[str], SalesforceObject],
) -> dict[str, EntityProposal]:
    """Propose a mapping for each entity, parents first. What the options say stays as it is.

    Args:
        entities: what the integration says of each of its entities.
        namespace: the package's, without underscores.
        objects: what this user sees.
        describe: reads one of them.

    Raises:
        SyncError: Salesforce could not be asked.
    """
    proposer = _Proposer(namespace, objects, describe)
    return {
        name: proposer.propose(entity, entities[name])
        for name, entity in ENTITIES.items()
        if name in entities
    }


@dataclass(frozen=True, slots=True)
class _Proposer:
    """Makes proposals, parents first; see ``propose``."""

    namespace: str
    objects: Sequence[KnownObject]
    describe: Callable[[str], SalesforceObject]
    chosen: dict[str, str] = field(default_factory=dict)
    """Entity type to the object that was found for it."""

    def propose(self, entity: EntityType, own: EntityOptions) -> EntityProposal:
        found = [own.object] if own.object else _like(entity, self.namespace, self.objects)
        if len(found) == 1:
            self.chosen[entity.name] = found[0]
            return self._match(entity, own, self.describe(found[0]))
        reason = (
            f"several objects are like it: {', '.join(found)}"
            if found
            else f"no object of the package {self.namespace} is like m3 {entity.label}"
        )
        return EntityProposal(unmatched={"object": reason})

    def _match(
        self, entity: EntityType, own: EntityOptions, described: SalesforceObject
    ) -> EntityProposal:
        proposal = EntityProposal(described.name)
        free = {f.name: f for f in described.fields.values() if f.createable and f.updateable}
        _match_external_id(proposal, own, free)
        for target in (*own.fields.values(), *own.custom_field_mappings.values(), *own.constants):
            free.pop(str(target), None)
        asked = [carried for carried in entity.fields if carried.source not in own.fields]
        # What has a field of its very name comes before what is only called alike.
        for alike in (by_name, by_source, by_label):
            for carried in asked:
                if carried.source not in proposal.fields:
                    self._take(proposal, carried, alike(carried, free.values()), free)
        for carried in asked:
            if carried.source not in proposal.fields:
                reason = f"no writable field of {described.name} is like it"
                proposal.unmatched[carried.source] = reason
        return proposal

    def _take(
        self,
        proposal: EntityProposal,
        carried: Field,
        candidates: Iterable[SalesforceField],
        free: dict[str, SalesforceField],
    ) -> None:
        fitting = (target for target in candidates if self._suits(carried, target))
        if target := next(fitting, None):
            proposal.fields[carried.source] = target.name
            del free[target.name]

    def _suits(self, carried: Field, target: SalesforceField) -> bool:
        if carried.kind is not Kind.LOOKUP or target.type != "reference":
            return holds(carried.kind, target)
        parent = self.chosen.get(carried.refers_to or "")
        return parent is None or not target.refers_to or target.refers_to == (parent,)


def _match_external_id(
    proposal: EntityProposal, own: EntityOptions, free: dict[str, SalesforceField]
) -> None:
    keys = [own.external_id_field] if own.external_id_field else external_ids(free.values())
    if len(keys) == 1:
        proposal.external_id_field = keys[0]
        free.pop(keys[0], None)
        return
    several = f"several fields could be it: {', '.join(keys)}"
    none = "no field is a unique External ID"
    proposal.unmatched["external_id_field"] = several if keys else none


def _is_m3ters(one: KnownObject, packages: Sequence[Package] | None) -> bool:
    """Whether an object is called after one of our entities, by a package that is called m3."""
    publisher = {p.namespace: p.name for p in packages or ()}.get(one.namespace, one.namespace)
    known = publisher.casefold().startswith("m3")
    return any(is_called(one.name, one.label, e, any_name=known) for e in ENTITIES.values())


def _like(entity: EntityType, namespace: str, objects: Sequence[KnownObject]) -> list[str]:
    """Objects of the package that could hold an entity: by API name, else by either name."""
    package = [one for one in objects if one.namespace == namespace]
    exact = [one for one in package if bare(one.name).casefold() == entity.object.casefold()]
    alike = exact or [
        one for one in package if is_called(one.name, one.label, entity, any_name=True)
    ]
    return sorted(one.name for one in alike)
