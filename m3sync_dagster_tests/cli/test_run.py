import json
import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import httpx
import pytest

from m3sync_dagster.cli.prepare_environment import project_root
from m3sync_dagster.project_folder import ONLY_INTEGRATION
from m3sync_dagster_tests.cli.conftest import Stage, write
from m3sync_dagster_tests.cli.defs_folder import DEFS
from m3sync_dagster_tests.cli.processes import program

pytestmark = pytest.mark.slow

KEYS = [
    "read",
    "created",
    "updated",
    "unchanged",
    "invalid",
    "rejected",
    "waiting",
    "salesforce_api_calls",
]
SIZES = {"account": 6, "contract": 5, "commitment": 4, "balance": 7}


def test_a_run_carries_everything_and_a_second_one_nothing(stage: Stage) -> None:
    first, second = stage.run("run", "acme", "--json"), stage.run("run", "acme", "--json")

    assert (first.code, second.code, first.err, second.err) == (0, 0, "", "")
    assert list(first.json) == ["integration", "run_id", "status", "entities"]
    assert first.json["status"] == "COMPLETE"
    assert list(first.json["entities"]) == list(SIZES)
    assert all(list(counts) == KEYS for counts in first.json["entities"].values())
    assert {e: c["created"] for e, c in first.json["entities"].items()} == SIZES
    assert {e: c["unchanged"] for e, c in second.json["entities"].items()} == SIZES
    calls = [c["salesforce_api_calls"] for c in second.json["entities"].values()]
    assert calls == [1, 0, 0, 0]  # the login, which proves credential and org
    assert len(stage.records("m3ter_Account__c")) == 6


def test_a_full_run_sends_every_row_again(stage: Stage) -> None:
    stage.run("run", "acme", "--json")
    again = stage.run("run", "acme", "--full", "--json")
    assert {e: c["updated"] for e, c in again.json["entities"].items()} == SIZES
    assert len(stage.records("m3ter_Balance__c")) == 7


def test_one_entity_alone(stage: Stage) -> None:
    answer = stage.run("run", "acme", "--entity", "account", "--json")
    assert list(answer.json["entities"]) == ["account"]
    assert stage.records("m3ter_Contract__c") == []


def test_children_without_parents_wait_and_the_exit_code_is_1(stage: Stage) -> None:
    answer = stage.run("run", "acme", "--entity", "contract", "--json")
    assert (answer.code, answer.json["status"]) == (1, "COMPLETE")
    assert answer.json["entities"]["contract"]["waiting"] == 5


def test_the_ui_finds_the_run_where_the_schedule_s_runs_are(stage: Stage) -> None:
    answer = stage.run("run", "acme", "--json")
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        filled = instance.get_materialized_partitions(dg.AssetKey(["acme", "salesforce_account"]))
    hour = datetime.now(UTC).replace(minute=0) - timedelta(hours=1)
    assert run.run_id == answer.json["run_id"]
    assert run.job_name == "salesforce_sync"
    assert run.remote_job_origin is not None
    assert run.remote_job_origin.repository_origin.code_location_origin.location_name == "m3sync"
    assert run.tags["m3sync/integration"] == "acme"
    assert run.tags["m3sync/salesforce_credential"] == "salesforce_sandbox"
    # The hour may have turned while the test ran.
    assert run.tags["dagster/partition"] in {
        (hour + shift).strftime("%Y-%m-%d-%H:%M") for shift in (timedelta(0), timedelta(hours=-1))
    }
    assert filled == {run.tags["dagster/partition"]}


def test_a_refused_credential_fails_with_m3ters_status_word(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", "wrong-secret-of-the-test")
    answer = stage.run("run", "acme", "--json")
    assert answer.code == 1
    assert answer.json["status"] == "AUTH_FAILED"
    assert answer.json["entities"] == {}
    assert "acme, account: " in answer.json["error"]
    assert answer.json["error"] in answer.err
    assert "wrong-secret-of-the-test" not in answer.out + answer.err
    assert "Traceback" not in answer.err


def test_a_failed_run_reports_the_entities_that_succeeded(stage: Stage) -> None:
    assert stage.run("run", "acme").code == 0
    stage.salesforce("schema", {"object": "m3ter_Balance__c", "field": "Amount__c", "remove": True})
    organization = stage.sandbox.organization
    organization.change("balances", organization.ids("balances")[0], name="Another name")
    answer = stage.run("run", "acme", "--json")
    assert (answer.code, answer.json["status"]) == (2, "ERROR")
    assert list(answer.json["entities"]) == ["account", "contract", "commitment"]
    assert "Amount__c" in answer.json["error"]


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nix"], "there is no integration of the name nix"),
        (["acme", "--entity", "invoice"], "there is no entity 'invoice'"),
        (["acme", "--entity", "bill"], "carries no entity 'bill'"),
    ],
)
def test_an_unknown_name_or_entity_is_refused(stage: Stage, args: list[str], message: str) -> None:
    answer = stage.run("run", *args, "--json")
    assert (answer.code, answer.out) == (2, "")
    assert message in answer.err
    assert stage.calls() == 0


def test_an_unset_variable_is_named_with_file_line_and_field(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("M3TER_API_SECRET")
    answer = stage.run("run", "acme")
    place = f"{DEFS}/credentials/defs.yaml:3, attributes.api_secret_env"
    assert answer.code == 2
    assert f"{place}: the environment variable M3TER_API_SECRET" in answer.err


def test_a_written_variable_is_named_at_its_own_line(stage: Stage, defs: Path) -> None:
    path = write(
        defs,
        "more",
        "type: m3sync_dagster.M3terCredential\n"
        "attributes:\n  name: other\n  api_secret_env: NOT_SET_ANYWHERE\n",
    )
    write(defs, "acme", _integration(m3ter_credential="other"))
    answer = stage.run("run", "acme")
    assert answer.code == 2
    assert f"{path}:4, attributes.api_secret_env: " in answer.err
    assert "NOT_SET_ANYWHERE" in answer.err


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"salesforce_credential": None}, "NOT CONNECTED"),
        ({"namespace": "m3ter_connector"}, "prefix of m3ter's managed package is not known"),
        ({"salesforce_credential": "m3ter_sandbox"}, "no SalesforceCredential of the name"),
        ({"start": "2090-01-01-00:00"}, "has not begun"),
        ({"namespaze": "x"}, "namespaze"),
        ({"name": '"A b"'}, "is not a valid name"),
    ],
)
def test_configuration_at_fault_is_refused_before_anything_is_sent(
    stage: Stage, defs: Path, changes: dict[str, str | None], message: str
) -> None:
    path = write(defs, "acme", _integration(**changes))
    answer = stage.run("run", "A b" if "name" in changes else "acme")
    assert answer.code == 2
    assert message in answer.err
    assert f"{path}:" in answer.err
    assert stage.calls() == 0


def test_a_broken_neighbour_does_not_stop_a_run(stage: Stage, defs: Path) -> None:
    write(defs, "acme", (DEFS / "acme" / "defs.yaml").read_text())
    write(defs, "other", "type: [")
    assert stage.run("run", "acme", "--json").json["status"] == "COMPLETE"


def test_a_run_loads_its_integration_alone(stage: Stage, defs: Path) -> None:
    text = (DEFS / "acme" / "defs.yaml").read_text()
    write(defs, "acme", text)
    write(defs, "globex", text.replace("name: acme", "name: globex"))
    assert stage.run("run", "acme").code == 0
    assert ONLY_INTEGRATION not in os.environ
    with dg.DagsterInstance.get() as instance:
        (run,) = instance.get_runs()
        assert run.job_snapshot_id
        lineage = instance.get_job_snapshot(run.job_snapshot_id).lineage_snapshot
        assert lineage
        whole = instance.get_job_snapshot(lineage.parent_snapshot_id)
    nodes = {node.node_name for node in whole.dep_structure_snapshot.node_invocation_snaps}
    assert nodes == {f"acme__salesforce_{entity}" for entity in SIZES}


def test_the_installed_program_keeps_standard_output_clean(stage: Stage) -> None:
    program = Path(sys.executable).parent / "m3sync"
    done = subprocess.run(
        [program, "run", "acme", "--json"],
        capture_output=True,
        text=True,
        env=dict(os.environ),
        cwd=project_root().parent,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["status"] == "COMPLETE"


def test_an_interrupted_run_is_no_success(stage: Stage) -> None:
    organization = stage.sandbox.organization
    for number in range(20_000):
        organization.add("accounts", name=f"Account {number}", code=f"C{number}")
    with program("run", "acme", "--json", **os.environ) as running:
        # 200 pages at 40 requests a second: it cannot be at the end yet.
        while len(httpx.get(f"{stage.sandbox.m3ter_url}/sandbox/calls").json()) < 10:
            assert running.process.poll() is None
        assert running.stop(signal.SIGINT) == 1
        running.wait_for('"status": "ERROR"')
        running.wait_for("The run was interrupted.")
    assert stage.run("status", "--json").json[0]["last_run"]["status"] == "ERROR"


def test_without_json_there_is_a_table(stage: Stage) -> None:
    answer = stage.run("run", "acme")
    assert answer.code == 0
    assert "acme: COMPLETE" in answer.out
    assert "commitment" in answer.out


def _integration(**changes: str | None) -> str:
    attributes = {
        "name": "acme",
        "m3ter_credential": "m3ter_sandbox",
        "salesforce_credential": "salesforce_sandbox",
        "namespace": "custom_objects",
    } | changes
    lines = [f"  {name}: {value}" for name, value in attributes.items() if value is not None]
    return "\n".join(
        ["type: m3sync_dagster.SalesforceSync", "attributes:", *lines, "  entities: {account: {}}"]
    )
