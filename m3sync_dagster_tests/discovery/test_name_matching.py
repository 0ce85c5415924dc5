"""Names of objects and fields that match an entity's, and names that do not."""

from typing import Any

import pytest

from m3sync_dagster.discovery.name_matching import (
    BY_LABEL,
    NAME_MATCHES,
    external_ids,
    has_entity_name,
    is_id,
    namespace_of,
    without_namespace,
)
from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync.salesforce_schema import SalesforceField

ACCOUNT = ENTITIES["account"]
SOURCES = {field.source: field for field in ACCOUNT.fields}
RULES = dict(zip(("name", "source", "label", "partial name"), NAME_MATCHES, strict=True))


@pytest.mark.parametrize(
    ("name", "namespace", "rest"),
    [
        ("pkg__Thing__c", "pkg", "Thing__c"),
        ("Thing__c", "", "Thing__c"),
        ("Account", "", "Account"),
        ("pkg__Thing__r", "pkg", "Thing__r"),
    ],
)
def test_namespaces(name: str, namespace: str, rest: str) -> None:
    assert (namespace_of(name), without_namespace(name)) == (namespace, rest)


@pytest.mark.parametrize(
    ("name", "label", "matches", "matches_any"),
    [
        ("m3_Account__c", "", True, True),
        ("p__m3terAccount__c", "", True, True),
        ("p__X__c", "m3 Account", True, True),
        ("p__Account__c", "Account", False, True),
        ("p__Accounts__c", "", False, False),
        ("Account", "m3 Account", False, False),
        ("p__m3_Account__e", "", False, False),
    ],
)
def test_objects_with_the_name_of_an_entity(
    name: str,
    label: str,
    matches: bool,
    matches_any: bool,
) -> None:
    assert has_entity_name(name, label, ACCOUNT, any_name=False) is matches
    assert has_entity_name(name, label, ACCOUNT, any_name=True) is matches_any


@pytest.mark.parametrize(
    ("name", "label", "expected"),
    [
        ("p__m3_Id__c", "", True),
        ("p__External_Id__c", "", True),
        ("p__X__c", "Account ID", True),
        ("p__X__c", "Contract ID", False),
        ("p__Identity__c", "", False),
    ],
)
def test_fields_with_the_name_of_an_id(name: str, label: str, expected: bool) -> None:
    assert is_id(ACCOUNT, SalesforceField(name, "string", label=label)) is expected


@pytest.mark.parametrize(
    ("source", "name", "label", "rule"),
    [
        ("code", "p__CODE__c", "", "name"),
        ("emailAddress", "p__EmailAddress__c", "", "source"),
        ("emailAddress", "p__X__c", "Email address", "label"),
        ("emailAddress", "p__X__c", "Email", "partial name"),
        ("code", "p__X__c", "m3 Account Code (old)", "partial name"),
        ("parentAccountId", "p__m3_Parent_Account__c", "", "source"),
        ("title", "p__Title__c", "Title", None),
        ("code", "p__Decode__c", "Decode", None),
    ],
)
def test_the_first_rule_by_which_a_field_matches(
    source: str, name: str, label: str, rule: str | None
) -> None:
    field = SalesforceField(name, "string", label=label)
    found = (key for key, matches in RULES.items() if matches(ACCOUNT, SOURCES[source], field))
    assert next(found, None) == rule


def test_matches_by_label_or_partial_name_need_a_person() -> None:
    assert {RULES["label"], RULES["partial name"]} == BY_LABEL


UNIQUE: dict[str, Any] = {"external_id": True, "unique": True}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"p__m3ter_Id__c": {}, "p__X__c": UNIQUE}, ["p__m3ter_Id__c"]),
        ({"p__Account_Id__c": UNIQUE, "p__X__c": UNIQUE}, ["p__Account_Id__c"]),
        ({"p__Account_Id__c": {}, "p__X__c": UNIQUE}, ["p__Account_Id__c"]),
        ({"p__Y__c": UNIQUE, "p__X__c": UNIQUE}, ["p__X__c", "p__Y__c"]),
        ({"p__m3ter_Id__c": {"external_id": False}}, []),
        ({"p__m3ter_Id__c": {"length": 20}}, []),
        ({"p__X__c": {}}, []),
        ({}, []),
    ],
)
def test_candidates_for_the_external_id(
    fields: dict[str, dict[str, Any]], expected: list[str]
) -> None:
    given = [SalesforceField(name, "string", **more) for name, more in fields.items()]
    assert [field.name for field in external_ids(ACCOUNT, given)] == expected
