"""Gives records as JSON, with chosen fields."""

from collections.abc import Callable, Iterable

import msgspec

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.salesforce.errors import ApiError, not_found
from m3sync_dagster.sandbox.salesforce.field_values import Value, double_text
from m3sync_dagster.sandbox.salesforce.record_table import Table
from m3sync_dagster.sandbox.salesforce.schema import NUMERIC, USER, FieldDef

Getter = Callable[[int, list[Value]], Value]
"""Gives a field's value, from a record's number and its values by slot."""


def getter(table: Table, field: FieldDef) -> Getter:
    """The function that gives the field's value."""
    if field.type == "Id":
        return lambda number, _: table.id_of(number)
    if field.name == "IsDeleted":
        return lambda number, _: table.is_deleted(number)
    if field.refers_to == USER:
        return lambda *_: table.user_id
    slot = table.slot(field)
    return lambda _, values: values[slot]


def json_value(field: FieldDef, value: Value) -> object:
    """A stored value in a JSON response."""
    if field.type in NUMERIC and isinstance(value, str):
        return msgspec.Raw(double_text(value).encode())
    if field.type == "DateTime" and isinstance(value, str):
        return value.replace("Z", "+0000")
    return value


def attributes(table: Table, number: int, version_path: str) -> JsonObject:
    """The ``attributes`` of a record."""
    name = table.definition.name
    return {"type": name, "url": f"{version_path}/sobjects/{name}/{table.id_of(number)}"}


def chosen_fields(table: Table, names: Iterable[str]) -> list[FieldDef]:
    """The fields with these names.

    Raises:
        ApiError: a field does not exist, or the user does not see it.
    """
    return [_field(table, name) for name in names]


def _field(table: Table, name: str) -> FieldDef:
    found = table.definition.find(name)
    if found is None:
        message = f"No such column '{name}' on sobject of type {table.definition.name}"
        raise ApiError(400, "INVALID_FIELD", message)
    return found


def record_json(
    table: Table, number: int, fields: Iterable[FieldDef], version_path: str
) -> JsonObject:
    """One record with these fields, or with all that the user sees if none are given.

    Raises:
        ApiError: the record does not exist.
    """
    chosen = list(fields) or list(table.definition.visible_fields())
    # The getters first: the values then include those of a field that was added just now.
    getters = [(field, getter(table, field)) for field in chosen]
    values = table.get(number)
    if values is None:
        raise not_found()
    record: JsonObject = {"attributes": attributes(table, number, version_path)}
    for field, get in getters:
        record[field.name] = json_value(field, get(number, values))
    return record
