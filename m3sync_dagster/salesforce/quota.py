"""How much of its daily allowances an org has used, and where we stop.

Sources: REST API Developer Guide, "Limit Info Header" and "Limits".
"""

import re
import threading
from collections.abc import Mapping

import msgspec

from m3sync_dagster.sync.errors import RateLimitError

_HEADER = "Sforce-Limit-Info"
_USAGE = re.compile(r"([\w-]+)=(\d+)/(\d+)")


class Allowance(msgspec.Struct, rename="pascal"):
    """What one of the org's limits allows, and what is left of it."""

    max: int
    remaining: int

    @property
    def used(self) -> tuple[int, int]:
        """What has been used, and what may be."""
        return self.max - self.remaining, self.max


class Limits(msgspec.Struct):
    """The part of the resource ``/limits`` that counts here."""

    daily: Allowance = msgspec.field(name="DailyApiRequests")
    batches: Allowance | None = msgspec.field(name="DailyBulkApiBatches", default=None)


class Quota:
    """What is known of an org's daily API calls and batches.

    Args:
        share: the share of them past which we do not go on.

    Attributes:
        usage: API calls that the org has used and may use in 24 hours, as last heard.
        app_usage: the same of our app alone, where the org limits it.
        silent: whether answers tell nothing of it.
    """

    def __init__(self, share: float) -> None:
        self.usage: tuple[int, int] | None = None
        self.app_usage: tuple[int, int] | None = None
        self.silent = False
        self._batches: tuple[int, int] | None = None
        self._asked = False
        self._share = share
        self._lock = threading.Lock()

    def note(self, headers: Mapping[str, str]) -> None:
        """Read ``api-usage=18/5000; per-app-api-usage=17/250(appName=…)`` off an answer.

        Where it says nothing of the org's usage, the call is counted.
        """
        told = {
            name: (int(used), int(total))
            for name, used, total in _USAGE.findall(headers.get(_HEADER, ""))
        }
        self.app_usage = told.get("per-app-api-usage", self.app_usage)
        if "api-usage" in told:
            self.usage, self.silent = told["api-usage"], False
            return
        with self._lock:
            if self.usage is None:
                self.silent = True
            elif self.silent:
                self.usage = self.usage[0] + 1, self.usage[1]

    def unknown(self, *, batches: bool) -> bool:
        """Whether ``/limits`` has to be asked for what is about to be used."""
        return not self._asked and (batches or (self.silent and self.usage is None))

    def learn(self, limits: Limits | None) -> None:
        """Take what ``/limits`` says; ``None`` where it says nothing, and is not asked again."""
        if limits:
            self.usage = self.usage or limits.daily.used
            self._batches = limits.batches.used if limits.batches else None
        self._asked = True

    def check(self, *, batches: bool = False) -> None:
        """Refuse to go on when what is about to be used is nearly used up.

        Raises:
            RateLimitError: it is used past the share.
        """
        self._check("The Salesforce org", "API calls", self.usage)
        self._check("This app in the Salesforce org", "API calls", self.app_usage)
        if batches:
            self._check("The Salesforce org", "Bulk API batches", self._batches)

    def _check(self, who: str, what: str, usage: tuple[int, int] | None) -> None:
        used, total = usage or (0, 0)
        if used > total * self._share:
            raise RateLimitError(
                f"{who} has used {used} of its {total} {what} of 24 hours, and "
                f"m3sync goes no further than {self._share:.0%}",
                "Wait: the next hour's run goes on from here once some are free again.",
            )
