"""The rate limit of one organization.

Source: m3ter's guide 'Config API Limits': 50 requests a second to an organization, over
all clients; m3ter responds to more with 429. No ``Retry-After`` is documented.
"""

from collections.abc import Callable

from pyrate_limiter import Duration, InMemoryBucket, Rate, RateItem
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Receive, Scope, Send


class RateLimit:
    """Middleware that refuses requests above ``per_second`` in any second.

    A sliding second is stricter than a fixed one, so m3ter accepts what the sandbox accepts.
    """

    def __init__(self, app: ASGIApp, per_second: int, clock: Callable[[], float]) -> None:
        self._app = app
        self._bucket = InMemoryBucket([Rate(per_second, Duration.SECOND)])
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raises 429 if the limit is exceeded."""
        if not self._acquire():
            raise HTTPException(429, "Too many requests to this organization.")
        await self._app(scope, receive, send)

    def _acquire(self) -> bool:
        now = int(self._clock() * 1000)
        self._bucket.leak(now)
        return bool(self._bucket.put(RateItem("request", now)))
