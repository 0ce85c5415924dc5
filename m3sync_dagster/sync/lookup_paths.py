"""Lookups that name their parent's external ID field: ``m3x__Account__r.m3x__Id__c``.

An integration that does not carry a lookup's parent says nothing of the object that the parent is
in. So the lookup can say itself by which field it finds it, as Salesforce writes such a path.

Source: SOQL and SOSL Reference, "Understanding Relationship Names, Custom Objects, and Custom
Fields".
"""

from collections.abc import Mapping

from m3sync_dagster.entities import EntityType
from m3sync_dagster.sync.errors import ConfigurationError


def part(
    entity: EntityType, fields: Mapping[str, str | None]
) -> tuple[dict[str, str | None], dict[str, str]]:
    """Part paths into the lookup's own field and the parent's external ID field.

    Args:
        entity: the record type.
        fields: m3ter field to Salesforce field or path.

    Returns:
        The m3ter fields with Salesforce fields alone; and by parent type the external ID field
        that a path has named.

    Raises:
        ConfigurationError: a path stands where there is no lookup, or leads further.
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
                f"the {entity.name} field {source} cannot go to {target}",
                "Name one field. Only a lookup takes a path, of the relationship and the parent's "
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
