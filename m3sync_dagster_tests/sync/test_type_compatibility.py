"""Which types of a Salesforce field can hold which kinds of m3ter values."""

import pytest

from m3sync_dagster.entities import Field, FieldKind
from m3sync_dagster.sync.salesforce_schema import SalesforceField
from m3sync_dagster.sync.type_compatibility import (
    can_hold,
    can_hold_id,
    kind_in_words,
    size_warnings,
    takes_text,
)

TYPES = (
    "string", "textarea", "encryptedstring", "picklist", "multipicklist", "double", "int",
    "boolean", "date", "datetime", "time", "reference", "id", "address", "base64", "unknown",
)  # fmt: skip
COMPATIBLE = {
    FieldKind.TEXT: "string textarea encryptedstring picklist multipicklist unknown",
    FieldKind.TITLE: "string textarea encryptedstring unknown",
    FieldKind.NUMBER: "string textarea encryptedstring double int unknown",
    FieldKind.INTEGER: "string textarea encryptedstring double int unknown",
    FieldKind.BOOLEAN: "string textarea encryptedstring picklist boolean unknown",
    FieldKind.DATE: "string textarea encryptedstring date datetime unknown",
    FieldKind.DATETIME: "string textarea encryptedstring datetime unknown",
    FieldKind.LIST: "string textarea encryptedstring picklist multipicklist unknown",
    FieldKind.JSON: "string textarea encryptedstring unknown",
    FieldKind.LOOKUP: "string textarea reference unknown",
    FieldKind.LINK: "reference unknown",
    FieldKind.ANY: "string textarea encryptedstring picklist multipicklist double int boolean date "
    "datetime time reference unknown",
}


@pytest.mark.parametrize("kind", list(FieldKind))
def test_compatible_types_of_each_kind(kind: FieldKind) -> None:
    found = [name for name in TYPES if can_hold(kind, SalesforceField("F__c", name))]
    assert found == COMPATIBLE[kind].split()


@pytest.mark.parametrize(
    ("type_", "length", "expected"),
    [
        ("string", 36, True),
        ("string", 35, False),
        ("string", 0, True),
        ("unknown", 0, True),
        ("picklist", 255, False),
        ("double", 0, False),
    ],
)
def test_fields_for_m3ter_ids(type_: str, length: int, expected: bool) -> None:
    assert can_hold_id(SalesforceField("F__c", type_, length=length)) is expected


@pytest.mark.parametrize(
    ("type_", "expected"), [("string", True), ("picklist", True), ("double", False)]
)
def test_types_whose_values_are_texts(type_: str, expected: bool) -> None:
    assert takes_text(SalesforceField("F__c", type_)) is expected


@pytest.mark.parametrize(
    ("source", "field", "warnings"),
    [
        (Field("code", "F__c", length=80), SalesforceField("F__c", "string", length=80), []),
        (
            Field("code", "F__c", length=81),
            SalesforceField("F__c", "string", length=80),
            ["holds 80 characters, and code can have 81"],
        ),
        (
            Field("accountId", "F__c", FieldKind.LOOKUP),
            SalesforceField("F__c", "string", length=40),
            ["holds 40 characters, and accountId can have 64"],
        ),
        (
            Field("amount", "F__c", FieldKind.NUMBER, precision=18, scale=6),
            SalesforceField("F__c", "double", precision=16, scale=6),
            ["holds 10 digits before the point, and amount can have 12"],
        ),
        (
            Field("amount", "F__c", FieldKind.NUMBER, precision=18, scale=6),
            SalesforceField("F__c", "double", precision=14, scale=2),
            [],
        ),
        # Describe gives no limit, or one that is not that of a text or a number.
        (Field("code", "F__c", length=80), SalesforceField("F__c", "string"), []),
        (Field("code", "F__c", length=80), SalesforceField("F__c", "picklist", length=40), []),
        (
            Field("amount", "F__c", FieldKind.NUMBER, precision=18, scale=6),
            SalesforceField("F__c", "double"),
            [],
        ),
        (
            Field("amount", "F__c", FieldKind.NUMBER, precision=18, scale=6),
            SalesforceField("F__c", "string", length=80, precision=9),
            [],
        ),
        (
            Field("locked", "F__c", FieldKind.BOOLEAN),
            SalesforceField("F__c", "string", length=5),
            [],
        ),
    ],
)
def test_warnings_of_fields_that_are_too_small(
    source: Field, field: SalesforceField, warnings: list[str]
) -> None:
    assert list(size_warnings(source, field)) == warnings


@pytest.mark.parametrize(
    ("kind", "words"), [(FieldKind.INTEGER, "a whole number"), (FieldKind.ANY, "a text")]
)
def test_kinds_in_words(kind: FieldKind, words: str) -> None:
    assert kind_in_words(kind) == words
