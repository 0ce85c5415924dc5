"""A record of the calls that were made, for tests to look at."""

from collections import deque
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send


class CallLog:
    """The latest calls to m3ter's routes, refused ones included: never a header or a body."""

    def __init__(self) -> None:
        self._calls: deque[tuple[str, str, bytes]] = deque(maxlen=100_000)

    def add(self, method: str, path: str, query: bytes) -> None:
        """Notes a call."""
        self._calls.append((method, path, query))

    def clear(self) -> None:
        """Forgets all calls."""
        self._calls.clear()

    def as_json(self) -> list[dict[str, object]]:
        """The calls, oldest first; a query maps each parameter to the list of its values."""
        return [
            {
                "method": method,
                "path": path,
                "query": parse_qs(query.decode(), keep_blank_values=True),
            }
            for method, path, query in list(self._calls)
        ]


class CallRecorder:
    """Notes every call before anything can refuse it."""

    def __init__(self, app: ASGIApp, calls: CallLog) -> None:
        self._app = app
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Notes the call and passes it on."""
        self._calls.add(scope["method"], scope["path"], scope["query_string"])
        await self._app(scope, receive, send)
