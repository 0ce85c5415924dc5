"""Keeping all our runs together under what an m3ter organization allows.

The count is kept in PostgreSQL, one table an organization, by pyrate-limiter's sliding window. A
visit to PostgreSQL costs a process about as much as reading a page does, so a busy process takes
several permits in one visit. A permit may be used for ``HOLD_MS`` after it was counted; the window
that is counted over is longer by as much, so no second ever sees more requests than allowed.
"""

import hashlib
import random
import threading
import time
from collections.abc import Callable
from typing import cast

import psycopg
import psycopg_pool
from pyrate_limiter import AbstractBucket, InMemoryBucket, PostgresBucket, Rate, RateItem

from m3sync_dagster.m3ter.credential import M3terAccessKey
from m3sync_dagster.postgres import explain, open_connection, parse

WINDOW_MS = 1000
"""m3ter counts by the second."""
HOLD_MS = 50
"""How long a permit is good for, so that several can be taken in one visit."""
SWEEP_SECONDS = 10.0
"""How often permits of the past are removed."""
CONNECT_SECONDS = 10.0
"""How long PostgreSQL may take to be reached."""

_CLOCK = "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint"


class Permits:
    """Hands out permits to send one request each; blocks until there is one.

    Safe to be used by several threads.

    Args:
        requests_per_second: the most permits in any second, for all who share the bucket.
        open_bucket: opens the place where permits are counted, at the first request.
    """

    def __init__(
        self, requests_per_second: int, open_bucket: Callable[[Rate], AbstractBucket]
    ) -> None:
        self._rate = Rate(requests_per_second, WINDOW_MS + HOLD_MS)
        self._most = max(1, requests_per_second // 4)
        self._open_bucket = open_bucket
        self._bucket: AbstractBucket | None = None
        self._lock = threading.Lock()
        self._taken = 1
        self._left = 0
        self._good_until = 0.0
        self._next_sweep = 0.0

    def take(self) -> None:
        """Wait for a permit, and use it up.

        Raises:
            RemoteError: PostgreSQL cannot be asked.
            ConfigurationError: PostgreSQL lacks our schema, or is not fit for us.
        """
        with self._lock:
            if not self._left or time.monotonic() >= self._good_until:
                self._refill()
            self._left -= 1

    def close(self) -> None:
        """Let go of the bucket's connection."""
        with self._lock:
            if self._bucket is not None:
                self._bucket.close()
                self._bucket = None

    def _refill(self) -> None:
        try:
            if self._bucket is None:
                self._bucket = self._open_bucket(self._rate)
            self._take_from(self._bucket)
            self._sweep(self._bucket)
        except psycopg.Error as error:
            raise explain(error) or error from None

    def _take_from(self, bucket: AbstractBucket) -> None:
        """Take as many permits as were used in the last hold; fewer while others wait too."""
        weight = self._wanted()
        while True:
            started = time.monotonic()
            item = RateItem("m3ter", _now(bucket), weight)
            if bucket.put(item):
                break
            time.sleep(self._wait_seconds(bucket, item))
            weight = max(1, weight // 2)
        self._taken = self._left = weight
        self._good_until = started + HOLD_MS / 1000

    def _wanted(self) -> int:
        used = self._taken - self._left
        in_time = time.monotonic() < self._good_until
        return min(self._most, 2 * used if in_time else max(1, used))

    def _wait_seconds(self, bucket: AbstractBucket, item: RateItem) -> float:
        """How long until it is worth asking again.

        The bucket refuses when the window is full, and also when another process is at the
        table that very moment; a little chance keeps two from meeting there again.
        """
        wait = cast("int", bucket.waiting(item))  # only asynchronous buckets are awaited
        if wait > 2 * self._rate.interval:
            # Only a permit of the future takes so long to pass: the server's clock was set back.
            bucket.flush()
            wait = 0
        return (max(0, wait) + random.uniform(1, 10)) / 1000  # noqa: S311 - not a secret

    def _sweep(self, bucket: AbstractBucket) -> None:
        if time.monotonic() >= self._next_sweep:
            bucket.leak(_now(bucket))
            self._next_sweep = time.monotonic() + SWEEP_SECONDS


def _now(bucket: AbstractBucket) -> int:
    """The bucket's own time, in milliseconds."""
    return int(bucket.now())  # type: ignore[no-untyped-call]  # pyrate-limiter leaves it so


class _SharedBucket(PostgresBucket):
    """A bucket that asks the server for the time, and never trusts our own clock instead."""

    def now(self) -> int:
        with self.pool.connection() as connection:
            (now,) = connection.execute(_CLOCK).fetchone() or (None,)
        return cast("int", now)


def open_permits(credential: M3terAccessKey, postgres_url: str | None) -> Permits:
    """The permits of an organization.

    Args:
        credential: names the organization, and how many requests it may see in a second.
        postgres_url: where they are counted for all processes together, in schema ``m3sync``;
            ``None`` counts for this process alone.
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
        return _SharedBucket(pool, table, [rate])
    except psycopg.Error:
        pool.close()  # or it would try to connect for ever
        raise


def _table(credential: M3terAccessKey) -> str:
    """A name for the organization's table; pyrate-limiter puts ``ratelimit___`` before it."""
    organization = f"{credential.base_url.rstrip('/')} {credential.organization_id}"
    return f"m3ter_{hashlib.sha256(organization.encode()).hexdigest()[:16]}"


def _pool(postgres_url: str) -> psycopg_pool.ConnectionPool:
    address = parse(postgres_url)
    # The pool would try for a while, and not say what is wrong.
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
    """Make the settings of a session, after its login as pgbouncer demands.

    The bucket's timestamps carry no zone, so every session must have the same one. A permit that
    is lost when PostgreSQL crashes is past by the time it is back: nothing need wait for the disk.
    """
    connection.execute(
        "SELECT set_config('search_path', 'm3sync', false), "
        "set_config('TimeZone', 'UTC', false), set_config('synchronous_commit', 'off', false)"
    )
    connection.commit()
