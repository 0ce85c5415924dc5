"""Functions that all endpoints use to read requests and to write responses."""

import json
from collections.abc import Mapping
from decimal import Decimal
from email import message_from_bytes
from typing import NoReturn

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.json_types import Json, JsonObject
from m3sync_dagster.sandbox.salesforce.errors import ApiError
from m3sync_dagster.sandbox.salesforce.org import Org

_encode = msgspec.json.Encoder(decimal_format="number").encode


def org_of(request: Request) -> Org:
    """The org that this application serves."""
    org: Org = request.app.state.org
    return org


def version_path(request: Request) -> str:
    """The path of the API version that the client uses, such as ``/services/data/v67.0``."""
    return f"/services/data/{request.path_params['version']}"


def json_response(
    content: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A response in JSON; decimals are written with all their digits."""
    body = b"" if content is None else _encode(content)
    return Response(body, status, headers, media_type="application/json;charset=UTF-8")


def error_response(error: ApiError) -> Response:
    """The response for an error."""
    return json_response(error.body(), error.status)


async def read_json(request: Request) -> Json:
    """The body as JSON, with exact numbers: ``Decimal`` or ``int``, never float.

    Raises:
        ApiError: it is not JSON.
    """
    return loads(await request.body())


async def read_object(request: Request) -> JsonObject:
    """The body as a JSON object. Raises ``ApiError`` if it is not one."""
    return as_object(await read_json(request))


def as_object(content: Json) -> JsonObject:
    """JSON that must be an object. Raises ``ApiError`` if it is not one."""
    if not isinstance(content, dict):
        raise ApiError(400, "JSON_PARSER_ERROR", "A JSON object is expected")
    return content


def read_parts(content_type: str, body: bytes) -> dict[str, bytes]:
    """The parts of a multipart body by name."""
    message = message_from_bytes(f"Content-Type: {content_type}\r\n\r\n".encode() + body)
    parts: Json = message.get_payload() if message.is_multipart() else []
    return {
        str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
        for part in parts
    }


def loads(body: bytes) -> Json:
    """Reads JSON with exact numbers. Raises ``ApiError`` if it is not JSON."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_refuse_constant)
    except ValueError as error:
        raise ApiError(400, "JSON_PARSER_ERROR", f"Unexpected input: {error}") from None


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
