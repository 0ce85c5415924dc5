"""A sandbox m3ter that holds its answers to lists back, and counts the requests that wait."""

import asyncio
import threading
from collections.abc import Callable

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from m3sync_dagster_tests.conftest import PATIENCE

Release = Callable[[list[str]], bool]
"""Whether to answer, by the entity paths of all held requests so far."""


class HeldPages:
    """Middleware that holds requests for lists until enough of them are there.

    A request is refused after ``PATIENCE``, so that no test waits for ever.

    Args:
        app: the sandbox.
        hold: whether a request, by its entity path and query, is held.
        release: when all held requests are answered.

    Attributes:
        held: the entity path of each request that was held, in order.
        waiting: set once a request is held.
        released: set once the held requests are answered.
        most_in_flight: the most list requests that were there at one time.
    """

    def __init__(self, app: ASGIApp, hold: Callable[[str, str], bool], release: Release) -> None:
        self.held: list[str] = []
        self.most_in_flight = 0
        self.waiting = threading.Event()
        self.released = threading.Event()
        self._app = app
        self._hold = hold
        self._release = release
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a list when it is released, and everything else at once."""
        if scope["type"] != "http" or not scope["path"].startswith("/organizations/"):
            await self._app(scope, receive, send)
            return
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        try:
            path = scope["path"].rpartition("/")[2]
            if self._hold(path, scope["query_string"].decode()) and not await self._wait(path):
                refusal = JSONResponse({"message": "it was asked for nothing else"}, 400)
                await refusal(scope, receive, send)
                return
            await self._app(scope, receive, send)
        finally:
            self._in_flight -= 1

    async def _wait(self, path: str) -> bool:
        self.held.append(path)
        self.waiting.set()
        if self._release(self.held):
            self.released.set()
        return await asyncio.to_thread(self.released.wait, PATIENCE)
