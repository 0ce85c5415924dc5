"""What every API request passes: the call log, faults, the session, the daily budget."""

from collections.abc import Sequence
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m3sync_dagster.sandbox.salesforce.errors import ApiError, not_found
from m3sync_dagster.sandbox.salesforce.faults import RequestFault
from m3sync_dagster.sandbox.salesforce.http import answer
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.org_endpoints import NEWEST, OLDEST
from m3sync_dagster.sandbox.server import DROP

_DATA = "/services/data/"

_LONGEST_ADDRESS = 16_384
"""Bytes of a URI. Source: Salesforce REST API guide, "Status Codes and Error Responses", 414."""


class Gate:
    """Stands before the endpoints.

    Args:
        app: the application behind it.
        org: the org.
        routes: its endpoints; calls are counted by their paths.
    """

    def __init__(self, app: ASGIApp, org: Org, routes: Sequence[Route]) -> None:
        self._app = app
        self._org = org
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or scope["path"].startswith("/sandbox/"):
            await self._app(scope, receive, send)
            return
        fault = self._org.faults.request(scope["method"], scope["path"])
        status: list[int] = []
        if fault is not None and fault.drop == "before":
            await _drop(scope, receive)
        elif fault is not None and fault.drop == "after":
            await self._serve(scope, receive, _swallow)
            await _drop(scope, receive)
        else:
            await self._serve(scope, receive, self._watch(send, status), fault)
        self._note(scope, status[0] if status else None)

    def _watch(self, send: Send, status: list[int]) -> Send:
        async def watching(message: Message) -> None:
            if message["type"] == "http.response.start":
                status.append(message["status"])
            await send(message)

        return watching

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, fault: RequestFault | None = None
    ) -> None:
        if fault is not None and fault.revoke:
            self._org.sessions.clear()
        if fault is not None and fault.status is not None:
            await _fault_answer(fault, scope, receive, send)
            return
        try:
            metered = self._admit(scope)
        except ApiError as error:
            await answer(error.body(), error.status)(scope, receive, send)
            return
        await self._app(scope, receive, self._with_usage(send) if metered else send)

    def _admit(self, scope: Scope) -> bool:
        """Whether the request is one that counts. Raises ``ApiError`` where it may not pass."""
        path = scope["path"]
        if len(scope["raw_path"]) + len(scope["query_string"]) > _LONGEST_ADDRESS:
            raise ApiError(414, "URI_TOO_LONG", "The URI exceeds 16,384 bytes")
        if not path.removeprefix("/services/data").strip("/") or not path.startswith(_DATA):
            return False
        _check_version(path.split("/")[3])
        self._check_session(Headers(scope=scope).get("authorization", ""))
        self._org.spend()
        return True

    def _check_session(self, authorization: str) -> None:
        scheme, _, session = authorization.partition(" ")
        if scheme.lower() not in {"bearer", "oauth"}:
            raise ApiError(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE")
        if session not in self._org.sessions:
            raise ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")

    def _with_usage(self, send: Send) -> Send:
        async def adding(message: Message) -> None:
            if message["type"] == "http.response.start":
                usage = f"api-usage={self._org.usage.used}/{self._org.usage.max}"
                MutableHeaders(scope=message)["Sforce-Limit-Info"] = usage
            await send(message)

        return adding

    def _note(self, scope: Scope, status: int | None) -> None:
        path = scope["path"]
        self._org.calls.note(scope["method"], self._template(scope), path, status)

    def _template(self, scope: Scope) -> str:
        """The path of the endpoint that a request goes to, whether or not it got there."""
        for route in self._routes:
            if route.matches(scope)[0] is Match.FULL:
                return route.path.rstrip("/").replace(":path}", "}")
        return str(scope["path"])


def _check_version(version: str) -> None:
    number = version.removeprefix("v").removesuffix(".0")
    if f"v{number}.0" != version or not number.isdigit() or int(number) > NEWEST:
        raise not_found()
    if int(number) < OLDEST:
        message = "The requested API version is retired"
        raise ApiError(410, "UNSUPPORTED_API_VERSION", message)


async def _fault_answer(fault: RequestFault, scope: Scope, receive: Receive, send: Send) -> None:
    status = fault.status or HTTPStatus.INTERNAL_SERVER_ERROR
    text = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
    body = fault.body
    if body is None:
        body = ApiError(status, text.upper().replace(" ", "_"), text).body()
    await answer(body, status, fault.headers)(scope, receive, send)


async def _swallow(_: Message) -> None:
    """Sends nothing."""


async def _drop(scope: Scope, receive: Receive) -> None:
    """Cuts the connection without an answer."""
    scope["extensions"][DROP]()
    while (await receive())["type"] != "http.disconnect":
        pass
