"""The runs that the sequences are made of, as a person would describe them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What a run was requested as."""

    HOUR = "an hour of the schedule"
    CATCH_UP = "several hours of the schedule"
    HOUR_BY_HAND = "an hour by hand"
    RANGE_BY_HAND = "several hours by hand"
    BACKFILL = "a run of a backfill"


class Launcher(StrEnum):
    """Who launched a run: only the UI leaves out the tag with the integration's name."""

    DAEMON = "the daemon"
    COMMAND = "m3sync run"
    UI = "Dagster's UI"


class End(StrEnum):
    """How a run ended."""

    SUCCESS = "success"
    ERRORS = "entities failed"
    KILLED = "killed"
    NOT_STARTED = "could not start"
    CANCELED = "canceled"


class Error(StrEnum):
    """Why an entity failed."""

    REMOTE = "Salesforce is down"
    REFUSED_KEY = "the key is refused"
    QUOTA = "RATE_LIMIT_RETRY"
    TIMEOUT = "TIMEOUT without progress"
    SLOW = "TIMEOUT with progress"
    OTHER_WRITER = "another run is writing"


@dataclass(frozen=True)
class Outcome:
    """How a run ended, and why each entity failed that did."""

    end: End
    errors: Mapping[str, Error] = field(default_factory=dict)


@dataclass
class Run:
    """A run of one integration.

    Args:
        kind: what it was requested as.
        entities: those that it selects.
        attempt: the same for runs that count as one.
        created: when it was created (Unix time).
        ended: when it ended (Unix time).
        outcome: how it ended; ``None`` before.
    """

    kind: Kind
    entities: frozenset[str]
    attempt: str
    created: float
    ended: float = 0.0
    outcome: Outcome | None = None
