"""What opens an m3ter organization."""

from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from m3sync_dagster.loopback import is_loopback
from m3sync_dagster.sync.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class M3terAccessKey:
    """A service user's access key, and how fast we may ask with it.

    Args:
        organization_id: m3ter's id of the organization.
        access_key_id: the access key's id, which m3ter's Console also calls the API key.
        api_secret: the access key's secret. It appears in no ``repr``.
        base_url: where the Config API is. Plain http is for loopback addresses alone.
        requests_per_second: the most that all our runs together send to the organization.
            m3ter allows 50 from everybody (source: m3ter guides, "Config API limits").

    Raises:
        ConfigurationError: a value is missing or cannot be right.
    """

    organization_id: str
    access_key_id: str
    api_secret: str = field(repr=False)
    base_url: str = "https://api.m3ter.com"
    requests_per_second: int = 40

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
    """Refuse an empty value, and the line end that a file or a shell likes to leave behind."""
    if not value or value != value.strip() or not value.isprintable():
        raise ConfigurationError(
            f"{name} of the m3ter credential is empty, or has spaces or line ends around it",
            "Set the environment variable that the credential names for it.",
        )


def _check_url(base_url: str) -> None:
    """Refuse an address over which the secret could be read by others.

    The address itself stays out of the message, since a password may be in it.
    """
    try:
        url = urlsplit(base_url)
        sound = bool(url.hostname) and url.port != 0 and not (url.query or url.fragment)
        sound = sound and _private(url)
    except ValueError:
        sound = False
    if not sound:
        raise ConfigurationError(
            "base_url of the m3ter credential is not an address that keeps the secret safe",
            "Use https://<host> without user name, password or query; "
            "http is for loopback addresses alone.",
        )


def _private(url: SplitResult) -> bool:
    named = url.username is not None or url.password is not None
    local = url.scheme == "http" and is_loopback(url.hostname or "")
    return not named and (url.scheme == "https" or local)
