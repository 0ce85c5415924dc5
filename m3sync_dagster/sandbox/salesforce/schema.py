"""The objects and fields of the sandbox org. They may change while it runs, as an org's do."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any

NUMERIC = frozenset({"Number", "Currency", "Percent"})
"""Metadata types whose values are decimal numbers."""

TEXTUAL = frozenset(
    {"Text", "TextArea", "LongTextArea", "EncryptedText", "Email", "Phone", "Url", "AutoNumber"}
)
"""Metadata types whose values are plain text."""


@dataclass(slots=True)
class FieldDef:
    """One field, in the words of Salesforce's Metadata API ("CustomField").

    Args:
        name: API name.
        label: the name people see; error messages use it.
        type: metadata type, such as ``Text`` or ``Lookup``; ``Id`` and ``Name`` parts included.
        length, precision, scale: size of text and of numbers.
        required, unique, external_id, case_sensitive: as in the metadata.
        refers_to: API name of the object that a lookup points to.
        child_relationship: the name of the lookup seen from that object.
        picklist: values of a picklist; ``restricted`` takes no others.
        display_format: of an auto number, such as ``M3C-{000000}``.
        help: inline help text.
        visible: whether the sync user may see it. A field without field-level security looks to
            that user just like one that does not exist.
        createable, updateable: whether that user may write it.
        name_field: whether it is the object's ``Name``.
        system: whether Salesforce alone fills it in.
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
    """Refuses a row whose field matches a regular expression as a whole; null counts as empty."""

    field: str
    pattern: str
    message: str


@dataclass(slots=True)
class ObjectDef:
    """One object: its names, its fields by API name, and the admin's validation rules.

    ``shown`` says whether the sync user may see it.
    """

    name: str
    label: str
    plural_label: str
    key_prefix: str
    fields: dict[str, FieldDef] = field(default_factory=dict)
    rules: list[ValidationRule] = field(default_factory=list)
    shown: bool = True
    _folded: dict[str, FieldDef] = field(default_factory=dict)

    def add(self, definition: FieldDef) -> None:
        """Adds a field, or puts it in the place of the one with its name."""
        self.fields[definition.name] = definition
        self._folded[definition.name.casefold()] = definition

    def remove(self, name: str) -> None:
        """Removes a field. Raises ``KeyError`` where there is none."""
        del self.fields[name], self._folded[name.casefold()]

    def find(self, name: str) -> FieldDef | None:
        """The field that the sync user sees under this name; Salesforce ignores its case."""
        found = self._folded.get(name.casefold())
        return found if found and found.visible else None

    def through(self, relationship: str) -> FieldDef | None:
        """The lookup that this user sees under a relationship's name."""
        wanted = relationship.casefold()
        for definition in self.visible():
            if (definition.relationship or "").casefold() == wanted:
                return definition
        return None

    def visible(self) -> Iterator[FieldDef]:
        """The fields that the sync user sees."""
        return (definition for definition in self.fields.values() if definition.visible)


class Schema:
    """All objects of an org.

    Args:
        prefix: the namespace of the managed package that brings the objects, without underscores;
            empty for objects that are the org's own. It goes before every custom API name.
    """

    def __init__(self, prefix: str = "") -> None:
        self._prefix = f"{prefix}__" if prefix else ""
        self._objects: dict[str, ObjectDef] = {}
        self.last_modified = datetime.now(UTC).replace(microsecond=0)

    def __iter__(self) -> Iterator[ObjectDef]:
        return iter(self._objects.values())

    def find(self, name: str) -> ObjectDef | None:
        """The object that the sync user sees under this name; Salesforce ignores its case."""
        found = self.existing(name)
        return found if found and found.shown else None

    def existing(self, name: str) -> ObjectDef | None:
        """The object with this API name, seen by the sync user or not."""
        return self._objects.get(name.casefold())

    def qualify(self, name: str) -> str:
        """The API name that a custom object or field has in this org."""
        return f"{self._prefix}{name}" if name.endswith("__c") else name

    def add_object(
        self, name: str, label: str, plural_label: str, name_field: FieldDef
    ) -> ObjectDef:
        """Adds an object with the fields that every object has."""
        count = len(self._objects)
        made = ObjectDef(name, label, plural_label, f"a{count // 36:X}{_DIGITS[count % 36]}")
        for definition in (*_system_fields(), name_field):
            made.add(definition)
        self._objects[name.casefold()] = made
        self.touch()
        return made

    def add_field(self, target: ObjectDef, definition: FieldDef) -> None:
        """Adds a field to an object."""
        target.add(definition)
        self.touch()

    def change_field(self, target: ObjectDef, name: str, changes: dict[str, Any]) -> None:
        """Changes properties of a field, named as those of ``FieldDef``.

        Raises:
            KeyError: there is no such field.
            TypeError: there is no such property.
        """
        target.add(replace(target.fields[name], **_checked(changes)))
        self.touch()

    def touch(self) -> None:
        """Notes that describes have changed. HTTP tells times apart by seconds alone."""
        now = datetime.now(UTC).replace(microsecond=0)
        self.last_modified = max(now, self.last_modified + timedelta(seconds=1))


_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def _checked(changes: dict[str, Any]) -> dict[str, Any]:
    """Field properties as they come from JSON."""
    unknown = changes.keys() - {f.name for f in fields(FieldDef)}
    if unknown:
        raise TypeError(f"A field has no property {min(unknown)!r}.")
    return {key: tuple(v) if isinstance(v, list) else v for key, v in changes.items()}


def field_from_json(name: str, properties: dict[str, Any]) -> FieldDef:
    """A field from its properties as JSON; ``type`` is needed, ``label`` follows from the name.

    Raises:
        TypeError: a property is unknown, or ``type`` is missing.
    """
    label = name.removesuffix("__c").replace("_", " ")
    return FieldDef(**{"name": name, "label": label, **_checked(properties)})


def _system_fields() -> list[FieldDef]:
    kinds = {
        "Id": "Id",
        "IsDeleted": "Checkbox",
        "CreatedDate": "DateTime",
        "LastModifiedDate": "DateTime",
        "SystemModstamp": "DateTime",
    }
    labels = {"Id": "Record ID", "IsDeleted": "Deleted"}
    return [
        FieldDef(
            name,
            labels.get(name, name),
            kind,
            length=18 if kind == "Id" else 0,
            required=True,
            createable=False,
            updateable=False,
            system=True,
        )
        for name, kind in kinds.items()
    ]
