"""Endpoints that read and write single records.

Source: Salesforce REST API guide, "sObject Rows" and "sObject Rows by External ID".
"""

from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.json_types import JsonObject
from m3sync_dagster.sandbox.salesforce.computed_objects import setup_record
from m3sync_dagster.sandbox.salesforce.errors import ApiError, not_found
from m3sync_dagster.sandbox.salesforce.http import (
    json_response,
    org_of,
    read_object,
    version_path,
)
from m3sync_dagster.sandbox.salesforce.json_rows import JsonColumns
from m3sync_dagster.sandbox.salesforce.object_permissions import deletion_refused
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.record_fields import chosen_fields, record_json
from m3sync_dagster.sandbox.salesforce.record_table import Table
from m3sync_dagster.sandbox.salesforce.record_writer import Saved, Writer
from m3sync_dagster.sandbox.salesforce.schema import FieldDef


def _single_result(saved: Saved) -> Response:
    if saved.error is not None:
        return json_response(saved.error.as_request_error(), 400)
    body: JsonObject = {"id": saved.id, "success": True, "errors": [], "created": saved.created}
    return json_response(body, 201 if saved.created else 200)


async def create_record(request: Request) -> Response:
    """``POST .../sobjects/{object}``."""
    org = org_of(request)
    table = org.table(request.path_params["object"])
    row = JsonColumns(org, table).row(await read_object(request))
    saved = Writer(org, table).save([row])[0]
    return _single_result(saved)


async def update_record(request: Request) -> Response:
    """``PATCH .../sobjects/{object}/{id}``: responds with 204."""
    org, table, number = _by_id(request)
    row = JsonColumns(org, table).row(await read_object(request))
    saved = Writer(org, table).update(number, row)
    return _single_result(saved) if saved.error else Response(status_code=204)


async def get_record(request: Request) -> Response:
    """``GET .../sobjects/{object}/{id}``."""
    org, path = org_of(request), request.path_params
    if (found := setup_record(org, path["object"], path["id"])) is not None:
        return json_response(found)
    _, table, number = _by_id(request)
    return _record(request, table, number)


async def delete_record(request: Request) -> Response:
    """``DELETE .../sobjects/{object}/{id}``: responds with 204."""
    return _delete(*_by_id(request))


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
    names = [name.strip() for name in request.query_params.get("fields", "").split(",")]
    fields = chosen_fields(table, filter(None, names))
    return json_response(record_json(table, number, fields, version_path(request)))


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
    row = JsonColumns(org, table).row(body, request.path_params["value"])
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
    return _delete(org, table, found[0])


def _delete(org: Org, table: Table, number: int) -> Response:
    if refused := deletion_refused(table.definition):
        raise ApiError(403, refused.code, refused.message)
    org.delete(table, number)
    return Response(status_code=204)


def _by_external_id(request: Request) -> tuple[Org, Table, FieldDef, tuple[int, ...]]:
    org = org_of(request)
    table = org.table(request.path_params["object"])
    key = org.external_id(table.definition, request.path_params["field"])
    return org, table, key, table.index(key).find(request.path_params["value"])


def _choices(request: Request, table: Table, found: tuple[int, ...]) -> Response:
    path = f"{version_path(request)}/sobjects/{table.definition.name}"
    return json_response([f"{path}/{table.id_of(number)}" for number in found], 300)
