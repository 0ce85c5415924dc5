"""Describes a query without running it: the columns of its result, and its plan.

Source: Salesforce REST API guide, "Query" (``explain``). ``columns`` is not documented; the
Salesforce CLI reads the properties that are here.
"""

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.salesforce.describe_results import describe_type
from m3sync_dagster.sandbox.salesforce.query_engine import Path, Query
from m3sync_dagster.sandbox.salesforce.schema import NUMERIC, TEXTUAL


def columns(query: Query) -> JsonObject:
    """The columns of the result; a parent's field is a column of its relationship."""
    found: dict[str, JsonObject] = {}
    for path in query.paths:
        relationship, dot, _ = path.text.rpartition(".")
        if not dot:
            found[path.text] = _column(path, path.text)
            continue
        parent = found.setdefault(relationship, _column(path, relationship))
        parent["joinColumns"].append(_column(path, path.field.name))
    name = query.table.definition.name
    metadata = list(found.values())
    return {"columnMetadata": metadata, "entityName": name, "groupBy": False, "idSelected": False}


def _column(path: Path, name: str) -> JsonObject:
    field = path.field
    return {
        "aggregate": False,
        "apexType": describe_type(field),
        "booleanType": field.type == "Checkbox",
        "columnName": name,
        "custom": field.name.endswith("__c"),
        "displayName": name,
        "foreignKeyName": None,
        "insertable": field.createable,
        "joinColumns": [],
        "numberType": field.type in NUMERIC,
        "textType": field.type in TEXTUAL,
        "updatable": field.updateable,
    }


def plan(query: Query, soql: str) -> JsonObject:
    """The plan of a query: the sandbox always says that it reads the whole table."""
    records = len(query.table)
    only = {
        "cardinality": records,
        "fields": [],
        "leadingOperationType": "TableScan",
        "notes": [],
        "relativeCost": 1.0,
        "sobjectCardinality": records,
        "sobjectType": query.table.definition.name,
    }
    return {"plans": [only], "sourceQuery": soql}
