"""A describe is read, whatever it leaves out."""

from typing import Any

import pytest

from m3sync_dagster.salesforce.describe import parse_field, parse_object
from m3sync_dagster.sync.ports import SalesforceField


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"name": "Name"}, SalesforceField("Name", "string")),
        (
            {
                "name": "m3ter_Id__c",
                "type": "string",
                "length": 64,
                "externalId": True,
                "unique": True,
                "caseSensitive": True,
                "nillable": None,
                "picklistValues": None,
                "referenceTo": None,
            },
            SalesforceField(
                "m3ter_Id__c",
                "string",
                length=64,
                external_id=True,
                unique=True,
                case_sensitive=True,
            ),
        ),
        (
            {
                "name": "A__c",
                "type": "reference",
                "referenceTo": ["P__c"],
                "relationshipName": "X__r",
            },
            SalesforceField("A__c", "reference", refers_to=("P__c",), relationship="X__r"),
        ),
        (
            {"name": "ns__A__c", "type": "reference", "relationshipName": None},
            SalesforceField("ns__A__c", "reference", relationship="ns__A__r"),
        ),
        ({"name": "OddId", "type": "reference"}, SalesforceField("OddId", "reference")),
        (
            {
                "name": "P__c",
                "type": "picklist",
                "restrictedPicklist": True,
                "defaultedOnCreate": True,
                "createable": False,
                "updateable": False,
                "picklistValues": [
                    {"value": "a", "active": True},
                    {"value": "b", "active": False},
                    {"value": "c"},
                    {"label": "no value"},
                ],
            },
            SalesforceField(
                "P__c",
                "picklist",
                createable=False,
                updateable=False,
                picklist=("a", "c"),
                restricted=True,
                defaulted=True,
            ),
        ),
        (
            {"name": "N__c", "type": "double", "precision": 18, "scale": 2, "future": [1]},
            SalesforceField("N__c", "double", precision=18, scale=2),
        ),
    ],
)
def test_a_field_is_read(answer: dict[str, Any], expected: SalesforceField) -> None:
    assert parse_field(answer) == expected


def test_an_object_is_read_even_without_its_own_name() -> None:
    found = parse_object("Thing__c", {"fields": [{"name": "Name"}, {"label": "nameless"}]})
    assert (found.name, found.label, list(found.fields)) == ("Thing__c", "Thing__c", ["Name"])
    assert parse_object("Thing__c", {}).fields == {}
