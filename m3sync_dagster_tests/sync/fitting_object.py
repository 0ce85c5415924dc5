"""The describe of an object that fits a mapping."""

from m3sync_dagster.entities import FieldKind
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject

TYPES = {
    FieldKind.NUMBER: "double",
    FieldKind.INTEGER: "double",
    FieldKind.BOOLEAN: "boolean",
    FieldKind.DATE: "date",
    FieldKind.DATETIME: "datetime",
    FieldKind.LOOKUP: "reference",
}


def fitting(mapping: FieldMapping) -> SalesforceObject:
    """An object with a field of the right type and size for each field of a mapping."""
    fields = [
        SalesforceField(
            source_field.salesforce,
            TYPES.get(source_field.kind, "string"),
            length=0 if source_field.kind in TYPES else source_field.length,
            precision=18 if TYPES.get(source_field.kind) == "double" else 0,
            scale=source_field.scale,
            refers_to=(mapping.parent_objects[source_field.refers_to],)
            if source_field.refers_to
            else (),
            relationship=source_field.salesforce.replace("__c", "__r")
            if source_field.refers_to
            else None,
            defaulted=False,
        )
        for source_field in mapping.fields
    ]
    fields += [SalesforceField(name, "string", length=255) for name in mapping.constants]
    key = SalesforceField(
        mapping.external_id_field,
        "string",
        length=64,
        external_id=True,
        unique=True,
        case_sensitive=True,
    )
    fields += [key, SalesforceField("OwnerId", "reference", nillable=False, defaulted=True)]
    return SalesforceObject(mapping.object_name, "m3ter Contract", {f.name: f for f in fields})
