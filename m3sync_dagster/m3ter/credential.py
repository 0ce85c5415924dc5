"""The credential of an m3ter organization."""

from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import SplitResult, urlsplit

from m3sync_dagster.loopback import is_loopback
from m3sync_dagster.sync.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class M3terAccessKey:
    """A service user's access key, and the request rate for it.

    Args:
        organization_id: m3ter's id of the organization.
        access_key_id: the access key's id, which m3ter's Console also calls the API key.
        api_secret: the access key's secret. It appears in no ``repr``.
        base_url: the URL of the Config API. Plain http is for loopback addresses only.
        requests_per_second: the most requests per second of all our runs together.
            m3ter allows 50 per organization (source: m3ter guides, "Config API limits").

    Raises:
        ConfigurationError: a value is missing or invalid.
    """

    organization_id: str
    access_key_id: str
    api_secret: str = field(repr=False)
    base_url: str = "https://api.m3ter.com"
    requests_per_second: int = 40

    @property
    def identity(self) -> str:
        """A digest of address, organization and access key; it contains no secret."""
        parts = (self.base_url.rstrip("/"), self.organization_id, self.access_key_id)
        return sha256("\n".join(parts).encode()).hexdigest()

    def __post_init__(self) -> None:
        for name in ("organization_id", "access_key_id", "api_secret"):
            _check_text(name, getattr(self, name))
        _check_url(self.base_url)
        if self.requests_per_second < 1:
            raise ConfigurationError(
                f"requests_per_second of the m3ter credential is {self.requests_per_second}",
                "Set it to 1 or more; m3ter allows 50.",
            )


def _check_text(name: str, value: str) -> None:
    """Reject an empty value, and a line end that a file or a shell may have added."""
    if not value or value != value.strip() or not value.isprintable():
        raise ConfigurationError(
            f"{name} of the m3ter credential is empty, or has spaces or line ends around it",
            "Set the environment variable that the credential names for it.",
        )


def _check_url(base_url: str) -> None:
    """Reject a URL over which the secret could be read by others.

    The message does not contain the URL, since a password may be in it.
    """
    try:
        url = urlsplit(base_url)
        valid = bool(url.hostname) and url.port != 0 and not (url.query or url.fragment)
        valid = valid and _is_secure(url)
    except ValueError:
        valid = False
    if not valid:
        raise ConfigurationError(
            "base_url of the m3ter credential is not a secure URL",
            "Use https://<host> without user name, password or query; "
            "http is for loopback addresses only.",
        )


def _is_secure(url: SplitResult) -> bool:
    named = url.username is not None or url.password is not None
    local = url.scheme == "http" and is_loopback(url.hostname or "")
    return not named and (url.scheme == "https" or local)
