"""Endpoints that read and write records as JSON: sObject Collections and single records.

Source: Salesforce REST API guide, "Upsert Multiple Records with Fewer Round-Trips", "sObject Rows
by External ID", "sObject Rows".
"""

from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.json_types import Json, JsonObject
from m3sync_dagster.sandbox.salesforce.errors import ApiError, RowError, not_found
from m3sync_dagster.sandbox.salesforce.http import (
    json_response,
    org_of,
    read_object,
    version_path,
)
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.query_engine import record_json
from m3sync_dagster.sandbox.salesforce.record_table import Table
from m3sync_dagster.sandbox.salesforce.record_writer import CHUNK, Row, Saved, Writer
from m3sync_dagster.sandbox.salesforce.row_columns import Column, NoSuchColumnError, column_of
from m3sync_dagster.sandbox.salesforce.schema import FieldDef


class _Columns(dict[str, Column]):
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
        """The row for a record as a client sends it."""
        fields = [item for item in record.items() if item[0] != "attributes"]
        pairs = [self._cell(name, value) for name, value in fields]
        return Row(key, [column for column, _ in pairs], [raw for _, raw in pairs])

    def _cell(self, name: str, value: object) -> tuple[Column, object]:
        if not isinstance(value, dict):
            return self[name], value
        inner = [item for item in value.items() if item[0] != "attributes"]
        if len(inner) != 1:
            message = f"A lookup is set by one external ID field: {name}"
            raise ApiError(400, "INVALID_FIELD", message)
        return self[f"{name}.{inner[0][0]}"], inner[0][1]


async def upsert_collection(request: Request) -> Response:
    """``PATCH .../composite/sobjects/{object}/{field}``: up to 200 rows, results in their order."""
    org = org_of(request)
    table = org.table(request.path_params["object"])
    key = org.external_id(table.definition, request.path_params["field"])
    body = await read_object(request)
    records = _check_count(body.get("records"))
    columns = _Columns(org, table)
    rows = [_upsert_row(table, key, columns, record) for record in records]
    saved = Writer(org, table, key).save(rows, all_or_none=body.get("allOrNone") is True)
    return json_response([_collection_result(result) for result in saved])


async def update_collection(request: Request) -> Response:
    """``PATCH .../composite/sobjects``: up to 200 records by Id, results in their order."""
    org = org_of(request)
    records = _check_count((await read_object(request)).get("records"))
    return json_response([_updated(org, record) for record in records])


def _updated(org: Org, record: JsonObject) -> JsonObject:
    text = str(record.pop("id", ""))
    found = _find(org, text)
    if isinstance(found, RowError):
        return {"id": text, "success": False, "errors": [found.as_json()]}
    table, number = found
    try:
        org.faults.check_row(table.definition.name, text)
        error = Writer(org, table).update(number, _Columns(org, table).row(record)).error
    except RowError as rejection:
        error = rejection
    return {"id": text, "success": not error, "errors": [error.as_json()] if error else []}


def _check_count(records: Json) -> list[Json]:
    """The records of a request: at least one, and no more than the limit."""
    if not isinstance(records, list) or not records:
        raise ApiError(400, "INVALID_INPUT", "No records were specified")
    if len(records) > CHUNK:
        message = f"record limit reached. cannot submit more than {CHUNK} records into this call"
        raise ApiError(400, "EXCEEDED_ID_LIMIT", message)
    return records


def _upsert_row(table: Table, key: FieldDef, columns: _Columns, record: Json) -> Row:
    attributes = record.get("attributes") if isinstance(record, dict) else None
    kind = attributes.get("type") if isinstance(attributes, dict) else None
    if not isinstance(kind, str):
        raise ApiError(400, "INVALID_INPUT", "Each record needs attributes with a type")
    if kind.casefold() != table.definition.name.casefold():
        message = f"Record type {kind} does not match {table.definition.name}"
        raise ApiError(400, "INVALID_INPUT", message)
    names = {name.casefold(): name for name in record}
    if "id" in names:
        raise ApiError(400, "INVALID_FIELD", "Id may not be given in an upsert by external ID")
    own = names.get(key.name.casefold())
    fields = {name: value for name, value in record.items() if name != own}
    return columns.row(fields, record[own] if own else None)


def _collection_result(saved: Saved) -> JsonObject:
    if saved.error is None:
        return {"id": saved.id, "success": True, "errors": [], "created": saved.created}
    return {"success": False, "created": saved.created, "errors": [saved.error.as_json()]}


def _single_result(saved: Saved) -> Response:
    if saved.error is not None:
        return json_response(saved.error.as_request_error(), 400)
    body: JsonObject = {"id": saved.id, "success": True, "errors": [], "created": saved.created}
    return json_response(body, 201 if saved.created else 200)


async def create_record(request: Request) -> Response:
    """``POST .../sobjects/{object}``."""
    org = org_of(request)
    table = org.table(request.path_params["object"])
    row = _Columns(org, table).row(await read_object(request))
    saved = Writer(org, table).save([row])[0]
    return _single_result(saved)


async def update_record(request: Request) -> Response:
    """``PATCH .../sobjects/{object}/{id}``: responds with 204."""
    org, table, number = _by_id(request)
    row = _Columns(org, table).row(await read_object(request))
    saved = Writer(org, table).update(number, row)
    return _single_result(saved) if saved.error else Response(status_code=204)


async def get_record(request: Request) -> Response:
    """``GET .../sobjects/{object}/{id}``."""
    _, table, number = _by_id(request)
    return _record(request, table, number)


async def delete_record(request: Request) -> Response:
    """``DELETE .../sobjects/{object}/{id}``: responds with 204."""
    org, table, number = _by_id(request)
    org.delete(table, number)
    return Response(status_code=204)


async def delete_collection(request: Request) -> Response:
    """``DELETE .../composite/sobjects?ids=``: up to 200 records, results in their order."""
    org = org_of(request)
    ids = _check_count([text for text in request.query_params.get("ids", "").split(",") if text])
    found = [_find(org, text) for text in ids]
    failed = any(isinstance(each, RowError) for each in found)
    if failed and request.query_params.get("allOrNone") == "true":
        message = "Record rolled back because not all records were valid"
        rolled_back = RowError("ALL_OR_NONE_OPERATION_ROLLED_BACK", message)
        found = [each if isinstance(each, RowError) else rolled_back for each in found]
    return json_response([_deleted(org, *pair) for pair in zip(ids, found, strict=True)])


def _find(org: Org, text: str) -> tuple[Table, int] | RowError:
    """The record with this Id; its first three characters identify the object."""
    for definition in org.schema:
        table = org.table(definition.name)
        if definition.key_prefix != text[:3]:
            continue
        if (number := table.number_of(text)) is not None:
            return table, number
        if table.was_deleted(text):
            return RowError("ENTITY_IS_DELETED", "entity is deleted")
        return RowError("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")
    return RowError("MALFORMED_ID", f"malformed id {text}")


def _deleted(org: Org, text: str, found: tuple[Table, int] | RowError) -> JsonObject:
    if isinstance(found, RowError):
        return {"id": text, "success": False, "errors": [found.as_json()]}
    org.delete(*found)
    return {"id": text, "success": True, "errors": []}


def _by_id(request: Request) -> tuple[Org, Table, int]:
    org = org_of(request)
    table = org.table(request.path_params["object"])
    text = request.path_params["id"]
    number = table.number_of(text)
    if number is None:
        deleted = ApiError(404, "ENTITY_IS_DELETED", "entity is deleted")
        raise deleted if table.was_deleted(text) else not_found()
    return org, table, number


def _record(request: Request, table: Table, number: int) -> Response:
    values = table.get(number)
    if values is None:
        raise not_found()
    return json_response(record_json(table, number, values, version_path(request)))


async def upsert_by_external_id(request: Request) -> Response:
    """``PATCH .../sobjects/{object}/{field}/{value}``: 201 created, 200 updated, 300 ambiguous."""
    org, table, key, found = _by_external_id(request)
    if len(found) > 1:
        return _choices(request, table, found)
    body = await read_object(request)
    if not found and request.query_params.get("updateOnly") == "true":
        raise not_found()
    if {name.casefold() for name in body} & {"id", key.name.casefold()}:
        message = "The Id and the external ID field should not be specified in the sobject data."
        raise ApiError(400, "INVALID_FIELD", message)
    row = _Columns(org, table).row(body, request.path_params["value"])
    return _single_result(Writer(org, table, key).save([row])[0])


async def get_by_external_id(request: Request) -> Response:
    """``GET .../sobjects/{object}/{field}/{value}``."""
    _, table, _, found = _by_external_id(request)
    if len(found) > 1:
        return _choices(request, table, found)
    if not found:
        raise not_found()
    return _record(request, table, found[0])


async def delete_by_external_id(request: Request) -> Response:
    """``DELETE .../sobjects/{object}/{field}/{value}``: responds with 204."""
    org, table, _, found = _by_external_id(request)
    if len(found) != 1:
        raise not_found()
    org.delete(table, found[0])
    return Response(status_code=204)


def _by_external_id(request: Request) -> tuple[Org, Table, FieldDef, tuple[int, ...]]:
    org = org_of(request)
    table = org.table(request.path_params["object"])
    key = org.external_id(table.definition, request.path_params["field"])
    return org, table, key, table.index(key).find(request.path_params["value"])


def _choices(request: Request, table: Table, found: tuple[int, ...]) -> Response:
    path = f"{version_path(request)}/sobjects/{table.definition.name}"
    return json_response([f"{path}/{table.id_of(number)}" for number in found], 300)
