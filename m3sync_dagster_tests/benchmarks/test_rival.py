import json
from collections.abc import Sequence

import pytest
from m3ter_records import PAGE, Lists, names
from rival import EXTERNAL_ID, mapper
from tools import columns

from m3sync_dagster.entities import ENTITIES, EntityType
from m3sync_dagster.sandbox.salesforce.app import METADATA
from m3sync_dagster.sandbox.salesforce.dx_source import read_schema

COMPARED = [entity for entity in ENTITIES.values() if entity.path in set(names())]


def row_of(entity: EntityType, record: dict[str, object]) -> dict[str, object]:
    return mapper({"columns": columns(entity)})(record)


@pytest.mark.parametrize("entity", COMPARED, ids=lambda entity: entity.name)
def test_a_row_has_a_cell_for_each_field_of_the_object(entity: EntityType) -> None:
    record = json.loads(Lists(1).page(entity.path, 0, PAGE)[0])["data"][0]
    row = row_of(entity, record)
    definition = next(one for one in read_schema(METADATA, "") if one.name == entity.object)
    known = {name.replace("__r.m3ter_Id__c", "__c") for name in row} - {"Name"}
    assert known <= set(definition.fields)
    assert len(row) == len(entity.fields) + 1
    assert row[EXTERNAL_ID] == record["id"]


@pytest.mark.parametrize(
    ("column", "record", "expected"),
    [
        ("Name", {"name": "n" * 90}, "n" * 80),
        ("Name", {"name": None, "code": "c"}, "c"),
        ("Name", {}, "a1"),
        ("Locality__c", {"address": {"locality": "Zürich"}}, "Zürich"),
        ("Locality__c", {"address": None}, None),
        ("Credit_Application_Order__c", {"creditApplicationOrder": ["A", "B"]}, "A;B"),
        ("Credit_Application_Order__c", {"creditApplicationOrder": []}, None),
        ("Parent_Account__r.m3ter_Id__c", {"parentAccountId": "p1"}, "p1"),
    ],
)
def test_a_value_becomes_a_cell(
    column: str, record: dict[str, Sequence[str]], expected: str
) -> None:
    assert row_of(ENTITIES["account"], {"id": "a1", **record})[column] == expected


def test_json_is_written_as_text() -> None:
    row = row_of(ENTITIES["contract"], {"id": "c1", "usageFilters": [{"a": 1}]})
    assert row["Usage_Filters__c"] == '[{"a": 1}]'
