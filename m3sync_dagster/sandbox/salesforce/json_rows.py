"""Reads records that clients send as JSON.

Source: Salesforce REST API guide, "sObject Collections" and "Using Relationship Fields".
"""

from m3sync_dagster.sandbox.json_types import Json, JsonObject
from m3sync_dagster.sandbox.salesforce.describe_results import describe_type
from m3sync_dagster.sandbox.salesforce.errors import ApiError, RowError
from m3sync_dagster.sandbox.salesforce.field_values import parser_error
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.record_table import Table
from m3sync_dagster.sandbox.salesforce.record_writer import CHUNK, Row
from m3sync_dagster.sandbox.salesforce.row_columns import Column, NoSuchColumnError, column_of
from m3sync_dagster.sandbox.salesforce.schema import NUMERIC

_PARSED = NUMERIC | {"Checkbox", "Date", "DateTime", "Time"}
"""Types of fields whose texts Salesforce parses while it reads the JSON."""


class JsonColumns(dict[str, Column]):
    """The columns of an object by name, resolved at their first use."""

    def __init__(self, org: Org, table: Table) -> None:
        super().__init__()
        self._org = org
        self._table = table

    def __missing__(self, name: str) -> Column:
        try:
            found = self[name] = column_of(self._org, self._table, name)
        except NoSuchColumnError:
            message = f"No such column '{name}' on sobject of type {self._table.definition.name}"
            raise ApiError(400, "INVALID_FIELD", message) from None
        return found

    def row(self, record: JsonObject, key: object = None) -> Row:
        """The row for a record as a client sends it.

        Raises:
            ApiError: a field does not exist, or a value cannot be parsed as the field's type. The
                whole request is refused, not only this row.
        """
        pairs = [self._cell(name, value) for name, value in _fields(record)]
        return Row(key, [column for column, _ in pairs], [raw for _, raw in pairs])

    def _cell(self, name: str, value: object) -> tuple[Column, object]:
        if not isinstance(value, dict):
            column = self[name]
            if isinstance(value, str) and column.field.type in _PARSED:
                _check_parsed(column, value)
            return column, value
        inner = _fields(value)
        if len(inner) != 1:
            message = f"A lookup is set by one external ID field: {name}"
            raise ApiError(400, "INVALID_FIELD", message)
        return self[f"{name}.{inner[0][0]}"], inner[0][1]


def _fields(record: JsonObject) -> list[tuple[str, object]]:
    return [item for item in record.items() if item[0] != "attributes"]


def _check_parsed(column: Column, text: str) -> None:
    try:
        column.read(text)
    except RowError as error:
        if error.code == "INVALID_TYPE_ON_FIELD_IN_RECORD":
            raise parser_error(describe_type(column.field), text) from None


def type_of(record: Json) -> str:
    """The API name in a record's ``attributes``. Raises ``ApiError`` if it has none."""
    attributes = record.get("attributes") if isinstance(record, dict) else None
    kind = attributes.get("type") if isinstance(attributes, dict) else None
    if not isinstance(kind, str):
        raise ApiError(400, "INVALID_INPUT", "Each record needs attributes with a type")
    return kind


def without(record: JsonObject, name: str) -> tuple[object, JsonObject]:
    """The value of a field, whose name is in any case, and the record without it."""
    own = next((each for each in record if each.casefold() == name.casefold()), None)
    fields = {each: value for each, value in record.items() if each != own}
    return (record[own] if own else None), fields


def check_count(records: Json, most: int = CHUNK) -> list[Json]:
    """The records of a request: at least one, and no more than the limit."""
    if not isinstance(records, list) or not records:
        raise ApiError(400, "INVALID_INPUT", "No records were specified")
    if len(records) > most:
        message = f"record limit reached. cannot submit more than {most} records into this call"
        raise ApiError(400, "EXCEEDED_ID_LIMIT", message)
    return records
