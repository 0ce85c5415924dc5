"""Error responses as m3ter sends them: a status and a JSON object with a ``message``.

Source: m3ter's OpenAPI description, response ``Error``.
"""

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from m3sync_dagster.sandbox.organization import UnknownRecordError, VersionConflictError


def _http_error(_request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101 - registered for this type only
    return JSONResponse({"message": error.detail}, error.status_code, error.headers)


def _not_found(_request: Request, error: Exception) -> Response:
    return JSONResponse({"message": str(error)}, 404)


def _conflict(_request: Request, error: Exception) -> Response:
    return JSONResponse({"message": str(error)}, 409)


def _bad_request(_request: Request, error: Exception) -> Response:
    return JSONResponse({"message": f"The request body is not valid: {error}"}, 400)


EXCEPTION_HANDLERS: dict[type[Exception] | int, ExceptionHandler] = {
    HTTPException: _http_error,
    UnknownRecordError: _not_found,
    VersionConflictError: _conflict,
    msgspec.DecodeError: _bad_request,
}
"""The error response for each exception that an endpoint raises."""
