"""Logging in with simple-salesforce, over our own session."""

import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlsplit

import msgspec

from m3sync_dagster.loopback import is_loopback
from m3sync_dagster.salesforce.credential import ConnectedApp, is_official
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError
from m3sync_dagster.url_parts import shown_address

if TYPE_CHECKING:
    import requests


_ANY_DOMAIN = "my-domain.my"
"""simple-salesforce adds ``.salesforce.com``; our session sends it to the login URL's host."""
TOKEN_PATH = "/services/oauth2/token"  # noqa: S105 - a path


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, and the instance that accepts it.

    The response has no lifetime: the token is valid until a response is 401.
    """

    value: str = field(repr=False)
    instance: str
    """Host, with its port if there is one."""
    organization_id: str | None = None
    """The org's 15-character Id; ``None`` where the response does not have it."""
    user_id: str | None = None
    """The 15-character Id of the user that the app runs as; ``None`` as above."""

    @property
    def browser_url(self) -> str:
        """Where a browser shows the org's pages; see ``org_links``."""
        local = is_loopback(urlsplit(f"//{self.instance}").hostname or "")
        return shown_address(f"{'http' if local else 'https'}://{self.instance}")


def log_in(credential: ConnectedApp, session: "requests.Session") -> Token:
    """Request an access token with the login flow of the credential.

    Args:
        credential: how to log in.
        session: sends each request to the login URL's host, and to no other.

    Raises:
        AuthenticationError: Salesforce refuses the credential.
        ConfigurationError: the private key cannot be used.
        RemoteError: Salesforce cannot be reached, or its response has no token.
    """
    # Imported on first use: the import takes most of a second.
    from simple_salesforce.exceptions import SalesforceAuthenticationFailed  # noqa: PLC0415
    from simple_salesforce.login import SalesforceLogin  # noqa: PLC0415

    if credential.private_key is not None:
        _check_key(credential.private_key)
    try:
        with warnings.catch_warnings(), _token_responses(session) as responses:
            # simple-salesforce warns of an unapproved user, and then raises too.
            warnings.simplefilter("ignore", UserWarning)
            value, instance = SalesforceLogin(session=session, **_arguments(credential))
    except (SalesforceAuthenticationFailed, AttributeError):
        # ``from None``: the response may contain a token, which must not appear in a traceback.
        raise _no_token() from None
    return _checked_token(value, instance, _identity(responses), credential)


@contextmanager
def _token_responses(session: "requests.Session") -> Iterator[list["requests.Response"]]:
    """Collect the token endpoint's responses: simple-salesforce returns only a part of them."""
    responses: list[requests.Response] = []

    def collect(response: "requests.Response", **_options: object) -> None:
        if urlsplit(response.url).path == TOKEN_PATH:
            responses.append(response)

    hooks = session.hooks["response"]
    hooks.append(collect)
    try:
        yield responses
    finally:
        hooks.remove(collect)


class _LoginArguments(TypedDict, total=False):
    """Arguments of ``SalesforceLogin``."""

    consumer_key: str | None
    consumer_secret: str | None
    username: str | None
    privatekey: str | None
    domain: str
    instance_url: str


class _TokenResponse(msgspec.Struct):
    """The part of a token response that names the org and the user: ``https://host/id/00D…/005…``.

    Source: Salesforce Help, "OAuth 2.0 Client Credentials Flow", and "Identity URLs".
    """

    id: str = ""


_IDENTITY = re.compile(r"/id/(00D[0-9A-Za-z]{12})(?:[0-9A-Za-z]{3})?/(005[0-9A-Za-z]{12})")


def _identity(responses: "list[requests.Response]") -> tuple[str | None, str | None]:
    """The 15-character Ids of the org and of the user, as far as the response has them."""
    try:
        response = msgspec.json.decode(responses[-1].content, type=_TokenResponse)
    except (IndexError, msgspec.DecodeError, UnicodeDecodeError):
        return None, None
    found = _IDENTITY.search(response.id)
    return (found[1], found[2]) if found else (None, None)


def _check_key(pem: str) -> None:
    """Check that the key can sign a JWT; the error contains no part of it."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        usable = isinstance(load_pem_private_key(pem.encode(), None), RSAPrivateKey)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        usable = False
    if not usable:
        raise ConfigurationError(
            "The private key of the Salesforce credential is not a usable RSA key",
            "Set the PEM text of the RSA key, without a password, whose certificate the app has.",
        )


def _arguments(credential: ConnectedApp) -> _LoginArguments:
    """The arguments of ``SalesforceLogin`` for the login flow."""
    if credential.private_key is None:
        return {
            "consumer_key": credential.client_id,
            "consumer_secret": credential.client_secret,
            "domain": _ANY_DOMAIN,
        }
    return {
        "username": credential.username,
        "consumer_key": credential.client_id,
        "privatekey": credential.private_key,
        # The audience of the JWT is one of two common hosts, not the host of the login URL.
        "domain": "test" if _is_test_org(credential.host) else "login",
        "instance_url": _ANY_DOMAIN,
    }


def _is_test_org(host: str) -> bool:
    """Whether a host belongs to a sandbox or a scratch org.

    Source: Salesforce Help, "My Domain URL Formats": a sandbox's name has two hyphens in it.
    """
    return host == "test.salesforce.com" or "--" in host or ".scratch." in host


def _checked_token(
    value: object,
    instance: str,
    identity: tuple[str | None, str | None],
    credential: ConnectedApp,
) -> Token:
    """Make a ``Token``, unless it would be sent to a host that is not Salesforce's."""
    host = urlsplit(f"//{instance}").hostname or ""
    trusted = is_loopback(host) if credential.loopback else is_official(host)
    if not isinstance(value, str) or not value or not trusted:
        raise _no_token()
    return Token(value, instance.rstrip("/"), *identity)


def _no_token() -> RemoteError:
    return RemoteError(
        "Salesforce's response to the login has no access token or no Salesforce instance",
        "Check that the login URL is your org's My Domain URL.",
    )
