"""Describes a query without running it: the columns of its result, and its plan.

Source: Salesforce REST API guide, "Query" (``explain``). ``columns`` is not documented; the
Salesforce CLI reads the properties that are here.
"""

from collections.abc import Iterable

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.salesforce.query_engine import Query
from m3sync_dagster.sandbox.salesforce.soql import Aggregate


def columns(entity: str, paths: Iterable[str], aggregates: Iterable[Aggregate]) -> JsonObject:
    """The columns of the result; a parent's field is a column of its relationship."""
    found: dict[str, JsonObject] = {}
    for path in paths:
        relationship, dot, name = path.rpartition(".")
        if not dot:
            found[path] = _column(path)
        else:
            parent = found.setdefault(relationship, _column(relationship))
            parent["joinColumns"].append(_column(name))
    metadata = [*found.values(), *(_column(one.alias) | {"aggregate": True} for one in aggregates)]
    return {"columnMetadata": metadata, "entityName": entity, "groupBy": False, "idSelected": False}


def _column(name: str) -> JsonObject:
    return {
        "aggregate": False,
        "columnName": name,
        "custom": name.endswith(("__c", "__r")),
        "displayName": name,
        "foreignKeyName": None,
        "joinColumns": [],
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
