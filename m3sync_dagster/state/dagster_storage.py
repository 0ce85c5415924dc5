"""Dagster's storage for ``dagster.yaml``: PostgreSQL, in the database of our state."""

import os
import select
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psycopg2
from dagster_postgres.storage import DagsterPostgresStorage
from dagster_postgres.utils import create_pg_connection
from sqlalchemy import Engine, create_engine, event, text
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import ConnectionPoolEntry

from m3sync_dagster.core_files import forbid_core_files
from m3sync_dagster.postgres import POSTGRES_URL, parse
from m3sync_dagster.state.postgres_from_environment import postgres_url

_DRIVER = "postgresql+psycopg2"
"""The driver that Dagster's storage needs."""
_QUESTIONS = (
    "has_table",
    "has_run_stats_index_cols",
    "has_backfill_id_column",
    "_has_asset_key_col_on_connection",
    "has_secondary_index_table",
    "has_instigators_table",
    "has_built_index",
)
"""Methods of Dagster's storages that ask whether a table, a column or an index is there."""

_MAIN_TABLES = frozenset({"runs", "instance_info", "event_logs", "jobs"})
"""The tables for which Dagster's storages look when they are opened."""
_ASSETS = "asset_keys"
_TABLES = _MAIN_TABLES | {_ASSETS, "asset_event_tags", "instigators", "secondary_indexes"}
"""Those for which a run looks too."""
_COLUMNS_ASKED_FOR = {
    "has_run_stats_index_cols": {("runs", "start_time"), ("runs", "end_time")},
    "has_backfill_id_column": {("runs", "backfill_id")},
    "has_secondary_index_table": {("secondary_indexes", "name")},
    "has_instigators_table": {("instigators", "id")},
}
"""The tables and columns for which the questions look that have no argument."""
_READ_COLUMNS = text(
    "SELECT relname, attname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
    " JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    " WHERE nspname = current_schema AND relname = ANY(:tables)"
)
_Columns = set[tuple[str, str]]
"""Names of tables, each with the name of a column."""

_PING = "SELECT 1"
_RECENTLY = 1.0
"""Seconds after its last use in which a connection is not asked whether it still answers."""


def _open_pool(postgres_url: str) -> Engine:
    pool = create_engine(
        postgres_url,
        isolation_level="AUTOCOMMIT",
        pool_size=1,
        max_overflow=-1,  # A second thread does not wait: it gets a connection for one use.
    )
    event.listen(pool, "connect", _note_use)
    event.listen(pool, "checkin", _note_use)
    event.listen(pool, "checkout", _require_answer)
    return pool


def _note_use(_: object, entry: ConnectionPoolEntry) -> None:
    entry.info["used"] = time.monotonic()


def _require_answer(
    connection: psycopg2.extensions.connection, entry: ConnectionPoolEntry, _: object
) -> None:
    """Let the pool open another connection if the server has ended this one.

    The pool's own check, ``pool_pre_ping``, sends a statement before each statement. But what a
    server sends without being asked is most likely that it ends the connection. After a pause it is
    asked: a firewall may have dropped the connection, and says nothing.

    Raises:
        DisconnectionError: it has ended. Source: SQLAlchemy documentation, "Dealing with
            Disconnects", "Custom / Legacy Pessimistic Ping".
    """
    if _has_ended(connection, entry.info["used"]):
        raise DisconnectionError


def _has_ended(connection: psycopg2.extensions.connection, used: float) -> bool:
    try:
        if time.monotonic() - used < _RECENTLY:
            return _has_received(connection)
        with connection.cursor() as cursor:
            cursor.execute(_PING)
    except psycopg2.Error:
        return True
    return False


def _has_received(connection: psycopg2.extensions.connection) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN)
    return bool(poll.poll(0))


def _read_columns(engine: Engine) -> _Columns:
    with create_pg_connection(engine) as connection:
        rows = connection.execute(_READ_COLUMNS, {"tables": [*_TABLES]})
        return {(table, column) for table, column in rows}


def _remember_what_is_there(storage: object, columns: _Columns) -> None:
    for name in _QUESTIONS:
        if ask := getattr(storage, name, None):
            setattr(storage, name, _asked_until_yes(ask, _known(name, columns)))


def _known(question: str, columns: _Columns) -> set[tuple[str, ...]]:
    """The arguments for which the answer to a question is yes."""
    if question == "has_table":
        return {(table,) for table, _ in columns}
    if question == "_has_asset_key_col_on_connection":
        return {(column,) for table, column in columns if table == _ASSETS}
    asked_for = _COLUMNS_ASKED_FOR.get(question)
    return {()} if asked_for and columns.issuperset(asked_for) else set()


def _asked_until_yes(ask: Callable[..., bool], there: set[tuple[str, ...]]) -> Callable[..., bool]:
    """Ask again only while the answer is no: Dagster's migrations add, and never remove.

    Args:
        ask: the question.
        there: the arguments for which the answer is known.
    """

    def known(*arguments: object) -> bool:
        # What is not a text is the connection.
        name = tuple(one for one in arguments if isinstance(one, str))
        if name not in there and ask(*arguments):
            there.add(name)
        return name in there

    return known


class PostgresStorage(DagsterPostgresStorage):
    """Dagster's own storage, in the database that ``M3SYNC_POSTGRES_URL`` names.

    If neither that nor ``DAGSTER_HOME`` is set, Dagster's own commands, such as ``dg list defs``,
    run in the project's folder: they use the embedded server in it, as ``m3sync`` does. If
    ``DAGSTER_HOME`` is set, no embedded server is started.

    It keeps one connection open and closes it with the instance. Dagster itself makes a new one for
    each statement, and a new connection takes PostgreSQL longer than most of these statements do.

    Every process of Dagster opens it, so it is also where they are forbidden to leave core files.

    It also reads once which tables and columns there are. Dagster itself asks PostgreSQL's catalog
    again for each event of an asset, in three statements that take longer than storing the event,
    and each of its three storages makes a connection to look for its tables when it is opened. Some
    of these questions read all that PostgreSQL knows about a table, which takes 5 to 25 ms, or are
    asked in the middle of another statement, so that they need a connection of their own.
    """

    def __init__(self, postgres_url: str, inst_data: Any) -> None:  # noqa: ANN401 - Dagster's own
        pool = _open_pool(postgres_url)
        columns = _read_columns(pool)
        missing = _MAIN_TABLES.difference(table for table, _ in columns)
        super().__init__(postgres_url, should_autocreate_tables=bool(missing), inst_data=inst_data)
        # There is no public way to give Dagster's storages an engine.
        for storage in (self._run_storage, self._event_log_storage, self._schedule_storage):
            storage._engine = pool  # noqa: SLF001 - as said above
            _remember_what_is_there(storage, columns)
        # The instance closes each storage; Dagster's storage of runs has nothing else to close.
        self._run_storage.dispose = pool.dispose  # type: ignore[method-assign]

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """It has no options in ``dagster.yaml``."""
        return {}

    @classmethod
    def from_config_value(
        cls,
        inst_data: Any,  # noqa: ANN401 - Dagster's own
        config_value: Any,  # noqa: ANN401, ARG003 - Dagster's own, and empty
    ) -> "PostgresStorage":
        """Open the storage.

        Raises:
            ConfigurationError: ``DAGSTER_HOME`` is set, and ``M3SYNC_POSTGRES_URL`` is not, or is
                not the address of a PostgreSQL database.
            RemoteError: the project's own server does not start.
        """
        forbid_core_files()
        if not os.environ.get(POSTGRES_URL) and not os.environ.get("DAGSTER_HOME"):
            from m3sync_dagster.state import embedded_postgres  # noqa: PLC0415 - rarely needed

            os.environ[POSTGRES_URL] = embedded_postgres.start(Path.cwd() / ".m3sync" / "postgres")
        # libpq asks the server for this time zone at each login, which costs nothing and which
        # pgbouncer passes on. Source: PostgreSQL documentation, "Environment Variables".
        os.environ["PGTZ"] = "UTC"
        return cls(parse(postgres_url()).sqlalchemy_url(_DRIVER), inst_data=inst_data)
