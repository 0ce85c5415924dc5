"""Runs queries with aggregate functions and ``GROUP BY``.

Source: Salesforce SOQL and SOSL Reference, "GROUP BY" and "Aggregate Functions".
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal

import msgspec

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.salesforce.field_values import Value, double_text
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.query_engine import Path, Query
from m3sync_dagster.sandbox.salesforce.record_fields import json_value
from m3sync_dagster.sandbox.salesforce.schema import NUMERIC
from m3sync_dagster.sandbox.salesforce.soql import Aggregate, Select, SortKey
from m3sync_dagster.sandbox.salesforce.soql_tokens import QueryError

Group = tuple[tuple[Value, ...], list[tuple[Value, ...]]]
"""The values that a group's records share, and the values to aggregate of each of them."""

_NUMERIC_ONLY = {"avg", "sum"}


def grouped_results(org: Org, select: Select, *, deleted: bool) -> list[JsonObject]:
    """The results of a query with groups, as the records of type ``AggregateResult``.

    Raises:
        ApiError: a field does not exist, or cannot be selected, grouped or aggregated.
    """
    names = {path.casefold() for path in select.group_by}
    for path in select.paths:
        if path.casefold() not in names:
            message = f"Field must be grouped or aggregated: {path}"
            raise QueryError("MALFORMED_QUERY", message, path)
    paths = [*select.group_by, *(one.path for one in select.aggregates)]
    inner = replace(select, paths=paths, order=[], limit=None, offset=0)
    query = Query(org, inner, deleted=deleted)
    keys, measured = query.paths[: len(select.group_by)], query.paths[len(select.group_by) :]
    _check(keys, select.aggregates, measured)
    groups = _groups(query, len(keys))
    for sort_key in reversed(select.order):
        _sort(groups, keys, sort_key)
    end = None if select.limit is None else select.offset + select.limit
    return [_as_json(select, keys, measured, group) for group in groups[select.offset : end]]


def _check(keys: list[Path], aggregates: list[Aggregate], measured: list[Path]) -> None:
    for key in keys:
        if key.field.type in {*NUMERIC, "LongTextArea", "DateTime"}:
            message = f"field '{key.text}' can not be grouped in a query call"
            raise QueryError("INVALID_FIELD", message, key.text)
    for aggregate, path in zip(aggregates, measured, strict=True):
        numeric = path.field.type in NUMERIC
        if path.field.type == "LongTextArea" or (
            aggregate.function in _NUMERIC_ONLY and not numeric
        ):
            message = f"field {path.text} does not support aggregate operator"
            operator = f"{message} {aggregate.function.upper()}"
            raise QueryError("MALFORMED_QUERY", operator, path.text)


def _groups(query: Query, keys: int) -> list[Group]:
    """The groups in the order of their first records; without keys there is always one."""
    found: dict[tuple[Value, ...], list[tuple[Value, ...]]] = {} if keys else {(): []}
    for row in query.run():
        values = query.values(row)
        found.setdefault(values[:keys], []).append(values[keys:])
    return list(found.items())


def _sort(groups: list[Group], keys: list[Path], sort_key: SortKey) -> None:
    names = [key.text.casefold() for key in keys]
    if sort_key.path.casefold() not in names:
        message = f"Ordered field must be grouped or aggregated: {sort_key.path}"
        raise QueryError("MALFORMED_QUERY", message, sort_key.path)
    position = names.index(sort_key.path.casefold())
    groups.sort(key=lambda one: str(one[0][position] or ""), reverse=sort_key.descending)
    groups.sort(key=lambda one: (one[0][position] is None) is sort_key.nulls_last)


def _as_json(select: Select, keys: list[Path], measured: list[Path], group: Group) -> JsonObject:
    shared, rows = group
    result: JsonObject = {"attributes": {"type": "AggregateResult"}}
    selected = {path.casefold() for path in select.paths}
    for key, value in zip(keys, shared, strict=True):
        if key.text.casefold() in selected:
            result[key.field.name] = json_value(key.field, value)
    for at, (aggregate, path) in enumerate(zip(select.aggregates, measured, strict=True)):
        values = [row[at] for row in rows if row[at] is not None]
        result[aggregate.alias] = _aggregated(aggregate.function, path, values)
    return result


def _aggregated(function: str, path: Path, values: list[Value]) -> object:
    if function == "count":
        return len(values)
    if function == "count_distinct":
        return len(set(values))
    if not values:
        return None
    if path.field.type in NUMERIC:
        number = _OF_NUMBERS[function]([Decimal(str(value)) for value in values])
        return msgspec.Raw(double_text(number).encode())
    return json_value(path.field, (min if function == "min" else max)(map(str, values)))


def _total(numbers: Iterable[Decimal]) -> Decimal:
    return sum(numbers, Decimal())


_OF_NUMBERS: dict[str, Callable[[list[Decimal]], Decimal]] = {
    "avg": lambda numbers: _total(numbers) / len(numbers),
    "max": max,
    "min": min,
    "sum": _total,
}
