"""Connections to PostgreSQL: UTC, UTF-8, a session of their own, and explained errors."""

import uuid
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import psycopg
from psycopg.abc import RV, PQGen
from psycopg.rows import TupleRow

from m3sync_dagster.postgres.address import POSTGRES_URL, Address, parse
from m3sync_dagster.postgres.errors import explain, explain_refusal
from m3sync_dagster.sync.errors import ConfigurationError, SyncError

_SETTINGS = {
    "TimeZone": "UTC",
    # The connection that holds an integration's lock is idle while Salesforce is asked.
    "idle_session_timeout": "0",
    # When the client's host is lost, the server ends the session, and with it the lock, in a
    # minute. By default, most systems do so after two hours.
    "tcp_keepalives_idle": "30",
    "tcp_keepalives_interval": "10",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "60000",
}
"""Settings of every session.

They are set after the login, because pgbouncer refuses the startup parameter ``options``.
Source: PostgreSQL documentation, "Connection Settings"; PgBouncer, ``ignore_startup_parameters``.
"""
_SINCE_14 = {"idle_session_timeout"}
_CHANNEL = "m3sync_session_check"
NOTIFY_SECONDS = 3.0
"""How long a message between two sessions of one server may take; it takes milliseconds."""
POLL_SECONDS = 0.1
"""How often psycopg looks for Ctrl-C while it waits."""

_Kind = TypeVar("_Kind", bound="psycopg.Connection[TupleRow]")


class Connection(psycopg.Connection[TupleRow]):
    """psycopg's connection, with errors as ``SyncError``s."""

    def wait(
        self, gen: PQGen[RV], interval: float = POLL_SECONDS, timeout: float | None = None
    ) -> RV:
        """Exchange messages with the server; psycopg calls it for every operation.

        Raises:
            SyncError: the server refuses, or the connection is broken.
        """
        try:
            return super().wait(gen, interval, timeout)
        except psycopg.Error as error:
            raise _explained(error) from None

    if not TYPE_CHECKING:  # its many signatures are psycopg's

        def cursor(self, *args, **kwargs):  # noqa: ANN002, ANN003, ANN201 - as psycopg has them
            """Give a cursor.

            Raises:
                SyncError: the connection is closed.
            """
            try:
                return super().cursor(*args, **kwargs)
            except psycopg.Error as error:
                raise _explained(error) from None


def connect(url: str) -> Connection:
    """Open a connection that commits each statement by itself, unless in a transaction block.

    Raises:
        ConfigurationError: the address, the database's encoding or a proxy cannot be used.
        RemoteError: PostgreSQL cannot be reached or refuses.
    """
    return open_connection(parse(url), Connection)


def open_connection(address: Address, kind: type[_Kind]) -> _Kind:
    """Open a connection of a kind, in autocommit mode.

    Raises:
        ConfigurationError, RemoteError: as for ``connect``.
    """
    connection = _open(address, kind)
    try:
        if not _prepare(connection):
            _require_session_pooling(address.conninfo)
            _prepare(connection, proxy=True)
        _require_utf8(connection)
    except psycopg.Error as error:
        connection.close()
        raise _explained(error) from None
    except SyncError:
        connection.close()
        raise
    return connection


def _open(address: Address, kind: type[_Kind]) -> _Kind:
    try:
        return kind.connect(address.conninfo, autocommit=True)
    except psycopg.Error as error:
        raise explain_refusal(address.place, error) from None


def _prepare(connection: "psycopg.Connection[TupleRow]", *, proxy: bool = False) -> bool:
    """Set ``_SETTINGS``, unless there is a proxy; returns whether they were set.

    A proxy that shares server connections reports a process id of its own at the login. Nothing is
    set on a connection that another client may use next.
    """
    new = connection.info.server_version >= 140000
    settings = {name: to for name, to in _SETTINGS.items() if new or name not in _SINCE_14}
    calls = ", ".join(["set_config(%s, %s, false)"] * len(settings))
    row = connection.execute(
        f"SELECT CASE WHEN %s OR pg_backend_pid() = %s THEN num_nulls({calls}) END",
        [proxy, connection.info.backend_pid, *(one for item in settings.items() for one in item)],
    ).fetchone()
    return row is not None and row[0] is not None


def _require_utf8(connection: "psycopg.Connection[TupleRow]") -> None:
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise ConfigurationError(
            f"the database {connection.info.dbname} has the encoding {encoding}, which cannot hold "
            "every text of m3ter and Salesforce",
            "Create a database with ENCODING 'UTF8' TEMPLATE template0, move the data there with "
            f"pg_dump, and set {POSTGRES_URL} to it.",
        )


@lru_cache(maxsize=8)
def _require_session_pooling(conninfo: str) -> None:
    """Make sure that a proxy keeps a server connection for a client until the client leaves.

    If it does not, a session listens on a server connection that it no longer has, and receives no
    message. Checked once for each process. Source: PgBouncer, "SQL feature map for pooling
    modes": LISTEN works only in session mode.

    Raises:
        ConfigurationError: it does not.
    """
    address = parse(conninfo)
    with _open(address, psycopg.Connection) as one, _open(address, psycopg.Connection) as other:
        if not _are_sessions(one, other):
            raise ConfigurationError(
                f"the proxy in front of PostgreSQL at {address.place} gives each "
                "transaction another server connection (transaction pooling), so the lock that "
                "keeps two runs from writing one integration would not work",
                f"Set {POSTGRES_URL} to PostgreSQL itself, or to a pool in session mode "
                "(in pgbouncer: pool_mode = session).",
            )


def _are_sessions(
    one: "psycopg.Connection[TupleRow]", other: "psycopg.Connection[TupleRow]"
) -> bool:
    token = uuid.uuid4().hex
    one.execute(f"LISTEN {_CHANNEL}")
    mine = one.execute("SELECT pg_backend_pid()").fetchone()
    its = other.execute("SELECT pg_backend_pid()").fetchone()
    if mine == its:
        return False
    other.execute("SELECT pg_notify(%s, %s)", (_CHANNEL, token))
    return any(message.payload == token for message in one.notifies(timeout=NOTIFY_SECONDS))


def _explained(error: psycopg.Error) -> Exception:
    return explain(error) or error
