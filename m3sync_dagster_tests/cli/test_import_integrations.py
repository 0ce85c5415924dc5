"""``m3sync import`` over the sandbox's hosted configurations."""

import os
import pty
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml

from m3sync_dagster.cli import app
from m3sync_dagster.project_folder import PACKAGE_DEFS, defs_for_new_files
from m3sync_dagster_tests.cli.conftest import Answer, Stage, write
from m3sync_dagster_tests.cli.test_init import hours_since
from m3sync_dagster_tests.conftest import ROOT

HOSTED = "integrationconfigs"
SECRET = "sandbox-token-that-is-a-secret"


@pytest.fixture
def imported(stage: Stage, defs: Path) -> Stage:
    """The sandbox with sample configurations, and a project with credentials alone."""
    stage.sandbox.organization.add_sample_configurations()
    return stage


def files_in(folder: Path) -> dict[str, str]:
    return {str(p.relative_to(folder)): p.read_text() for p in folder.rglob("*") if p.is_file()}


def results(answer: Answer) -> dict[str, str]:
    return {one["m3ter_name"]: one["result"] for one in answer.json}


def attributes(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text())["attributes"]
    return found


def put(stage: Stage, number: int, **fields: object) -> None:
    """Change one of the sample configurations."""
    organization = stage.sandbox.organization
    organization.merge(HOSTED, organization.ids(HOSTED)[number], fields)


def fault(stage: Stage, status: int) -> None:
    body = {"message": "no"}
    rule = {
        "action": {"kind": "respond", "status": status, "body": body},
        "path": f"*/{HOSTED}",
        "times": None,
    }
    httpx.post(f"{stage.sandbox.m3ter_url}/sandbox/faults", json=rule).raise_for_status()


def test_all_record_types_become_files_that_check_accepts(imported: Stage, defs: Path) -> None:
    text = {"type": "string", "length": 255}
    fields = ("m3ter_Account__c", "Tier__c"), ("m3ter_Account__c", "Sales_Region__c")
    for name, field in (*fields, ("m3ter_Contract__c", "Tier__c")):
        imported.salesforce("schema", {"object": name, "field": field, "set": text})
    before = datetime.now(UTC)
    answer = imported.run("import", "--yes", "--json")
    assert answer.code == 0, answer.err
    assert results(answer) == {
        "Bills to NetSuite": "not for Salesforce",
        "Acme accounts": "written",
        'Verträge "Süd"': "written",
        "Prepayments": "written",
        "契約残高": "written",
    }
    names = ["acme_accounts", "prepayments", "salesforce_balance", "vertrage_sud"]
    checked = imported.run("check", "--json")
    assert checked.code == 0, checked.json
    assert sorted({found["integration"] for found in checked.json}) == names
    entities = {"account", "contract", "commitment", "balance"}
    assert entities <= {found["check"] for found in checked.json}
    starts = {attributes(defs / name / "defs.yaml")["start"] for name in names}
    assert len(starts) == 1
    assert starts <= hours_since(before)
    shown = imported.run("status", "--json").json
    assert {one["name"]: one["enabled"] for one in shown} == dict.fromkeys(names, False)


def test_imported_integrations_sync_parents_and_children(imported: Stage, defs: Path) -> None:
    organization = imported.sandbox.organization
    for number in (1, 2):
        data = organization.get(HOSTED, organization.ids(HOSTED)[number])["configData"]
        plain = data | {"customFieldMappings": None}
        put(imported, number, name=f"Sync {number}", configData=plain)
    assert imported.run("import", "--yes").code == 0
    accounts = imported.run("run", "sync_1", "--json").json
    contracts = imported.run("run", "sync_2", "--json").json
    assert (accounts["status"], contracts["status"]) == ("COMPLETE", "COMPLETE")
    assert accounts["entities"]["account"]["created"] == 5  # one of six is restricted
    assert contracts["entities"]["contract"]["waiting"] == 0
    allowed = attributes(defs / "sync_2" / "defs.yaml")["account_ids"]
    parents = {one["Id"]: one["m3ter_Id__c"] for one in imported.records("m3ter_Account__c")}
    written = imported.records("m3ter_Contract__c")
    assert len(written) == contracts["entities"]["contract"]["created"] > 0
    assert {parents[one["m3ter_Account__c"]] for one in written} <= set(allowed)


def test_what_is_left_out_is_in_the_output_and_in_the_file(imported: Stage, defs: Path) -> None:
    put(imported, 4, configData={"syncMode": SECRET, "namespace": "Custom Objects"})
    shown = imported.run("import", "--dry-run")
    answer = imported.run("import", "--yes", "--json")
    (balance,) = [one for one in answer.json if one["entity_type"] == "Balance"]
    text = (defs / "salesforce_balance" / "defs.yaml").read_text()
    names = {one["name"] for one in balance["left_out"]}
    assert names == {
        "Salesforce credential",
        "enabled",
        "version, dtCreated, dtLastModified, createdBy, lastModifiedBy",
        "destinationId",
        "integrationCredentialsId",
        "triggerType",
        "configData.syncMode",
    }
    for one in balance["left_out"]:
        line = f"# - {one['name']}: {one['reason']}\n"
        assert line in text
        assert line in shown.out
    assert SECRET not in "".join(
        [answer.out, answer.err, shown.out, shown.err, *files_in(defs).values()]
    )


def test_a_dry_run_shows_the_files_and_writes_none(imported: Stage, defs: Path) -> None:
    before = files_in(defs)
    answer = imported.run("import", "--dry-run")
    assert answer.code == 0
    assert str(defs / "acme_accounts" / "defs.yaml") in answer.out
    assert "name: acme_accounts" in answer.out
    assert "Nothing was written" in answer.err
    assert files_in(defs) == before
    assert set(results(imported.run("import", "--dry-run", "--json")).values()) == {
        "new",
        "not for Salesforce",
    }


@pytest.mark.parametrize("args", [(), ("--json",)])
def test_without_a_terminal_it_needs_an_answer(
    imported: Stage, defs: Path, args: tuple[str, ...]
) -> None:
    before = files_in(defs)
    answer = imported.run("import", *args)
    assert (answer.code, answer.out) == (2, "")
    assert "--yes" in answer.err
    assert "--dry-run" in answer.err
    assert files_in(defs) == before


def test_a_second_import_changes_nothing_also_after_a_rename(imported: Stage, defs: Path) -> None:
    imported.run("import", "--yes")
    put(imported, 1, name="Another name in m3ter")
    path = defs / "prepayments" / "defs.yaml"
    path.write_text(path.read_text().replace("name: prepayments", "name: commitments"))
    path.parent.rename(defs / "commitments")
    before = files_in(defs)
    answer = imported.run("import", "--yes", "--json")
    assert answer.code == 0
    assert set(results(answer).values()) == {"imported before", "not for Salesforce"}
    assert files_in(defs) == before


def test_a_name_or_a_folder_that_exists_stays_as_it_is(imported: Stage, defs: Path) -> None:
    (defs / "prepayments").mkdir()
    (defs / "prepayments" / "notes.txt").write_text("mine")
    text = imported.run("import", "--dry-run").out
    own = re.search(
        r"(type: m3sync_dagster.SalesforceSync.*?name: )acme_accounts(.*?)(\n\n)", text, re.DOTALL
    )
    assert own
    mine = write(defs, "elsewhere", f"{own[1]}vertrage_sud{own[2]}\n")
    before = files_in(defs)
    answer = imported.run("import", "--yes", "--json")
    assert answer.code == 1
    assert results(answer) == {
        "Bills to NetSuite": "not for Salesforce",
        "Acme accounts": "written",
        'Verträge "Süd"': "failed",
        "Prepayments": "failed",
        "契約残高": "written",
    }
    assert "an integration of the name vertrage_sud already" in answer.err
    assert f"{defs / 'prepayments'} exists already" in answer.err
    assert mine.read_text() == before["elsewhere/defs.yaml"]
    assert before.items() <= files_in(defs).items()


def test_one_that_cannot_be_read_does_not_stop_the_others(imported: Stage, defs: Path) -> None:
    put(imported, 1, configData={"accountIds": "all of them"})
    answer = imported.run("import", "--yes", "--json")
    assert answer.code == 1
    assert "Acme accounts (Account) was not imported" in answer.err
    assert "configData.accountIds is not one list of ids" in answer.err
    assert not (defs / "acme_accounts").exists()
    assert (defs / "prepayments" / "defs.yaml").is_file()


def test_many_account_ids_are_written_and_too_many_are_refused(imported: Stage, defs: Path) -> None:
    ids = [f"0c7f0000-0000-4000-8000-{number:012}" for number in range(30_000)]
    put(imported, 1, configData={"accountIds": ids[:10_000], "namespace": "Custom Objects"})
    put(imported, 2, configData={"restrictedAccountIds": ids})
    answer = imported.run("import", "--yes")
    assert answer.code == 1
    assert "would be larger than 1024 KiB" in answer.err
    assert attributes(defs / "acme_accounts" / "defs.yaml")["account_ids"] == ids[:10_000]
    assert "… and 9995 more" in answer.out
    assert len(answer.out) < 20_000


HOSTILE = "a\nentities: {}\n# \u2028\x1b[31m{{ env('M3TER_API_SECRET') }} \"'"


def test_hostile_texts_stay_in_a_comment_or_a_quoted_name(imported: Stage, defs: Path) -> None:
    put(
        imported,
        1,
        name=HOSTILE,
        configData={
            "namespace": "Custom Objects",
            HOSTILE: HOSTILE,
            "customFieldMappings": {
                "NO": "No__c",
                "{{ env('M3TER_API_SECRET') }}": "A__c",
                "12:30": "Time__c",
            },
        },
    )
    answer = imported.run("import", "--yes")
    assert answer.code == 0
    assert "\x1b" not in answer.out
    name = "a_entities_31m_env_m3ter_api_secret"
    found = attributes(defs / name / "defs.yaml")
    assert found["entities"] == {
        "account": {
            "custom_field_mappings": {
                "NO": "No__c",
                "{{ env('M3TER_API_SECRET') }}": "A__c",
                "12:30": "Time__c",
            }
        }
    }
    secret = imported.sandbox.environment["M3TER_API_SECRET"]
    checked = imported.run("check", name, "--json")
    assert "configuration" in {one["check"] for one in checked.json if one["ok"]}
    assert secret not in checked.out


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (401, 1, "Check that the access key of the m3ter credential is still active"),
        (403, 1, "Give the service user a permission policy that allows config:retrieve"),
        (404, 2, "Check organization_id and base_url of the m3ter credential"),
    ],
)
def test_an_error_of_m3ter_in_plain_words(
    imported: Stage, defs: Path, status: int, code: int, words: str
) -> None:
    fault(imported, status)
    before = files_in(defs)
    answer = imported.run("import", "--yes", "--json")
    assert (answer.code, answer.out) == (code, "")
    assert f"m3ter answered {HOSTED} with {status}: no" in answer.err
    assert words in answer.err
    assert "Traceback" not in answer.err
    assert files_in(defs) == before


def test_a_missing_permission_does_not_count_as_a_failed_login(
    stage: Stage, integration: Callable[..., None]
) -> None:
    integration()
    stage.run("check", "acme")
    fault(stage, 403)
    assert stage.run("import", "--yes").code == 1
    (found,) = stage.run("status", "acme", "--json").json
    assert found["connected"] is True


def test_the_credential_is_named_only_if_there_are_several(
    imported: Stage, defs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert imported.run("import", "--credential", "nix", "--yes").code == 2
    other = (
        "type: m3sync_dagster.M3terCredential\nattributes: {name: m3ter_eu, api_secret_env: EU}\n"
    )
    write(defs, "eu", other)
    answer = imported.run("import", "--yes")
    assert answer.code == 2
    assert "Add --credential with one of m3ter_eu, m3ter_sandbox." in answer.err
    unset = imported.run("import", "--credential", "m3ter_eu", "--yes")
    assert unset.code == 2
    assert "eu/defs.yaml" in unset.err
    assert "EU" in unset.err
    monkeypatch.setenv("EU", imported.sandbox.environment["M3TER_API_SECRET"])
    assert imported.run("import", "--credential", "m3ter_eu", "--yes").code == 0
    assert attributes(defs / "prepayments" / "defs.yaml")["m3ter_credential"] == "m3ter_eu"


def test_without_any_credential_it_says_what_is_missing(imported: Stage, defs: Path) -> None:
    (defs / "credentials" / "defs.yaml").write_text("type: m3sync_dagster.M3terCredential\n")
    answer = imported.run("import", "--yes")
    assert answer.code == 2
    assert "there is no M3terCredential (files that cannot be used: " in answer.err


def test_no_configurations(stage: Stage, defs: Path) -> None:
    answer = stage.run("import", "--yes", "--json")
    assert (answer.code, answer.json) == (0, [])
    assert "has no configurations of hosted integrations" in answer.err


def test_a_folder_that_cannot_be_written(
    imported: Stage, defs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder below a file cannot be made, by root either."""
    project = tmp_path / "project"
    shutil.copytree(defs / "credentials", project / "defs" / "credentials")
    shutil.copy(ROOT / "dagster.yaml", project)
    monkeypatch.chdir(project)
    blocked = project / "dagster.yaml" / "below"
    monkeypatch.setenv("M3SYNC_DEFS", str(blocked))
    before = files_in(project)
    answer = imported.run("import", "--yes")
    assert answer.code == 2
    assert f"{blocked} cannot be written (Not a directory)" in answer.err
    assert "Give this user permission to write there" in answer.err
    assert files_in(project) == before


def test_new_files_are_made_in_the_project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("M3SYNC_DEFS", raising=False)
    monkeypatch.chdir(tmp_path)
    assert defs_for_new_files() == PACKAGE_DEFS
    (tmp_path / "dagster.yaml").write_text("")
    (tmp_path / "defs").mkdir()
    assert defs_for_new_files() == tmp_path / "defs"
    monkeypatch.setenv("M3SYNC_DEFS", "/elsewhere")
    assert defs_for_new_files() == Path("/elsewhere")


def import_at_terminal(typed: str) -> object:
    """The exit code of the command, which reads its answer from a terminal."""
    ours, theirs = pty.openpty()
    os.write(ours, f"{typed}\n".encode())
    with os.fdopen(theirs) as terminal, pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.stdin", terminal)
        with pytest.raises(SystemExit) as ended:
            app(["import"])
    os.close(ours)
    return ended.value.code


@pytest.mark.parametrize(("typed", "written"), [("n", False), ("y", True)])
def test_on_a_terminal_it_asks_before_it_writes(
    imported: Stage, defs: Path, capsys: pytest.CaptureFixture[str], typed: str, written: bool
) -> None:
    assert import_at_terminal(typed) == 0
    shown = capsys.readouterr()
    assert f"Write 4 files into {defs}?" in shown.err
    assert "name: acme_accounts" in shown.out
    assert (defs / "prepayments" / "defs.yaml").exists() is written
    assert ("Nothing was written." in shown.err) is not written
