"""The daily purge as Dagster runs it, also during a sync."""

import dagster as dg
import psycopg
import pytest

from m3sync_dagster.components.load_project import DefinedNames, defined_names, load_project
from m3sync_dagster.components.materialize import watcher
from m3sync_dagster.components.purge_job import DAILY, PURGE_JOB, purge
from m3sync_dagster.definitions import defs
from m3sync_dagster.runs.run_status import INTEGRATION_TAG
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.state import connect, postgres_url
from m3sync_dagster_tests.conftest import INTEGRATION, DefsFolder, sandbox_of, sync
from m3sync_dagster_tests.guard.fixtures import Fleet
from m3sync_dagster_tests.state.purged_state import age


def run_purge(instance: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = defs().resolve_job_def(PURGE_JOB)
    return job.execute_in_process(instance=instance, raise_on_error=False)


def add_state(name: str, absent_days: int | None = None) -> None:
    with connect(postgres_url()) as connection:
        connection.execute(
            "INSERT INTO m3sync.integration_state (integration, count_from, notified_level) "
            "VALUES (%s, 0, 0)",
            (name,),
        )
        if absent_days is not None:
            connection.execute(
                "INSERT INTO m3sync.absent_integration "
                "VALUES (%s, now() - make_interval(days => %s))",
                (name, absent_days),
            )


def names_with_state() -> set[str]:
    with connect(postgres_url()) as connection:
        found = connection.execute("SELECT integration FROM m3sync.integration_state")
        return {name for (name,) in found}


def test_it_runs_daily_unless_it_is_stopped(defs_folder: DefsFolder) -> None:
    schedule = defs().get_repository_def().get_schedule_def(DAILY)
    assert (schedule.cron_schedule, schedule.job_name) == ("20 3 * * *", PURGE_JOB)
    assert schedule.default_status is dg.DefaultScheduleStatus.RUNNING


def test_the_job_deletes_and_says_what(
    instance: dg.DagsterInstance, defs_folder: DefsFolder
) -> None:
    for name, days in (("acme", 91), ("gone", 91), ("fresh", 89)):
        add_state(name, days)
    with connect(postgres_url()) as connection:
        connection.execute(
            "INSERT INTO m3sync.integration_event (name, time, integration, message, remedy) "
            "VALUES ('x', now() - interval '401 days', 'acme', '', '')"
        )
    result = run_purge(instance)
    assert result.success
    (output,) = [one for one in result.all_events if one.event_type_value == "STEP_OUTPUT"]
    assert output.step_output_data.metadata["all other events"].value == 1
    assert names_with_state() == {"acme", "fresh"}


def test_an_integration_whose_file_is_broken_is_not_gone(
    instance: dg.DagsterInstance, defs_folder: DefsFolder
) -> None:
    for name in ("acme", "gone"):
        add_state(name, 91)
    defs_folder.write("acme", INTEGRATION.replace("start", "strat"))
    assert run_purge(instance).success
    assert names_with_state() == {"acme"}


def test_a_file_that_cannot_be_parsed_may_define_anything(
    instance: dg.DagsterInstance, defs_folder: DefsFolder
) -> None:
    add_state("gone", 91)
    defs_folder.write("acme", "type: [")
    assert run_purge(instance).success
    assert names_with_state() == {"gone"}


def test_a_missing_defs_folder_makes_no_integration_absent(
    instance: dg.DagsterInstance, defs_folder: DefsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_state("acme", 91)
    monkeypatch.setenv("M3SYNC_DEFS", str(defs_folder.path / "not_mounted"))
    assert run_purge(instance).success
    assert names_with_state() == {"acme"}


def test_an_integration_that_has_run_since_is_not_gone(
    instance: dg.DagsterInstance, defs_folder: DefsFolder, fleet: Fleet
) -> None:
    for name in ("elsewhere", "gone"):
        add_state(name, 91)
    fleet.run("elsewhere", dg.DagsterRunStatus.SUCCESS, tags={INTEGRATION_TAG: "elsewhere"})
    assert run_purge(instance).success
    assert names_with_state() == {"elsewhere"}


def test_a_purge_that_fails_is_a_failed_run(
    instance: dg.DagsterInstance, defs_folder: DefsFolder
) -> None:
    with connect(postgres_url()) as connection:
        connection.execute("UPDATE m3sync.alembic_version SET version_num = '9999'")
    result = run_purge(instance)
    assert not result.success
    failure = result.failure_data_for_node("delete_old_state")
    assert failure
    assert "Run: m3sync migrate" in str(failure.user_failure_data)


@pytest.mark.parametrize(
    ("text", "names", "unreadable"),
    [
        (INTEGRATION, {"acme"}, False),
        (INTEGRATION.replace("start", "strat"), {"acme"}, False),
        (f"{INTEGRATION}---\n{INTEGRATION.replace('acme', 'b').replace('s', 'z')}", {"acme"}, True),
        (INTEGRATION.replace("name: acme", "name: '{{ 1 }}'"), set(), True),
        ("", set(), True),
    ],
)
def test_defined_names_include_those_of_broken_files(
    defs_folder: DefsFolder, text: str, names: set[str], unreadable: bool
) -> None:
    path = defs_folder.write("acme", text)
    defined = defined_names(load_project())
    assert names <= defined.names
    assert (path in defined.unreadable) == unreadable


@pytest.mark.slow
def test_a_purge_takes_nothing_away_from_a_run_beside_it(
    instance: dg.DagsterInstance, defs_folder: DefsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At each step of a run that uses ingest jobs, all of its state grows old and is purged."""
    organization = Organization()
    for number in range(2_100):
        organization.add("accounts", name=f"Account {number}", code=f"A{number}")
    with sandbox_of(organization) as sandbox, connect(postgres_url()) as connection:
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        unfinished: list[int] = []

        def purge_now(_entity: str, _progress: object) -> None:
            age(connection)
            unfinished.append(jobs_that_have_not_ended(connection))
            purge(instance, connection, DefinedNames(frozenset({"acme"})))
            assert jobs_that_have_not_ended(connection) == unfinished[-1]

        token = watcher.set(purge_now)
        try:
            result = sync(instance, "account")
        finally:
            watcher.reset(token)
        assert result.success
        assert max(unfinished) > 0
        assert len(sandbox.records("m3ter_Account__c")) == 2_100
        assert acknowledged(connection) == 2_100


def jobs_that_have_not_ended(connection: psycopg.Connection) -> int:
    query = "SELECT count(*) FROM m3sync.ingest_job WHERE ended_at IS NULL"
    (number,) = connection.execute(query).fetchone() or (0,)
    return int(number)


def acknowledged(connection: psycopg.Connection) -> int:
    (number,) = connection.execute("SELECT count(*) FROM m3sync.synced_record").fetchone() or (0,)
    return int(number)
