"""The endpoints for one record: get, create, update and delete."""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.m3ter.leniency import record_id
from m3sync_dagster.sandbox.m3ter.record_type_rules import rules_of
from m3sync_dagster.sandbox.organization import (
    Organization,
    UnknownRecordError,
    decode_fields,
)

_SET_BY_M3TER = ("id", "version", "dtCreated", "dtLastModified", "createdBy", "lastModifiedBy")


async def get_record(request: Request) -> Response:
    """A record as it is stored.

    Raises:
        UnknownRecordError: there is none, or m3ter has no such request for this type.
    """
    organization, entity, one = record_target(request)
    if not rules_of(entity).read_by_id:
        raise UnknownRecordError(f"There is no resource {entity}/{one}.")
    return json_response(organization.raw(entity, one))


async def create_record(request: Request) -> Response:
    """Creates a record at version 1 and returns it."""
    organization, entity, _ = record_target(request)
    fields = await _body(request, entity)
    given = {name: value for name, value in fields.items() if name not in _SET_BY_M3TER}
    return json_response(organization.raw(entity, organization.add(entity, **given)))


async def update_record(request: Request) -> Response:
    """Replaces a record; 409 unless the body names the current version."""
    organization, entity, one = record_target(request)
    organization.update(entity, one, await _body(request, entity))
    return json_response(organization.raw(entity, one))


async def delete_record(request: Request) -> Response:
    """Deletes a record and returns it."""
    organization, entity, one = record_target(request)
    _required_fields(entity)
    return json_response(organization.remove(entity, one))


def json_response(raw: bytes) -> Response:
    """A response with JSON that is already encoded."""
    return Response(raw, media_type="application/json")


def record_target(request: Request) -> tuple[Organization, str, str]:
    """The organization, and the type and id of the record; the id is empty for a new record."""
    entity = request.path_params["entity"]
    rules_of(entity)
    return request.app.state.organization, entity, record_id(request, entity)


async def _body(request: Request, entity: str) -> dict[str, msgspec.Raw]:
    return await body_with(request, _required_fields(entity))


async def body_with(request: Request, required: tuple[str, ...]) -> dict[str, msgspec.Raw]:
    """The body's fields, undecoded.

    Raises:
        HTTPException: a required field is missing or null (400).
    """
    fields = decode_fields(await request.body())
    missing = [name for name in required if bytes(fields.get(name, b"null")) == b"null"]
    if missing:
        raise HTTPException(400, f"Required but missing: {', '.join(missing)}.")
    return fields


def _required_fields(entity: str) -> tuple[str, ...]:
    """The fields that the type requires. Raises 405 if the type is read-only."""
    required = rules_of(entity).required
    if required is None:
        raise HTTPException(405, f"{entity} can only be read here.")
    return required
