"""What the endpoints share in reading requests and writing answers."""

import json
from collections.abc import Mapping
from decimal import Decimal
from email import message_from_bytes
from typing import Any, NoReturn

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from m3sync_dagster.sandbox.salesforce.errors import ApiError
from m3sync_dagster.sandbox.salesforce.org import Org

JsonObject = dict[str, Any]

_encode = msgspec.json.Encoder(decimal_format="number").encode


def org_of(request: Request) -> Org:
    """The org that this application serves."""
    org: Org = request.app.state.org
    return org


def base_of(request: Request) -> str:
    """The path of the API version that was asked for: ``/services/data/v67.0``."""
    return f"/services/data/{request.path_params['version']}"


def answer(
    content: object, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """An answer in JSON; decimals are written with all their digits."""
    body = b"" if content is None else _encode(content)
    return Response(body, status, headers, media_type="application/json;charset=UTF-8")


async def read_json(request: Request) -> Any:  # noqa: ANN401 - JSON
    """The body as JSON, with numbers exact: ``Decimal`` or ``int``, never float.

    Raises:
        ApiError: it is no JSON.
    """
    return loads(await request.body())


async def read_object(request: Request) -> JsonObject:
    """The body as a JSON object. Raises ``ApiError`` where it is none."""
    content = await read_json(request)
    if not isinstance(content, dict):
        raise ApiError(400, "JSON_PARSER_ERROR", "A JSON object is expected")
    return content


def read_parts(kind: str, body: bytes) -> dict[str, bytes]:
    """The parts of a multipart body by name."""
    whole = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
    parts: Any = whole.get_payload() if whole.is_multipart() else []
    return {
        str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
        for part in parts
    }


def loads(body: bytes) -> Any:  # noqa: ANN401 - JSON
    """Reads JSON with exact numbers. Raises ``ApiError`` where it is none."""
    try:
        return json.loads(body, parse_float=Decimal, parse_constant=_no_constant)
    except ValueError as error:
        raise ApiError(400, "JSON_PARSER_ERROR", f"Unexpected input: {error}") from None


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
