"""Proposing a mapping to the fields of m3ter's managed package, or of another object.

m3ter does not publish the package's API names, so fields are searched in the org: by API name,
then by label, if their types fit. A sync does not use this: a person reads the proposal and accepts
it.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from m3sync_dagster.discovery.name_matching import (
    BY_LABEL,
    CUSTOM,
    NAME_MATCHES,
    NameMatch,
    external_ids,
    is_id,
)
from m3sync_dagster.discovery.package_objects import KnownObject, find_objects, why_no_object
from m3sync_dagster.entities import ENTITIES, EntityType, Field, FieldKind
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject
from m3sync_dagster.sync.schema_validation import SYSTEM_FIELDS
from m3sync_dagster.sync.type_compatibility import can_hold, kind_in_words

REFERENCE = "reference"


@dataclass(slots=True)
class EntityProposal:
    """The proposed object and fields of one entity type.

    Args:
        object: API name; ``None`` if none or several objects match.
        external_id_field: API name; ``None`` as for ``object``.
        fields: m3ter field to Salesforce field, for the matched ones.
        remarks: an m3ter field or ``object`` or ``external_id_field``, with the reason why it
            was not matched, or the label by which it was.
        unused: the object's other writable fields, with their labels.
    """

    object: str | None = None
    external_id_field: str | None = None
    fields: dict[str, str] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)
    unused: dict[str, str] = field(default_factory=dict)


def propose(
    entities: Mapping[str, EntityOptions],
    namespace: str,
    objects: Sequence[KnownObject],
    describe: Callable[[str], SalesforceObject],
) -> dict[str, EntityProposal]:
    """Propose a mapping for each entity, parents first. The given options are not changed.

    Args:
        entities: the options of each of the integration's entities.
        namespace: the package's, without underscores; empty for objects of no package.
        objects: the objects that this user sees.
        describe: describes one of them.

    Raises:
        SyncError: Salesforce could not be reached, or refused.
    """
    proposed: dict[str, EntityProposal] = {}
    parents = _Parents()
    pointed_to = {one.refers_to for name in entities for one in ENTITIES[name].fields}
    for name, entity in ENTITIES.items():
        own = entities.get(name)
        found = find_objects(entity, own, namespace, objects)
        if own is None and name not in pointed_to:
            continue
        if own is None:
            parents.add_not_synced(entity, namespace, found, describe)
        elif len(found) == 1:
            parents.objects[name] = found[0]
            proposed[name] = _Matching(entity, own, describe(found[0]), parents).proposal()
        else:
            reason = why_no_object(entity, own, namespace, found)
            proposed[name] = EntityProposal(remarks={"object": reason})
    return proposed


@dataclass(frozen=True, slots=True)
class _Parents:
    """The objects that lookups point to.

    Args:
        objects: entity type to its object; for a type that the integration does not sync and that
            was not found, the object that a sync assumes.
        keys: for a type that is not synced, the fields that could be its object's external ID.
    """

    objects: dict[str, str] = field(default_factory=dict)
    keys: dict[str, list[str]] = field(default_factory=dict)

    def add_not_synced(
        self,
        entity: EntityType,
        namespace: str,
        found: Sequence[str],
        describe: Callable[[str], SalesforceObject],
    ) -> None:
        """Find the object of a type that the integration does not sync."""
        self.objects[entity.name] = f"{namespace}__{entity.object}" if namespace else entity.object
        if len(found) == 1:
            fields = describe(found[0]).fields.values()
            self.objects[entity.name] = found[0]
            self.keys[entity.name] = [one.name for one in external_ids(entity, fields)]


class _Matching:
    """Matches the fields of one entity with those of one object.

    Args:
        entity: the record type.
        own: its options.
        described: the object.
        parents: the objects that its lookups point to.
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
        self._taken = _mapped_in_yaml(own)
        self._asked = [one for one in entity.fields if one.source not in own.fields]
        self._match_external_id(own.external_id_field)

    def proposal(self) -> EntityProposal:
        """Match the fields: equal names first, then similar ones.

        A lookup is matched with a lookup if there is one, even if a text field has a better name.
        """
        lookups = [one for one in self._asked if one.kind is FieldKind.LOOKUP]
        for asked, types in ((lookups, {REFERENCE}), (self._asked, None)):
            for matches in NAME_MATCHES:
                self._match(matches, asked, types)
        for source_field in self._asked:
            if source_field.source not in self._proposal.fields | self._proposal.remarks:
                self._proposal.remarks[source_field.source] = self._why_not(source_field)
        self._proposal.unused = {
            f.name: f.label
            for f in self._fields
            if f.name.endswith(CUSTOM) and not self._reason_unusable(None, f)
        }
        return self._proposal

    def _match_external_id(self, own: str | None) -> None:
        free = [field for field in self._fields if not self._reason_unusable(None, field)]
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

    def _match(self, matches: NameMatch, asked: Sequence[Field], types: set[str] | None) -> None:
        """Match every pair in which neither side has another candidate."""
        choices = {
            source_field.source: [
                target
                for target in self._fields
                if (not types or target.type in types)
                and matches(self._entity, source_field, target)
                and not self._reason_unusable(source_field, target)
            ]
            for source_field in asked
            if source_field.source not in self._proposal.fields | self._proposal.remarks
        }
        claims = Counter(target.name for found in choices.values() for target in found)
        for source_field in asked:
            source, found = source_field.source, choices.get(source_field.source)
            if found and len(found) == 1 and claims[found[0].name] == 1:
                self._take(source_field, found[0], labelled=matches in BY_LABEL)
            elif found:
                names = ", ".join(target.name for target in found)
                self._proposal.remarks[source] = f"several fields match: {names}"

    def _take(self, source_field: Field, target: SalesforceField, *, labelled: bool) -> None:
        self._taken[target.name] = source_field.source
        keys = self._parents.keys.get(source_field.refers_to or "")
        if keys is not None and target.relationship:
            self._take_path(source_field, target, keys)
            return
        self._proposal.fields[source_field.source] = target.name
        if labelled and target.label:
            label = " ".join(target.label.split())
            self._proposal.remarks[source_field.source] = f'labelled "{label}"'

    def _take_path(self, source_field: Field, target: SalesforceField, keys: Sequence[str]) -> None:
        """Map a lookup to a path with the external ID of its parent, which is not synced."""
        if len(keys) == 1:
            self._proposal.fields[source_field.source] = f"{target.relationship}.{keys[0]}"
            remark = (
                f"its {source_field.refers_to} must be synced by another integration; "
                "null leaves it out"
            )
        else:
            remark = (
                f"{target.name} matches, but which field of {', '.join(target.refers_to)} is "
                f"the external ID is not clear: {', '.join(keys) or 'none is unique'}"
            )
        self._proposal.remarks[source_field.source] = remark

    def _reason_unusable(self, source_field: Field | None, target: SalesforceField) -> str | None:
        """Why a Salesforce field cannot be used for an m3ter field, or at all; ``None``: it can."""
        if taken := self._taken.get(target.name):
            return f"it is used for {taken}"
        if not (target.createable and target.updateable):
            return "this user may not write it"
        if source_field is None:
            return None
        if not can_hold(source_field.kind, target):
            kind = kind_in_words(source_field.kind)
            return f"it is of type {target.type}, and {source_field.source} is {kind}"
        parent = self._parents.objects.get(source_field.refers_to or "")
        if parent and target.refers_to and target.refers_to != (parent,):
            where = f"it points to {', '.join(target.refers_to)}, and not to {parent}"
            return f"{where}, where {source_field.refers_to} records are expected"
        return None

    def _why_not(self, source_field: Field) -> str:
        reasons = [
            f"{target.name} matches, but {self._reason_unusable(source_field, target)}"
            for target in self._fields
            if any(matches(self._entity, source_field, target) for matches in NAME_MATCHES)
        ]
        return "; ".join(reasons) or f"no field of {self._proposal.object} matches"


def _mapped_in_yaml(own: EntityOptions) -> dict[str, str]:
    """The Salesforce fields that the YAML already uses, and for what."""
    mapped = {target: source for source, target in own.fields.items() if target}
    mapped |= {target: f"customFields.{name}" for name, target in own.custom_field_mappings.items()}
    mapped |= dict.fromkeys(own.constants, "a constant")
    mapped |= {own.link.field: "the link of accounts"} if own.link else {}
    return mapped | ({own.gone_field: "the mark of deleted records"} if own.gone_field else {})
