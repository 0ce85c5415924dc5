"""The objects and fields of the sandbox org. Both can be changed while it runs."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta

from m3sync_dagster.sandbox.json_types import JsonObject

NUMERIC = frozenset({"Number", "Currency", "Percent"})
"""Metadata types whose values are decimal numbers."""

TEXTUAL = frozenset(
    {"Text", "TextArea", "LongTextArea", "EncryptedText", "Email", "Phone", "Url", "AutoNumber"}
)
"""Metadata types whose values are plain text."""

USER = "User"
"""The object of the integration user, who owns, creates and changes every record."""

_LENGTHS = {
    "Email": 80,
    "Phone": 40,
    "Url": 255,
    "TextArea": 255,
    "Picklist": 255,
    "MultiselectPicklist": 4099,
}
"""Lengths that metadata does not give. Source: Object Reference, "Field Types"; Help, "Custom
Field Types"."""


@dataclass(slots=True)
class FieldDef:
    """One field. Source of the terms: Salesforce Metadata API guide, "CustomField".

    Args:
        name: API name.
        label: the name in the user interface and in error messages.
        type: metadata type, such as ``Text`` or ``Lookup``, or ``Id``.
        length, precision, scale: the size of texts and of numbers.
        required, unique, external_id, case_sensitive: as in the metadata.
        refers_to: API name of the lookup's parent object.
        child_relationship: the name of the relationship in the parent object.
        picklist: the values of a picklist.
        restricted: whether the picklist accepts no other values.
        display_format: of an auto number, such as ``M3C-{000000}``.
        help: inline help text.
        visible: whether field-level security gives the sync user read access. For that user,
            an invisible field does not exist.
        createable, updateable: whether that user can write it.
        name_field: whether it is the object's ``Name``.
        system: whether only Salesforce sets it.
    """

    name: str
    label: str
    type: str
    length: int = 0
    precision: int = 0
    scale: int = 0
    required: bool = False
    unique: bool = False
    external_id: bool = False
    case_sensitive: bool = False
    refers_to: str | None = None
    child_relationship: str | None = None
    picklist: tuple[str, ...] = ()
    restricted: bool = False
    display_format: str = ""
    help: str | None = None
    visible: bool = True
    createable: bool = True
    updateable: bool = True
    name_field: bool = False
    system: bool = False

    def __post_init__(self) -> None:
        """Sets the length of a type whose length is fixed."""
        self.length = self.length or _LENGTHS.get(self.type, 0)

    @property
    def relationship(self) -> str | None:
        """Describe's ``relationshipName``: ``Account__c`` is read through ``Account__r``."""
        if self.refers_to is None:
            return None
        return re.sub("__c$", "__r", self.name) if self.name.endswith("__c") else self.name[:-2]

    @property
    def id_lookup(self) -> bool:
        """Whether records can be looked up by it."""
        return self.external_id or self.unique


@dataclass(frozen=True, slots=True)
class ValidationRule:
    """Rejects a row whose field matches the whole regular expression; null counts as empty text."""

    field: str
    pattern: str
    message: str


@dataclass(slots=True)
class ObjectDef:
    """One object: its names, its fields by API name, and its validation rules.

    ``visible``, ``createable``, ``updateable`` and ``deletable`` are whether the sync user has
    permission to see it, and to create, edit and delete its records.
    """

    name: str
    label: str
    plural_label: str
    key_prefix: str
    fields: dict[str, FieldDef] = field(default_factory=dict)
    rules: list[ValidationRule] = field(default_factory=list)
    visible: bool = True
    createable: bool = True
    updateable: bool = True
    deletable: bool = True
    _folded: dict[str, FieldDef] = field(default_factory=dict)

    def add(self, definition: FieldDef) -> None:
        """Adds a field, or replaces the field with the same name."""
        self.fields[definition.name] = definition
        self._folded[definition.name.casefold()] = definition

    def remove(self, name: str) -> None:
        """Removes a field. Raises ``KeyError`` if there is no such field."""
        del self.fields[name], self._folded[name.casefold()]

    def find(self, name: str) -> FieldDef | None:
        """The field with this name, in any case, if the sync user sees it."""
        found = self._folded.get(name.casefold())
        return found if found and found.visible else None

    def find_lookup(self, relationship: str) -> FieldDef | None:
        """The lookup with this relationship name, if the sync user sees it."""
        name = relationship.casefold()
        matching = (f for f in self.visible_fields() if (f.relationship or "").casefold() == name)
        return next(matching, None)

    def visible_fields(self) -> Iterator[FieldDef]:
        """The fields that the sync user sees."""
        return (definition for definition in self.fields.values() if definition.visible)


class Schema:
    """All objects of an org.

    Args:
        prefix: the namespace of the managed package that contains the objects, without
            underscores; empty for the org's own objects. It precedes every custom API name.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = f"{prefix}__" if prefix else ""
        self._objects: dict[str, ObjectDef] = {}
        self.last_modified = datetime.now(UTC).replace(microsecond=0)

    def __iter__(self) -> Iterator[ObjectDef]:
        return iter(self._objects.values())

    def find(self, name: str) -> ObjectDef | None:
        """The object with this name, in any case, if the sync user sees it."""
        found = self.existing(name)
        return found if found and found.visible else None

    def existing(self, name: str) -> ObjectDef | None:
        """The object with this API name, whether or not the sync user sees it."""
        return self._objects.get(name.casefold())

    def qualify(self, name: str) -> str:
        """The API name of a custom object or field in this org."""
        return f"{self._prefix}{name}" if name.endswith("__c") else name

    def add_object(
        self, name: str, label: str, plural_label: str, name_field: FieldDef
    ) -> ObjectDef:
        """Adds an object with the fields that every object has."""
        count = len(self._objects)
        added = ObjectDef(name, label, plural_label, f"a{count // 36:X}{_DIGITS[count % 36]}")
        for definition in (*_system_fields(), name_field):
            added.add(definition)
        self._objects[name.casefold()] = added
        self.touch()
        return added

    def add_field(self, target: ObjectDef, definition: FieldDef) -> None:
        """Adds a field to an object."""
        target.add(definition)
        self.touch()

    def change_field(self, target: ObjectDef, name: str, changes: JsonObject) -> None:
        """Changes properties of a field; their names are those of ``FieldDef``.

        Raises:
            KeyError: there is no such field.
            TypeError: there is no such property.
        """
        target.add(replace(target.fields[name], **_checked(changes)))
        self.touch()

    def touch(self) -> None:
        """Sets the time of the last change. It advances by a second or more, as HTTP dates do."""
        now = datetime.now(UTC).replace(microsecond=0)
        self.last_modified = max(now, self.last_modified + timedelta(seconds=1))


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _checked(changes: JsonObject) -> JsonObject:
    """Field properties from JSON; lists become tuples."""
    unknown = changes.keys() - {f.name for f in fields(FieldDef)}
    if unknown:
        raise TypeError(f"A field has no property {min(unknown)!r}.")
    return {key: tuple(v) if isinstance(v, list) else v for key, v in changes.items()}


def field_from_json(name: str, properties: JsonObject) -> FieldDef:
    """A field from its properties as JSON; ``type`` is required, ``label`` defaults to the name.

    Raises:
        TypeError: a property is unknown, or ``type`` is missing.
    """
    label = name.removesuffix("__c").replace("_", " ")
    return FieldDef(**{"name": name, "label": label, **_checked(properties)})


_SYSTEM_FIELDS = {
    "Id": ("Id", "Record ID"),
    "OwnerId": ("Lookup", "Owner ID"),
    "IsDeleted": ("Checkbox", "Deleted"),
    "CreatedDate": ("DateTime", "Created Date"),
    "CreatedById": ("Lookup", "Created By ID"),
    "LastModifiedDate": ("DateTime", "Last Modified Date"),
    "LastModifiedById": ("Lookup", "Last Modified By ID"),
    "SystemModstamp": ("DateTime", "System Modstamp"),
}
"""Type and label. Source: Object Reference, "System Fields" and "Frequently-Occurring Fields"."""


def _system_fields() -> list[FieldDef]:
    return [
        FieldDef(
            name,
            label,
            kind,
            length=18 if kind == "Id" else 0,
            required=True,
            refers_to=USER if kind == "Lookup" else None,
            createable=name == "OwnerId",
            updateable=name == "OwnerId",
            system=True,
        )
        for name, (kind, label) in _SYSTEM_FIELDS.items()
    ]
