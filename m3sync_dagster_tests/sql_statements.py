"""Counts the SQL statements of a test, where the libraries send them."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, cast

import psycopg
import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

_RATE_LIMIT = "m3sync m3ter rate limit"
"""The sessions whose statements are not counted: they depend on how fast the machine is."""


@dataclass
class Statements:
    """What was sent to PostgreSQL.

    Args:
        dagster: the statements of Dagster's storage.
        ours: those of m3sync's own connections; each row of an ``executemany`` is one, and so are
            the beginning and the end of a transaction.
        connections: how often m3sync has connected.
    """

    dagster: list[str] = field(default_factory=list)
    ours: list[str] = field(default_factory=list)
    connections: int = 0


@contextmanager
def counted_statements() -> Iterator[Statements]:
    """Count the statements of this process while the block lasts."""
    found = Statements()

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        found.dagster.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        with pytest.MonkeyPatch.context() as patch:
            _watch_psycopg(patch, found)
            yield found
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def _watch_psycopg(patch: pytest.MonkeyPatch, found: Statements) -> None:
    cursor, connection = psycopg.Cursor, psycopg.Connection
    execute, executemany, copy = cursor.execute, cursor.executemany, cursor.copy
    transaction, connect = connection.transaction, cast("Any", connection.connect).__func__

    def note(of: psycopg.Connection[Any], *statements: object) -> None:
        if of.info.get_parameters().get("application_name") != _RATE_LIMIT:
            found.ours.extend(map(str, statements))

    def counted_execute(self: Any, query: Any, *args: Any, **options: Any) -> object:  # noqa: ANN401
        note(self.connection, query)
        return execute(self, query, *args, **options)

    def counted_executemany(self: Any, query: Any, rows: Iterable[Any], **options: Any) -> None:  # noqa: ANN401
        rows = list(rows)
        note(self.connection, *[query] * len(rows))
        executemany(self, query, rows, **options)

    def counted_copy(self: Any, query: Any, *args: Any, **options: Any) -> object:  # noqa: ANN401
        note(self.connection, query)
        return copy(self, query, *args, **options)

    def counted_transaction(self: Any, *args: Any, **options: Any) -> object:  # noqa: ANN401
        note(self, "BEGIN", "COMMIT")
        return transaction(self, *args, **options)

    def counted_connect(cls: Any, *args: Any, **options: Any) -> object:  # noqa: ANN401
        found.connections += options.get("application_name") != _RATE_LIMIT
        return connect(cls, *args, **options)

    patch.setattr(cursor, "execute", counted_execute)
    patch.setattr(cursor, "executemany", counted_executemany)
    patch.setattr(cursor, "copy", counted_copy)
    patch.setattr(connection, "transaction", counted_transaction)
    patch.setattr(connection, "connect", classmethod(counted_connect))
