"""The guard's state of an earlier version, in moments instead of run numbers."""

from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest
from alembic import command

from m3sync_dagster.state import connect, migrate, read_guard_states
from m3sync_dagster.state.migrate import _config, _transaction
from m3sync_dagster_tests.conftest import dagster_instance
from m3sync_dagster_tests.guard.fixtures import Fleet, Status

pytestmark = pytest.mark.slow

BEFORE = "0009-1"


def migrate_to(url: str, revision: str) -> None:
    with _transaction(url) as connection:
        config = _config()
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def write_states(url: str, **counted_after: int) -> None:
    with connect(url) as connection:
        for name, number in counted_after.items():
            connection.execute(
                "INSERT INTO m3sync.integration_state "
                "(integration, schedule_started, counted_after, told, told_at) "
                "VALUES (%s, 100, %s, 5, %s)",
                (name, number, number or None),
            )


def test_run_numbers_become_the_moments_at_which_the_runs_ended(
    empty_postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", empty_postgres_url)
    migrate_to(empty_postgres_url, BEFORE)
    with dagster_instance(tmp_path) as instance:
        ended = Fleet(instance).run("acme")
        open_run = Fleet(instance).run("acme", Status.QUEUED)
        of_ended, of_open = (
            instance.get_run_records(dg.RunsFilter(run_ids=[run.run_id]))[0]
            for run in (ended, open_run)
        )
    write_states(
        empty_postgres_url,
        ended=of_ended.storage_id,
        waiting=of_open.storage_id,
        deleted=1_000_000,
        fresh=0,
    )
    migrate(empty_postgres_url)
    with connect(empty_postgres_url) as connection:
        states = read_guard_states(connection)
    assert states["ended"].count_from == states["ended"].notified_at == of_ended.end_time
    created = of_open.create_timestamp.timestamp()
    assert states["waiting"].count_from == pytest.approx(created)
    assert of_ended.end_time
    assert of_ended.end_time < states["deleted"].count_from <= datetime.now(UTC).timestamp()
    assert (states["fresh"].count_from, states["fresh"].notified_at) == (0, None)
    assert {state.notified_level for state in states.values()} == {5}
    assert {state.schedule_started for state in states.values()} == {100}


def test_without_dagster_s_tables_what_was_cleared_stays_cleared(empty_postgres_url: str) -> None:
    migrate_to(empty_postgres_url, BEFORE)
    write_states(empty_postgres_url, acme=7)
    migrate(empty_postgres_url)
    with connect(empty_postgres_url) as connection:
        assert read_guard_states(connection)["acme"].count_from > 1_000_000_000
