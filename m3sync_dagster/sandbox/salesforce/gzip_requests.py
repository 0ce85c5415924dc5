"""Middleware that decompresses request bodies.

Source: Salesforce REST API guide, "Compression Headers": gzip and deflate.
"""

import zlib

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m3sync_dagster.sandbox.salesforce.errors import ApiError

_GZIP_OR_ZLIB = zlib.MAX_WBITS | 32


class CompressedRequests:
    """Gives the application the decompressed body of a request."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] == "http":
            encoding = Headers(scope=scope).get("content-encoding", "").strip().lower()
            if encoding in {"gzip", "deflate"}:
                receive = _decompressing(receive)
        await self._app(scope, receive, send)


def _decompressing(receive: Receive) -> Receive:
    decompressor = zlib.decompressobj(_GZIP_OR_ZLIB)

    async def receive_decompressed() -> Message:
        message = await receive()
        if message["type"] != "http.request":
            return message
        try:
            body = decompressor.decompress(message.get("body", b""))
        except zlib.error:
            raise _unreadable() from None
        if not message.get("more_body") and not decompressor.eof:
            raise _unreadable()
        return {**message, "body": body}

    return receive_decompressed


def _unreadable() -> ApiError:
    """The error for a body that is not compressed. Its code is not documented."""
    return ApiError(400, "MALFORMED_REQUEST", "The request body cannot be decompressed")
