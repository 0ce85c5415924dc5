"""Tokens: the endpoint that issues them for an access key, and the check of each request.

Source: m3ter's API reference, 'Authentication': the OAuth 2.0 client credentials flow, with the
access key in HTTP Basic and tokens that expire after five hours.
"""

import binascii
import secrets
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qs

import msgspec
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from m3sync_dagster.sandbox.m3ter.leniency import is_lenient

LIFETIME = 18_000
"""Seconds for which a token is valid."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """The Id of the sandbox's organization, and its access key."""

    organization_id: str = "5a4db0e5-0000-4000-8000-000000000001"
    access_key_id: str = "sandbox-access-key"
    api_secret: str = field(default="sandbox-api-secret-not-a-real-one", repr=False)


class Tokens:
    """The issued tokens.

    Args:
        clock: gives seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._expiry_times: dict[str, float] = {}

    def issue(self) -> str:
        """A new token; earlier ones stay valid."""
        token = secrets.token_urlsafe(32)
        self._expiry_times[token] = self._clock() + LIFETIME
        return token

    def valid(self, token: str) -> bool:
        """Whether a token was issued and has neither expired nor been revoked."""
        return self._clock() < self._expiry_times.get(token, float("-inf"))

    def revoke_all(self) -> None:
        """Makes every token invalid."""
        self._expiry_times.clear()


async def issue_token(request: Request) -> Response:
    """``POST /oauth/token``, with a JSON or a form body."""
    credentials: Credentials = request.app.state.credentials
    expected = (credentials.access_key_id, credentials.api_secret)
    given = _basic(request.headers.get("authorization", ""))
    if given != expected and not is_lenient(request):
        raise HTTPException(401, "The access key or its secret is wrong.")
    if _grant_type(await request.body()) != "client_credentials":
        raise HTTPException(400, "grant_type must be client_credentials.")
    token = request.app.state.tokens.issue()
    return JSONResponse({"access_token": token, "token_type": "Bearer", "expires_in": LIFETIME})


class Authorization:
    """Middleware that refuses requests without a valid token or for another organization."""

    def __init__(
        self, app: ASGIApp, tokens: Tokens, credentials: Credentials, *, lenient: bool
    ) -> None:
        self._app = app
        self._lenient = lenient
        self._tokens = tokens
        self._path_prefix = f"/organizations/{credentials.organization_id}/"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises 401 or 403 before the request reaches a route."""
        if scope["path"] != "/oauth/token" and not self._lenient:
            self._check(Request(scope))
        await self._app(scope, receive, send)

    def _check(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not self._tokens.valid(token):
            raise HTTPException(401, "The token is missing, unknown or expired.")
        path = request.url.path
        if path.startswith("/organizations/") and not path.startswith(self._path_prefix):
            raise HTTPException(403, "The access key has no access to this organization.")


def _basic(header: str) -> tuple[str, str] | None:
    """The user and password of an HTTP Basic header; None if it is not one."""
    scheme, _, encoded = header.partition(" ")
    try:
        user, colon, password = b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (user, password) if scheme.lower() == "basic" and colon else None


def _grant_type(body: bytes) -> object:
    """The grant type from a body that is JSON or a form."""
    try:
        return msgspec.json.decode(body, type=dict[str, object]).get("grant_type")
    except msgspec.DecodeError:
        return parse_qs(body.decode(errors="replace")).get("grant_type", [None])[0]
