"""Creating and upgrading our tables, and refusing to work on older ones."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine
from sqlalchemy.exc import OperationalError

from m3sync_dagster.state.database import POSTGRES_URL, sqlalchemy_url
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError

SCHEMA = "m3sync"
"""The PostgreSQL schema of all our tables, Alembic's own included."""


def migrate(url: str) -> None:
    """Bring our tables to this version of the program. Harmless where they are there already.

    Raises:
        RemoteError: PostgreSQL cannot be reached or refuses.
    """
    engine = create_engine(sqlalchemy_url(url))
    try:
        with engine.begin() as connection:
            config = _config()
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except OperationalError as error:
        raise _unreachable(error) from None
    finally:
        engine.dispose()


def require_current_schema(url: str) -> None:
    """Make sure that our tables are those of this version of the program.

    Raises:
        ConfigurationError: they are missing, older or newer.
        RemoteError: PostgreSQL cannot be reached or refuses.
    """
    wanted = ScriptDirectory.from_config(_config()).get_current_head()
    found = _current_revision(url)
    if found != wanted:
        raise ConfigurationError(
            f"the tables in PostgreSQL's schema {SCHEMA} are of version {found or 'none'}, "
            f"this program needs {wanted}",
            "Run: m3sync migrate.",
        )


def _current_revision(url: str) -> str | None:
    engine = create_engine(sqlalchemy_url(url))
    try:
        with engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"version_table_schema": SCHEMA})
            return context.get_current_revision()
    except OperationalError as error:
        raise _unreachable(error) from None
    finally:
        engine.dispose()


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    return config


def _unreachable(error: OperationalError) -> RemoteError:
    reason = str(error.orig).strip().splitlines()[0] if str(error.orig).strip() else "no reason"
    return RemoteError(
        f"PostgreSQL cannot be reached ({reason})", f"Start it, or correct {POSTGRES_URL}."
    )
