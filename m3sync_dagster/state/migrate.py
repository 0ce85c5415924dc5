"""Creating and upgrading our tables, and refusing to work on older ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import NullPool, create_engine
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from m3sync_dagster.postgres import explain, open_connection, parse
from m3sync_dagster.sync.errors import ConfigurationError

SCHEMA = "m3sync"
"""The PostgreSQL schema of all our tables, Alembic's own included."""
_HAS_REVISION = "SELECT to_regclass('m3sync.alembic_version')"
_REVISION = "SELECT version_num FROM m3sync.alembic_version"


def migrate(url: str) -> None:
    """Create or upgrade our tables to this version of the program.

    Raises:
        ConfigurationError: the database cannot be used, for example for its encoding.
        RemoteError: PostgreSQL cannot be reached or refuses.
    """
    with _transaction(url) as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def require_current_schema(connection: psycopg.Connection) -> None:
    """Make sure that our tables are those of this version of the program.

    Raises:
        ConfigurationError: they are missing, older or newer.
        RemoteError: PostgreSQL refuses.
    """
    if wrong := wrong_schema(connection):
        raise wrong


def wrong_schema(connection: psycopg.Connection) -> ConfigurationError | None:
    """The error that our tables are missing, older or newer; ``None`` if they are of this version.

    Raises:
        RemoteError: PostgreSQL refuses.
    """
    wanted = ScriptDirectory.from_config(_config()).get_current_head()
    found = _current_revision(connection)
    if found == wanted:
        return None
    return ConfigurationError(
        f"the tables in PostgreSQL's schema {SCHEMA} are of version {found or 'none'}, "
        f"this program needs {wanted}",
        "Run: m3sync migrate.",
    )


def _current_revision(connection: psycopg.Connection) -> str | None:
    """As Alembic stores it. Alembic itself would ask for more of the database than for this."""
    if connection.execute(_HAS_REVISION).fetchone() == (None,):
        return None
    row = connection.execute(_REVISION).fetchone()
    return str(row[0]) if row else None


@contextmanager
def _transaction(url: str) -> Iterator[Connection]:
    """A transaction of SQLAlchemy over a connection with our settings."""
    address = parse(url)

    def opened() -> psycopg.Connection:
        connection = open_connection(address, psycopg.Connection)
        connection.autocommit = False
        return connection

    engine = create_engine("postgresql+psycopg://", creator=opened, poolclass=NullPool)
    try:
        with engine.begin() as connection:
            yield connection
    except (psycopg.Error, DBAPIError) as error:
        raise explain(error) or error from None


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config
