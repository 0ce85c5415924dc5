"""Comparing a value that Salesforce returns with the one that was sent.

Salesforce stores values in its own forms, and its REST and Bulk APIs return them in different ones.
``canonical`` converts both sides to one form, in which equal values are equal.

Sources: Salesforce SOAP API Developer Guide, "Primitive Data Types" (a ``dateTime`` has a precision
of one second); Salesforce Help 000394530 (a number leaves the REST and Bulk APIs as a double) and
000384328 (e-mail addresses are stored in lower case);
Bulk API 2.0 Developer Guide, "Valid Date Format in Records" and "Get Results for a Query Job".
"""

from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation

from m3sync_dagster.sync.converters import BLANK
from m3sync_dagster.sync.converters import text as as_text
from m3sync_dagster.sync.row_types import Target
from m3sync_dagster.sync.salesforce_schema import SalesforceObject

Canonical = str | bool | float | None
"""A value in canonical form: numbers as doubles, moments as UTC to the second."""


def field_types(target: Target, described: SalesforceObject) -> list[str]:
    """The type of each of a target's columns, for ``canonical``.

    A lookup is read as its parent's external ID, not as a value of the field's own type.
    """
    return [
        "string" if column.relationship else described.fields[column.field].type
        for column in target.columns
    ]


def canonical(value: object, kind: str) -> Canonical:
    """Convert a value to the canonical form of a field's type.

    Args:
        value: as it is sent, or as a query or a CSV file returns it.
        kind: describe's ``type`` of the field.
    """
    words = value.strip(BLANK) if isinstance(value, str) else value
    if kind == "boolean":
        return words is True or (isinstance(words, str) and words.lower() == "true")
    if words is None or words == "":
        return None
    return _FORMS.get(kind, _text)(words)


def _text(value: object) -> Canonical:
    return repr(value) if isinstance(value, float) else str(as_text(value))


def _email(value: object) -> Canonical:
    return str(_text(value) or "").lower() or None


def _number(value: object) -> Canonical:
    """The nearest double; a value that is not a number is unchanged, and so differs."""
    try:
        return float(Decimal(str(value))) + 0.0  # no minus before a zero
    except InvalidOperation:
        return str(value)


def _moment(value: object) -> Canonical:
    try:
        moment = datetime.fromisoformat(str(value))
        if moment.tzinfo:
            moment = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return str(value)
    return moment.replace(microsecond=0, tzinfo=None).isoformat() + "Z"


def _choices(value: object) -> Canonical:
    """A multi-select picklist is returned in the order of its definition."""
    return ";".join(sorted(part.strip(BLANK) for part in str(value).split(";")))


def _reference(value: object) -> Canonical:
    """A Salesforce Id has 15 characters, and three more that are computed from them."""
    words = str(value)
    return words[:15] if len(words) == 18 and words.isalnum() else words


_FORMS: dict[str, Callable[[object], Canonical]] = {
    "email": _email,
    "double": _number,
    "currency": _number,
    "percent": _number,
    "int": _number,
    "long": _number,
    "datetime": _moment,
    "multipicklist": _choices,
    "reference": _reference,
}
"""Describe's field types; the others hold texts."""
