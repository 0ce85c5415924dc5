"""Finding m3ter's managed package in an org, and proposing where each field could go.

m3ter does not publish the package's API names, so they are looked up: objects by their API names
without the prefix, then by labels such as ``m3 Account``; fields the same way, as far as their
types fit. Nothing here is used by a sync: a person reads the proposal and takes it over.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from m3sync_dagster.discovery.field_matching import (
    BY_LABEL,
    CUSTOM,
    LIKENESSES,
    Alike,
    bare,
    external_ids,
    is_called,
    is_id,
    namespace_of,
)
from m3sync_dagster.entities import ENTITIES, EntityType, Field, FieldKind
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject
from m3sync_dagster.sync.schema_validation import SYSTEM_FIELDS
from m3sync_dagster.sync.type_compatibility import holds, kind_in_words

TESTING = "m3ter_connector_testing"
REFERENCE = "reference"


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
        fields: m3ter field to Salesforce field; those that could not be matched are not in it.
        remarks: an m3ter field or ``object`` or ``external_id_field``, with the reason why it
            could not be matched, or the label by which it was.
        unused: the object's other fields that could be written, with their labels.
    """

    object: str | None = None
    external_id_field: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)


def find_package(
    namespace: str, packages: Sequence[Package] | None, objects: Iterable[KnownObject]
) -> Package:
    """Find the package that carries m3ter's objects; without a name where none is told.

    Args:
        namespace: which of the two installations is meant, as the integration says.
        packages: what is installed; ``None`` where that may not be asked.
        objects: what this user sees.

    Raises:
        ConfigurationError: there is none, or no telling which.
    """
    seen = {one.namespace for one in objects if one.namespace and _is_m3ters(one, packages)}
    names = {package.namespace: package.name for package in packages or ()}
    seen = seen & names.keys() or seen
    testing = {one for one in seen if "test" in f"{names.get(one, '')} {one}".casefold()}
    meant = testing or seen if namespace == TESTING else seen - testing
    if len(meant) == 1:
        (found,) = meant
        return Package(names.get(found, ""), found)
    told = ", ".join(f"{names.get(one) or 'a package'} ({one})" for one in sorted(seen))
    raise ConfigurationError(
        _not_found(namespace, told, meant),
        "Install m3ter's package and assign its permission set to this user, set "
        "namespace_prefix by hand, or choose another namespace.",
        ("namespace",),
    )


def _not_found(namespace: str, told: str, meant: set[str]) -> str:
    if not told:
        return "this user sees no package with objects such as m3 Account in the org"
    if not meant:
        return f"the org has {told} alone, for tests by its name, and {namespace} means another"
    return f"of {told} there is no telling which one {namespace} means"


def propose(
    entities: Mapping[str, EntityOptions],
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
    proposed: dict[str, EntityProposal] = {}
    parents = _Parents()
    pointed_to = {carried.refers_to for name in entities for carried in ENTITIES[name].fields}
    for name, entity in ENTITIES.items():
        own = entities.get(name)
        found = [own.object] if own and own.object else _like(entity, namespace, objects)
        if own is None and name not in pointed_to:
            continue
        if own is None:
            parents.note_not_carried(entity, namespace, found, describe)
        elif len(found) == 1:
            parents.objects[name] = found[0]
            proposed[name] = _Matching(entity, own, describe(found[0]), parents).proposal()
        else:
            reason = _no_object(entity, namespace, found)
            proposed[name] = EntityProposal(remarks={"object": reason})
    return proposed


@dataclass(frozen=True, slots=True)
class _Parents:
    """What is known of the objects that lookups point to.

    Args:
        objects: entity type to the object that was found for it; for one that is not carried and
            not found, the object that a sync takes it to be in.
        keys: for a type that is not carried, the fields that could be its object's external ID.
    """

    objects: dict[str, str] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)

    def note_not_carried(
        self,
        entity: EntityType,
        namespace: str,
        found: Sequence[str],
        describe: Callable[[str], SalesforceObject],
    ) -> None:
        """Look a type up that nothing is said of."""
        self.objects[entity.name] = f"{namespace}__{entity.object}"
        if len(found) == 1:
            fields = describe(found[0]).fields.values()
            self.objects[entity.name] = found[0]
            self.keys[entity.name] = [one.name for one in external_ids(entity, fields)]


class _Matching:
    """One entity's fields held against those of one object.

    Args:
        entity: the record type.
        own: what the integration says of it.
        described: the object.
        parents: what is known of the objects that its lookups point to.
    """

    def __init__(
        self,
        entity: EntityType,
        own: EntityOptions,
        described: SalesforceObject,
        parents: _Parents,
    ) -> None:
        self._entity = entity
        self._parents = parents
        self._proposal = EntityProposal(described.name)
        self._fields = [
            f
            for f in described.fields.values()
            if f.name.endswith(CUSTOM) or f.name not in SYSTEM_FIELDS
        ]
        self._taken = _said(own)
        self._asked = [carried for carried in entity.fields if carried.source not in own.fields]
        self._match_external_id(own.external_id_field)

    def proposal(self) -> EntityProposal:
        """Match what can be; what has a field of its very name comes before what is like one.

        A lookup goes to a lookup where there is one, even if a text field has a better name.
        """
        lookups = [carried for carried in self._asked if carried.kind is FieldKind.LOOKUP]
        for asked, types in ((lookups, {REFERENCE}), (self._asked, None)):
            for alike in LIKENESSES:
                self._match(alike, asked, types)
        for carried in self._asked:
            if carried.source not in self._proposal.fields | self._proposal.remarks:
                self._proposal.remarks[carried.source] = self._why_not(carried)
        self._proposal.unused = {
            f.name: f.label
            for f in self._fields
            if f.name.endswith(CUSTOM) and not self._misfit(None, f)
        }
        return self._proposal

    def _match_external_id(self, own: str | None) -> None:
        free = [field for field in self._fields if not self._misfit(None, field)]
        found = external_ids(self._entity, free)
        keys = [own] if own else [field.name for field in found]
        if len(keys) == 1:
            self._proposal.external_id_field = keys[0]
            self._taken[keys[0]] = "m3ter's id"
            remark = "" if own or is_id(self._entity, found[0]) else "the only unique External ID"
        elif keys:
            remark = f"several fields could be it: {', '.join(keys)}"
        else:
            remark = "no field is a unique External ID"
        if remark:
            self._proposal.remarks["external_id_field"] = remark

    def _match(self, alike: Alike, asked: Sequence[Field], types: set[str] | None) -> None:
        """Take every pair in which either side has no other choice."""
        choices = {
            carried.source: [
                target
                for target in self._fields
                if (not types or target.type in types)
                and alike(self._entity, carried, target)
                and not self._misfit(carried, target)
            ]
            for carried in asked
            if carried.source not in self._proposal.fields | self._proposal.remarks
        }
        claims = Counter(target.name for found in choices.values() for target in found)
        for carried in asked:
            source, found = carried.source, choices.get(carried.source)
            if found and len(found) == 1 and claims[found[0].name] == 1:
                self._take(carried, found[0], labelled=alike in BY_LABEL)
            elif found:
                names = ", ".join(target.name for target in found)
                self._proposal.remarks[source] = f"it is not clear where it goes: {names}"

    def _take(self, carried: Field, target: SalesforceField, *, labelled: bool) -> None:
        self._taken[target.name] = carried.source
        keys = self._parents.keys.get(carried.refers_to or "")
        if keys is not None and target.relationship:
            self._take_path(carried, target, keys)
            return
        self._proposal.fields[carried.source] = target.name
        if labelled and target.label:
            label = " ".join(target.label.split())
            self._proposal.remarks[carried.source] = f'labelled "{label}"'

    def _take_path(self, carried: Field, target: SalesforceField, keys: Sequence[str]) -> None:
        """Let a lookup name the external ID of its parent, of which the file says nothing."""
        if len(keys) == 1:
            self._proposal.fields[carried.source] = f"{target.relationship}.{keys[0]}"
            remark = (
                f"its {carried.refers_to} has to come from another integration; null leaves it out"
            )
        else:
            remark = (
                f"{target.name} is like it, but which field of {', '.join(target.refers_to)} is "
                f"the external ID is not clear: {', '.join(keys) or 'none is unique'}"
            )
        self._proposal.remarks[carried.source] = remark

    def _misfit(self, carried: Field | None, target: SalesforceField) -> str | None:
        """Why a field cannot take a value, of any kind or of one; ``None``: it can."""
        if taken := self._taken.get(target.name):
            return f"{taken} goes there"
        if not (target.createable and target.updateable):
            return "this user may not write it"
        if carried is None:
            return None
        if not holds(carried.kind, target):
            kind = kind_in_words(carried.kind)
            return f"it is of type {target.type}, and {carried.source} is {kind}"
        parent = self._parents.objects.get(carried.refers_to or "")
        if parent and target.refers_to and target.refers_to != (parent,):
            where = f"it points to {', '.join(target.refers_to)}, and not to {parent}"
            return f"{where}, where {carried.refers_to} records are taken to be"
        return None

    def _why_not(self, carried: Field) -> str:
        told = [
            f"{target.name} is like it, but {self._misfit(carried, target)}"
            for target in self._fields
            if any(alike(self._entity, carried, target) for alike in LIKENESSES)
        ]
        return "; ".join(told) or f"no field of {self._proposal.object} is like it"


def _said(own: EntityOptions) -> dict[str, str]:
    """Salesforce fields that the file gives a value, and which."""
    said = {target: source for source, target in own.fields.items() if target}
    said |= {target: f"customFields.{name}" for name, target in own.custom_field_mappings.items()}
    said |= dict.fromkeys(own.constants, "a constant")
    return said | ({own.gone_field: "the mark of gone records"} if own.gone_field else {})


def _is_m3ters(one: KnownObject, packages: Sequence[Package] | None) -> bool:
    """Whether an object is called after one of our entities, by a package that is called m3."""
    publisher = {p.namespace: p.name for p in packages or ()}.get(one.namespace, one.namespace)
    known = publisher.casefold().startswith("m3")
    return any(is_called(one.name, one.label, e, any_name=known) for e in ENTITIES.values())


def _like(entity: EntityType, namespace: str, objects: Sequence[KnownObject]) -> list[str]:
    """Objects of the package that could hold an entity: by API name, else by either name."""
    package = [one for one in objects if one.namespace.casefold() == namespace.casefold()]
    exact = [one for one in package if bare(one.name).casefold() == entity.object.casefold()]
    alike = exact or [
        one for one in package if is_called(one.name, one.label, entity, any_name=True)
    ]
    return sorted(one.name for one in alike)


def _no_object(entity: EntityType, namespace: str, found: Sequence[str]) -> str:
    if found:
        return f"several objects are like it: {', '.join(found)}"
    none = f"no object of the package {namespace} is like m3 {entity.label}"
    return f"{none}: name one, or take {entity.name} out"
