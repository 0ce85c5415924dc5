"""Whether a Salesforce field can hold what a kind of m3ter field brings.

Source: Salesforce Object Reference, "Field Types".
"""

from collections.abc import Iterator

from m3sync_dagster.entities import M3TER_ID_LENGTH, Field, Kind
from m3sync_dagster.sync.ports import SalesforceField

UUID_LENGTH = 36
"""Characters of the ids that m3ter gives."""

TEXTS = frozenset({"string", "textarea", "email", "phone", "url", "encryptedstring", "combobox"})
"""Describe's types that take any text."""
_CHOICES = frozenset({"picklist", "multipicklist"})
_NUMBERS = frozenset({"double", "currency", "percent", "int", "long"})
_KNOWN = TEXTS | _CHOICES | _NUMBERS | {
    "boolean", "date", "datetime", "time", "reference", "id", "address", "location", "base64",
    "anyType", "complexvalue",
}  # fmt: skip
_NEVER = frozenset({"id", "address", "location", "base64", "anyType", "complexvalue"})
_WRITABLE = _KNOWN - _NEVER

_HOLDS: dict[Kind, frozenset[str]] = {
    Kind.TEXT: TEXTS | _CHOICES,
    Kind.NUMBER: TEXTS | _NUMBERS,
    Kind.INTEGER: TEXTS | _NUMBERS,
    Kind.BOOLEAN: TEXTS | {"boolean", "picklist"},
    Kind.DATE: TEXTS | {"date", "datetime"},
    Kind.DATETIME: TEXTS | {"datetime"},
    Kind.LIST: TEXTS | _CHOICES,
    Kind.JSON: TEXTS,
    Kind.LOOKUP: TEXTS | {"reference"},
    Kind.ANY: _WRITABLE,
    Kind.TITLE: TEXTS,
}
_WORDS = {
    Kind.NUMBER: "a number",
    Kind.INTEGER: "a whole number",
    Kind.BOOLEAN: "true or false",
    Kind.DATE: "a date",
    Kind.DATETIME: "a date-time",
    Kind.LIST: "a list of texts",
    Kind.JSON: "JSON",
    Kind.LOOKUP: "the id of another record",
}


def kind_in_words(kind: Kind) -> str:
    """A kind of m3ter value as people call it."""
    return _WORDS.get(kind, "a text")


def holds(kind: Kind, described: SalesforceField) -> bool:
    """Whether a field's type can hold values of a kind; a type that we do not know is trusted."""
    return described.type in _HOLDS[kind] or described.type not in _KNOWN


def holds_id(described: SalesforceField) -> bool:
    """Whether a field can hold m3ter's ids."""
    roomy = not described.length or described.length >= UUID_LENGTH
    return roomy and (described.type in TEXTS or described.type not in _KNOWN)


def shortfalls(carried: Field, described: SalesforceField) -> Iterator[str]:
    """Say which values of a field that holds its kind are too large for it all the same."""
    if described.type in TEXTS and described.length:
        most = M3TER_ID_LENGTH if carried.kind is Kind.LOOKUP else carried.length
        if carried.kind in _SIZED and described.length < most:
            yield f"holds {described.length} characters, and {carried.source} can have {most}"
    if described.type in _NUMBERS and described.precision:
        room = described.precision - described.scale
        wanted = carried.precision - carried.scale
        if carried.kind in {Kind.NUMBER, Kind.INTEGER} and room < wanted:
            yield f"holds {room} digits before the point, and {carried.source} can have {wanted}"


_SIZED = {Kind.TEXT, Kind.LIST, Kind.JSON, Kind.LOOKUP, Kind.TITLE}
