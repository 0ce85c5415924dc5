"""The control endpoints under ``/sandbox``: they need no token and have no rate limit."""

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from m3sync_dagster.sandbox.m3ter.faults import Fault
from m3sync_dagster.sandbox.m3ter.record_endpoints import get_record, json_response, record_target
from m3sync_dagster.sandbox.organization import decode_fields

_fault = msgspec.json.Decoder(Fault)


async def list_calls(request: Request) -> Response:
    """Every call to m3ter's routes: method, path and query."""
    return JSONResponse(request.app.state.calls.as_json())


async def clear_calls(request: Request) -> Response:
    """Deletes the list of calls."""
    request.app.state.calls.clear()
    return Response(status_code=204)


async def add_fault(request: Request) -> Response:
    """Adds a fault rule; see ``faults.Fault``."""
    request.app.state.faults.add(_fault.decode(await request.body()))
    return Response(status_code=204)


async def clear_faults(request: Request) -> Response:
    """Removes all fault rules."""
    request.app.state.faults.clear()
    return Response(status_code=204)


async def replace_record(request: Request) -> Response:
    """Replaces the record with the body, which can be any JSON; it is served verbatim."""
    organization, entity, record_id = record_target(request)
    organization.put_raw(entity, record_id, await request.body())
    return await get_record(request)


async def merge_record(request: Request) -> Response:
    """Sets the body's fields, verbatim; all others, even the version, stay unchanged."""
    organization, entity, record_id = record_target(request)
    organization.merge(entity, record_id, decode_fields(await request.body()))
    return await get_record(request)


async def remove_record(request: Request) -> Response:
    """Deletes a record."""
    organization, entity, record_id = record_target(request)
    return json_response(organization.remove(entity, record_id))


_RECORD = "/records/{entity}/{id}"

ROUTES = [
    Route("/calls", list_calls, methods=["GET"]),
    Route("/calls", clear_calls, methods=["DELETE"]),
    Route("/faults", add_fault, methods=["POST"]),
    Route("/faults", clear_faults, methods=["DELETE"]),
    Route(_RECORD, get_record, methods=["GET"]),
    Route(_RECORD, replace_record, methods=["PUT"]),
    Route(_RECORD, merge_record, methods=["PATCH"]),
    Route(_RECORD, remove_record, methods=["DELETE"]),
]
