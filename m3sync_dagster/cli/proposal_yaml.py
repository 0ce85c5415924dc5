"""The mapping that ``m3sync check`` proposes for m3ter's managed package, as YAML to paste."""

import io
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from m3sync_dagster.entities import ENTITIES

if TYPE_CHECKING:
    from m3sync_dagster.cli.find_integration import Found
    from m3sync_dagster.components.integration import Integration
    from m3sync_dagster.discovery.mapping_proposal import EntityProposal, KnownObject, Package
    from m3sync_dagster.salesforce import SalesforceClient

_HEAD = """\
Proposed from the org's own names and labels: look it through. null leaves a field out.
It takes the place of namespace, namespace_prefix and entities."""


def proposed(found: "Found", org: "SalesforceClient") -> str:
    """Look the package up in the org, and write down where everything could go.

    What the file says of the entities stays, and the indentation is the file's. What is not
    matched is ``null``, with the reason beside it.

    Raises:
        ConfigurationError: there is no package, or no telling which.
        SyncError: Salesforce could not be asked.
    """
    from m3sync_dagster.components.salesforce_sync import OTHER_NAMES
    from m3sync_dagster.discovery.mapping_proposal import propose

    integration, objects = found.integration, org.objects()
    package, origin = _package(integration, org, objects)
    entities = propose(integration.entities, package.namespace, objects, org.describe)
    attributes = _attributes(found.path, integration.name)
    written = CommentedMap(namespace=integration.namespace, namespace_prefix=package.namespace)
    written.yaml_add_eol_comment(origin, "namespace_prefix")
    written["entities"] = CommentedMap()
    for name, proposal in entities.items():
        said = attributes.get("entities") or {}
        own = said.get(name) or said.get(OTHER_NAMES.get(name)) or CommentedMap()
        targets = {**integration.entities[name].fields, **proposal.fields}
        written["entities"][name] = _entity(name, own, proposal, targets)
    written.yaml_set_start_comment(_HEAD)
    return textwrap.indent(_yaml(written), " " * _column(attributes))


def _package(
    integration: "Integration", org: "SalesforceClient", objects: list["KnownObject"]
) -> tuple["Package", str]:
    """The package that is meant, and how it is known."""
    from m3sync_dagster.discovery.mapping_proposal import Package, find_package

    if prefix := (integration.namespace_prefix or "").rstrip("_"):
        return Package("", prefix), "as the file says"
    package = find_package(integration.namespace, org.packages(), objects)
    told = f"the installed package {package.name}" if package.name else "by its objects' labels"
    return package, told


def _attributes(path: Path, name: str) -> CommentedMap:
    """What the file says of the integration, as it is written there, quotes included."""
    reader = YAML()
    reader.preserve_quotes = True
    for document in reader.load_all(path):
        attributes = document.get("attributes") if isinstance(document, dict) else None
        if isinstance(attributes, CommentedMap) and attributes.get("name") == name:
            return attributes
    return CommentedMap()


def _column(attributes: CommentedMap) -> int:
    """How far the attributes are indented; those on one line would be by two."""
    return 2 if attributes.fa.flow_style() or not attributes else int(attributes.lc.col)


def _entity(
    name: str, own: CommentedMap, proposal: "EntityProposal", targets: dict[str, str | None]
) -> CommentedMap:
    """An entity's block: what is proposed, then what else the file says of it."""
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
    for part, said in own.items():
        if part not in written:
            written[part] = said
            if part in own.ca.items:
                written.ca.items[part] = own.ca.items[part]
    return written


def _unused(proposal: "EntityProposal") -> str:
    """The fields that a person may want for what is not matched."""
    told = [f'{name} "{" ".join(label.split())}"' for name, label in proposal.unused.items()]
    return "\n  ".join([f"Nothing goes to these of {proposal.object} yet:", *told])


def _put(block: CommentedMap, name: str, value: str | None, proposal: "EntityProposal") -> None:
    block[name] = value
    if name in proposal.remarks:
        block.yaml_add_eol_comment(proposal.remarks[name], name)


def _yaml(written: CommentedMap) -> str:
    yaml, text = YAML(), io.StringIO()
    yaml.width = 1_000
    yaml.representer.add_representer(type(None), _null)
    yaml.dump(written, text)
    return text.getvalue()


def _null(dumper: Any, _none: None) -> Any:  # noqa: ANN401 - as ruamel has it
    return dumper.represent_scalar("tag:yaml.org,2002:null", "null")
