"""Queries over what is no table of the org: setup objects, whose records are made when asked for.

They take what clients ask of them: fields by name, and conditions of equality.
"""

from collections.abc import Callable, Iterable, Mapping

from m3sync_dagster.sandbox.salesforce.errors import ApiError
from m3sync_dagster.sandbox.salesforce.http import JsonObject
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.soql import Comparison, Condition, Junction, Select

Flat = Mapping[str, str | bool | None]
"""A record by the paths of its values."""
Sources = Mapping[str, Callable[[Org], Iterable[Flat]]]
"""How the records of each object are made, by the object's name in lower case."""


def select_flat(org: Org, select: Select, sources: Sources) -> JsonObject | None:
    """Answer a query; ``None`` where its object is not among the sources.

    Raises:
        ApiError: it asks for a field that there is not, or for more than equality.
    """
    source = sources.get(select.object.casefold())
    if source is None:
        return None
    found = [flat for flat in source(org) if select.where is None or _holds(select.where, flat)]
    listed = [] if select.count else found[select.offset :][: select.limit]
    records = [_nested(select.object, flat, select.paths) for flat in listed]
    return {"size": len(found), "totalSize": len(found), "done": True, "records": records}


def _holds(condition: Condition, flat: Flat) -> bool:
    if isinstance(condition, Junction) and condition.word == "and":
        return all(_holds(part, flat) for part in condition.parts)
    if isinstance(condition, Comparison) and condition.operator == "=":
        held = str(flat.get(condition.path)).casefold()
        return held == str(condition.values[0].value).casefold()
    raise ApiError(400, "MALFORMED_QUERY", "Only equals comparisons permitted")


def _nested(name: str, flat: Flat, paths: list[str]) -> JsonObject:
    record: JsonObject = {"attributes": {"type": name}}
    held = {path.casefold(): path for path in flat}
    for asked in paths:
        path = held.get(asked.casefold())
        if path is None:
            raise ApiError(400, "INVALID_FIELD", f"No such column '{asked}' on entity '{name}'")
        outer, _, inner = path.partition(".")
        if inner:
            record.setdefault(outer, {})[inner] = flat[path]
        else:
            record[outer] = flat[path]
    return record
