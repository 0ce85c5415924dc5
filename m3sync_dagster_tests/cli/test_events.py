"""Error events as people work with them: repeats, what is over, filters, many at once."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import psycopg
import pytest

from m3sync_dagster.state import connect, postgres_url, record_event
from m3sync_dagster.sync.errors import RemoteError, SyncError
from m3sync_dagster_tests.cli.conftest import Stage
from m3sync_dagster_tests.live.conftest import REFUSED

pytestmark = pytest.mark.slow


@pytest.fixture
def database(stage: Stage) -> Iterator[psycopg.Connection]:
    with connect(postgres_url()) as connection:
        yield connection


def listed(stage: Stage, *args: str) -> list[dict[str, object]]:
    answer = stage.run("events", *args, "--json")
    assert answer.code == 0, answer.err
    return list(answer.json)


def lines(stage: Stage, *args: str) -> list[str]:
    """The lines of the table, without its title and its heading."""
    return [line for line in stage.run("events", *args).out.splitlines() if "integration." in line]


def fail(database: psycopg.Connection, times: int = 1, **given: str) -> None:
    """Record failures of one cause, each in another run, an hour apart."""
    name, entity = given.get("name", "acme"), given.get("entity", "account")
    text = given.get("text", "the ingest job {} failed")
    for number in range(times):
        run_id = f"run {number} {entity} {text}"
        record_event(database, name, entity, run_id, RemoteError(text.format(750 + number), "Wait"))
        database.execute(
            "UPDATE m3sync.integration_event SET time = time - make_interval(hours => %s) "
            "WHERE run_id = %s",
            (times - number, run_id),
        )


def test_repeats_are_one_line(stage: Stage, database: psycopg.Connection) -> None:
    fail(database, 10)
    fail(database, 1, text="a lock could not be taken")
    fail(database, 2, entity="contract")
    shown = lines(stage)
    assert len(shown) == 3
    (repeated,) = [line for line in shown if "job 759 failed" in line]
    since = datetime.now(UTC) - timedelta(hours=10)
    assert f"×10 since {since:%Y-%m-%d %H}" in repeated  # noqa: RUF001 - the sign for "times"
    # Data is complete: one object for each event.
    assert len(listed(stage)) == 13
    assert len(lines(stage, "--limit", "2")) == 2


def test_an_event_is_closed_when_the_sync_no_longer_finds_its_cause(stage: Stage) -> None:
    stage.salesforce("faults", REFUSED)
    for _ in range(2):
        stage.run("run", "acme", "--entity", "contract")
    httpx.delete(f"{stage.sandbox.salesforce_url}/sandbox/faults").raise_for_status()
    assert len(listed(stage)) == 2
    # Contracts are synced, and now wait for their accounts.
    stage.run("run", "acme", "--entity", "contract")
    (waiting,) = listed(stage)
    assert waiting["name"] == "integration.missingaccountmapping.error"
    stage.run("run", "acme", "--entity", "contract")
    assert {event["name"] for event in listed(stage)} == {waiting["name"]}
    assert len(listed(stage)) == 2
    # Accounts are another matter than what contracts wait for.
    stage.run("run", "acme", "--entity", "account")
    assert len(listed(stage)) == 2
    stage.run("run", "acme", "--entity", "contract")
    assert listed(stage) == []
    everything = listed(stage, "--all")
    assert len(everything) == 4
    assert all(event["closed"] and not event["actioned"] for event in everything)
    assert "closed" in stage.run("events", "--all").out


def test_an_event_of_the_whole_integration_is_closed_when_all_entities_were_synced(
    stage: Stage, database: psycopg.Connection
) -> None:
    record_event(database, "acme", None, "killed", RemoteError("the run was killed", "Wait"))
    told = SyncError("nobody has the address", "Correct it")
    record_event(database, "acme", None, "notice", told, lasting=True)
    for entity in ("account", "contract", "commitment"):
        stage.run("run", "acme", "--entity", entity)
        assert {event["run_id"] for event in listed(stage)} >= {"killed", "notice"}
    stage.run("run", "acme", "--entity", "balance")
    assert {event["run_id"] for event in listed(stage)} == {"notice"}


def test_enabling_closes_the_event_that_says_disabled(
    stage: Stage, database: psycopg.Connection
) -> None:
    class DisabledError(SyncError):
        event = "integration.disabled.error"

    record_event(database, "acme", None, "run", DisabledError("ten failures", "Enable it"))
    stage.run("run", "acme")
    assert [event["run_id"] for event in listed(stage)] == ["run"]
    stage.run("enable", "acme")
    assert listed(stage) == []


def test_filters(stage: Stage, database: psycopg.Connection) -> None:
    fail(database, 5)
    fail(database, 2, entity="contract", text="another cause")
    noon = f"{datetime.now(UTC) - timedelta(hours=2, minutes=30):%Y-%m-%d %H:%M}"
    assert len(listed(stage, "acme", "--entity", "contract")) == 2
    assert len(listed(stage, "--since", noon)) == 4
    assert len(listed(stage, "--until", noon)) == 3
    assert len(listed(stage, "--since", noon, "--entity", "account", "--limit", "1")) == 1
    assert stage.run("events", "--since", "yesterday").code == 2
    assert stage.run("events", "--limit", "0").code == 2


def test_many_are_marked_as_actioned_at_once(stage: Stage, database: psycopg.Connection) -> None:
    fail(database, 4)
    fail(database, 2, entity="contract", text="another cause")
    fail(database, 1, entity="balance", text="a third cause")
    newest = {event["entity"]: str(event["id"]) for event in reversed(listed(stage))}
    # A line is actioned with its repeats, which carry other numbers.
    answer = stage.run("events", "action", newest["account"], newest["balance"])
    assert "5 events are now marked as actioned" in answer.err
    assert {event["entity"] for event in listed(stage)} == {"contract"}
    assert len(listed(stage, "--all")) == 7
    moment = f"{datetime.now(UTC) - timedelta(hours=1, minutes=30):%Y-%m-%d %H:%M}"
    assert "1 event is now" in stage.run("events", "action", "--before", moment).err
    assert "1 event is now" in stage.run("events", "action", "--all-of", "acme").err
    assert listed(stage) == []


def test_what_cannot_be_marked_marks_nothing(stage: Stage, database: psycopg.Connection) -> None:
    fail(database)
    (event,) = listed(stage)
    for wrong in (
        ("action",),
        ("action", str(event["id"]), "4711"),
        ("action", str(event["id"]), "--all-of", "acme"),
        ("action", "--all-of", "nix"),
        ("action", "--before", "soon"),
    ):
        assert stage.run("events", *wrong).code == 2
    assert json.loads(stage.run("events", "--json").out)[0]["actioned"] is False
