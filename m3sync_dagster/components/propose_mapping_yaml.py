"""The mapping that ``m3sync check`` proposes, as YAML to paste and as additions to the file.

It is for m3ter's managed package, and for objects that the file names, such as Account.
"""

import io
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from m3sync_dagster.components.add_to_yaml import Added, Additions
from m3sync_dagster.components.integration import Integration
from m3sync_dagster.components.loaded_integration import LoadedIntegration
from m3sync_dagster.discovery.mapping_proposal import EntityProposal, propose
from m3sync_dagster.discovery.package_objects import KnownObject, Package, find_package
from m3sync_dagster.entities import ENTITIES, OTHER_NAMES
from m3sync_dagster.salesforce import SalesforceClient
from m3sync_dagster.sync.errors import ConfigurationError

_HEAD = """\
Proposed from the org's own names and labels: review it. null leaves a field out.
It replaces the attributes of these names."""
_REPLACED = "namespace, namespace_prefix and entities"
_CUSTOM_OBJECTS = Package("", "")


@dataclass(frozen=True, slots=True)
class Proposal:
    """A proposed mapping.

    Args:
        yaml: the attributes of the integration to paste.
        replaced: the names of the attributes that it replaces.
        additions: what the file lacks of it. A field with no match is null, and so left out.
        undecided: what a person has to name, because nothing or too much matches.
        kept: what the file says and the org's names suggest otherwise; it stays.
    """

    yaml: str
    replaced: str
    additions: Additions
    undecided: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def propose_mapping(loaded: LoadedIntegration, org: SalesforceClient) -> Proposal:
    """Find the package in the org, and propose a Salesforce object and field for everything.

    The file's own settings of the entities are kept, and so is its indentation. What has no match
    is ``null``, with the reason as a comment. Without a package, only the objects that the file
    names are looked at: m3sync's own are deployed, not searched.

    Raises:
        ConfigurationError: there is no package, or more than one that may be meant.
        SyncError: a request to Salesforce failed.
    """
    integration, objects = loaded.integration, org.objects()
    package, origin = _package(integration, org, objects)
    describe = cache(org.describe)
    proposals = propose(integration.entities, package.namespace, objects, describe)
    if package is _CUSTOM_OBJECTS:
        proposals = {n: p for n, p in proposals.items() if integration.entities[n].object}
    without = {name: replace(own, fields={}) for name, own in integration.entities.items()}
    free = propose(without, package.namespace, objects, describe)
    attributes = _attributes(loaded.path, integration.name)
    replaced = "entities" if package is _CUSTOM_OBJECTS else _REPLACED
    return Proposal(
        _to_paste(integration, package, origin, proposals, attributes),
        replaced,
        _additions(package, origin, proposals, attributes),
        tuple(_undecided(proposals)),
        (
            *_other_prefix(integration, org, objects),
            *_kept(integration, {name: free[name] for name in proposals}),
        ),
    )


def _package(
    integration: Integration, org: SalesforceClient, objects: list[KnownObject]
) -> tuple[Package, str]:
    """The integration's package, and how it was found."""
    if integration.namespace == "custom_objects":
        return _CUSTOM_OBJECTS, ""
    if prefix := (integration.namespace_prefix or "").rstrip("_"):
        return Package("", prefix), "as in the file"
    package = find_package(integration.namespace, org.packages(), objects)
    origin = f"the installed package {package.name}" if package.name else "by its objects' labels"
    return package, origin


def _other_prefix(
    integration: Integration, org: SalesforceClient, objects: list[KnownObject]
) -> list[str]:
    """The file's prefix, if the org's package has another one."""
    prefix = (integration.namespace_prefix or "").rstrip("_")
    if not prefix:
        return []
    try:
        found = find_package(integration.namespace, org.packages(), objects)
    except ConfigurationError:
        return []
    same = found.namespace.casefold() == prefix.casefold()
    return [] if same else [f"namespace_prefix: {prefix}, where {found.namespace} is in the org"]


def _own(attributes: CommentedMap, name: str) -> tuple[str, CommentedMap]:
    """An entity's name as the file writes it, and its settings there."""
    entities = attributes.get("entities") or {}
    other = OTHER_NAMES.get(name, name)
    written = other if other in entities else name
    return written, entities.get(written) or CommentedMap()


def _additions(
    package: Package,
    origin: str,
    proposals: Mapping[str, EntityProposal],
    attributes: CommentedMap,
) -> Additions:
    additions: dict[str, Added] = {}
    if package is not _CUSTOM_OBJECTS and attributes.get("namespace_prefix") is None:
        additions["namespace_prefix"] = Added(package.namespace, origin)
    entities = {}
    for name, proposal in proposals.items():
        written, own = _own(attributes, name)
        if added := _entity_additions(name, own, proposal):
            entities[written] = Added(added)
    return additions | ({"entities": Added(entities)} if entities else {})


def _entity_additions(name: str, own: CommentedMap, proposal: EntityProposal) -> Additions:
    """What an entity lacks in the file; an object or external ID without a match is not added."""
    if proposal.object is None:
        return {}
    added = {}
    for part, value in (
        ("object", proposal.object),
        ("external_id_field", proposal.external_id_field),
    ):
        if value is not None and own.get(part) is None:
            added[part] = Added(value, proposal.remarks.get(part, ""))
    known = own.get("fields") or {}
    fields = {
        field.source: Added(
            proposal.fields.get(field.source), proposal.remarks.get(field.source, "")
        )
        for field in ENTITIES[name].fields
        if field.source not in known
    }
    if fields:
        unmatched = any(one.value is None for one in fields.values())
        comment = _unused(proposal) if unmatched and proposal.unused else ""
        added["fields"] = Added(fields, comment)
    return added


def _undecided(proposals: Mapping[str, EntityProposal]) -> list[str]:
    return [
        f"entities.{name}.{part}: {proposal.remarks.get(part, 'no match')}"
        for name, proposal in proposals.items()
        for part in ("object", "external_id_field")
        if getattr(proposal, part) is None and (part == "object" or proposal.object)
    ]


def _kept(integration: Integration, free: Mapping[str, EntityProposal]) -> list[str]:
    """The file's choices of a field where the org's names suggest another one."""
    return [
        f"entities.{name}.fields.{source}: {target or 'null'}, where {other} matches"
        for name, proposal in free.items()
        for source, target in integration.entities[name].fields.items()
        if (other := proposal.fields.get(source)) and other != target
    ]


def _to_paste(
    integration: Integration,
    package: Package,
    origin: str,
    proposals: Mapping[str, EntityProposal],
    attributes: CommentedMap,
) -> str:
    """The attributes that replace those in the file."""
    written = CommentedMap()
    if package is not _CUSTOM_OBJECTS:
        written["namespace"] = integration.namespace
        written["namespace_prefix"] = package.namespace
        written.yaml_add_eol_comment(origin, "namespace_prefix")
    written["entities"] = CommentedMap()
    for name in (one for one in ENTITIES if one in integration.entities):
        _, own = _own(attributes, name)
        if proposal := proposals.get(name):
            targets = {**integration.entities[name].fields, **proposal.fields}
            own = _entity(name, own, proposal, targets)
        written["entities"][name] = own
    written.yaml_set_start_comment(_HEAD)
    return textwrap.indent(_yaml(written), " " * _column(attributes))


def _attributes(path: Path, name: str) -> CommentedMap:
    """The integration's attributes in the file, with their quotes."""
    reader = YAML()
    reader.preserve_quotes = True
    for document in reader.load_all(path):
        attributes = document.get("attributes") if isinstance(document, dict) else None
        if isinstance(attributes, CommentedMap) and attributes.get("name") == name:
            return attributes
    return CommentedMap()


def _column(attributes: CommentedMap) -> int:
    """By how many spaces the attributes are indented; two if they are on one line."""
    return 2 if attributes.fa.flow_style() or not attributes else int(attributes.lc.col)


def _entity(
    name: str, own: CommentedMap, proposal: EntityProposal, targets: dict[str, str | None]
) -> CommentedMap:
    """An entity's block: the proposal, then the file's other settings of the entity."""
    written = CommentedMap()
    _put(written, "object", proposal.object or own.get("object"), proposal)
    if proposal.object is not None:
        _put(written, "external_id_field", proposal.external_id_field, proposal)
        fields = CommentedMap()
        known = [field.source for field in ENTITIES[name].fields]
        for source in dict.fromkeys([*known, *targets]):
            _put(fields, source, targets.get(source), proposal)
        written["fields"] = fields
        if None in fields.values() and proposal.unused:
            written.yaml_set_comment_before_after_key("fields", _unused(proposal), indent=4)
    for part, setting in own.items():
        if part not in written:
            written[part] = setting
            if part in own.ca.items:
                written.ca.items[part] = own.ca.items[part]
    return written


def _unused(proposal: EntityProposal) -> str:
    """The object's fields without a source, which may fit a source without a match."""
    fields = [f'{name} "{" ".join(label.split())}"' for name, label in proposal.unused.items()]
    title = f"No source yet for these fields of {proposal.object}:"
    return "\n  ".join([title, *fields])


def _put(block: CommentedMap, name: str, value: str | None, proposal: EntityProposal) -> None:
    block[name] = value
    if name in proposal.remarks:
        block.yaml_add_eol_comment(proposal.remarks[name], name)


def _yaml(written: CommentedMap) -> str:
    yaml, text = YAML(), io.StringIO()
    yaml.width = 1_000
    yaml.representer.add_representer(type(None), _null)
    yaml.dump(written, text)
    return text.getvalue()


def _null(dumper: RoundTripRepresenter, _none: None) -> ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:null", "null")
