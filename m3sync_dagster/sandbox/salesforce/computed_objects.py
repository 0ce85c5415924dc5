"""Queries of setup objects, whose records are computed from the org at each query.

They support what clients use: fields by name, and conditions of equality.
"""

from collections.abc import Callable, Iterable, Mapping

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.salesforce.errors import ApiError
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.org_and_user import ComputedRecord
from m3sync_dagster.sandbox.salesforce.soql import Comparison, Condition, Junction, Select

RecordSources = Mapping[str, Callable[[Org], Iterable[ComputedRecord]]]
"""The function that computes each object's records, by the object's name in lower case."""

SETUP_OBJECTS: RecordSources = {
    "organization": lambda org: [org.identity.organization_record()],
    "user": lambda org: [org.identity.user_record(org.credentials.username)],
}
"""Objects of the REST API."""


def setup_record(org: Org, name: str, record_id: str) -> JsonObject | None:
    """The record of a setup object with this Id; ``None`` if there is none."""
    source = SETUP_OBJECTS.get(name.casefold())
    found = [one for one in source(org) if one["Id"] == record_id] if source else []
    return {"attributes": {"type": name}, **found[0]} if found else None


def select_computed(org: Org, select: Select, sources: RecordSources) -> JsonObject | None:
    """Run a query; ``None`` if its object is not among the sources.

    Raises:
        ApiError: it names a field that does not exist, a condition other than equality, or an
            aggregate function.
    """
    source = sources.get(select.object.casefold())
    if source is None:
        return None
    if select.grouped:
        raise ApiError(400, "MALFORMED_QUERY", f"{select.object} cannot be grouped in the sandbox")
    found = [one for one in source(org) if select.where is None or _matches(select.where, one)]
    listed = [] if select.count else found[select.offset :][: select.limit]
    records = [_nested(select.object, record, select.paths) for record in listed]
    return {"size": len(found), "totalSize": len(found), "done": True, "records": records}


def _matches(condition: Condition, record: ComputedRecord) -> bool:
    if isinstance(condition, Junction) and condition.word == "and":
        return all(_matches(part, record) for part in condition.parts)
    if isinstance(condition, Comparison) and condition.operator == "=":
        value = str(record.get(condition.path)).casefold()
        return value == str(condition.values[0].value).casefold()
    raise ApiError(400, "MALFORMED_QUERY", "Only equals comparisons permitted")


def _nested(name: str, record: ComputedRecord, paths: list[str]) -> JsonObject:
    nested: JsonObject = {"attributes": {"type": name}}
    known = {path.casefold(): path for path in record}
    for selected in paths:
        path = known.get(selected.casefold())
        if path is None:
            raise ApiError(400, "INVALID_FIELD", f"No such column '{selected}' on entity '{name}'")
        outer, _, inner = path.partition(".")
        if inner:
            nested.setdefault(outer, {})[inner] = record[path]
        else:
            nested[outer] = record[path]
    return nested
