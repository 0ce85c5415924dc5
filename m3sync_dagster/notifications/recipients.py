"""Who and what is told of a change of state: m3ter's users, further channels, Dagster's UI."""

import logging
import os
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


def targets_of(watched: GuardedIntegration) -> list[str]:
    """Everybody and everything that is told of this integration. No secret is in a target."""
    users = [f"{USER}{user_id}" for user_id in dict.fromkeys(watched.notify)]
    return [*users, *channels(), DAGSTER]


def channels() -> dict[str, "NotifyBase | None"]:
    """The further channels by target; ``None`` for a URL that Apprise cannot read."""
    urls = os.environ.get(NOTIFY_URLS, "")
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
    """Tells channels apart without telling their secrets."""
    return str(channel.url_id())  # type: ignore[no-untyped-call] # Apprise has no types
