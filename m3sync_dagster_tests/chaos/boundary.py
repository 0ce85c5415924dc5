"""Stands before the sandbox servers, and does something at chosen requests.

One ``Boundary`` sees the requests to m3ter and to Salesforce, whichever process sends them.
"""

import asyncio
import json
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import psutil
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from m3sync_dagster.sandbox.server import drop_connection

M3TER, SALESFORCE = "m3ter", "Salesforce"
PAGE = b"<!DOCTYPE html><html><head><title>Maintenance</title></head><body>Back soon</body></html>"
SESSION_ENDED = {"message": "Session expired or invalid", "errorCode": "INVALID_SESSION_ID"}

Strike = Callable[[ASGIApp, Scope, Receive, Send], Awaitable[None]]
"""What is done instead of passing a request to the server."""


@dataclass
class Plan:
    """What happens at which requests.

    Args:
        system: ``M3TER`` or ``SALESFORCE``.
        at: the first of them, counted from 1.
        times: how many.
        name: what it is called in the summary.
        strike: what happens.
    """

    system: str
    at: int
    times: int
    name: str
    strike: Strike
    seen: int = 0

    def applies(self, system: str) -> bool:
        """Whether it happens at this request; counts it."""
        if system != self.system:
            return False
        self.seen += 1
        return self.at <= self.seen < self.at + self.times


class Boundary:
    """Between the product and both systems.

    Attributes:
        struck: how often each plan was carried out, by name.
    """

    def __init__(self) -> None:
        self.struck: Counter[str] = Counter()
        self._plans: list[Plan] = []

    def add(self, plan: Plan) -> None:
        """Let something happen."""
        self._plans = [*self._plans, plan]

    def calm(self) -> None:
        """Let every request pass."""
        self._plans = []

    def before(self, app: ASGIApp) -> ASGIApp:
        """The server behind this boundary."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            plan = self._plan(scope) if scope["type"] == "http" else None
            await (plan.strike if plan else _pass_on)(app, scope, receive, send)

        return guarded

    def _plan(self, scope: Scope) -> Plan | None:
        system = SALESFORCE if scope["path"].startswith("/services/") else M3TER
        applying = [plan for plan in self._plans if plan.applies(system)]
        self.struck.update(plan.name for plan in applying[:1])
        return applying[0] if applying else None


def answer(status: int, body: object, *, acted: bool) -> Strike:
    """Answer instead of the server; bytes are a web page, anything else is JSON.

    Args:
        status: the HTTP status.
        body: the body.
        acted: the server carries the request out first.
    """
    kind, content = "application/json", json.dumps(body).encode() if body != PAGE else PAGE
    if body == PAGE:
        kind = "text/html; charset=utf-8"

    async def strike(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        if acted:
            await app(scope, receive, _swallow)
        headers = [(b"content-type", kind.encode()), (b"content-length", b"%d" % len(content))]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": content})

    return strike


def cut(*, acted: bool) -> Strike:
    """Close the connection without an answer, before or after the server has acted."""

    async def strike(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        if acted:
            await app(scope, receive, _swallow)
        await drop_connection(scope, receive)

    return strike


async def hang(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let the server act, and never answer."""
    await app(scope, receive, _swallow)
    while (await receive())["type"] != "http.disconnect":
        pass


async def truncate(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let the server act, send the first half of the answer, and close the connection."""
    start, body = await _answered(app, scope, receive)
    await send(dict(start) | {"headers": _with_length(start, len(body))})
    await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
    await drop_connection(scope, receive)


async def slow(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    """Let the server act, and send the answer in two parts with a pause between them."""
    start, body = await _answered(app, scope, receive)
    half = len(body) // 2
    await send(dict(start) | {"headers": _with_length(start, len(body))})
    await send({"type": "http.response.body", "body": body[:half], "more_body": True})
    await asyncio.sleep(0.1)
    await send({"type": "http.response.body", "body": body[half:]})


def do(act: Callable[[int], None], *, acted: bool) -> Strike:
    """Do something to the process that has sent a request, then answer it as usual.

    Args:
        act: gets the process's id.
        acted: the server carries the request out first, and the answer waits.
    """

    async def strike(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        client = await asyncio.to_thread(_client, scope)
        if not acted:
            await asyncio.to_thread(act, client)
            await app(scope, receive, send)
            return
        answered: list[Message] = []
        await app(scope, receive, _keep_in(answered))
        await asyncio.to_thread(act, client)
        for message in answered:
            await send(message)

    return strike


def _client(scope: Scope) -> int:
    """The id of the process that has sent a request."""
    port = scope["client"][1]
    for connection in psutil.net_connections("tcp"):
        if connection.laddr and connection.laddr.port == port and connection.pid:
            return connection.pid
    return 0


async def _pass_on(app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
    await app(scope, receive, send)


async def _swallow(_: Message) -> None:
    """Send nothing."""


def _keep_in(messages: list[Message]) -> Send:
    async def keep(message: Message) -> None:
        messages.append(message)

    return keep


async def _answered(app: ASGIApp, scope: Scope, receive: Receive) -> tuple[Message, bytes]:
    """The start and the whole body of the server's answer."""
    messages: list[Message] = []
    await app(scope, receive, _keep_in(messages))
    return messages[0], b"".join(message.get("body", b"") for message in messages[1:])


def _with_length(start: Message, length: int) -> list[tuple[bytes, bytes]]:
    kept = [one for one in start.get("headers", []) if one[0].lower() != b"content-length"]
    return [*kept, (b"content-length", b"%d" % length)]
