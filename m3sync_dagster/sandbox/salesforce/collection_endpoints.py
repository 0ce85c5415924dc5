"""The endpoints of sObject Collections: many records in one request, results in their order.

Source: Salesforce REST API guide, "sObject Collections", with "Create Multiple Records with Fewer
Round-Trips", "Update …", "Upsert …", "Retrieve …" and "Delete Multiple Records …".
"""

from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.json_types import Json, JsonObject
from m3sync_dagster.sandbox.salesforce.errors import ApiError, RowError
from m3sync_dagster.sandbox.salesforce.http import (
    json_response,
    org_of,
    read_object,
    version_path,
)
from m3sync_dagster.sandbox.salesforce.json_rows import (
    JsonColumns,
    check_count,
    type_of,
    without,
)
from m3sync_dagster.sandbox.salesforce.object_permissions import deletion_refused
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.record_fields import chosen_fields, record_json
from m3sync_dagster.sandbox.salesforce.record_table import Table
from m3sync_dagster.sandbox.salesforce.record_writer import Row, Saved, Writer, rolled_back
from m3sync_dagster.sandbox.salesforce.schema import FieldDef

MOST_IDS = {"GET": 800, "POST": 2000}
"""Records that one request can retrieve, by its method."""


async def upsert(request: Request) -> Response:
    """``PATCH .../composite/sobjects/{object}/{field}``."""
    org = org_of(request)
    table = org.table(request.path_params["object"])
    key = org.external_id(table.definition, request.path_params["field"])
    body = await read_object(request)
    all_or_none = body.get("allOrNone") is True
    records = check_count(body.get("records"))
    columns = JsonColumns(org, table)
    rows = [_upsert_row(table, key, columns, record) for record in records]
    saved = Writer(org, table, key).save(rows, all_or_none=all_or_none)
    results = [_result(one) for one in saved]
    for row, one, result in zip(rows, saved, results, strict=True):
        if one.error is None:
            result["created"] = one.created
        elif all_or_none:
            # jsforce's tests against a real org find it in each row of a rolled-back request.
            result["created"] = not table.index(key).find(str(row.key))
    return json_response(results)


def _upsert_row(table: Table, key: FieldDef, columns: JsonColumns, record: Json) -> Row:
    kind = type_of(record)
    if kind.casefold() != table.definition.name.casefold():
        message = f"Record type {kind} does not match {table.definition.name}"
        raise ApiError(400, "INVALID_INPUT", message)
    if "id" in {name.casefold() for name in record}:
        raise ApiError(400, "INVALID_FIELD", "Id may not be given in an upsert by external ID")
    value, fields = without(record, key.name)
    return columns.row(fields, value)


def _result(saved: Saved) -> JsonObject:
    if saved.error is None:
        return {"id": saved.id, "success": True, "errors": []}
    return {"success": False, "errors": [saved.error.as_json()]}


class _Saver:
    """Saves records of several objects; with ``all_or_none``, one error undoes all of it."""

    def __init__(self, org: Org) -> None:
        self._org = org
        self._writers: dict[str, tuple[JsonColumns, Writer]] = {}

    def create(self, record: Json) -> Saved:
        """Saves a new record."""
        columns, writer = self._writer(self._org.table(type_of(record)))
        return writer.create(columns.row(record))

    def update(self, record: Json) -> Saved:
        """Saves new values of a record."""
        type_of(record)
        given, fields = without(record, "Id")
        found = find(self._org, str(given or ""))
        if isinstance(found, RowError):
            return Saved(error=found)
        table, number = found
        columns, writer = self._writer(table)
        row = columns.row(fields)
        try:
            self._org.faults.check_row(table.definition.name, given)
        except RowError as error:
            return Saved(error=error)
        return writer.update(number, row)

    def _writer(self, table: Table) -> tuple[JsonColumns, Writer]:
        name = table.definition.name
        if name not in self._writers:
            self._writers[name] = JsonColumns(self._org, table), Writer(self._org, table)
        return self._writers[name]

    def undo(self) -> None:
        """Undoes every save."""
        for _, writer in self._writers.values():
            writer.undo()


async def create(request: Request) -> Response:
    """``POST .../composite/sobjects``: up to 200 new records, of any objects."""
    return await _save(request, _Saver.create)


async def update(request: Request) -> Response:
    """``PATCH .../composite/sobjects``: up to 200 records by Id."""
    return await _save(request, _Saver.update)


async def _save(request: Request, save: Callable[[_Saver, Json], Saved]) -> Response:
    org = org_of(request)
    body = await read_object(request)
    records = check_count(body.get("records"))
    saver = _Saver(org)
    with org.lock:
        try:
            saved = [save(saver, record) for record in records]
        except ApiError:
            saver.undo()
            raise
        if body.get("allOrNone") is True and any(one.error for one in saved):
            saver.undo()
            saved = [one if one.error else Saved(error=rolled_back()) for one in saved]
    return json_response([_result(one) for one in saved])


async def retrieve(request: Request) -> Response:
    """``GET`` or ``POST .../composite/sobjects/{object}``: records by Id; null for unknown Ids."""
    org = org_of(request)
    table = org.table(request.path_params["object"])
    if request.method == "GET":
        given = {name: _listed(request, name) for name in ("ids", "fields")}
    else:
        given = await read_object(request)
    ids = check_count(given.get("ids"), MOST_IDS[request.method])
    names = given.get("fields")
    fields = chosen_fields(table, map(str, names) if isinstance(names, list) else ())
    if not fields:
        raise ApiError(400, "MISSING_ARGUMENT", "The parameter fields is needed")
    path = version_path(request)
    with org.lock:
        numbers = [table.number_of(str(each)) for each in ids]
        found = [
            each if each is None else record_json(table, each, fields, path) for each in numbers
        ]
    return json_response(found)


def _listed(request: Request, name: str) -> list[str]:
    return [text.strip() for text in request.query_params.get(name, "").split(",") if text.strip()]


async def delete(request: Request) -> Response:
    """``DELETE .../composite/sobjects?ids=``: up to 200 records."""
    org = org_of(request)
    ids = check_count(_listed(request, "ids"))
    found = [_to_delete(org, text) for text in ids]
    failed = any(isinstance(each, RowError) for each in found)
    if failed and request.query_params.get("allOrNone", "").lower() == "true":
        found = [each if isinstance(each, RowError) else rolled_back() for each in found]
    return json_response([_deleted(org, *pair) for pair in zip(ids, found, strict=True)])


def _to_delete(org: Org, text: str) -> tuple[Table, int] | RowError:
    found = find(org, text)
    refused = None if isinstance(found, RowError) else deletion_refused(found[0].definition)
    return refused or found


def find(org: Org, text: str) -> tuple[Table, int] | RowError:
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
