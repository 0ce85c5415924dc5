"""Fault rules: errors and changed results that a test makes the sandbox return.

A rule matches calls by method and path. It ignores the first matching calls (``after``), then
applies to the next ones (``times``). Rules apply in the order in which they were added, until one
of them responds to the call.
"""

import asyncio
import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from m3sync_dagster.sandbox.json_types import Json
from m3sync_dagster.sandbox.m3ter.token_auth import Tokens
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.server import drop_connection

_SCOPE_KEY = "sandbox.paging"


class Action(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind", tag=str.lower):
    """What a rule does; its ``kind`` in JSON is the class's name in lower case."""


class Respond(Action):
    """Responds with this status, headers and body; a body that is a string is sent verbatim."""

    status: int
    body: Json = msgspec.field(default_factory=lambda: {"message": "A fault of the sandbox."})
    headers: dict[str, str] = {}


class Drop(Action):
    """Closes the connection in the middle of the response's body."""


class Delay(Action):
    """Waits this many seconds before the call is processed."""

    seconds: float


class Revoke(Action):
    """Makes all tokens invalid: this and all further calls get 401 until a new token is issued."""


class Empty(Action):
    """Returns a page without records, and a ``nextToken`` that continues at the same position."""


class Shift(Action):
    """Starts a page this many records too early (they are repeated) or, if negative, too late.

    This happens in paging by offset when records are created or deleted between two pages.
    """

    records: int


class Insert(Action):
    """Creates a record before the call is processed."""

    entity: str
    fields: dict[str, msgspec.Raw]


class Remove(Action):
    """Deletes a record before the call is processed."""

    entity: str
    id: str


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """A rule.

    Args:
        action: what the rule does.
        method: the HTTP method, or ``*``.
        path: a pattern for the path, in which ``*`` matches any characters.
        after: how many matching calls to ignore first.
        times: how many matching calls to apply to after that; None for all.
    """

    action: Respond | Drop | Delay | Revoke | Empty | Shift | Insert | Remove
    method: str = "*"
    path: str = "*"
    after: int = 0
    times: int | None = 1

    def applies(self, method: str, path: str) -> bool:
        """Whether the rule applies to this call; counts it."""
        if not (fnmatchcase(method, self.method) and fnmatchcase(path, self.path)):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return self.times is None or self.times >= 0


class Faults:
    """The active rules."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Adds a rule after the others."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Removes all rules."""
        with self._lock:
            self._faults.clear()

    def applicable(self, method: str, path: str) -> list[Fault]:
        """The rules that apply to a call, up to the first that responds to it; they count it."""
        applicable = []
        with self._lock:
            for fault in self._faults:
                if fault.applies(method, path):
                    applicable.append(fault)
                    if isinstance(fault.action, Respond | Drop):
                        break
        return applicable


@dataclass
class PagingFault:
    """The faults of the page that a call requests."""

    empty: bool = False
    shift: int = 0


def paging_fault(scope: Scope) -> PagingFault:
    """The faults that the rules set for the page that this call requests."""
    fault: PagingFault = scope.setdefault(_SCOPE_KEY, PagingFault())
    return fault


class FaultInjection:
    """Middleware that applies the fault rules."""

    def __init__(
        self, app: ASGIApp, faults: Faults, organization: Organization, tokens: Tokens
    ) -> None:
        self._app = app
        self._faults = faults
        self._organization = organization
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Responds to the call if a rule says so; otherwise passes it on."""
        applicable = self._faults.applicable(scope["method"], scope["path"])
        for fault in applicable:
            match fault.action:
                case Respond() as action:
                    await _response(action)(scope, receive, send)
                    return
                case Drop():
                    await _drop(scope, receive, send)
                    return
                case Delay(seconds):
                    await asyncio.sleep(seconds)
                case action:
                    self._prepare(action, scope)
        await self._app(scope, receive, send)

    def _prepare(self, action: Action, scope: Scope) -> None:
        """Makes the rule's change before the call is processed."""
        match action:
            case Revoke():
                self._tokens.revoke_all()
            case Empty():
                paging_fault(scope).empty = True
            case Shift(records):
                paging_fault(scope).shift += records
            case Insert(entity, fields):
                self._organization.add(entity, **fields)
            case Remove(entity, record_id):
                self._organization.remove(entity, record_id)


def _response(action: Respond) -> Response:
    text = action.body if isinstance(action.body, str) else msgspec.json.encode(action.body)
    headers = {"content-type": "application/json", **action.headers}
    return Response(text, action.status, headers)


async def _drop(scope: Scope, receive: Receive, send: Send) -> None:
    """Announces more bytes than it sends, and closes the connection."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"data":[', "more_body": True})
    await drop_connection(scope, receive)
