from pathlib import Path

import pytest

from m3sync_dagster.state import connect, enqueue, postgres_url, write_guard_error
from m3sync_dagster.state.outbox import due_notices, not_delivered, withdraw_removed
from m3sync_dagster_tests.cli.admin import identity_of
from m3sync_dagster_tests.cli.conftest import Stage, write
from m3sync_dagster_tests.cli.defs_folder import DEFS

FIELDS = [
    "name",
    "connected",
    "enabled",
    "disabled_reason",
    "disabled_until",
    "last_run",
    "failures_in_a_row",
    "rejected",
    "salesforce_org",
    "connection",
    "connection_reason",
    "checked_at",
    "last_success",
    "next_run",
    "daemon_alive",
    "daemon_seen",
]


def test_one_that_has_never_run(stage: Stage) -> None:
    answer = stage.run("status", "--json")
    assert answer.code == 0
    assert [list(row) for row in answer.json] == [FIELDS]
    known = list(answer.json[0].values())
    assert known[:9] == ["acme", False, False, "never started", None, None, 0, 0, None]
    assert answer.json[0]["connection"] == "NOT CHECKED"
    assert "m3sync check acme" in answer.json[0]["connection_reason"]
    assert "never started" in stage.run("status").out


def test_failures_are_counted_until_a_success(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as wrong:
        wrong.setenv("SALESFORCE_CLIENT_SECRET", "wrong")
        stage.run("run", "acme", "--entity", "account")
        stage.run("run", "acme", "--entity", "account")
    (failing,) = stage.run("status", "--json").json
    assert failing["failures_in_a_row"] == 2
    assert failing["last_run"]["status"] == "AUTH_FAILED"

    run = stage.run("run", "acme", "--entity", "contract", "--json")
    (waiting,) = stage.run("status", "--json").json
    # Accounts are what failed, so a success of contracts does not reset the count.
    assert (waiting["failures_in_a_row"], waiting["rejected"]) == (2, 5)
    last = waiting["last_run"]
    assert list(last) == ["run_id", "status", "partition", "started", "ended"]
    assert (last["run_id"], last["status"]) == (run.json["run_id"], "COMPLETE")
    assert last["started"] <= last["ended"]
    stage.run("run", "acme", "--entity", "account")
    (well,) = stage.run("status", "--json").json
    assert well["failures_in_a_row"] == 0


def test_what_the_guard_could_not_judge_is_reported(stage: Stage) -> None:
    with connect(postgres_url()) as connection:
        write_guard_error(connection, "acme", "ValueError: what it was")
    answer = stage.run("status", "--json")
    assert answer.json[0]["guard_error"] == "ValueError: what it was"
    assert "acme: the guard could not evaluate it: ValueError: what it was" in answer.err


def test_messages_of_an_integration_that_is_gone_are_reported(stage: Stage) -> None:
    with connect(postgres_url()) as connection:
        enqueue(connection, "renamed", "renamed:disabled-10:run", ["user:u"], {})
        not_delivered(connection, due_notices(connection), "the mail server is down")
        assert "renamed: user:u has not been notified" in stage.run("status").err
        connection.execute("UPDATE m3sync.notice SET created_at = created_at - interval '8 days'")
        withdraw_removed(connection, ["acme"])
    for json in ([], ["--json"]):
        assert "withdrawn: the integration is no longer loaded" in stage.run("status", *json).err


def test_the_org_that_runs_have_written_to_is_shown(stage: Stage, migrated_url: str) -> None:
    for entity in ("account", "contract"):
        stage.run("run", "acme", "--entity", entity)
    org = identity_of(stage)
    (row,) = stage.run("status", "--json").json
    assert row["salesforce_org"]["id"] == org["id"]
    assert "salesforce_org_by_entity" not in row
    store_org(migrated_url, "account", org["id"], "Acme Ltd", is_sandbox=False)
    store_org(migrated_url, "contract", org["id"], "Acme Ltd", is_sandbox=False)
    calls = stage.calls()
    (row,) = stage.run("status", "--json").json
    assert row["salesforce_org"] == {"id": org["id"], "name": "Acme Ltd", "is_sandbox": False}
    assert f"Acme Ltd ({org['id']}, production)" in unfolded(stage.run("status").out)
    assert stage.calls() == calls


def test_entities_in_several_orgs_are_told_apart(stage: Stage, migrated_url: str) -> None:
    store_org(migrated_url, "account", "00D000000000001", "Old", is_sandbox=False)
    store_org(migrated_url, "balance", "00D000000000002", None, is_sandbox=None)
    store_org(migrated_url, "bill", "00D000000000003", "Not carried any longer", is_sandbox=True)
    (row,) = stage.run("status", "--json").json
    balance = {"id": "00D000000000002", "name": None, "is_sandbox": None}
    account = {"id": "00D000000000001", "name": "Old", "is_sandbox": False}
    assert row["salesforce_org"] == balance
    assert row["salesforce_org_by_entity"] == {"balance": balance, "account": account}
    out = unfolded(stage.run("status").out)
    assert "account: Old (00D000000000001, production)" in out
    assert "name not known (00D000000000002, sandbox or production: not known)" in out


def store_org(
    url: str, entity: str, org_id: str, name: str | None, *, is_sandbox: bool | None
) -> None:
    with connect(url) as connection:
        connection.execute(
            "INSERT INTO m3sync.fingerprint_basis (integration, entity, salesforce_org_id, "
            "salesforce_org_name, salesforce_is_sandbox, m3ter_org_id, object, external_id_field) "
            "VALUES ('acme', %s, %s, %s, %s, 'org', 'A__c', 'Id__c') "
            "ON CONFLICT (integration, entity) DO UPDATE SET "
            "salesforce_org_name = excluded.salesforce_org_name, "
            "salesforce_is_sandbox = excluded.salesforce_is_sandbox",
            (entity, org_id, name, is_sandbox),
        )


def unfolded(table: str) -> str:
    """A table's text, without the line ends that a narrow column makes."""
    return " ".join(table.split())


def test_what_cannot_run_says_why(stage: Stage, defs: Path) -> None:
    text = (DEFS / "acme" / "defs.yaml").read_text()
    write(defs, "acme", text.replace("  salesforce_credential: salesforce_sandbox\n", ""))
    broken = write(defs, "broken", "type: [\n")
    acme, other = stage.run("status", "--json").json
    assert (acme["connected"], acme["disabled_reason"]) == (False, "NOT CONNECTED")
    assert (other["name"], other["enabled"]) == ("broken", False)
    assert str(broken) in other["disabled_reason"]


def test_the_past_of_what_is_broken_can_be_looked_at(stage: Stage, defs: Path) -> None:
    text = (DEFS / "acme" / "defs.yaml").read_text()
    write(defs, "acme", text)
    stage.run("run", "acme", "--entity", "contract")
    write(defs, "acme", text.replace("namespace:", "namspace:"))
    for command in (("runs",), ("runs", "acme"), ("events", "acme"), ("rejects", "acme")):
        answer = stage.run(*command, "--json")
        assert answer.code == 0
        assert {row["integration"] for row in answer.json} == {"acme"}
    assert stage.run("runs", "nix").code == 2


def test_rejects_are_listed_under_the_names_that_people_know(stage: Stage) -> None:
    assert stage.run("rejects", "--json").json == []
    stage.run("run", "acme", "--entity", "contract")
    answer = stage.run("rejects", "acme", "--json")
    assert answer.code == 0
    assert len(answer.json) == 5
    assert list(answer.json[0]) == [
        "integration",
        "entity",
        "m3ter_id",
        "code",
        "message",
        "fields",
        "class",
        "attempts",
        "first_seen",
        "last_seen",
        "record_name",
        "record_code",
        "refused",
        "salesforce_id",
        "salesforce_url",
    ]
    assert {row["class"] for row in answer.json} == {"dependency"}
    assert "dependency" in stage.run("rejects").out
    assert stage.run("rejects", "nix").code == 2
