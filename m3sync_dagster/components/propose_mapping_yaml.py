"""The mapping that ``m3sync check`` proposes for m3ter's managed package, as YAML to paste."""

import io
import textwrap
from pathlib import Path

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap
from ruamel.yaml.nodes import ScalarNode
from ruamel.yaml.representer import RoundTripRepresenter

from m3sync_dagster.components.integration import Integration
from m3sync_dagster.components.loaded_integration import LoadedIntegration
from m3sync_dagster.discovery.mapping_proposal import (
    EntityProposal,
    KnownObject,
    Package,
    find_package,
    propose,
)
from m3sync_dagster.entities import ENTITIES, OTHER_NAMES
from m3sync_dagster.salesforce import SalesforceClient

_HEAD = """\
Proposed from the org's own names and labels: review it. null leaves a field out.
It replaces namespace, namespace_prefix and entities."""


def proposed_yaml(loaded: LoadedIntegration, org: SalesforceClient) -> str:
    """Find the package in the org, and propose a Salesforce object and field for everything.

    The file's own settings of the entities are kept, and so is its indentation. What has no match
    is ``null``, with the reason as a comment.

    Raises:
        ConfigurationError: there is no package, or more than one that may be meant.
        SyncError: a request to Salesforce failed.
    """
    integration, objects = loaded.integration, org.objects()
    package, origin = _package(integration, org, objects)
    proposals = propose(integration.entities, package.namespace, objects, org.describe)
    attributes = _attributes(loaded.path, integration.name)
    written = CommentedMap(namespace=integration.namespace, namespace_prefix=package.namespace)
    written.yaml_add_eol_comment(origin, "namespace_prefix")
    written["entities"] = CommentedMap()
    for name, proposal in proposals.items():
        entities = attributes.get("entities") or {}
        own = entities.get(name) or entities.get(OTHER_NAMES.get(name)) or CommentedMap()
        targets = {**integration.entities[name].fields, **proposal.fields}
        written["entities"][name] = _entity(name, own, proposal, targets)
    written.yaml_set_start_comment(_HEAD)
    return textwrap.indent(_yaml(written), " " * _column(attributes))


def _package(
    integration: Integration, org: SalesforceClient, objects: list[KnownObject]
) -> tuple[Package, str]:
    """The integration's package, and how it was found."""
    if prefix := (integration.namespace_prefix or "").rstrip("_"):
        return Package("", prefix), "as in the file"
    package = find_package(integration.namespace, org.packages(), objects)
    origin = f"the installed package {package.name}" if package.name else "by its objects' labels"
    return package, origin


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
    _put(written, "object", proposal.object, proposal)
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
    return "\n  ".join([f"No source yet for these fields of {proposal.object}:", *fields])


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
