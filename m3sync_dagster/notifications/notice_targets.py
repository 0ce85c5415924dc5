"""The receivers of notices: m3ter's users, further channels, Dagster's UI."""

import logging
import os
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from m3sync_dagster.guard.guarded_integration import GuardedIntegration

if TYPE_CHECKING:
    from apprise import NotifyBase

NOTIFY_URLS = "M3SYNC_NOTIFY_URLS"
"""The environment variable with the URLs of further channels, as Apprise writes them."""
DAGSTER = "dagster"
"""The target that stands for observations of the integration's assets."""
USER = "user:"
CHANNEL = "channel:"


def targets_of(integration: GuardedIntegration) -> list[str]:
    """The receivers of an integration's changes. No secret is in a target."""
    users = [f"{USER}{user_id}" for user_id in integration.users]
    return list(dict.fromkeys((*users, *channels(), *_own_channels(integration), DAGSTER)))


def reject_targets_of(integration: GuardedIntegration) -> list[str]:
    """The receivers of what is said of rejected rows: those that ``notify`` names."""
    users = [f"{USER}{user_id}" for user_id in dict.fromkeys(integration.other_users)]
    return [*users, *_own_channels(integration), DAGSTER]


def channels(integrations: Iterable[GuardedIntegration] = ()) -> dict[str, "NotifyBase | None"]:
    """The further channels by target, with those of these integrations.

    ``None`` is a URL that Apprise cannot read, or a variable that is not set.
    """
    found = dict(_read_channels(os.environ.get(NOTIFY_URLS, "")))
    for integration in integrations:
        found |= _own_channels(integration)
    return found


def _own_channels(integration: GuardedIntegration) -> dict[str, "NotifyBase | None"]:
    if integration.urls_env is None:
        return {}
    urls = os.environ.get(integration.urls_env, "")
    # Its name is a target, so that status shows that nobody is told.
    return _read_channels(urls) or {f"{CHANNEL}{integration.urls_env}": None}


@lru_cache(maxsize=64)
def _read_channels(urls: str) -> dict[str, "NotifyBase | None"]:
    if not urls.strip():
        return {}
    # Slow to import, and only a change of state needs it.
    from apprise import Apprise  # noqa: PLC0415
    from apprise.utils.parse import parse_urls  # noqa: PLC0415

    # It logs what it cannot read, secrets and all.
    logging.getLogger("apprise").disabled = True
    read = parse_urls(urls)  # type: ignore[no-untyped-call] # Apprise has no types
    found = enumerate(map(Apprise.instantiate, read), 1)
    return {
        f"{CHANNEL}{_fingerprint(channel) if channel else f'number {place}'}": channel
        for place, channel in found
    }


def _fingerprint(channel: "NotifyBase") -> str:
    """Different for each channel, and without its secrets."""
    return str(channel.url_id())  # type: ignore[no-untyped-call] # Apprise has no types
