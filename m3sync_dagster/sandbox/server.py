"""Serves a sandbox application over HTTP from a thread of this process."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

DROP = "m3sync.sandbox.drop"
"""The key in an ASGI scope's ``extensions`` of a call that cuts the client's connection."""


class SandboxProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 that lets the application cut a connection, as a dying server would."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Puts the connection's ``abort`` into the scope of each of its requests."""
        super().connection_made(transport)
        inner: Any = self.app

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[DROP] = transport.abort
            await inner(scope, receive, send)

        self.app = app


class _Server(uvicorn.Server):
    """A server that says when it serves, or that it never will."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.settled = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.settled.set()

    def serve_on(self, listener: socket.socket) -> None:
        try:
            # uvicorn leaves its own way where the application does not start.
            with suppress(SystemExit):
                self.run([listener])
        finally:
            self.settled.set()


@contextmanager
def running(app: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serves ``app`` for as long as the block lasts.

    Args:
        app: the ASGI application.
        host: the address to listen on.
        port: the port; 0 takes a free one.

    Yields:
        The base URL, such as ``http://127.0.0.1:41234``, once it answers.

    Raises:
        OSError: the port is taken.
        RuntimeError: the application did not start.
    """
    with socket.create_server((host, port), backlog=256) as listener:
        server = _Server(_config(app))
        thread = threading.Thread(target=server.serve_on, args=(listener,), daemon=True)
        thread.start()
        server.settled.wait()
        if not server.started:
            thread.join()
            raise RuntimeError("The sandbox server did not start.")
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


def _config(app: ASGIApp) -> uvicorn.Config:
    """No logs of its own, long-lived connections, and no client that holds up the stop for long."""
    return uvicorn.Config(
        app,
        http=SandboxProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=5,
    )
