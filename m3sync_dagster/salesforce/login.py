"""Logging in, by simple-salesforce, over our own session."""

import warnings
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from m3sync_dagster.loopback import is_loopback
from m3sync_dagster.salesforce import stand_in
from m3sync_dagster.salesforce.credential import (
    OFFICIAL_DOMAIN,
    SalesforceCredential,
)
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError

if TYPE_CHECKING:
    import requests


@dataclass(frozen=True, slots=True)
class Token:
    """An access token, and the instance that takes it.

    Salesforce gives no lifetime with it: it lasts until an answer is 401.
    """

    value: str = field(repr=False)
    instance: str
    """Host, and port where there is one."""


def log_in(credential: SalesforceCredential, session: "requests.Session") -> Token:
    """Fetch an access token with the flow that the credential is made for.

    Raises:
        AuthenticationError: Salesforce refuses the credential.
        ConfigurationError: the private key cannot sign.
        RemoteError: Salesforce cannot be reached, or its answer holds no token.
    """
    # Imported on first use: it takes the better part of a second.
    from simple_salesforce.exceptions import SalesforceAuthenticationFailed  # noqa: PLC0415
    from simple_salesforce.login import SalesforceLogin  # noqa: PLC0415

    if credential.private_key is not None:
        _check_key(credential.private_key)
    try:
        with warnings.catch_warnings():
            # It warns of an unapproved user, and then raises as well.
            warnings.simplefilter("ignore", UserWarning)
            value, instance = SalesforceLogin(session=session, **_arguments(credential))
    except (SalesforceAuthenticationFailed, AttributeError):
        # The chain is cut: the answer may hold a token, and must not show in a traceback.
        raise _no_token() from None
    return _checked(value, instance, credential)


def _check_key(pem: str) -> None:
    """See that a JWT can be signed with the key; no word of it gets into the error."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415 - as above
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415

    try:
        usable = isinstance(load_pem_private_key(pem.encode(), None), RSAPrivateKey)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        usable = False
    if not usable:
        raise ConfigurationError(
            "The private key of the Salesforce credential cannot sign",
            "Give the PEM text of the RSA key, without a password, whose certificate the app has.",
        )


def _arguments(credential: SalesforceCredential) -> dict[str, Any]:
    """The flow's arguments in simple-salesforce's words; it adds ``.salesforce.com`` itself."""
    label = credential.host.removesuffix(OFFICIAL_DOMAIN)
    label = stand_in.DOMAIN if credential.loopback else label
    if credential.private_key is None:
        return {
            "consumer_key": credential.client_id,
            "consumer_secret": credential.client_secret,
            "domain": label,
        }
    return {
        "username": credential.username,
        "consumer_key": credential.client_id,
        "privatekey": credential.private_key,
        # The audience of the JWT is one of the two common hosts, whatever host it is posted to.
        "domain": "test" if _for_testing(label) else "login",
        "instance_url": label,
    }


def _for_testing(label: str) -> bool:
    """Whether a host is that of a sandbox or a scratch org.

    Source: Salesforce Help, "My Domain URL Formats": a sandbox's name has two hyphens in it.
    """
    return label == "test" or "--" in label or ".scratch." in label


def _checked(value: object, instance: str, credential: SalesforceCredential) -> Token:
    """Take the answer, unless it would send the token to a stranger."""
    host = urlsplit(f"//{instance}").hostname or ""
    trusted = is_loopback(host) if credential.loopback else host.endswith(OFFICIAL_DOMAIN)
    if not isinstance(value, str) or not value or not trusted:
        raise _no_token()
    return Token(value, instance.rstrip("/"))


def _no_token() -> RemoteError:
    return RemoteError(
        "Salesforce's answer to the login holds no access token and instance of Salesforce",
        "Check that the login URL is your org's My Domain URL.",
    )
