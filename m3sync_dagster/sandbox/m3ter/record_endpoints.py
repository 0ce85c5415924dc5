"""The routes for one record: get, create, update, delete, and a balance's transactions."""

from decimal import Decimal
from typing import Any

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.m3ter.openapi_rules import rules_of
from m3sync_dagster.sandbox.organization import Organization

_fields = msgspec.json.Decoder(dict[str, msgspec.Raw])
_amount = msgspec.json.Decoder(Decimal)
_SET_BY_M3TER = ("id", "version", "dtCreated", "dtLastModified", "createdBy", "lastModifiedBy")


async def get_record(request: Request) -> Response:
    """One record, or 404."""
    organization, entity, record_id = _target(request)
    return json_response(organization.raw(entity, record_id))


async def create_record(request: Request) -> Response:
    """A new record at version 1, returned as it now is."""
    organization, entity, _ = _target(request)
    fields = await _body(request, entity)
    given = {name: value for name, value in fields.items() if name not in _SET_BY_M3TER}
    return json_response(organization.raw(entity, organization.add(entity, **given)))


async def update_record(request: Request) -> Response:
    """Replaces a record; 409 unless the body names the current version."""
    organization, entity, record_id = _target(request)
    organization.update(entity, record_id, await _body(request, entity))
    return json_response(organization.raw(entity, record_id))


async def delete_record(request: Request) -> Response:
    """Deletes a record and returns it a last time."""
    organization, entity, record_id = _target(request)
    _refuse_read_only(entity)
    return json_response(organization.remove(entity, record_id))


async def create_transaction(request: Request) -> Response:
    """Adds to a balance's amount; the balance's version stays what it was."""
    organization: Organization = request.app.state.organization
    fields = _fields.decode(await request.body())
    if "amount" not in fields:
        raise HTTPException(400, "A transaction needs an amount.")
    organization.transact(request.path_params["id"], _amount.decode(fields["amount"]))
    transaction = {"id": organization.new_id(), "version": 1, **fields}
    return json_response(msgspec.json.encode(transaction))


def json_response(raw: bytes) -> Response:
    """JSON that is already text."""
    return Response(raw, media_type="application/json")


def _target(request: Request) -> tuple[Organization, str, str]:
    """The organization, and the type and id of the record, the latter empty for a new one."""
    entity = request.path_params["entity"]
    rules_of(entity)
    return request.app.state.organization, entity, request.path_params.get("id", "")


async def _body(request: Request, entity: str) -> dict[str, Any]:
    """The body's fields, each as the text it came as."""
    required = _refuse_read_only(entity)
    fields = _fields.decode(await request.body())
    missing = [name for name in required if bytes(fields.get(name, b"null")) == b"null"]
    if missing:
        raise HTTPException(400, f"Required but missing: {', '.join(missing)}.")
    return dict(fields)


def _refuse_read_only(entity: str) -> tuple[str, ...]:
    """The fields the type requires, if it can be written at all."""
    required = rules_of(entity).required
    if required is None:
        raise HTTPException(405, f"{entity} can only be read here.")
    return required
