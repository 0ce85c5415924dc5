"""How many of its daily API calls an org has used, and where we stop.

Sources: REST API Developer Guide, "Limit Info Header" and "Limits".
"""

import threading
from collections.abc import Mapping

import msgspec

from m3sync_dagster.sync.errors import RateLimitError

_HEADER = "Sforce-Limit-Info"


class Allowance(msgspec.Struct, rename="pascal"):
    """What one of the org's limits allows, and what is left of it."""

    max: int
    remaining: int


class Limits(msgspec.Struct):
    """The part of the resource ``/limits`` that counts here."""

    daily: Allowance = msgspec.field(name="DailyApiRequests")


class Quota:
    """What is known of an org's daily API calls.

    Args:
        share: the share of them past which we do not go on.

    Attributes:
        usage: API calls that the org has used and may use in 24 hours, as last heard.
        silent: whether answers tell nothing of it.
    """

    def __init__(self, share: float) -> None:
        self.usage: tuple[int, int] | None = None
        self.silent = False
        self._asked = False
        self._share = share
        self._lock = threading.Lock()

    def note(self, headers: Mapping[str, str]) -> None:
        """Read ``api-usage=18/5000`` off an answer; count the call where nothing is said."""
        for part in headers.get(_HEADER, "").split(";"):
            name, _, value = part.strip().partition("=")
            used, _, total = value.partition("/")
            if name == "api-usage" and used.isdecimal() and total.isdecimal():
                self.usage, self.silent = (int(used), int(total)), False
                return
        with self._lock:
            if self.usage is None:
                self.silent = True
            elif self.silent:
                self.usage = self.usage[0] + 1, self.usage[1]

    @property
    def unknown(self) -> bool:
        """Whether ``/limits`` has to be asked for it."""
        return self.silent and self.usage is None and not self._asked

    def learn(self, limits: Limits | None) -> None:
        """Take what ``/limits`` says; ``None`` where it says nothing, and is not asked again."""
        if limits:
            self.usage = limits.daily.max - limits.daily.remaining, limits.daily.max
        self._asked = True

    def check(self) -> None:
        """Refuse to go on when the calls are nearly used up.

        Raises:
            RateLimitError: they are used past the share.
        """
        used, total = self.usage or (0, 0)
        if used > total * self._share:
            raise RateLimitError(
                f"The Salesforce org has used {used} of its {total} API calls of 24 hours, and "
                f"m3sync goes no further than {self._share:.0%}",
                "Wait: the next hour's run goes on from here once calls are free again.",
            )
