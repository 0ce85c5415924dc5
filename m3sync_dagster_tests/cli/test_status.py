from pathlib import Path

import pytest

from m3sync_dagster.sandbox.demo import DEFS
from m3sync_dagster_tests.cli.conftest import Stage, write

FIELDS = [
    "name",
    "connected",
    "enabled",
    "disabled_reason",
    "last_run",
    "failures_in_a_row",
    "rejected",
]


def test_one_that_has_never_run(stage: Stage) -> None:
    answer = stage.run("status", "--json")
    assert answer.code == 0
    assert [list(row) for row in answer.json] == [FIELDS]
    assert list(answer.json[0].values()) == ["acme", True, False, "never started", None, 0, 0]
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
    assert (waiting["failures_in_a_row"], waiting["rejected"]) == (0, 5)
    last = waiting["last_run"]
    assert list(last) == ["run_id", "status", "partition", "started", "ended"]
    assert (last["run_id"], last["status"]) == (run.json["run_id"], "COMPLETE")
    assert last["started"] <= last["ended"]


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
    ]
    assert {row["class"] for row in answer.json} == {"dependency"}
    assert "dependency" in stage.run("rejects").out
    assert stage.run("rejects", "nix").code == 2
