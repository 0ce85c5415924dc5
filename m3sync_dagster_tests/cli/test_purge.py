"""``m3sync purge``: what it deletes, what it only counts, and what it refuses."""

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from m3sync_dagster.state import IntegrationLock, connect
from m3sync_dagster_tests.cli.conftest import Answer, Stage, write
from m3sync_dagster_tests.cli.defs_folder import DEFS

ACME = (DEFS / "acme" / "defs.yaml").read_text()


@pytest.fixture
def synced(stage: Stage, defs: Path, migrated_url: str) -> Iterator[psycopg.Connection]:
    """A record that acme has sent, and the file of acme."""
    write(defs, "acme", ACME)
    with connect(migrated_url) as connection:
        connection.execute(
            "INSERT INTO m3sync.synced_record "
            "(integration, entity, m3ter_id, fingerprint, digest, salesforce_id, run_id) "
            "VALUES ('acme', 'account', 'm', '', '', 'a01', 'r')"
        )
        yield connection


def count(connection: psycopg.Connection, table: str, name: str = "acme") -> int:
    query = sql.SQL("SELECT count(*) FROM m3sync.{} WHERE integration = %s")
    found = connection.execute(query.format(sql.Identifier(table)), (name,))
    (number,) = found.fetchone() or (0,)
    return int(number)


def add_event(connection: psycopg.Connection, name: str, days: int) -> None:
    connection.execute(
        "INSERT INTO m3sync.integration_event (name, time, integration, message, remedy) "
        "VALUES ('integration.perform.error', now() - make_interval(days => %s), %s, '', '')",
        (days, name),
    )


def events_purged(answer: Answer) -> int:
    assert answer.code == 0, answer.err
    return sum(one["rows"] for one in answer.json["aged"])


def test_old_rows_are_counted_first_and_deleted_then(
    stage: Stage, synced: psycopg.Connection
) -> None:
    held = count(synced, "synced_record")
    add_event(synced, "acme", 401)
    add_event(synced, "acme", 399)
    dry = stage.run("purge", "--dry-run", "--json")
    assert (events_purged(dry), dry.json["dry_run"], dry.json["finished"]) == (1, True, True)
    assert count(synced, "integration_event") == 2
    table = stage.run("purge", "--dry-run")
    assert "all other events" in table.out
    assert "Nothing was deleted" in table.err
    assert events_purged(stage.run("purge", "--json")) == 1
    assert count(synced, "integration_event") == 1
    assert events_purged(stage.run("purge", "--json")) == 0
    assert count(synced, "synced_record") == held


@pytest.mark.slow
def test_a_removed_integration_is_purged_by_command(
    stage: Stage, synced: psycopg.Connection, defs: Path
) -> None:
    write(defs, "other", ACME.replace("name: acme", "name: other"))
    for name in ("acme", "other"):
        assert stage.run("run", name).code == 0
    held, others = count(synced, "synced_record"), count(synced, "synced_record", "other")
    (defs / "acme" / "defs.yaml").unlink()
    dry = stage.run("purge", "--integration", "acme", "--dry-run", "--json")
    (gone,) = dry.json["absent_integrations"]
    assert (gone["integration"], gone["rows"] >= held > others > 0) == ("acme", True)
    assert count(synced, "synced_record") == held
    done = stage.run("purge", "--integration", "acme", "--json")
    assert (done.code, done.json["absent_integrations"]) == (0, [gone])
    assert (count(synced, "synced_record"), count(synced, "synced_record", "other")) == (0, others)
    again = stage.run("purge", "--integration", "acme")
    assert again.code == 2
    assert "no state of an integration acme" in again.err


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (ACME, "acme is still defined"),
        (ACME.replace("start:", "strat:"), "acme is still defined"),
        ("type: [", "may define the integration acme"),
        (ACME.replace("name: acme", "name: '{{ env.M3SYNC_DEFS }}'"), "may define"),
        (ACME.replace("name: acme", "label: acme"), "may define the integration acme"),
    ],
)
def test_an_integration_that_is_or_may_be_defined_is_not_purged(
    stage: Stage, synced: psycopg.Connection, defs: Path, text: str, words: str
) -> None:
    held = count(synced, "synced_record")
    (defs / "acme" / "defs.yaml").unlink()
    write(defs, "renamed_folder", text)
    answer = stage.run("purge", "--integration", "acme")
    assert (answer.code, count(synced, "synced_record")) == (2, held)
    assert words in answer.err


def test_an_integration_that_a_run_is_writing_is_not_purged(
    stage: Stage, synced: psycopg.Connection, defs: Path, migrated_url: str
) -> None:
    held = count(synced, "synced_record")
    (defs / "acme" / "defs.yaml").unlink()
    with connect(migrated_url) as run, IntegrationLock(run, "acme"):
        answer = stage.run("purge", "--integration", "acme")
    assert (answer.code, count(synced, "synced_record")) == (1, held)
    assert "another run is writing the integration acme" in answer.err


def test_an_unreadable_file_makes_no_integration_absent(
    stage: Stage, synced: psycopg.Connection, defs: Path
) -> None:
    write(defs, "acme", "type: [")
    answer = stage.run("purge", "--json")
    assert str(defs / "acme" / "defs.yaml") in answer.json["note"]
    assert "correct the file" in answer.err
    assert count(synced, "absent_integration") == 0
    (defs / "acme" / "defs.yaml").unlink()
    assert stage.run("purge", "--json").json["note"] is None
    assert count(synced, "absent_integration") == 1
