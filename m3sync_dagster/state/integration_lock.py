"""One writer for each integration at a time, by a lock that dies with its holder."""

from types import TracebackType

import psycopg
import xxhash

from m3sync_dagster.sync.errors import IntegrationLockedError

_NAMESPACE = 0x6D33  # "m3": the first of the two keys, apart from other programs' locks


def lock_key(integration: str) -> int:
    """The second of the advisory lock's two keys, a signed 32-bit number."""
    return xxhash.xxh32_intdigest(integration.encode()) - 2**31


class IntegrationLock:
    """A PostgreSQL advisory lock, held by a connection for as long as it lives.

    Whatever ends the process, also SIGKILL, ends the connection and frees the lock.
    Source: PostgreSQL documentation, "Advisory Locks" (session level).
    """

    def __init__(self, connection: psycopg.Connection, integration: str) -> None:
        self._connection = connection
        self._integration = integration

    def __enter__(self) -> None:
        """Take the lock.

        Raises:
            IntegrationLockedError: another run holds it.
        """
        [(is_taken,)] = self._connection.execute(
            "SELECT pg_try_advisory_lock(%s, %s)", (_NAMESPACE, lock_key(self._integration))
        )
        if not is_taken:
            raise _locked_elsewhere(self._integration)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Free the lock; a broken connection has freed it already."""
        if not self._connection.broken:
            self._connection.execute(
                "SELECT pg_advisory_unlock(%s, %s)", (_NAMESPACE, lock_key(self._integration))
            )


def is_locked(connection: psycopg.Connection, integration: str) -> bool:
    """Tell whether a living run writes this integration."""
    key = lock_key(integration) % 2**32
    [(found,)] = connection.execute(
        "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted "
        "AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) "
        "AND classid = %s AND objid = %s)",
        (_NAMESPACE, key),
    )
    return bool(found)


def lock_until_commit(connection: psycopg.Connection, integration: str) -> None:
    """Take the integration's lock for the rest of the transaction.

    Raises:
        IntegrationLockedError: a run holds it.
    """
    [(is_taken,)] = connection.execute(
        "SELECT pg_try_advisory_xact_lock(%s, %s)", (_NAMESPACE, lock_key(integration))
    )
    if not is_taken:
        raise _locked_elsewhere(integration)


def _locked_elsewhere(integration: str) -> IntegrationLockedError:
    return IntegrationLockedError(
        f"another run is writing the integration {integration}",
        "Wait for its end, or cancel it; then start this one again.",
    )
