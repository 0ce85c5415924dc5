"""Unexpected errors: an event, a status and a message; the traceback is in the log."""

import resource
import subprocess

import psycopg
import pytest
from dagster import DagsterInstance

from m3sync_dagster.sandbox.demo_servers import START, serving
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.cli.admin import ACCOUNT
from m3sync_dagster_tests.cli.conftest import HOUR, Stage, child_environment
from m3sync_dagster_tests.cli.defs_folder import DEFS
from m3sync_dagster_tests.cli.processes import PROGRAM
from m3sync_dagster_tests.conftest import PATIENCE

pytestmark = pytest.mark.slow


def test_an_unexpected_error_is_an_event_and_no_traceback(stage: Stage, migrated_url: str) -> None:
    """A row of our own table that nothing but a person's hand can leave behind."""
    stage.run("run", "acme", "--entity", "account")
    with psycopg.connect(migrated_url, autocommit=True) as connection:
        connection.execute("UPDATE m3sync.describe_cache SET body = '[1]'")
    answer = stage.run("run", "acme", "--entity", "account", "--json")
    assert answer.code == 1
    assert answer.json["status"] == "ERROR"
    message = "an error that m3sync does not expect stopped it (ValidationError: "
    assert message in answer.json["error"]
    assert message in answer.err
    assert "Traceback" not in answer.out + answer.err
    (event,) = stage.run("events", "acme", "--json").json
    assert (event["name"], event["entity"]) == ("integration.perform.error", "account")
    assert message in event["message"]
    with DagsterInstance.get() as instance:
        log = instance.all_logs(answer.json["run_id"])
    assert any("Traceback (most recent call last)" in entry.user_message for entry in log)


def test_a_full_disk_is_reported_with_a_message(migrated_url: str) -> None:
    """A limit on the size of files, smaller than the upload of so many rows."""
    organization = Organization.generate(4_200, contracts=0, commitments=0, balances=0)
    with serving(organization) as sandbox:
        stage = Stage(sandbox)
        settings = {"M3SYNC_POSTGRES_URL": migrated_url, "M3SYNC_DEFS": str(DEFS), START: HOUR}
        ended = subprocess.run(
            [PROGRAM, "run", "acme", "--entity", "account"],
            env=child_environment(**sandbox.environment, **settings),
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)),
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert ended.returncode == 1
        assert "a file cannot be written" in ended.stderr
        assert "Free disk space" in ended.stderr
        assert "Traceback" not in ended.stdout + ended.stderr
        assert stage.records(ACCOUNT) == []
