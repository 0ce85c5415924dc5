"""Reading what an org says of an object into the sync's own words."""

from typing import Any
from urllib.parse import quote

from m3sync_dagster.salesforce.errors import NotFoundError
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.ports import SalesforceField, SalesforceObject


def describe(transport: Transport, object_name: str) -> SalesforceObject:
    """Ask the org for one object.

    Source: REST API Developer Guide, "sObject Describe".

    Raises:
        ConfigurationError: the object does not exist, or this user may not see it; Salesforce
            does not tell these apart.
        SyncError: Salesforce could not be asked.
    """
    path = f"sobjects/{quote(object_name, safe='')}/describe"
    try:
        answer = transport.client.restful(path)
    except NotFoundError:
        raise ConfigurationError(
            f"The Salesforce org shows this user no object {object_name}",
            "Deploy the objects with `m3sync salesforce deploy`, assign the m3sync permission set "
            "to the integration user, or correct `object:` in the integration.",
        ) from None
    return parse_object(object_name, answer or {})


def parse_object(object_name: str, answer: dict[str, Any]) -> SalesforceObject:
    """Read the JSON of a describe; what it leaves out gets the defaults of the ports."""
    fields = (parse_field(field) for field in answer.get("fields") or () if field.get("name"))
    return SalesforceObject(
        name=answer.get("name") or object_name,
        label=answer.get("label") or object_name,
        fields={field.name: field for field in fields},
    )


_PROPERTIES = {
    "type": "type",
    "length": "length",
    "precision": "precision",
    "scale": "scale",
    "nillable": "nillable",
    "createable": "createable",
    "updateable": "updateable",
    "external_id": "externalId",
    "unique": "unique",
    "case_sensitive": "caseSensitive",
    "restricted": "restrictedPicklist",
    "defaulted": "defaultedOnCreate",
}
"""Ours to describe's, where the value is taken as it is."""


def parse_field(field: dict[str, Any]) -> SalesforceField:
    """Read one entry of a describe's ``fields``."""
    given = {
        ours: field[theirs] for ours, theirs in _PROPERTIES.items() if field.get(theirs) is not None
    }
    return SalesforceField(
        name=field["name"],
        refers_to=tuple(field.get("referenceTo") or ()),
        relationship=_relationship(field),
        picklist=tuple(
            entry["value"]
            for entry in field.get("picklistValues") or ()
            if entry.get("active", True) and entry.get("value") is not None
        ),
        **{"type": "string"} | given,
    )


def _relationship(field: dict[str, Any]) -> str | None:
    """The name of a lookup's relationship; a custom one's follows from the field's name."""
    if field.get("type") != "reference":
        return None
    name = str(field["name"])
    derived = f"{name.removesuffix('__c')}__r" if name.endswith("__c") else None
    return field.get("relationshipName") or derived
