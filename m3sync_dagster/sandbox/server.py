"""Serves an ASGI application over HTTP from a thread of this process."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import cast

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

DROP = "m3sync.sandbox.drop"
"""The key, in an ASGI scope's ``extensions``, of a function that closes the connection at once."""

STOP_SECONDS = 5
"""How long a stop waits for the answers to requests under way, which it cancels then."""


async def drop_connection(scope: Scope, receive: Receive) -> None:
    """Closes the connection without completing the response.

    It returns when the server has noticed; otherwise uvicorn would report an incomplete response.
    """
    scope["extensions"][DROP]()
    while (await receive())["type"] != "http.disconnect":
        pass


class SandboxProtocol(H11Protocol):
    """uvicorn's HTTP/1.1; its applications can close a connection, as a crash would."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Adds the connection's ``abort`` to the scope of each of its requests."""
        super().connection_made(transport)
        inner = cast(ASGIApp, self.app)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            scope.setdefault("extensions", {})[DROP] = transport.abort
            await inner(scope, receive, send)

        self.app = app


class _Server(uvicorn.Server):
    """A server that signals when it has started, or has failed to start, and stops at once.

    uvicorn itself looks every tenth of a second whether it is to stop, and sleeps for another one
    before it does. Tests start and stop thousands of servers.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.start_finished = threading.Event()
        self._stop_requested = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.start_finished.set()

    async def main_loop(self) -> None:
        while not self._stop_requested.is_set():
            await self.on_tick(0)  # The Date header changes every second.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stop_requested.wait(), timeout=1)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:  # noqa: ARG002 - uvicorn's
        for server in self.servers:
            server.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await asyncio.sleep(0)  # Idle connections are closed now.
        try:
            await asyncio.wait_for(
                self._wait_tasks_to_complete(), self.config.timeout_graceful_shutdown
            )
        except TimeoutError:
            for task in self.server_state.tasks:
                task.cancel()
        await self.lifespan.shutdown()

    def serve_on(self, listener: socket.socket) -> None:
        try:
            # uvicorn raises SystemExit if the application does not start.
            with suppress(SystemExit):
                self.run([listener])
        finally:
            self.start_finished.set()

    def request_stop(self) -> None:
        """Ask the thread of :meth:`serve_on` to end; it may have ended by itself."""
        if self._loop and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop_requested.set)


@contextmanager
def running(app: ASGIApp, host: str = "127.0.0.1", port: int = 0) -> Iterator[str]:
    """Serves ``app`` while the block runs.

    Args:
        app: the ASGI application.
        host: the address to listen on.
        port: the port; 0 for a free one.

    Yields:
        The base URL, such as ``http://127.0.0.1:41234``, once the server accepts requests.

    Raises:
        OSError: the port is in use.
        RuntimeError: the application did not start.
    """
    with socket.create_server((host, port), backlog=256) as listener:
        server = _Server(_config(app))
        thread = threading.Thread(target=server.serve_on, args=(listener,), daemon=True)
        thread.start()
        server.start_finished.wait()
        if not server.started:
            thread.join()
            raise RuntimeError("The sandbox server did not start.")
        try:
            yield f"http://{host}:{listener.getsockname()[1]}"
        finally:
            server.request_stop()
            thread.join()


def _config(app: ASGIApp) -> uvicorn.Config:
    """No logs, and long-lived connections."""
    return uvicorn.Config(
        app,
        http=SandboxProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        timeout_keep_alive=75,
        timeout_graceful_shutdown=STOP_SECONDS,
    )
