"""The limit on requests to one organization.

Source: m3ter's guide 'Config API Limits': 50 requests a second to an organization, from all
callers together; more are answered with 429. No ``Retry-After`` is documented.
"""

from collections.abc import Callable

from pyrate_limiter import Duration, InMemoryBucket, Rate, RateItem
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send


class RateLimit:
    """Refuses the requests that would be more than ``per_second`` in any second.

    A sliding second is stricter than a fixed one, so who passes here passes at m3ter.
    """

    def __init__(self, app: ASGIApp, per_second: int, clock: Callable[[], float]) -> None:
        self._app = app
        self._bucket = InMemoryBucket([Rate(per_second, Duration.SECOND)])
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises 429 for a request too many."""
        if not self._admit():
            raise HTTPException(429, "Too many requests to this organization.")
        await self._app(scope, receive, send)

    def _admit(self) -> bool:
        now = int(self._clock() * 1000)
        self._bucket.leak(now)
        return bool(self._bucket.put(RateItem("request", now)))
