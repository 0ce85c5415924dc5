"""The token endpoint and the user info endpoint.

Source: Salesforce Help, "OAuth 2.0 Client Credentials Flow for Server-to-Server Integration" and
"OAuth 2.0 JWT Bearer Flow for Server-to-Server Integration".
"""

import base64
import binascii
import hmac
import secrets
import time
from collections.abc import Mapping
from urllib.parse import parse_qsl

import jwt
from starlette.requests import Request
from starlette.responses import JSONResponse

from m3sync_dagster.sandbox.salesforce.http import org_of
from m3sync_dagster.sandbox.salesforce.org import Credentials, Org

_JWT_BEARER = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_AUDIENCES = ["https://login.salesforce.com", "https://test.salesforce.com"]

SESSION_SECONDS = 7200
"""How long a session lasts after its last use, by default; in the sandbox it does not end."""


class TokenError(Exception):
    """A refused token request, with OAuth's ``error`` and ``error_description``."""

    def __init__(self, error: str, description: str) -> None:
        super().__init__(error, description)
        self.error = error
        self.description = description


async def token(request: Request) -> JSONResponse:
    """``POST /services/oauth2/token``: creates a session."""
    org = org_of(request)
    form = dict(parse_qsl((await request.body()).decode(errors="replace")))
    base = str(request.base_url).rstrip("/")
    try:
        _check_grant(org.credentials, form, request.headers.get("authorization", ""), base)
    except TokenError as error:
        body = {"error": error.error, "error_description": error.description}
        return JSONResponse(body, status_code=400)
    return JSONResponse(_session(org, base))


async def introspect(request: Request) -> JSONResponse:
    """``POST /services/oauth2/introspect``: whether a token is valid.

    Source: Salesforce Help, "OpenID Connect Token Introspection".
    """
    org = org_of(request)
    form = dict(parse_qsl((await request.body()).decode(errors="replace")))
    try:
        _check_client(org.credentials, form, request.headers.get("authorization", ""))
    except TokenError as error:
        body = {"error": error.error, "error_description": error.description}
        return JSONResponse(body, status_code=401)
    if form.get("token") not in org.sessions:
        return JSONResponse({"active": False})
    now = int(time.time())
    return JSONResponse(
        {
            "active": True,
            "scope": "api",
            "client_id": org.credentials.client_id,
            "username": org.credentials.username,
            "sub": org.identity.url(str(request.base_url).rstrip("/")),
            "token_type": "access_token",
            "iat": now,
            "nbf": now,
            "exp": now + SESSION_SECONDS,
        }
    )


async def user_info(request: Request) -> JSONResponse:
    """``GET /services/oauth2/userinfo``: the user of the session.

    Source: Salesforce Help, "The UserInfo Endpoint": an invalid session gets 403.
    """
    org = org_of(request)
    if not _has_session(request, org):
        return JSONResponse("Bad_OAuth_Token", status_code=403)
    base = str(request.base_url).rstrip("/")
    return JSONResponse(org.identity.user_info(org.credentials.username, base))


async def identity(request: Request) -> JSONResponse:
    """``GET /id/{organization}/{user}``: the user of the session.

    Source: Salesforce Help, "Identity URLs": 403 for an invalid session, 404 for another user.
    """
    org = org_of(request)
    if not _has_session(request, org):
        return JSONResponse("Bad_OAuth_Token", status_code=403)
    ids = (request.path_params["organization"], request.path_params["user"])
    if ids != (org.identity.organization_id, org.identity.user_id):
        return JSONResponse("Bad_Id", status_code=404)
    base = str(request.base_url).rstrip("/")
    return JSONResponse(org.identity.identity(org.credentials.username, base))


def _has_session(request: Request, org: Org) -> bool:
    return request.headers.get("authorization", "").partition(" ")[2] in org.sessions


def _session(org: Org, base: str) -> dict[str, str]:
    access_token = f"{org.identity.organization_id[:15]}!{secrets.token_urlsafe(40)}"
    org.sessions.add(access_token)
    return {
        "access_token": access_token,
        "signature": base64.b64encode(secrets.token_bytes(32)).decode(),
        "scope": "api",
        "instance_url": base,
        "id": org.identity.url(base),
        "token_type": "Bearer",
        "issued_at": str(int(time.time() * 1000)),
    }


def _check_grant(
    credentials: Credentials, form: Mapping[str, str], authorization: str, base: str
) -> None:
    grant = form.get("grant_type")
    if grant == "client_credentials":
        _check_client(credentials, form, authorization)
    elif grant == _JWT_BEARER:
        _check_assertion(credentials, form.get("assertion", ""), base)
    else:
        raise TokenError("unsupported_grant_type", "grant type not supported")


def _check_client(credentials: Credentials, form: Mapping[str, str], authorization: str) -> None:
    client_id, secret = _basic(authorization) or (
        form.get("client_id", ""),
        form.get("client_secret", ""),
    )
    if not _equal(client_id, credentials.client_id):
        raise TokenError("invalid_client_id", "client identifier invalid")
    if not _equal(secret, credentials.client_secret):
        raise TokenError("invalid_client", "invalid client credentials")


def _equal(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _basic(authorization: str) -> tuple[str, str] | None:
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, _, password = base64.b64decode(encoded).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise TokenError("invalid_client", "invalid client credentials") from None
    return user, password


def _check_assertion(credentials: Credentials, assertion: str, base: str) -> None:
    if credentials.public_key is None:
        raise TokenError("invalid_grant", "user hasn't approved this consumer")
    try:
        claims = jwt.decode(
            assertion,
            credentials.public_key,
            algorithms=["RS256"],
            audience=[*_AUDIENCES, base],
            options={"require": ["exp", "iss", "sub", "aud"]},
        )
    except jwt.InvalidAudienceError:
        raise TokenError("invalid_grant", "audience is invalid") from None
    except jwt.ExpiredSignatureError:
        raise TokenError("invalid_grant", "expired authorization code") from None
    except jwt.InvalidTokenError:
        raise TokenError("invalid_grant", "invalid assertion") from None
    _check_claims(credentials, str(claims["iss"]), str(claims["sub"]))


def _check_claims(credentials: Credentials, issuer: str, subject: str) -> None:
    if issuer != credentials.client_id:
        raise TokenError("invalid_client_id", "client identifier invalid")
    if subject != credentials.username:
        raise TokenError("invalid_grant", "user hasn't approved this consumer")
