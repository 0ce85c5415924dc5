"""The mapping that ``m3sync check`` proposes for m3ter's managed package, as YAML to paste."""

import io
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap

from m3sync_dagster.entities import ENTITIES

if TYPE_CHECKING:
    from m3sync_dagster.components.integration import Integration
    from m3sync_dagster.salesforce import SalesforceOrg
    from m3sync_dagster.sync.mapping import EntityOptions
    from m3sync_dagster.sync.proposal import EntityProposal


def proposed(integration: "Integration", org: "SalesforceOrg") -> str:
    """Look the package up in the org, and write down where everything could go.

    What is not matched is ``null``, with the reason beside it.

    Raises:
        ConfigurationError: there is no package, or no telling which.
        SyncError: Salesforce could not be asked.
    """
    from m3sync_dagster.sync.proposal import find_namespace, propose

    objects = org.objects()
    prefix = (integration.namespace_prefix or "").rstrip("_") or find_namespace(
        integration.namespace, org.packages(), objects
    )
    entities = propose(integration.entities, prefix, objects, org.describe)
    written = CommentedMap(namespace=integration.namespace, namespace_prefix=prefix)
    written["entities"] = CommentedMap(
        (name, _entity(name, proposal, integration.entities[name]))
        for name, proposal in entities.items()
    )
    written.yaml_set_start_comment(
        "Proposed from the org's own names and labels: look it through. null leaves a field out.\n"
        "Keep what your file says of account_ids and restricted_account_ids."
    )
    return _indented(written)


def _entity(name: str, proposal: "EntityProposal", own: "EntityOptions") -> CommentedMap:
    written = CommentedMap()
    _put(written, "object", proposal.object, proposal)
    if proposal.object is None:
        return written
    _put(written, "external_id_field", proposal.external_id_field, proposal)
    fields = CommentedMap()
    targets = {**own.fields, **proposal.fields}
    known = [field.source for field in ENTITIES[name].fields]
    for source in dict.fromkeys([*known, *targets]):
        _put(fields, source, targets.get(source), proposal)
    written["fields"] = fields
    kept: dict[str, Any] = {
        "custom_field_mappings": dict(own.custom_field_mappings),
        "constants": dict(own.constants),
        "truncate": sorted(own.truncate),
    }
    written.update({part: value for part, value in kept.items() if value})
    return written


def _put(block: CommentedMap, name: str, value: str | None, proposal: "EntityProposal") -> None:
    block[name] = value
    if name in proposal.unmatched:
        block.yaml_add_eol_comment(proposal.unmatched[name], name)


def _indented(written: CommentedMap) -> str:
    yaml, text = YAML(), io.StringIO()
    yaml.width = 1_000
    yaml.representer.add_representer(
        type(None), lambda dumper, _: dumper.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    yaml.dump(written, text)
    return "".join(f"  {line}" for line in text.getvalue().splitlines(keepends=True))
