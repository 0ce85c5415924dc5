import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import psycopg
import pytest

from m3sync_dagster.state import connect, migrate, require_current_schema
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError


def require_tables(url: str) -> None:
    """Raise the error that the tables are of another version."""
    with connect(url) as connection:
        require_current_schema(connection)


def test_a_program_without_its_tables_names_the_remedy(empty_postgres_url: str) -> None:
    with pytest.raises(ConfigurationError, match=r"are of version none.*Run: m3sync migrate"):
        require_tables(empty_postgres_url)
    migrate(empty_postgres_url)
    require_tables(empty_postgres_url)


def test_a_program_that_meets_other_tables_refuses(postgres_url: str) -> None:
    with connect(postgres_url) as connection:
        connection.execute("UPDATE m3sync.alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigurationError, match="are of version 9999"):
        require_tables(postgres_url)


def test_migrating_twice_and_at_once_is_harmless(empty_postgres_url: str) -> None:
    # Programs that start together are processes; Alembic itself is not made for threads.
    with ProcessPoolExecutor(2, multiprocessing.get_context("spawn")) as pool:
        list(pool.map(migrate, [empty_postgres_url] * 2))
    migrate(empty_postgres_url)
    require_tables(empty_postgres_url)


def test_a_migration_that_fails_leaves_nothing(empty_postgres_url: str) -> None:
    with psycopg.connect(empty_postgres_url, autocommit=True) as connection:
        connection.execute("CREATE SCHEMA m3sync CREATE TABLE sent_change ()")
        with pytest.raises(RemoteError, match=r'refused a statement .*"sent_change"'):
            migrate(empty_postgres_url)
        found = connection.execute("SELECT relname FROM pg_stat_user_tables").fetchall()
    assert found == [("sent_change",)]


def test_tables_that_people_may_query_are_there(postgres_url: str) -> None:
    with connect(postgres_url) as connection:
        found = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'm3sync'"
        ).fetchall()
    promised = {"synced_record", "rejected_record", "ingest_job", "integration_event"}
    assert promised <= {name for (name,) in found}


def test_an_unreachable_server_is_a_remote_error_without_the_password() -> None:
    url = "postgresql://user:secret@127.0.0.1:1/none"
    for attempt in (connect, migrate):
        with pytest.raises(RemoteError) as caught:
            attempt(url)
        assert "secret" not in str(caught.value)
        assert caught.value.__cause__ is None
