"""What ``m3sync status`` says of connections, files, the daemon and late integrations."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.scheduler.instigation import ScheduleInstigatorData
from dagster._daemon.types import DaemonHeartbeat

from m3sync_dagster.guard.schedules import read_schedules
from m3sync_dagster.state import connect, postgres_url
from m3sync_dagster_tests.cli.admin import identity_of
from m3sync_dagster_tests.cli.conftest import Stage, write
from m3sync_dagster_tests.cli.defs_folder import DEFS

pytestmark = pytest.mark.slow

ACME = (DEFS / "acme" / "defs.yaml").read_text()
HOUR = 3600.0


def status(stage: Stage, *args: str) -> dict[str, Any]:
    (row,) = stage.run("status", *args, "--json").json
    return dict(row)


def connection(stage: Stage) -> tuple[bool, str]:
    row = status(stage)
    return row["connected"], row["connection"]


@pytest.fixture
def instance(stage: Stage) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.get() as found:
        yield found


def test_connected_is_only_what_has_logged_in_with_the_present_values(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert connection(stage) == (False, "NOT CHECKED")
    before = datetime.now(UTC)
    stage.run("check", "acme")
    row = status(stage)
    assert (row["connected"], row["connection"], row["connection_reason"]) == (
        True, "CONNECTED", None,
    )  # fmt: skip
    assert before <= datetime.fromisoformat(row["checked_at"]) <= datetime.now(UTC)
    with connect(postgres_url()) as database:
        logins = database.execute(
            "SELECT credential, organization_id, instance_url FROM m3sync.credential_login "
            "ORDER BY credential"
        ).fetchall()
    url = stage.sandbox.salesforce_url
    organization = stage.sandbox.environment["M3TER_ORG_ID"]
    assert logins == [
        ("m3ter_sandbox", organization, None),
        ("salesforce_sandbox", identity_of(stage)["id"], url),
    ]
    # Another app has not logged in yet, whatever the first one did.
    with monkeypatch.context() as other:
        other.setenv("SALESFORCE_CLIENT_ID", "another-app")
        assert connection(stage) == (False, "NOT CHECKED")
    assert connection(stage) == (True, "CONNECTED")


@pytest.mark.parametrize(
    ("variable", "credential"),
    [("SALESFORCE_CLIENT_SECRET", "salesforce_sandbox"), ("M3TER_API_SECRET", "m3ter_sandbox")],
)
def test_a_refused_login_is_not_connected_until_one_succeeds(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, variable: str, credential: str
) -> None:
    stage.run("check", "acme")
    with monkeypatch.context() as wrong:
        wrong.setenv(variable, "wrong")
        stage.run("run", "acme", "--entity", "account")
        row = status(stage)
    assert (row["connected"], row["connection"]) == (False, "NOT CONNECTED")
    assert f"the login with {credential} at " in row["connection_reason"]
    assert "NOT CONNECTED" in stage.run("status").out
    stage.run("run", "acme", "--entity", "account")
    assert connection(stage) == (True, "CONNECTED")


def test_a_variable_that_is_not_set_is_named(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    stage.run("check", "acme")
    stage.run("enable", "acme")
    for variable in ("SALESFORCE_CLIENT_SECRET", "M3TER_API_KEY"):
        with monkeypatch.context() as without:
            without.delenv(variable)
            row = status(stage)
            assert (row["connected"], row["connection"]) == (False, "NOT CONNECTED")
            assert f"the environment variable {variable}, " in row["connection_reason"]
            assert variable in stage.run("status").err
            assert variable in stage.run("status", "acme").out


def test_a_broken_file_keeps_its_last_run_and_its_counts(stage: Stage, defs: Path) -> None:
    path = write(defs, "acme", ACME)
    run = stage.run("run", "acme", "--entity", "contract", "--json").json
    stage.run("enable", "acme")
    write(defs, "acme", ACME.replace("namespace:", "namspace:"))
    row = status(stage)
    assert (row["connection"], row["connected"], row["enabled"]) == ("BROKEN", False, False)
    assert str(path) in row["connection_reason"]
    assert row["disabled_reason"] == row["connection_reason"]
    assert row["last_run"]["run_id"] == run["run_id"]
    assert row["rejected"] == 5
    assert row["last_success"]
    assert row["next_run"] is None
    shown = stage.run("status", "acme")
    assert shown.code == 0
    assert "BROKEN" in shown.out
    assert stage.run("status", "nix").code == 2


def test_a_success_is_one_of_every_entity(stage: Stage, defs: Path) -> None:
    write(defs, "acme", ACME)
    stage.run("run", "acme", "--entity", "account")
    assert status(stage)["last_success"] is None
    assert "never" in stage.run("status").out
    stage.run("run", "acme")
    first = status(stage)["last_success"]
    assert first
    stage.run("run", "acme", "--entity", "balance")
    assert status(stage)["last_success"] == first
    shown = " ".join(stage.run("status", "acme").out.split())
    for words in (str(defs / "acme" / "defs.yaml"), "last success of contract", "CONNECTED"):
        assert words in shown


def beat(instance: dg.DagsterInstance, moment: float) -> None:
    instance.add_daemon_heartbeat(DaemonHeartbeat(moment, "SCHEDULER", "of-the-test"))


def test_the_next_run_is_shown_whatever_the_last_login_was(
    stage: Stage, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch, defs: Path
) -> None:
    write(defs, "acme", ACME)
    beat(instance, time.time())
    stage.run("enable", "acme")
    with monkeypatch.context() as wrong:
        wrong.setenv("SALESFORCE_CLIENT_SECRET", "wrong")
        stage.run("run", "acme", "--entity", "account")
        row = status(stage)
    # The schedule's next tick starts a run all the same.
    assert (row["connection"], row["enabled"]) == ("NOT CONNECTED", True)
    assert row["next_run"]
    # Without a credential, its ticks start no run.
    write(defs, "acme", ACME.replace("salesforce_credential", "# salesforce_credential"))
    row = status(stage)
    assert (row["connection"], row["next_run"]) == ("NOT CONNECTED", None)


def test_without_a_daemon_nothing_runs_by_itself(
    stage: Stage, instance: dg.DagsterInstance
) -> None:
    stage.run("check", "acme")
    assert "no daemon has been seen" in stage.run("enable", "acme").err
    row = status(stage)
    assert (row["enabled"], row["daemon_alive"], row["daemon_seen"]) == (True, False, None)
    assert row["next_run"] is None
    assert "yes, but no daemon has been seen" in stage.run("status").out
    beat(instance, time.time() - HOUR)
    since = (
        f"no daemon has been seen since {datetime.fromtimestamp(time.time() - HOUR, UTC):%Y-%m-%d}"
    )
    assert since in stage.run("status").out
    beat(instance, time.time())
    row = status(stage)
    assert row["daemon_alive"] is True
    due = datetime.fromisoformat(row["next_run"])
    assert 0 < (due - datetime.now(UTC)).total_seconds() <= HOUR
    assert "no daemon" not in stage.run("enable", "acme").err
    stage.run("disable", "acme")
    assert status(stage)["next_run"] is None
    stage.run("disable", "acme", "--until", "9000-12-24T08:00Z")
    assert status(stage)["next_run"].startswith("9000-12-24T08:")


def set_start(instance: dg.DagsterInstance, moment: float) -> None:
    """Let the schedule have been started at another time."""
    state = read_schedules(instance, None)["acme_hourly"].state
    data = state.instigator_data
    assert isinstance(data, ScheduleInstigatorData)
    instance.update_instigator_state(
        state.with_data(ScheduleInstigatorData(data.cron_schedule, moment))
    )


def test_a_monitor_is_told_of_an_enabled_integration_without_success(
    stage: Stage, instance: dg.DagsterInstance
) -> None:
    def stale(limit: str = "3h") -> tuple[int, str]:
        answer = stage.run("status", "--fail-if-stale", limit, "--json")
        assert answer.json
        return answer.code, answer.err

    assert stale()[0] == 0  # it is not enabled
    stage.run("enable", "acme")
    assert stale()[0] == 0  # it has had no time yet
    set_start(instance, time.time() - 4 * HOUR)
    code, message = stale()
    assert code == 1
    assert "acme has had no success yet" in message
    assert "See: m3sync runs acme; m3sync events acme" in message
    assert stale("5h")[0] == 0
    stage.run("run", "acme")
    assert stale()[0] == 0
    with connect(postgres_url()) as database:
        database.execute(
            "UPDATE m3sync.entity_sync SET ended_at = ended_at - interval '4 hours' "
            "WHERE entity = 'balance'"
        )
    code, message = stale()
    assert (code, "acme has had no success since" in message) == (1, True)
    stage.run("disable", "acme")
    assert stale()[0] == 0
    for hours, expected in {1: 0, 4: 1}.items():  # since the time at which it should run again
        with connect(postgres_url()) as database:
            database.execute(
                "UPDATE m3sync.integration_state "
                "SET disabled_until = now() - make_interval(hours => %s)",
                (hours,),
            )
        assert stale()[0] == expected
    for wrong in ("3", "0h", "soon"):
        assert stage.run("status", "--fail-if-stale", wrong).code == 2


def test_what_is_empty_is_named(
    stage: Stage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("M3SYNC_DEFS", str(tmp_path))
    answer = stage.run("status")
    assert answer.code == 0
    assert f"no integrations in {tmp_path}" in answer.err
    assert "m3sync init" in answer.err
    # Nothing is known to be fine.
    assert stage.run("status", "--fail-if-stale", "3h").code == 2
