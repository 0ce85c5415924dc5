"""``m3sync check --write``, and a rehearsal with the sandbox's package and its Account."""

import os
import pty
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from m3sync_dagster_tests.cli.admin import verified
from m3sync_dagster_tests.cli.conftest import Answer, Stage, write
from m3sync_dagster_tests.cli.defs_folder import DEFS
from m3sync_dagster_tests.cli.processes import PROGRAM
from m3sync_dagster_tests.conftest import PATIENCE

pytestmark = pytest.mark.slow

ACME = (DEFS / "acme" / "defs.yaml").read_text()
PACKAGE = ACME.replace("namespace: custom_objects", "namespace: m3ter_connector  # the package")
HEAD = ACME.partition("  entities:\n")[0]
ACCOUNT = f"""\
{HEAD}  entities:
    # Sales owns the accounts.
    account: {{object: Account, external_id_field: m3ter_Id__c}}   # the standard object
"""


def entities_in(file: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(file.read_text())["attributes"]["entities"]
    return found


def written(stage: Stage) -> Answer:
    """Write the proposal; after that there is nothing more to write."""
    answer = stage.run("check", "acme", "--write", "--yes", "--json")
    again = stage.run("check", "acme", "--write", "--yes", "--json")
    assert (again.code, again.json[-1]["check"]) == (answer.code, "write")
    assert again.json[-1]["message"].startswith("nothing was written")
    return answer


def assert_synced(stage: Stage, counts: dict[str, int]) -> None:
    """A run sends everything, and Salesforce then holds what m3ter holds."""
    ran = stage.run("run", "acme", "--json")
    assert (ran.code, ran.json["status"]) == (0, "COMPLETE"), ran.err
    created = {name: entity["created"] for name, entity in ran.json["entities"].items()}
    assert created == counts
    code, found = verified(stage)
    assert code == 0
    assert {name: one["equal"] for name, one in found["entities"].items()} == counts


def test_the_package_of_the_sandbox(stage: Stage, defs: Path) -> None:
    file = write(defs, "acme", PACKAGE.replace("balance: {}", "balance: {object: }"))
    checked = stage.run("check", "acme")
    assert checked.code == 2
    assert "m3sync check acme --write" in checked.out
    answer = written(stage)
    assert answer.code == 0, answer.out
    assert all(result["ok"] for result in answer.json)
    assert answer.json[-1]["message"] == f"the proposed mapping is written to {file}"
    text = file.read_text()
    head = HEAD.replace(
        "namespace: custom_objects\n",
        "namespace: m3ter_connector  # the package\n"
        "  namespace_prefix: m3sandbox  # the installed package m3ter Connector\n",
    )
    assert text.startswith(
        f"{head}  entities:\n    account:\n      object: m3sandbox__Account__c\n"
    )
    assert "+      object: m3sandbox__Account__c\n" in answer.err
    account = entities_in(file)["account"]
    assert account["external_id_field"] == "m3sandbox__m3terId__c"
    assert account["fields"]["emailAddress"] == "m3sandbox__emailAddress__c"
    assert account["fields"]["address.addressLine4"] is None
    assert '      #   m3sandbox__syncStatus__c "Sync Status"\n' in text
    sizes = {"account": 6, "contract": 5, "commitment": 4, "balance": 7}
    assert_synced(stage, sizes)
    assert len(stage.records("m3sandbox__Prepayment__c")) == 4


def test_a_standard_object(stage: Stage, defs: Path) -> None:
    file = write(defs, "acme", ACCOUNT)
    checked = stage.run("check", "acme", "--json")
    assert checked.code == 2
    (found,) = [one for one in checked.json if "proposal" in one]
    assert "objects and fields of Account" in found["message"]
    assert "in place of entities" in found["remedy"]
    answer = written(stage)
    assert answer.code == 0, answer.out
    text = file.read_text()
    assert text.startswith(
        f"{HEAD}  entities:\n    # Sales owns the accounts.\n    account:   # the standard object\n"
        "      object: Account\n      external_id_field: m3ter_Id__c\n      fields:\n"
        "        title: Name\n"
    )
    account = entities_in(file)["account"]
    assert account["fields"]["parentAccountId"] == "ParentId"
    assert account["fields"]["emailAddress"] is None
    assert_synced(stage, {"account": 6})
    assert len(stage.records("Account")) == 6


def test_what_the_file_says_stays(stage: Stage, defs: Path) -> None:
    own = "{fields: {code: m3sandbox__country__c, name: null}, truncate: [code]}"
    file = write(defs, "acme", PACKAGE.replace("account: {}", f"account: {own}"))
    answer = written(stage)
    account = entities_in(file)["account"]
    assert account["fields"]["code"] == "m3sandbox__country__c"
    assert account["fields"]["name"] is None
    assert account["fields"]["address.country"] is None
    assert account["truncate"] == ["code"]
    for kept in (
        "entities.account.fields.code: m3sandbox__country__c, where m3sandbox__code__c matches",
        "entities.account.fields.name: null, where m3sandbox__accountName__c matches",
    ):
        assert f"Stays as the file says: {kept}.\n" in answer.err


def test_a_prefix_of_another_package_stays(stage: Stage, defs: Path) -> None:
    prefix = "namespace: m3ter_connector\n  namespace_prefix: m3x__"
    text = ACME.replace("namespace: custom_objects", prefix)
    file = write(defs, "acme", text)
    answer = stage.run("check", "acme", "--write", "--yes", "--json")
    assert answer.code == 2
    (found,) = [one for one in answer.json if "proposal" in one]
    assert "; it says namespace_prefix: m3x, where m3sandbox is in the org" in found["message"]
    assert "no object of the package m3x matches m3 Account" in found["proposal"]
    assert file.read_text() == text


def test_what_is_open_is_not_written(stage: Stage, defs: Path) -> None:
    stage.salesforce(
        "schema", {"object": "m3sandbox__M3_Balance__c", "add": {"label": "m3 Balance"}}
    )
    file = write(defs, "acme", PACKAGE)
    answer = written(stage)
    assert answer.code == 2
    assert entities_in(file)["balance"] == {}
    several = "several objects match: m3sandbox__Balance__c, m3sandbox__M3_Balance__c"
    assert f"not written: entities.balance.object: {several}.\n" in answer.err
    (found,) = [one for one in answer.json if "proposal" in one]
    assert found["remedy"] == "Name in the file what the proposed mapping leaves open."


def test_nothing_to_write(stage: Stage, defs: Path) -> None:
    write(defs, "acme", ACME)
    answer = stage.run("check", "acme", "--write")
    assert answer.code == 0
    assert "nothing was written: the mapping fits the org" in answer.out


def test_nothing_can_be_proposed(stage: Stage, defs: Path) -> None:
    stage.salesforce("schema", {"object": "m3y__Thing__c", "add": {"label": "m3 Account"}})
    stage.salesforce("setup", {"packages": []})
    file = write(defs, "acme", PACKAGE)
    answer = stage.run("check", "acme", "--write", "--yes", "--json")
    assert answer.code == 2
    (found,) = [one for one in answer.json if one["check"] == "namespace"]
    assert "it is not clear which one of" in found["message"]
    assert answer.json[-1]["message"].startswith("nothing was written: no change is proposed")
    assert file.read_text() == PACKAGE


REFUSALS = {
    "without a name": (("--write", "--yes"), "Name it: m3sync check NAME --write"),
    "without a terminal": (("acme", "--write"), "Run it again with --yes"),
    "read-only": (("acme", "--write", "--yes"), "Change the file where it comes from"),
}


@pytest.mark.parametrize("case", REFUSALS)
def test_it_is_refused(stage: Stage, defs: Path, case: str) -> None:
    args, remedy = REFUSALS[case]
    file = write(defs, "acme", PACKAGE)
    file.chmod(0o444 if case == "read-only" else 0o644)
    answer = stage.run("check", *args)
    assert (answer.code, answer.out) == (2, "")
    assert remedy in answer.err
    assert file.read_text() == PACKAGE


def test_a_form_that_cannot_be_edited_is_shown_to_paste(stage: Stage, defs: Path) -> None:
    text = PACKAGE.replace("account: {}", "account: &a {}").replace("contract: {}", "contract: *a")
    file = write(defs, "acme", text)
    answer = stage.run("check", "acme", "--write", "--yes")
    assert answer.code == 2
    assert "      object: m3sandbox__Account__c\n" in answer.err
    assert "Add the proposed lines by hand" in answer.err
    assert file.read_text() == text


def test_it_asks_at_a_terminal(stage: Stage, defs: Path) -> None:
    file = write(defs, "acme", PACKAGE)
    assert typed(stage, "n\n") == 2
    assert file.read_text() == PACKAGE
    assert typed(stage, "y\n") == 0
    assert "m3sandbox__Account__c" in file.read_text()


def typed(stage: Stage, answer: str) -> int:
    """The exit code of the program, with an answer typed at its terminal."""
    del stage  # its environment is this process's
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode())
        done = subprocess.run(
            [PROGRAM, "check", "acme", "--write", "--json"],
            stdin=theirs,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    finally:
        os.close(ours)
        os.close(theirs)
    assert "Write this to " in done.stderr
    assert "Warning" not in done.stderr
    return done.returncode
