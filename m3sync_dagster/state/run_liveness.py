"""Which runs are alive, by a lock that each holds and that ends with its process."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import xxhash

_NAMESPACE = 0x6D35  # the first of the two keys, apart from the locks of integrations and receivers


def _key(run_id: str) -> int:
    return xxhash.xxh32_intdigest(run_id.encode()) - 2**31


@contextmanager
def hold_run_lock(connection: psycopg.Connection, run_id: str) -> Iterator[None]:
    """Show that a run is alive, until the block or the process ends, SIGKILL included."""
    keys = (_NAMESPACE, _key(run_id))
    connection.execute("SELECT pg_advisory_lock(%s, %s)", keys)
    try:
        yield
    finally:
        if not connection.broken:
            connection.execute("SELECT pg_advisory_unlock(%s, %s)", keys)


def is_run_locked(connection: psycopg.Connection, run_id: str) -> bool:
    """Whether a run that takes this lock is alive."""
    row = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND classid = %s AND objid = %s)",
        (_NAMESPACE, _key(run_id) % 2**32),
    ).fetchone()
    return bool(row and row[0])
