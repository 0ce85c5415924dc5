"""Middleware for all API requests: call log, fault rules, API version, session, daily limit."""

from collections.abc import Sequence
from http import HTTPStatus

from starlette.datastructures import Headers, MutableHeaders
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m3sync_dagster.sandbox.salesforce.errors import ApiError, not_found
from m3sync_dagster.sandbox.salesforce.faults import RequestFault
from m3sync_dagster.sandbox.salesforce.http import error_response, json_response
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.salesforce.org_endpoints import NEWEST, OLDEST
from m3sync_dagster.sandbox.server import drop_connection

_DATA = "/services/data/"
_NO_API = ("/sandbox/", "/lightning/")
"""Paths of the control endpoints, and of the pages for people."""

_MAX_URI_BYTES = 16_384
"""Source: Salesforce REST API guide, "Status Codes and Error Responses", 414."""


class ApiMiddleware:
    """Logs each API request, applies fault rules, and checks it before the endpoint runs.

    Args:
        app: the application that contains the endpoints.
        org: the org.
        routes: the application's routes; calls are counted by their path templates.
    """

    def __init__(self, app: ASGIApp, org: Org, routes: Sequence[Route]) -> None:
        self._app = app
        self._org = org
        self._routes = routes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles one request."""
        if scope["type"] == "http":
            # The Salesforce CLI sends //services/data, and real orgs accept it.
            scope["path"] = f"/{scope['path'].lstrip('/')}"
        if scope["type"] != "http" or scope["path"].startswith(_NO_API):
            await self._app(scope, receive, send)
            return
        fault = self._org.faults.request(scope["method"], scope["path"])
        if fault is None or fault.drop is None:
            await self._serve(scope, receive, self._logging(scope, send), fault)
            return
        if fault.drop == "after":
            await self._serve(scope, receive, _send_nothing)
        self._log(scope, None)
        await drop_connection(scope, receive)

    def _logging(self, scope: Scope, send: Send) -> Send:
        """Log the call before its response: a client that has the response finds it in the log."""

        async def log_and_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._log(scope, message["status"])
            await send(message)

        return log_and_send

    async def _serve(
        self, scope: Scope, receive: Receive, send: Send, fault: RequestFault | None = None
    ) -> None:
        if fault is not None and fault.revoke:
            self._org.sessions.clear()
        if fault is not None and fault.status is not None:
            await _fault_response(fault, scope, receive, send)
            return
        try:
            counted = self._check(scope)
        except ApiError as error:
            await error_response(error)(scope, receive, send)
            return
        await self._app(scope, receive, self._with_usage(send) if counted else send)

    def _check(self, scope: Scope) -> bool:
        """Whether the request counts as an API call. Raises ``ApiError`` if it is refused."""
        path = scope["path"]
        if len(scope["raw_path"]) + len(scope["query_string"]) > _MAX_URI_BYTES:
            raise ApiError(414, "URI_TOO_LONG", "The URI exceeds 16,384 bytes")
        if not path.removeprefix("/services/data").strip("/") or not path.startswith(_DATA):
            return False
        _check_version(path.split("/")[3])
        self._check_session(Headers(scope=scope).get("authorization", ""))
        self._org.count_request()
        return True

    def _check_session(self, authorization: str) -> None:
        scheme, _, session = authorization.partition(" ")
        if scheme.lower() not in {"bearer", "oauth"}:
            raise ApiError(401, "INVALID_AUTH_HEADER", "INVALID_HEADER_TYPE")
        if session not in self._org.sessions:
            raise ApiError(401, "INVALID_SESSION_ID", "Session expired or invalid")

    def _with_usage(self, send: Send) -> Send:
        async def send_with_usage(message: Message) -> None:
            if message["type"] == "http.response.start":
                usage = f"api-usage={self._org.usage.used}/{self._org.usage.max}"
                MutableHeaders(scope=message)["Sforce-Limit-Info"] = usage
            await send(message)

        return send_with_usage

    def _log(self, scope: Scope, status: int | None) -> None:
        path = scope["path"]
        self._org.calls.add(scope["method"], self._template(scope), path, status)

    def _template(self, scope: Scope) -> str:
        """The path template of the request's endpoint, whether or not the endpoint ran."""
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


async def _fault_response(fault: RequestFault, scope: Scope, receive: Receive, send: Send) -> None:
    status = fault.status or HTTPStatus.INTERNAL_SERVER_ERROR
    text = HTTPStatus(status).phrase if status in set(HTTPStatus) else "Error"
    body = fault.body
    if body is None:
        body = ApiError(status, text.upper().replace(" ", "_"), text).body()
    await json_response(body, status, fault.headers)(scope, receive, send)


async def _send_nothing(_: Message) -> None:
    """Discards a part of the response."""
