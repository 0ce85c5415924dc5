from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest

from m3sync_dagster.cli.migrate import migrate_tables
from m3sync_dagster_tests.cli.conftest import Stage

pytestmark = pytest.mark.slow


def test_a_new_database_is_refused_until_it_is_migrated(
    stage: Stage, empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", empty_postgres_url)
    for command in (["status"], ["run", "acme"], ["plan", "acme"], ["check"], ["rejects"]):
        refused = stage.run(*command)
        assert refused.code == 2
        assert "Run: m3sync migrate." in refused.err
    assert _tables(empty_postgres_url) == 0

    assert stage.run("migrate").code == 0
    assert stage.run("migrate").code == 0
    assert stage.run("status", "--json").code == 0


def test_older_tables_of_dagster_are_refused_too(stage: Stage, migrated_url: str) -> None:
    with psycopg.connect(migrated_url) as connection:
        connection.execute("UPDATE public.alembic_version SET version_num = 'older'")
    answer = stage.run("status")
    assert answer.code == 2
    assert "Dagster's tables have version older" in answer.err


@pytest.mark.usefixtures("stage")
def test_two_that_migrate_at_once_take_turns(
    empty_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", empty_postgres_url)
    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(migrate_tables) for _ in range(2)]:
            done.result()
    with psycopg.connect(empty_postgres_url) as connection:
        heads = connection.execute("SELECT count(*) FROM public.alembic_version").fetchone()
    assert heads == (1,)


def test_a_server_that_is_not_there_is_a_failure(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", "postgresql://u:secretly@127.0.0.1:1/d")
    for command in ("migrate", "status"):
        answer = stage.run(command)
        assert answer.code == 1
        assert "PostgreSQL" in answer.err
        assert "secretly" not in answer.err


def test_a_missing_table_is_a_failure_with_a_message(stage: Stage, migrated_url: str) -> None:
    with psycopg.connect(migrated_url) as connection:
        connection.execute("DROP TABLE m3sync.rejected_record")
    for command in ("rejects", "status"):
        answer = stage.run(command)
        assert answer.code == 1
        assert "rejected_record" in answer.err


def test_an_address_of_something_else_is_refused(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", "mysql://host/database")
    assert stage.run("migrate").code == 2


def _tables(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute(
            "SELECT count(*) FROM information_schema.tables "
            "WHERE table_schema IN ('public', 'm3sync')"
        ).fetchone()
    assert row
    return int(row[0])
