"""Dagster's storage: where it is, with nothing set and with a home, and its connections."""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from dagster._serdes import ConfigurableClassData
from dagster_postgres.event_log.event_log import PostgresEventLogStorage
from dagster_postgres.run_storage import PostgresRunStorage
from dagster_postgres.schedule_storage import PostgresScheduleStorage
from sqlalchemy import Pool, event

from m3sync_dagster.state import dagster_storage
from m3sync_dagster.state.dagster_storage import PostgresStorage, _remember_what_is_there
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError
from m3sync_dagster_tests.conftest import ROOT
from m3sync_dagster_tests.sql_statements import counted_statements


@pytest.fixture
def project() -> Iterator[Path]:
    # A socket's path has to be short, so pytest's own temporary folders will not do.
    with tempfile.TemporaryDirectory(prefix="m3s") as made:
        for name in ("dagster.yaml", "pyproject.toml"):
            shutil.copy(ROOT / name, made)
        yield Path(made)


@pytest.mark.slow
def test_dg_lists_definitions_where_nothing_is_set(project: Path) -> None:
    unset = {"DAGSTER_HOME", "M3SYNC_POSTGRES_URL", "M3SYNC_DEFS"}
    listed = subprocess.run(
        [Path(sys.executable).parent / "dg", "list", "defs"],
        cwd=project,
        env={name: value for name, value in os.environ.items() if name not in unset},
        capture_output=True,
        text=True,
        check=False,
    )
    assert listed.returncode == 0, listed.stderr
    assert "integration_guard" in listed.stdout
    assert (project / ".m3sync" / "postgres" / "PG_VERSION").exists()


def test_an_installation_says_where_its_storage_is(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(project))
    monkeypatch.delenv("M3SYNC_POSTGRES_URL", raising=False)
    with pytest.raises(ConfigurationError, match="M3SYNC_POSTGRES_URL is not set"):
        dg.DagsterInstance.get()
    assert not (project / ".m3sync").exists()


def backends(url: str) -> list[int]:
    """The process ids of the server's connections to a database, but for this function's own."""
    with psycopg.connect(url) as connection:
        rows = connection.execute(
            "SELECT pid FROM pg_stat_activity WHERE datname = current_database()"
            " AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
        ).fetchall()
    return [pid for (pid,) in rows]


def connections_left(url: str, number: int) -> int:
    """How many connections there are, once there are so many: closed ones take a moment to end."""
    end = time.monotonic() + 60
    while (found := len(backends(url))) != number and time.monotonic() < end:
        time.sleep(0.05)
    return found


def read_all(instance: dg.DagsterInstance) -> None:
    """Use each of the three storages."""
    instance.get_runs(limit=1)
    instance.all_asset_keys()
    instance.all_instigator_state()


def test_one_connection_serves_all_storages(instance: dg.DagsterInstance) -> None:
    url = os.environ["M3SYNC_POSTGRES_URL"]
    read_all(instance)
    first = backends(url)
    read_all(instance)
    assert len(first) == 1
    assert backends(url) == first
    assert "/test_" in url
    instance.run_storage.set_cursor_values({"key": "value"})
    assert instance.run_storage.get_cursor_values({"key"}) == {"key": "value"}


def test_one_connection_is_made_where_the_tables_are(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    made: list[object] = []

    def count(connection: object, _: object) -> None:
        made.append(connection)

    event.listen(Pool, "connect", count)
    with dg.DagsterInstance.from_config(str(tmp_path)) as another:
        read_all(another)
    event.remove(Pool, "connect", count)
    assert len(made) == 1


@pytest.mark.parametrize("table", ["runs", "instance_info", "event_logs", "jobs"])
def test_a_table_that_is_missing_is_created(
    instance: dg.DagsterInstance, tmp_path: Path, table: str
) -> None:
    with psycopg.connect(os.environ["M3SYNC_POSTGRES_URL"], autocommit=True) as connection:
        connection.execute("CREATE SCHEMA other")
        connection.execute(f"CREATE TABLE other.{table} (LIKE {table})")
        connection.execute(f"DROP TABLE {table} CASCADE")
        with dg.DagsterInstance.from_config(str(tmp_path)) as another:
            read_all(another)
        found = connection.execute("SELECT to_regclass(%s)::text", [table]).fetchone()
    assert found == (table,)


def test_no_connection_is_left_of_a_closed_instance(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    url = os.environ["M3SYNC_POSTGRES_URL"]
    read_all(instance)
    before = backends(url)
    with dg.DagsterInstance.from_config(str(tmp_path)) as another:
        read_all(another)
        assert len(backends(url)) == len(before) + 1
    assert connections_left(url, len(before)) == len(before)


@pytest.mark.parametrize("recently", [0, 1000])
def test_a_connection_that_was_lost_is_made_anew(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, recently: float
) -> None:
    monkeypatch.setattr(dagster_storage, "_RECENTLY", recently)
    url = os.environ["M3SYNC_POSTGRES_URL"]
    read_all(instance)
    (lost,) = backends(url)
    with psycopg.connect(url) as connection:
        connection.execute("SELECT pg_terminate_backend(%s, 10000)", [lost])
    read_all(instance)
    assert backends(url) not in ([], [lost])


@pytest.mark.parametrize(("recently", "asked"), [(0, True), (1000, False)])
def test_only_a_connection_that_was_not_used_recently_is_asked_to_answer(
    instance: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
    recently: float,
    asked: bool,
) -> None:
    storage = instance.run_storage
    assert isinstance(storage, PostgresRunStorage)
    read_all(instance)
    monkeypatch.setattr(dagster_storage, "_RECENTLY", recently)
    last = "SELECT query, state FROM pg_stat_activity WHERE pid = %s"
    (pid,) = backends(os.environ["M3SYNC_POSTGRES_URL"])
    with storage.connect(), psycopg.connect(os.environ["M3SYNC_POSTGRES_URL"]) as other:
        query, state = other.execute(last, [pid]).fetchone() or (None, None)
    assert (query == "SELECT 1") is asked
    assert state == "idle"


def test_threads_do_not_wait_for_the_connection(instance: dg.DagsterInstance) -> None:
    url = os.environ["M3SYNC_POSTGRES_URL"]
    storage = instance.run_storage
    assert isinstance(storage, PostgresRunStorage)
    with ExitStack() as held:
        for _ in range(12):
            held.enter_context(storage.connect())
        assert len(backends(url)) == 12
    assert connections_left(url, 1) == 1


def test_a_table_is_looked_for_until_it_is_there(instance: dg.DagsterInstance) -> None:
    storage = instance.event_log_storage
    assert isinstance(storage, PostgresEventLogStorage)
    assert not storage.has_table("of_a_migration")
    with psycopg.connect(os.environ["M3SYNC_POSTGRES_URL"]) as connection:
        connection.execute("CREATE TABLE of_a_migration ()")
    with counted_statements() as first:
        assert storage.has_table("of_a_migration")
    with counted_statements() as second:
        assert storage.has_table("of_a_migration")
    assert (len(first.dagster), len(second.dagster)) == (1, 0)


def test_what_was_there_at_the_start_is_known(instance: dg.DagsterInstance) -> None:
    runs, events, schedules = (
        instance.run_storage,
        instance.event_log_storage,
        instance.schedule_storage,
    )
    assert isinstance(runs, PostgresRunStorage)
    assert isinstance(events, PostgresEventLogStorage)
    assert isinstance(schedules, PostgresScheduleStorage)
    with events.index_connection() as connection, counted_statements() as counted:
        assert runs.has_run_stats_index_cols()
        assert runs.has_backfill_id_column()
        assert schedules.has_secondary_index_table()
        assert schedules.has_instigators_table()
        assert events.has_table("asset_event_tags")
        assert events._has_asset_key_col_on_connection(connection, "last_run_id")
        assert counted.dagster == []
        assert not events.has_table("start_time")
        assert not events._has_asset_key_col_on_connection(connection, "start_time")
        assert len(counted.dagster) > 1


COLUMNS_OF_RUNS = {
    "start_time": "has_run_stats_index_cols",
    "end_time": "has_run_stats_index_cols",
    "backfill_id": "has_backfill_id_column",
}
"""The columns that Dagster's migrations have added, and the questions for them."""


@pytest.mark.parametrize(("column", "question"), COLUMNS_OF_RUNS.items())
def test_a_column_is_looked_for_until_it_is_there(
    instance: dg.DagsterInstance, tmp_path: Path, column: str, question: str
) -> None:
    with psycopg.connect(os.environ["M3SYNC_POSTGRES_URL"], autocommit=True) as connection:
        connection.execute("CREATE SCHEMA other")
        connection.execute("CREATE TABLE other.runs (LIKE runs)")
        connection.execute(f"ALTER TABLE runs DROP COLUMN {column}")
        with dg.DagsterInstance.from_config(str(tmp_path)) as another:
            ask = getattr(another.run_storage, question)
            assert not ask()
            connection.execute(f"ALTER TABLE runs ADD COLUMN {column} text")
            assert ask()


def test_a_storage_knows_where_it_was_configured_and_asks_for_times_in_utc(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGTZ", "America/New_York")
    place = ConfigurableClassData("module", "Class", "{}")
    storage = PostgresStorage.from_config_value(place, {})
    assert (storage.inst_data, os.environ["PGTZ"]) == (place, "UTC")
    storage.run_storage.dispose()


def test_the_embedded_server_is_in_the_folder_of_the_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("DAGSTER_HOME", "M3SYNC_POSTGRES_URL"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / ".m3sync").write_text("")  # Nothing can be in it.
    with pytest.raises(RemoteError, match=f"in {tmp_path}/.m3sync/postgres does not start"):
        PostgresStorage.from_config_value(None, {})


class Catalog:
    """Counts the questions, as Dagster's storages are asked them."""

    def __init__(self) -> None:
        self.there: set[str] = set()
        self.asked: list[str] = []

    def has_table(self, connection: object, name: str) -> bool:
        assert connection is self
        self.asked.append(name)
        return name in self.there

    def has_other(self, name: str) -> bool:
        self.asked.append(name)
        return True


def test_an_answer_is_remembered_for_its_name_once_it_is_yes() -> None:
    catalog = Catalog()
    _remember_what_is_there(catalog, set())

    def ask(name: str, *, there: bool) -> bool:
        return catalog.has_table(catalog, name) is there

    assert ask("a", there=False)
    assert ask("b", there=False)
    catalog.there = {"a"}
    assert ask("a", there=True)
    assert ask("b", there=False)
    catalog.there = set()
    assert ask("a", there=True)
    assert catalog.has_other("c")
    assert catalog.has_other("c")
    assert catalog.asked == ["a", "b", "a", "b", "c", "c"]
