"""``m3sync migrate``, and what the other commands do about tables that are not there."""

from collections.abc import Iterator
from contextlib import contextmanager

from m3sync_dagster.cli.environment import Environment, prepare
from m3sync_dagster.cli.output import say
from m3sync_dagster.sync.errors import ConfigurationError

_LOCK = 0x6D33_0001  # an advisory lock's key, the same for every process that migrates


def migrate() -> None:
    """Create or upgrade Dagster's tables and ours."""
    prepare()
    migrate_tables()
    say("PostgreSQL's tables are those of this version.")


def ready() -> Environment:
    """Prepare the environment, and make sure of the tables.

    A server of our own is migrated on the way; of any other that is a person's to decide.

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
    """Bring all tables to this version. Processes that do so at once take turns.

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
    """Ours first: where they are missing, Dagster is not to create its own on the side."""
    from dagster import DagsterInstance

    from m3sync_dagster.state import postgres_url, require_current_schema

    require_current_schema(postgres_url())
    with DagsterInstance.get() as instance:
        found, wanted = instance.run_storage.alembic_version() or (None, None)
    if found != wanted:
        raise ConfigurationError(
            f"Dagster's tables are of version {found or 'none'}, this program needs {wanted}",
            "Run: m3sync migrate.",
        )
