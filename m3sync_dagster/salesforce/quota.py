"""How much of its daily limits an org has used, and when m3sync stops.

Sources: REST API Developer Guide, "Limit Info Header" and "Limits".
"""

import re
import threading
from collections.abc import Mapping

import msgspec

from m3sync_dagster.sync.errors import RateLimitError

_HEADER = "Sforce-Limit-Info"
_USAGE = re.compile(r"([\w-]+)=(\d+)/(\d+)")


class Limit(msgspec.Struct, rename="pascal"):
    """One of the org's limits: its maximum, and what remains of it."""

    max: int
    remaining: int

    @property
    def used(self) -> tuple[int, int]:
        """What has been used, and the maximum."""
        return self.max - self.remaining, self.max


class Limits(msgspec.Struct):
    """The limits of the resource ``/limits`` that m3sync reads."""

    daily: Limit = msgspec.field(name="DailyApiRequests")
    batches: Limit | None = msgspec.field(name="DailyBulkApiBatches", default=None)


class Quota:
    """An org's daily API calls and Bulk API batches, as far as they are known.

    Args:
        share: the share of a limit after which writing stops.

    Attributes:
        usage: API calls that the org has used and may use in 24 hours, by the last response.
        app_usage: the same for our app, where the org limits its apps.
        header_missing: whether responses have no usage of the org.
    """

    def __init__(self, share: float) -> None:
        self.usage: tuple[int, int] | None = None
        self.app_usage: tuple[int, int] | None = None
        self.header_missing = False
        self._batches: tuple[int, int] | None = None
        self._asked = False
        self._share = share
        self._lock = threading.Lock()

    def read_headers(self, headers: Mapping[str, str]) -> None:
        """Read ``api-usage=18/5000; per-app-api-usage=17/250(appName=…)`` from a response.

        Where the org's usage is missing, the call is counted here.
        """
        usages = {
            name: (int(used), int(total))
            for name, used, total in _USAGE.findall(headers.get(_HEADER, ""))
        }
        self.app_usage = usages.get("per-app-api-usage", self.app_usage)
        if "api-usage" in usages:
            self.usage, self.header_missing = usages["api-usage"], False
            return
        with self._lock:
            if self.usage is None:
                self.header_missing = True
            elif self.header_missing:
                self.usage = self.usage[0] + 1, self.usage[1]

    def needs_limits(self, *, batches: bool) -> bool:
        """Whether ``/limits`` has to be read before the next use."""
        return not self._asked and (batches or (self.header_missing and self.usage is None))

    def set_limits(self, limits: Limits | None) -> None:
        """Store ``/limits``; ``None`` where it could not be read, and is not read again."""
        if limits:
            self.usage = self.usage or limits.daily.used
            self._batches = limits.batches.used if limits.batches else None
        self._asked = True

    def check(self, *, batches: bool = False) -> None:
        """Stop when a limit is used past the share.

        Args:
            batches: also check Bulk API batches.

        Raises:
            RateLimitError: a limit is used past the share.
        """
        self._check("The Salesforce org", "API calls", self.usage)
        self._check("This app in the Salesforce org", "API calls", self.app_usage)
        if batches:
            self._check("The Salesforce org", "Bulk API batches", self._batches)

    def _check(self, who: str, what: str, usage: tuple[int, int] | None) -> None:
        used, total = usage or (0, 0)
        if used > total * self._share:
            raise RateLimitError(
                f"{who} has used {used} of its {total} {what} in 24 hours; "
                f"m3sync stops at {self._share:.0%}",
                "Wait. The next hourly run continues if enough of them are free again.",
            )
