"""Limiting the request rate of all our runs together to that of an m3ter organization.

Requests are counted in PostgreSQL, in one table per organization, by pyrate-limiter's sliding
window. A query to PostgreSQL takes a process about as long as reading a page, so a busy process
takes several permits per query. A permit is valid for ``PERMIT_MS`` after it was counted. The
counted window is longer by the same time, so no second ever has more requests than allowed.
"""

import hashlib
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import cast

import psycopg
import psycopg_pool
from pyrate_limiter import AbstractBucket, InMemoryBucket, PostgresBucket, Rate, RateItem

from m3sync_dagster.m3ter.credential import M3terAccessKey
from m3sync_dagster.postgres import explain, open_connection, parse
from m3sync_dagster.sync.errors import SyncError

WINDOW_MS = 1000
"""m3ter limits requests per second."""
PERMIT_MS = 50
"""How long a permit is valid, so that several can be taken with one query."""
CLEANUP_SECONDS = 10.0
"""Seconds between two deletions of old permits."""
CONNECT_SECONDS = 10.0
"""Seconds to wait for a connection to PostgreSQL."""

_CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"


class Permits:
    """Gives permits to send one request each; blocks until there is one.

    Safe for use by several threads.

    Args:
        requests_per_second: the most permits in any second, for all users of the bucket.
        open_bucket: opens the bucket that counts permits, at the first request.
    """

    def __init__(
        self, requests_per_second: int, open_bucket: Callable[[Rate], AbstractBucket]
    ) -> None:
        self._rate = Rate(requests_per_second, WINDOW_MS + PERMIT_MS)
        self._open_bucket = open_bucket
        self._bucket: AbstractBucket | None = None
        self._lock = threading.Lock()
        self._closed = False
        self._used_at: deque[float] = deque(maxlen=max(1, requests_per_second // 4))
        self._left = 0
        self._valid_until = 0.0
        self._next_cleanup = 0.0

    def take(self) -> None:
        """Wait for a permit, and use it.

        Raises:
            RemoteError: PostgreSQL cannot be reached.
            ConfigurationError: PostgreSQL lacks our schema, or cannot be used.
            SyncError: the permits are closed.
        """
        with self._lock:
            if not self._left or time.monotonic() >= self._valid_until:
                self._refill()
            self._left -= 1
            self._used_at.append(time.monotonic())

    def close(self) -> None:
        """Close the bucket's connection; a thread that waits for a permit gets an error."""
        self._closed = True
        with self._lock:
            if self._bucket is not None:
                self._bucket.close()
                self._bucket = None

    def _refill(self) -> None:
        self._require_open()
        try:
            if self._bucket is None:
                self._bucket = self._open_bucket(self._rate)
            self._take_from(self._bucket)
            self._delete_old_permits(self._bucket)
        except psycopg.Error as error:
            raise explain(error) or error from None

    def _take_from(self, bucket: AbstractBucket) -> None:
        """Take as many permits as are wanted; fewer while others wait too."""
        weight = self._wanted()
        while True:
            started = time.monotonic()
            item = RateItem("m3ter", _now(bucket), weight)
            if bucket.put(item):
                break
            time.sleep(self._wait_seconds(bucket, item))
            self._require_open()
            weight = max(1, weight // 2)
        self._left = weight
        self._valid_until = started + PERMIT_MS / 1000

    def _require_open(self) -> None:
        if self._closed:
            raise SyncError("reading from m3ter was stopped", "Run it again.")

    def _wanted(self) -> int:
        """Half as many as were used in the time that a permit is valid.

        Permits that are not used in time are lost. If several threads send a request at the same
        moment, and then wait for the responses, twice as many as they need would be taken.
        """
        since = time.monotonic() - PERMIT_MS / 1000
        return max(1, sum(used > since for used in self._used_at) // 2)

    def _wait_seconds(self, bucket: AbstractBucket, item: RateItem) -> float:
        """Seconds until the next attempt.

        The bucket gives no permit when the window is full, and also when another process has
        locked the table; a random part prevents a second collision.
        """
        wait = cast("int", bucket.waiting(item))  # only asynchronous buckets are awaited
        if wait > 2 * self._rate.interval:
            # Only a permit with a future time waits so long: the server's clock was set back.
            bucket.flush()
            wait = 0
        return (max(0, wait) + random.uniform(1, 10)) / 1000  # noqa: S311 - not a secret

    def _delete_old_permits(self, bucket: AbstractBucket) -> None:
        if time.monotonic() >= self._next_cleanup:
            bucket.leak(_now(bucket))
            self._next_cleanup = time.monotonic() + CLEANUP_SECONDS


def _now(bucket: AbstractBucket) -> int:
    """The bucket's time, in milliseconds."""
    return int(bucket.now())  # type: ignore[no-untyped-call]  # untyped in pyrate-limiter


class _PostgresRequestLog(PostgresBucket):
    """A bucket that uses PostgreSQL's clock, and never this machine's."""

    def now(self) -> int:
        with self.pool.connection() as connection:
            (now,) = connection.execute(_CLOCK).fetchone() or (None,)
        return cast("int", now)


def open_permits(credential: M3terAccessKey, postgres_url: str | None) -> Permits:
    """The permits of an organization.

    Args:
        credential: the organization, and its requests per second.
        postgres_url: the database that counts for all processes, in schema ``m3sync``;
            ``None`` counts for this process only.
    """
    if postgres_url is None:
        return Permits(credential.requests_per_second, lambda rate: InMemoryBucket([rate]))
    table = _table(credential)
    return Permits(
        credential.requests_per_second, lambda rate: _open_shared(postgres_url, table, rate)
    )


def _open_shared(postgres_url: str, table: str, rate: Rate) -> PostgresBucket:
    pool = _pool(postgres_url)
    try:
        return _PostgresRequestLog(pool, table, [rate])
    except psycopg.Error:
        pool.close()  # otherwise it would try to connect without end
        raise


def _table(credential: M3terAccessKey) -> str:
    """A name for the organization's table; pyrate-limiter adds the prefix ``ratelimit___``."""
    organization = f"{credential.base_url.rstrip('/')} {credential.organization_id}"
    return f"m3ter_{hashlib.sha256(organization.encode()).hexdigest()[:16]}"


def _pool(postgres_url: str) -> psycopg_pool.ConnectionPool:
    address = parse(postgres_url)
    # The pool would retry for some time, and not report the cause.
    open_connection(address, psycopg.Connection).close()
    return psycopg_pool.ConnectionPool(
        address.conninfo,
        min_size=1,
        max_size=1,
        num_workers=1,
        timeout=CONNECT_SECONDS,
        open=True,
        kwargs={"application_name": "m3sync m3ter rate limit"},
        configure=_prepare,
    )


def _prepare(connection: psycopg.Connection) -> None:
    """Set the session's parameters; after the login, because pgbouncer requires that.

    The bucket's timestamps have no zone, so every session must have the same one. Commits need not
    wait for the disk: permits that a crash of PostgreSQL loses have expired when it is back.
    """
    connection.execute(
        "SELECT set_config('search_path', 'm3sync', false), "
        "set_config('TimeZone', 'UTC', false), set_config('synchronous_commit', 'off', false)"
    )
    connection.commit()
