"""A log of the API calls, which tests read."""

from collections import deque
from urllib.parse import parse_qs

from starlette.types import ASGIApp, Receive, Scope, Send


class CallLog:
    """The latest calls to m3ter's routes, including refused ones, without headers or bodies."""

    def __init__(self) -> None:
        self._calls: deque[tuple[str, str, bytes]] = deque(maxlen=100_000)

    def add(self, method: str, path: str, query: bytes) -> None:
        """Adds a call."""
        self._calls.append((method, path, query))

    def clear(self) -> None:
        """Deletes all calls."""
        self._calls.clear()

    def as_json(self) -> list[dict[str, object]]:
        """The calls, oldest first; ``query`` maps each parameter to the list of its values."""
        return [
            {
                "method": method,
                "path": path,
                "query": parse_qs(query.decode(), keep_blank_values=True),
            }
            for method, path, query in list(self._calls)
        ]


class CallRecorder:
    """Middleware that logs every call before any other middleware can refuse it."""

    def __init__(self, app: ASGIApp, calls: CallLog) -> None:
        self._app = app
        self._calls = calls

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Logs the call and passes it on."""
        self._calls.add(scope["method"], scope["path"], scope["query_string"])
        await self._app(scope, receive, send)
