"""Whether Dagster's daemon is alive: without it no schedule ticks and no run is started."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

SILENCE = timedelta(minutes=3)
"""Time without a heartbeat after which a daemon counts as dead; it sends one each half minute."""

_SCHEDULER = "SCHEDULER"


@dataclass(frozen=True, slots=True)
class Daemon:
    """The daemon that starts scheduled runs.

    Args:
        seen: its last heartbeat; ``None`` if there was none yet.
        alive: whether that is recent.
    """

    seen: datetime | None
    alive: bool

    def __str__(self) -> str:
        if self.alive:
            return "the daemon is alive"
        since = f" since {self.seen:%Y-%m-%d %H:%M} UTC" if self.seen else ""
        return f"no daemon has been seen{since}"


def read_daemon(instance: dg.DagsterInstance) -> Daemon:
    """Read when the daemon sent its last heartbeat."""
    beat = instance.get_daemon_heartbeats().get(_SCHEDULER)
    if beat is None:
        return Daemon(None, alive=False)
    seen = datetime.fromtimestamp(beat.timestamp, UTC)
    return Daemon(seen, datetime.now(UTC) - seen < SILENCE)
