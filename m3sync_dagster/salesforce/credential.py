"""The credential of a Salesforce org, validated before the first request."""

import re
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import SplitResult, urlsplit

from m3sync_dagster.loopback import is_loopback
from m3sync_dagster.sync.errors import ConfigurationError

OFFICIAL_DOMAINS = (
    ".salesforce.com",
    ".salesforce.mil",
    ".crmforce.mil",
    ".sfcrmapps.cn",
    ".cloudforce.com",
)
"""Domains of Salesforce orgs, including those for governments, China and older My Domains.

Sources: Salesforce Help, "My Domain URL Formats"; sfdx-core, "sfdcUrl".
"""

_MY_DOMAIN_REMEDY = (
    "Set it to your org's My Domain URL, such as https://acme.my.salesforce.com "
    "(Salesforce Setup, My Domain)."
)


@dataclass(frozen=True, slots=True)
class ConnectedApp:
    """A connected app's credential, for one of Salesforce's two login flows without a person.

    Client credentials: ``client_secret``. JWT bearer: ``username`` and ``private_key``.
    Source: Salesforce Help, "OAuth 2.0 Client Credentials Flow" and "OAuth 2.0 JWT Bearer Flow".

    Args:
        login_url: the org's My Domain URL; plain http is accepted for loopback addresses only.
        client_id: the app's consumer key.
        client_secret: the app's consumer secret.
        username: the user of the JWT bearer flow.
        private_key: the PEM text of the key that signs the JWT.
        api_version: version of the REST and Bulk APIs.

    Raises:
        ConfigurationError: a value is missing or invalid.
    """

    login_url: str
    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    username: str | None = None
    private_key: str | None = field(default=None, repr=False)
    api_version: str = "67.0"

    def __post_init__(self) -> None:
        _check_flow(self)
        _check_url(self._url, jwt=self.private_key is not None)
        if not re.fullmatch(r"\d{2,3}\.0", self.api_version):
            raise ConfigurationError(
                f"The Salesforce API version {self.api_version!r} is invalid",
                'Set api_version to a number such as "67.0".',
            )

    @property
    def origin(self) -> str:
        """Scheme, host and port of the login URL."""
        return f"{self._url.scheme}://{self._url.netloc}"

    @property
    def host(self) -> str:
        """Host name of the login URL."""
        return self._url.hostname or ""

    @property
    def loopback(self) -> bool:
        """Whether the login URL is a loopback address, so that Salesforce is a test server."""
        return is_loopback(self.host)

    @property
    def identity(self) -> str:
        """A digest of org, app, user and API version; it contains no secret."""
        parts = (self.origin, self.client_id, self.username or "", self.api_version)
        return sha256("\n".join(parts).encode()).hexdigest()

    @property
    def _url(self) -> SplitResult:
        return urlsplit(self.login_url.strip())


def is_official(host: str) -> bool:
    """Whether a host belongs to Salesforce, so that a secret may be sent to it."""
    return host.lower().endswith(OFFICIAL_DOMAINS)


def _check_flow(credential: ConnectedApp) -> None:
    parts = (credential.client_secret, credential.username, credential.private_key)
    one_flow = tuple(map(bool, parts)) in {(True, False, False), (False, True, True)}
    if not credential.client_id or not one_flow:
        raise ConfigurationError(
            "The Salesforce credential is incomplete or mixes two login flows",
            "Set a client id, and either a client secret or a username with a private key.",
        )


def _check_url(url: SplitResult, *, jwt: bool) -> None:
    host = url.hostname or ""
    extras = url.username or url.password or url.query or url.fragment or url.path.strip("/")
    if url.scheme not in {"http", "https"} or not host or extras:
        raise ConfigurationError(
            "The Salesforce login URL is not an https URL without path, query and password",
            _MY_DOMAIN_REMEDY,
        )
    if is_loopback(host):
        return
    if url.scheme != "https" or url.port or not is_official(host):
        raise ConfigurationError(
            f"The Salesforce login URL's host {host} is not an https address of Salesforce",
            _MY_DOMAIN_REMEDY,
        )
    if not jwt and host in {"login.salesforce.com", "test.salesforce.com"}:
        raise ConfigurationError(
            f"Salesforce refuses the client-credentials flow at {host}", _MY_DOMAIN_REMEDY
        )
