"""Misbehaviour on demand: rules that make calls fail as the real world does.

A rule matches calls by method and path, lets the first few through, and then acts on some of them.
Rules act in the order in which they were added, until one of them answers.
"""

import asyncio
import threading
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from m3sync_dagster.sandbox.m3ter.token_auth import Tokens
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.server import DROP

_SCOPE_KEY = "sandbox.paging"


class Action(msgspec.Struct, forbid_unknown_fields=True, tag_field="kind", tag=str.lower):
    """What a rule does; its name in JSON is the class's name in small letters."""


class Respond(Action):
    """Answers with this status, headers and body; a body that is a string is sent verbatim."""

    status: int
    body: Any = msgspec.field(default_factory=lambda: {"message": "A fault of the sandbox."})
    headers: dict[str, str] = {}


class Drop(Action):
    """Closes the connection in the middle of the answer's body."""


class Delay(Action):
    """Waits this many seconds before going on."""

    seconds: float


class Revoke(Action):
    """Makes all tokens invalid, so that this call gets 401, and others until a new token."""


class Empty(Action):
    """Answers a list with no records and a nextToken that goes on from the same place."""


class Shift(Action):
    """Starts a page this many records too early (they come twice) or, if negative, too late.

    This is what happens to paging by offset when records are created or deleted meanwhile.
    """

    records: int


class Insert(Action):
    """Creates a record before the call is answered."""

    entity: str
    fields: dict[str, msgspec.Raw]


class Remove(Action):
    """Deletes a record before the call is answered."""

    entity: str
    id: str


class Fault(msgspec.Struct, forbid_unknown_fields=True):
    """A rule.

    Args:
        action: what to do.
        method: the HTTP method it is for, or ``*``.
        path: a pattern for the path, in which ``*`` stands for any characters.
        after: how many matching calls to let through first.
        times: how many matching calls to act on then; None for all.
    """

    action: Respond | Drop | Delay | Revoke | Empty | Shift | Insert | Remove
    method: str = "*"
    path: str = "*"
    after: int = 0
    times: int | None = 1

    def strikes(self, method: str, path: str) -> bool:
        """Whether to act on this call; counts it."""
        if not (fnmatchcase(method, self.method) and fnmatchcase(path, self.path)):
            return False
        if self.after > 0:
            self.after -= 1
            return False
        if self.times is not None:
            self.times -= 1
        return self.times is None or self.times >= 0


class Faults:
    """The rules in force."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = threading.Lock()

    def add(self, fault: Fault) -> None:
        """Adds a rule behind the others."""
        with self._lock:
            self._faults.append(fault)

    def clear(self) -> None:
        """Removes all rules."""
        with self._lock:
            self._faults.clear()

    def striking(self, method: str, path: str) -> list[Fault]:
        """The rules that act on a call, up to the first that answers it; they have counted it."""
        struck = []
        with self._lock:
            for fault in self._faults:
                if fault.strikes(method, path):
                    struck.append(fault)
                    if isinstance(fault.action, Respond | Drop):
                        break
        return struck


@dataclass
class PagingFault:
    """What is wrong with the page that a call asks for."""

    empty: bool = False
    shift: int = 0


def paging_fault(scope: Scope) -> PagingFault:
    """What the rules put wrong with the page that this call asks for."""
    fault: PagingFault = scope.setdefault(_SCOPE_KEY, PagingFault())
    return fault


class FaultInjection:
    """Applies the rules to the calls that pass through."""

    def __init__(
        self, app: ASGIApp, faults: Faults, organization: Organization, tokens: Tokens
    ) -> None:
        self._app = app
        self._faults = faults
        self._organization = organization
        self._tokens = tokens

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers the call itself if a rule says so; otherwise passes it on."""
        struck = self._faults.striking(scope["method"], scope["path"])
        for fault in struck:
            match fault.action:
                case Respond() as answer:
                    await _response(answer)(scope, receive, send)
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
        """Changes what the call will find."""
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


def _response(answer: Respond) -> Response:
    text = answer.body if isinstance(answer.body, str) else msgspec.json.encode(answer.body)
    headers = {"content-type": "application/json", **answer.headers}
    return Response(text, answer.status, headers)


async def _drop(scope: Scope, receive: Receive, send: Send) -> None:
    """Promises more bytes than it sends, and cuts the connection."""
    headers = [(b"content-type", b"application/json"), (b"content-length", b"1000000")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b'{"data":[', "more_body": True})
    scope["extensions"][DROP]()
    while (await receive())["type"] != "http.disconnect":
        pass  # uvicorn would report an unfinished answer if this returned before the client is gone
