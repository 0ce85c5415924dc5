"""Whether an integration is connected, as far as that is known without a request."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from m3sync_dagster.components.loaded_integration import LoadedIntegration
from m3sync_dagster.state import Login
from m3sync_dagster.sync.errors import ConfigurationError


class ConnectionWord(StrEnum):
    """What is known of a connection."""

    BROKEN = "BROKEN"
    NOT_CONNECTED = "NOT CONNECTED"
    NOT_CHECKED = "NOT CHECKED"
    CONNECTED = "CONNECTED"


@dataclass(frozen=True, slots=True)
class Connection:
    """What is known of an integration's connections to both systems.

    Args:
        word: one word for it.
        reason: why it is not CONNECTED; ``None`` if it is.
        checked_at: when both logins had succeeded; ``None`` unless it is CONNECTED.
    """

    word: ConnectionWord
    reason: str | None = None
    checked_at: datetime | None = None


def connection_of(loaded: LoadedIntegration, logins: Mapping[str, Login]) -> Connection:
    """What is known of an integration's connections.

    It is CONNECTED only if the last login with each of its two credentials has succeeded, with the
    values that this process's environment has for them now.

    Args:
        loaded: the integration.
        logins: the last login with each credential.
    """
    if not loaded.integration.connected:
        return Connection(ConnectionWord.NOT_CONNECTED, "it has no salesforce_credential")
    try:
        identities = _identities(loaded)
    except ConfigurationError as error:
        return Connection(ConnectionWord.NOT_CONNECTED, str(error))
    found = {name: logins.get(name) for name in identities}
    current = {
        name: login for name, login in found.items() if login and login.identity == identities[name]
    }
    for name, login in current.items():
        if login.failed_at:
            return Connection(ConnectionWord.NOT_CONNECTED, _failure(name, login))
    moments = [login.succeeded_at for login in current.values() if login.succeeded_at]
    if len(moments) < len(identities):
        return Connection(ConnectionWord.NOT_CHECKED, _unchecked(loaded, identities, current))
    return Connection(ConnectionWord.CONNECTED, None, min(moments))


def _identities(loaded: LoadedIntegration) -> dict[str, str]:
    """What each credential opens, by its name, from the environment's variables.

    Raises:
        ConfigurationError: a variable is not set, or its value is not usable.
    """
    m3ter, salesforce = loaded.m3ter(), loaded.salesforce()
    return {
        m3ter.credential: m3ter.read().identity,
        salesforce.credential: salesforce.read().identity,
    }


def _failure(name: str, login: Login) -> str:
    return f"the login with {name} at {login.failed_at:%Y-%m-%d %H:%M} UTC failed: {login.error}"


def _unchecked(
    loaded: LoadedIntegration, identities: Mapping[str, str], current: Mapping[str, Login]
) -> str:
    names = " and ".join(name for name in identities if name not in current)
    return (
        f"no login with {names} has succeeded yet; to check it, run: "
        f"m3sync check {loaded.integration.name}"
    )
