"""One connection for the short statements of a run, in place of one for each of them."""

from collections.abc import Mapping
from threading import Lock
from typing import LiteralString

from psycopg.rows import TupleRow

from m3sync_dagster.postgres.connection import Connection, connect
from m3sync_dagster.sync.errors import SyncError


class KeptConnection:
    """Opened by the first statement, and opened again after it was lost.

    Threads can share it. A statement is sent again if the connection was lost, so it must have the
    same effect when it is executed twice. psycopg's pool would try to connect again and again for
    some time, and then not say why it could not.

    Args:
        url: PostgreSQL's address.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._lock = Lock()
        self._connection: Connection | None = None

    def execute(self, query: LiteralString, values: Mapping[str, object]) -> list[TupleRow]:
        """Execute a statement, and return its rows; none if it has no result.

        Raises:
            ConfigurationError, RemoteError: as for ``connect``.
            SyncError: PostgreSQL refuses the statement.
        """
        with self._lock:
            if connection := self._connection:
                try:
                    return _rows(connection, query, values)
                except SyncError:
                    if not connection.closed:
                        raise
            self._connection = connect(self._url)
            return _rows(self._connection, query, values)

    def close(self) -> None:
        """End the session; the next statement opens another."""
        with self._lock:
            if self._connection:
                self._connection.close()
            self._connection = None


def _rows(
    connection: Connection, query: LiteralString, values: Mapping[str, object]
) -> list[TupleRow]:
    cursor = connection.execute(query, values)
    return cursor.fetchall() if cursor.description else []
