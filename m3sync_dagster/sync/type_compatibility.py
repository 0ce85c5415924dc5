"""Whether a Salesforce field can hold what a kind of m3ter field brings.

Source: Salesforce Object Reference, "Field Types".
"""

from collections.abc import Iterator

from m3sync_dagster.entities import M3TER_ID_LENGTH, Field, FieldKind
from m3sync_dagster.sync.salesforce_schema import SalesforceField

UUID_LENGTH = 36
"""Characters of the ids that m3ter gives."""

ENCRYPTED = "encryptedstring"
"""Describe's type of a text under Classic Encryption.

It can be neither an external ID nor unique, nor stand in a filter, and shows its value to users
with the permission View Encrypted Data alone.
Source: Salesforce Help, "Classic Encryption for Custom Fields".
"""
TEXTS = frozenset({"string", "textarea", "email", "phone", "url", ENCRYPTED, "combobox"})
"""Describe's types that take any text."""
_CHOICES = frozenset({"picklist", "multipicklist"})
_NUMBERS = frozenset({"double", "currency", "percent", "int", "long"})
_KNOWN = TEXTS | _CHOICES | _NUMBERS | {
    "boolean", "date", "datetime", "time", "reference", "id", "address", "location", "base64",
    "anyType", "complexvalue",
}  # fmt: skip
_NEVER = frozenset({"id", "address", "location", "base64", "anyType", "complexvalue"})
_WRITABLE = _KNOWN - _NEVER

_HOLDS: dict[FieldKind, frozenset[str]] = {
    FieldKind.TEXT: TEXTS | _CHOICES,
    FieldKind.NUMBER: TEXTS | _NUMBERS,
    FieldKind.INTEGER: TEXTS | _NUMBERS,
    FieldKind.BOOLEAN: TEXTS | {"boolean", "picklist"},
    FieldKind.DATE: TEXTS | {"date", "datetime"},
    FieldKind.DATETIME: TEXTS | {"datetime"},
    FieldKind.LIST: TEXTS | _CHOICES,
    FieldKind.JSON: TEXTS,
    FieldKind.LOOKUP: TEXTS - {ENCRYPTED} | {"reference"},
    FieldKind.ANY: _WRITABLE,
    FieldKind.TITLE: TEXTS,
}
_WORDS = {
    FieldKind.NUMBER: "a number",
    FieldKind.INTEGER: "a whole number",
    FieldKind.BOOLEAN: "true or false",
    FieldKind.DATE: "a date",
    FieldKind.DATETIME: "a date-time",
    FieldKind.LIST: "a list of texts",
    FieldKind.JSON: "JSON",
    FieldKind.LOOKUP: "the id of another record",
}


def kind_in_words(kind: FieldKind) -> str:
    """A kind of m3ter value as people call it."""
    return _WORDS.get(kind, "a text")


def holds(kind: FieldKind, described: SalesforceField) -> bool:
    """Whether a field's type can hold values of a kind; a type that we do not know is trusted."""
    return described.type in _HOLDS[kind] or described.type not in _KNOWN


def takes_text(described: SalesforceField) -> bool:
    """Whether a field's values are texts, those of a picklist included."""
    return described.type in TEXTS | _CHOICES


def holds_id(described: SalesforceField) -> bool:
    """Whether a field can hold m3ter's ids."""
    roomy = not described.length or described.length >= UUID_LENGTH
    return roomy and (described.type in TEXTS or described.type not in _KNOWN)


def shortfalls(carried: Field, described: SalesforceField) -> Iterator[str]:
    """Say which values of a field that holds its kind are too large for it all the same."""
    if described.type in TEXTS and described.length:
        most = M3TER_ID_LENGTH if carried.kind is FieldKind.LOOKUP else carried.length
        if carried.kind in _SIZED and described.length < most:
            yield f"holds {described.length} characters, and {carried.source} can have {most}"
    if described.type in _NUMBERS and described.precision:
        room = described.precision - described.scale
        wanted = carried.precision - carried.scale
        if carried.kind in {FieldKind.NUMBER, FieldKind.INTEGER} and room < wanted:
            yield f"holds {room} digits before the point, and {carried.source} can have {wanted}"


_SIZED = {FieldKind.TEXT, FieldKind.LIST, FieldKind.JSON, FieldKind.LOOKUP, FieldKind.TITLE}
