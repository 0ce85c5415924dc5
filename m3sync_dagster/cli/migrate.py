"""``m3sync migrate``, and the check of the tables' version in all other commands."""

from collections.abc import Iterator
from contextlib import contextmanager

from m3sync_dagster.cli.output import print_message
from m3sync_dagster.cli.prepare_environment import Environment, prepare
from m3sync_dagster.sync.errors import ConfigurationError

_LOCK = 0x6D33_0001  # an advisory lock's key, the same for every process that migrates


def migrate() -> None:
    """Create or upgrade Dagster's and m3sync's tables."""
    prepare()
    migrate_tables()
    print_message("The tables in PostgreSQL match this version.")


def ready() -> Environment:
    """Prepare the environment, and check the version of the tables.

    The embedded server is migrated here; for any other server the user runs ``m3sync migrate``.

    Raises:
        ConfigurationError: the tables are missing, older or newer.
        RemoteError: PostgreSQL cannot be reached.
    """
    environment = prepare()
    try:
        _require_tables()
    except ConfigurationError:
        if not environment.embedded:
            raise
        migrate_tables()
    return environment


def migrate_tables() -> None:
    """Upgrade all tables to this version; only one process does so at a time.

    Raises:
        RemoteError: PostgreSQL cannot be reached or refuses.
    """
    from dagster import DagsterInstance

    from m3sync_dagster.state import migrate as migrate_ours
    from m3sync_dagster.state import postgres_url

    with _alone(postgres_url()):
        migrate_ours(postgres_url())
        # Dagster creates the tables of a new database by opening it.
        with DagsterInstance.get() as instance:
            instance.upgrade()


@contextmanager
def _alone(url: str) -> Iterator[None]:
    from m3sync_dagster.state import connect

    with connect(url) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        yield


def _require_tables() -> None:
    """Check our tables first: opening Dagster's storage would create its tables."""
    from dagster import DagsterInstance

    from m3sync_dagster.state import connect, postgres_url, require_current_schema

    with connect(postgres_url()) as connection:
        require_current_schema(connection)
    with DagsterInstance.get() as instance:
        stored, needed = instance.run_storage.alembic_version() or (None, None)
    if stored != needed:
        raise ConfigurationError(
            f"Dagster's tables have version {stored or 'none'}, this program needs {needed}",
            "Run: m3sync migrate.",
        )
