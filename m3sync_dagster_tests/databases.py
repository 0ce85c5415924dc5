# ruff: noqa: S608 - the SQL holds names of tables and nothing of anybody else
"""Databases for tests: copies of a template, each used again once it equals its template again.

To copy and delete one takes hundreds of files, which costs more than most of the tests that use it.
"""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import Connection
from sqlalchemy.engine import make_url

CATALOGS = (
    "pg_attrdef",
    "pg_attribute",
    "pg_class",
    "pg_constraint",
    "pg_extension",
    "pg_index",
    # Without the two that a temporary table leaves, which are of its session's number.
    "(SELECT xmin FROM pg_namespace WHERE nspname !~ '^pg_(toast_)?temp_') AS named",
    "pg_proc",
    "pg_sequence",
    "pg_statistic",
    "pg_trigger",
    "pg_type",
)
"""The system catalogs in which a change of the schema leaves a row of its transaction."""
GROWTH = 2**21
"""Bytes of deleted rows that a database may collect before it is used no more."""
USER_TABLES = """
SELECT oid::regclass::text FROM pg_class
WHERE relkind = 'r' AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)' ORDER BY 1
"""
ROWS_KNOWN_TO_PLANNER = """
SELECT sum(reltuples)::bigint FROM pg_class
WHERE relkind IN ('r', 'p', 'i')
  AND relnamespace::regnamespace::text !~ '^(pg_|information_schema$)'
"""
SEQUENCES = """
SELECT format('%I.%I', schemaname, sequencename), coalesce(last_value, start_value),
  last_value IS NOT NULL
FROM pg_sequences
"""
SETTINGS = """
SELECT datacl::text, datallowconn, datconnlimit, datdba::text, (
  SELECT string_agg(setting::text, ' ') FROM pg_db_role_setting setting WHERE setdatabase = base.oid
) FROM pg_database base WHERE datname = current_database()
"""


@dataclass(frozen=True)
class _Content:
    """What a database holds as long as no test has used it."""

    schema: list[tuple[object, ...]]
    rows: dict[str, bytes]
    """Each table's rows as ``COPY`` writes them."""
    sequences: list[tuple[object, ...]]
    size: int

    @classmethod
    def of(cls, connection: Connection) -> "_Content":
        return cls(
            _schema(connection),
            {name: _rows(connection, name) for name in _tables(connection)},
            connection.execute(SEQUENCES).fetchall(),
            _size(connection),
        )

    def restore(self, connection: Connection) -> bool:
        """Whether the database holds this again, and only this."""
        new = set(_tables(connection)).difference(self.rows)
        if new:  # such as partitions
            connection.execute(f"DROP TABLE {', '.join(new)}")
        if _schema(connection) != self.schema or _size(connection) > self.size + GROWTH:
            return False
        # Neither triggers nor foreign keys have to agree.
        connection.execute("SET session_replication_role = replica")
        connection.execute(";".join(f"DELETE FROM {name}" for name in self.rows))
        for name, rows in self.rows.items():
            if rows:
                with connection.cursor().copy(f"COPY {name} FROM STDIN") as copy:
                    copy.write(rows)
        for sequence in self.sequences:
            connection.execute("SELECT setval(%s, %s, %s)", sequence)
        # What this session has counted itself is reset too, once it is written.
        connection.execute("SELECT pg_stat_force_next_flush()")
        connection.commit()
        connection.execute("SELECT pg_stat_reset()")
        return True


def _tables(connection: Connection) -> list[str]:
    return [name for (name,) in connection.execute(USER_TABLES).fetchall()]


def _schema(connection: Connection) -> list[tuple[object, ...]]:
    """Differs after any change of the schema, the statistics or the database's own settings."""
    changed = " UNION ALL ".join(
        f"SELECT count(*), max(xmin::text::bigint) FROM {catalog}" for catalog in CATALOGS
    )
    queries = (changed, ROWS_KNOWN_TO_PLANNER, SETTINGS)
    return [row for query in queries for row in connection.execute(query).fetchall()]


def _size(connection: Connection) -> int:
    ((size,),) = connection.execute("SELECT pg_database_size(current_database())").fetchall()
    return int(size)


def _rows(connection: Connection, table: str) -> bytes:
    with connection.cursor().copy(f"COPY {table} TO STDOUT") as copy:
        return b"".join(bytes(block) for block in copy)


class Databases:
    """The copies that one server has of its templates.

    Args:
        server_url: the server's.
        server: a connection to it, which commits each statement.
    """

    def __init__(self, server_url: str, server: Connection) -> None:
        self._server_url = server_url
        self._server = server
        self._free: dict[str, list[tuple[str, _Content]]] = {}

    @contextmanager
    def copy(self, template: str) -> Iterator[str]:
        """The URL of a database that equals the template, and has a name of its own.

        Args:
            template: the name of a database which nobody changes.
        """
        free = self._free.setdefault(template, [])
        name, content = free.pop() if free else self._create(template)
        try:
            yield _url(self._server_url, name)
        finally:
            name, last, server = _new_name(), name, self._server
            # What a test has left running, or has kept by the database's address, must not reach
            # the next test.
            server.execute(f"ALTER DATABASE {last} ALLOW_CONNECTIONS false")
            end_connections(server, last)
            server.execute(f"ALTER DATABASE {last} RENAME TO {name}")
            server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            if self._restored(name, content):
                free.append((name, content))
            else:
                _drop(server, name)

    def _create(self, template: str) -> tuple[str, _Content]:
        name = _new_name()
        _create(self._server, name, template)
        with psycopg.connect(_url(self._server_url, name)) as connection:
            return name, _Content.of(connection)

    def _restored(self, name: str, content: _Content) -> bool:
        with psycopg.connect(_url(self._server_url, name)) as connection:
            return content.restore(connection)


@contextmanager
def new_database(server_url: str, template: str = "template1") -> Iterator[str]:
    """The URL of a database that lasts as long as the block."""
    name = _new_name()
    with psycopg.connect(server_url, autocommit=True) as server:
        _create(server, name, template)
    yield _url(server_url, name)
    with psycopg.connect(server_url, autocommit=True) as server:
        _drop(server, name)


def end_connections(server: Connection, database: str) -> None:
    """A database can be copied or renamed only while it has no connections."""
    server.execute(
        "SELECT pg_terminate_backend(pid, 60000) FROM pg_stat_activity WHERE datname = %s",
        (database,),
    )


def _create(server: Connection, name: str, template: str) -> None:
    # Three times as fast as the default, which writes each page to the WAL.
    server.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")


def _drop(server: Connection, name: str) -> None:
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _new_name() -> str:
    return f"test_{uuid.uuid4().hex}"


def _url(server_url: str, name: str) -> str:
    return make_url(server_url).set(database=name).render_as_string(hide_password=False)
