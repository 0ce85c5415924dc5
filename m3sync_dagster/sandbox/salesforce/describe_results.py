"""The results of describe calls.

Source: Salesforce REST API guide, "sObject Describe" and "Describe Global"; SOAP API guide,
"DescribeSObjectResult".
"""

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.salesforce.schema import NUMERIC, FieldDef, ObjectDef, Schema

_TYPES = {
    "Id": "id",
    "Text": "string",
    "AutoNumber": "string",
    "TextArea": "textarea",
    "LongTextArea": "textarea",
    "EncryptedText": "encryptedstring",
    "Number": "double",
    "Checkbox": "boolean",
    "Lookup": "reference",
    "MultiselectPicklist": "multipicklist",
}
_SOAP_TYPES = {
    "id": "tns:ID",
    "reference": "tns:ID",
    "double": "xsd:double",
    "currency": "xsd:double",
    "percent": "xsd:double",
    "boolean": "xsd:boolean",
    "date": "xsd:date",
    "datetime": "xsd:dateTime",
    "time": "xsd:time",
}
_NOT_FILTERABLE = {"LongTextArea"}


def describe_type(field: FieldDef) -> str:
    """Describe's ``type`` of a field."""
    return _TYPES.get(field.type, field.type.lower())


def global_describe(schema: Schema, version_path: str) -> JsonObject:
    """All objects that the user sees. ``version_path`` is the path of the API version."""
    return {
        "encoding": "UTF-8",
        "maxBatchSize": 200,
        "sobjects": [
            summary(definition, version_path) for definition in schema if definition.visible
        ],
    }


def summary(definition: ObjectDef, version_path: str) -> JsonObject:
    """The properties of an object, without its fields."""
    path = f"{version_path}/sobjects/{definition.name}"
    return {
        "name": definition.name,
        "label": definition.label,
        "labelPlural": definition.plural_label,
        "keyPrefix": definition.key_prefix,
        **dict.fromkeys(_TRUE_FLAGS, True),
        **dict.fromkeys(_FALSE_FLAGS, False),
        "createable": definition.createable,
        "updateable": definition.updateable,
        "deletable": definition.deletable,
        "custom": definition.name.endswith("__c"),
        "urls": {
            "sobject": path,
            "describe": f"{path}/describe",
            "rowTemplate": f"{path}/{{ID}}",
        },
    }


_TRUE_FLAGS = (
    "layoutable", "queryable", "replicateable", "retrieveable", "searchable", "triggerable",
    "undeletable",
)  # fmt: skip
_FALSE_FLAGS = (
    "activateable", "customSetting", "deprecatedAndHidden", "feedEnabled", "hasSubtypes",
    "isInterface", "isSubtype", "mergeable", "mruEnabled",
)  # fmt: skip


def describe(schema: Schema, definition: ObjectDef, version_path: str) -> JsonObject:
    """An object with the fields and child relationships that the user sees."""
    return {
        **summary(definition, version_path),
        "fields": [describe_field(field) for field in definition.visible_fields()],
        "childRelationships": _children(schema, definition),
        "recordTypeInfos": [],
        "supportedScopes": [],
        "namedLayoutInfos": [],
        "actionOverrides": [],
    }


def _children(schema: Schema, parent: ObjectDef) -> list[JsonObject]:
    return [
        {
            "childSObject": child.name,
            "field": field.name,
            "relationshipName": _child_relationship(field),
            "cascadeDelete": False,
            "restrictedDelete": False,
            "deprecatedAndHidden": False,
        }
        for child in schema
        for field in child.visible_fields()
        if field.refers_to == parent.name
    ]


def _child_relationship(field: FieldDef) -> str:
    custom = field.name.endswith("__c")
    return f"{field.child_relationship}__r" if custom else str(field.child_relationship)


def describe_field(field: FieldDef) -> JsonObject:
    """One field with every property that clients read."""
    return {
        **_CONSTANT_PROPERTIES,
        **_basic_properties(field),
        **_sizes(field),
        **_permissions(field),
        **_reference(field),
    }


_CONSTANT_PROPERTIES: JsonObject = {
    **dict.fromkeys(
        ("calculated", "cascadeDelete", "dependentPicklist", "deprecatedAndHidden", "encrypted",
         "displayLocationInDecimal", "highScaleNumber", "htmlFormatted", "polymorphicForeignKey",
         "queryByDistance", "restrictedDelete", "searchPrefilterable", "writeRequiresMasterRead",
         "formulaTreatNullNumberAsZero", "aiPredictionField", "namePointing"),
        False,
    ),
    **dict.fromkeys(
        ("calculatedFormula", "compoundFieldName", "controllerName", "defaultValueFormula",
         "extraTypeInfo", "filteredLookupInfo", "mask", "maskType", "referenceTargetField",
         "relationshipOrder"),
    ),
}  # fmt: skip


def _basic_properties(field: FieldDef) -> JsonObject:
    kind = describe_type(field)
    return {
        "name": field.name,
        "label": field.label,
        "type": kind,
        "soapType": _SOAP_TYPES.get(kind, "xsd:string"),
        "custom": field.name.endswith("__c"),
        "autoNumber": field.type == "AutoNumber",
        "nameField": field.name_field,
        "inlineHelpText": field.help,
        "externalId": field.external_id,
        "idLookup": field.id_lookup or field.type == "Id",
        "unique": field.unique,
        "caseSensitive": field.case_sensitive,
        "restrictedPicklist": field.restricted,
        "picklistValues": [
            {"active": True, "defaultValue": False, "label": v, "validFor": None, "value": v}
            for v in field.picklist
        ],
    }


def _sizes(field: FieldDef) -> JsonObject:
    length = 18 if field.type == "Lookup" else field.length
    return {
        "length": length,
        "byteLength": length * 3,
        "digits": 0,
        "precision": field.precision if field.type in NUMERIC else 0,
        "scale": field.scale if field.type in NUMERIC else 0,
    }


def _permissions(field: FieldDef) -> JsonObject:
    filterable = field.type not in _NOT_FILTERABLE
    checkbox = field.type == "Checkbox"
    return {
        "createable": field.createable,
        "updateable": field.updateable,
        "nillable": not field.required and not checkbox,
        # A custom object's blank Name becomes the record's Id; Account requires a Name.
        "defaultedOnCreate": checkbox or (field.name_field and not field.required) or field.system,
        "defaultValue": False if checkbox and not field.system else None,
        "permissionable": not (field.required or field.system or field.name_field),
        "aggregatable": filterable,
        "filterable": filterable,
        "groupable": filterable and field.type not in NUMERIC,
        "sortable": filterable,
    }


def _reference(field: FieldDef) -> JsonObject:
    return {
        "referenceTo": [field.refers_to] if field.refers_to else [],
        "relationshipName": field.relationship,
    }
