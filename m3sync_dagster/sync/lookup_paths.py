"""Lookups that name their parent's external ID field: ``m3x__Account__r.m3x__Id__c``.

An integration that does not sync a lookup's parent has no options for the parent's object. So the
lookup itself can name the parent's external ID field, in Salesforce's notation of such a path.

Source: SOQL and SOSL Reference, "Understanding Relationship Names, Custom Objects, and Custom
Fields".
"""

from collections.abc import Mapping

from m3sync_dagster.entities import EntityType
from m3sync_dagster.sync.errors import ConfigurationError


def split_paths(
    entity: EntityType, fields: Mapping[str, str | None]
) -> tuple[dict[str, str | None], dict[str, str]]:
    """Split paths into the lookup's own field and the parent's external ID field.

    Args:
        entity: the record type.
        fields: m3ter field to Salesforce field or path.

    Returns:
        The m3ter fields with their Salesforce fields; and the external ID fields that paths name,
        by parent type.

    Raises:
        ConfigurationError: the field is not a lookup, or the path has more than two parts.
    """
    parents = {field.source: field.refers_to for field in entity.fields}
    lookups, keys = dict(fields), {}
    for source, target in fields.items():
        relationship, dot, key = (target or "").partition(".")
        if not dot:
            continue
        parent = parents.get(source)
        if parent is None or not relationship or not key or "." in key:
            raise ConfigurationError(
                f"the {entity.name} field {source} cannot be mapped to {target}",
                "Name one field. Only a lookup accepts a path: the relationship and the parent's "
                "external ID field, such as Account__r.Key__c.",
                ("entities", entity.name, "fields", source),
            )
        lookups[source], keys[parent] = _field(relationship), key
    return lookups, keys


def _field(relationship: str) -> str:
    """The lookup's API name: ``Account__c`` of ``Account__r``, ``AccountId`` of ``Account``."""
    if relationship.endswith("__r"):
        return relationship.removesuffix("r") + "c"
    return relationship + "Id"
