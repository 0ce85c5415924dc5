"""Whether a Salesforce field can hold the values of a kind of m3ter field.

Source: Salesforce Object Reference, "Field Types".
"""

from collections.abc import Iterator

from m3sync_dagster.entities import M3TER_ID_LENGTH, Field, FieldKind
from m3sync_dagster.sync.salesforce_schema import SalesforceField

UUID_LENGTH = 36
"""Characters of the ids that m3ter gives."""

ENCRYPTED = "encryptedstring"
"""Describe's type of a text under Classic Encryption.

It can be neither an external ID nor unique nor used in a filter, and only users with the
permission View Encrypted Data see its value.
Source: Salesforce Help, "Classic Encryption for Custom Fields".
"""
TEXTS = frozenset({"string", "textarea", "email", "phone", "url", ENCRYPTED, "combobox"})
"""Describe's types that accept any text."""
_CHOICES = frozenset({"picklist", "multipicklist"})
_NUMBERS = frozenset({"double", "currency", "percent", "int", "long"})
_KNOWN = TEXTS | _CHOICES | _NUMBERS | {
    "boolean", "date", "datetime", "time", "reference", "id", "address", "location", "base64",
    "anyType", "complexvalue",
}  # fmt: skip
_NEVER = frozenset({"id", "address", "location", "base64", "anyType", "complexvalue"})
_WRITABLE = _KNOWN - _NEVER

_ACCEPTED_TYPES: dict[FieldKind, frozenset[str]] = {
    FieldKind.TEXT: TEXTS | _CHOICES,
    FieldKind.NUMBER: TEXTS | _NUMBERS,
    FieldKind.INTEGER: TEXTS | _NUMBERS,
    FieldKind.BOOLEAN: TEXTS | {"boolean", "picklist"},
    FieldKind.DATE: TEXTS | {"date", "datetime"},
    FieldKind.DATETIME: TEXTS | {"datetime"},
    FieldKind.LIST: TEXTS | _CHOICES,
    FieldKind.JSON: TEXTS,
    FieldKind.LOOKUP: TEXTS - {ENCRYPTED} | {"reference"},
    FieldKind.LINK: frozenset({"reference"}),
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
    FieldKind.LINK: "the Salesforce Id of a record",
}


def kind_in_words(kind: FieldKind) -> str:
    """A kind of m3ter value in words."""
    return _WORDS.get(kind, "a text")


def can_hold(kind: FieldKind, described: SalesforceField) -> bool:
    """Whether a field's type can hold values of a kind; an unknown type is assumed to."""
    return described.type in _ACCEPTED_TYPES[kind] or described.type not in _KNOWN


def takes_text(described: SalesforceField) -> bool:
    """Whether a field's values are texts, those of a picklist included."""
    return described.type in TEXTS | _CHOICES


def can_hold_id(described: SalesforceField) -> bool:
    """Whether a field can hold m3ter's ids."""
    is_long_enough = not described.length or described.length >= UUID_LENGTH
    return is_long_enough and (described.type in TEXTS or described.type not in _KNOWN)


def size_warnings(source_field: Field, described: SalesforceField) -> Iterator[str]:
    """Describe the values of an m3ter field that would be too large for a Salesforce field."""
    if described.type in TEXTS and described.length:
        most = M3TER_ID_LENGTH if source_field.kind is FieldKind.LOOKUP else source_field.length
        if source_field.kind in _SIZED and described.length < most:
            yield f"holds {described.length} characters, and {source_field.source} can have {most}"
    if described.type in _NUMBERS and described.precision:
        most = described.precision - described.scale
        wanted = source_field.precision - source_field.scale
        if source_field.kind in {FieldKind.NUMBER, FieldKind.INTEGER} and most < wanted:
            yield (
                f"holds {most} digits before the point, and {source_field.source} can have {wanted}"
            )


_SIZED = {FieldKind.TEXT, FieldKind.LIST, FieldKind.JSON, FieldKind.LOOKUP, FieldKind.TITLE}
