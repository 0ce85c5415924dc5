"""The files of imported integrations: their text, and writing them."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from m3sync_dagster.components.import_hosted import (
    Outcome,
    file_text,
    plan_import,
    preview,
    write_imports,
)
from m3sync_dagster.components.load_project import load_project
from m3sync_dagster.components.salesforce_sync import SalesforceSync
from m3sync_dagster.components.yaml_text_checks import require_clear
from m3sync_dagster.discovery.hosted_integrations import (
    HostedIntegration,
    ProjectNames,
    make_integrations,
)
from m3sync_dagster_tests.conftest import DefsFolder

PROJECT = ProjectNames("m3ter_production", ["salesforce_production"], "2026-11-26-18:00")


def made(*changes: dict[str, Any]) -> list[HostedIntegration]:
    configuration = {
        "id": "c1",
        "destination": "Salesforce",
        "entityType": "Account",
        "name": "New",
    }
    return make_integrations([configuration | one for one in changes or ({},)], PROJECT)


def test_a_written_file_is_loaded_with_its_attributes(defs_folder: DefsFolder) -> None:
    planned = plan_import(made(), defs_folder.path)
    (result,) = write_imports(planned, defs_folder.path)
    assert (result.outcome, result.path) == (
        Outcome.WRITTEN,
        defs_folder.path / "new" / "defs.yaml",
    )
    project = load_project()
    assert project.problems == []
    assert set(project.of_type(SalesforceSync)) == {"acme", "new"}
    assert list(defs_folder.path.glob(".*")) == []


@pytest.mark.parametrize(
    "text",
    [
        "a\nb: c",
        "#",
        "\x85x",
        "\u2028x",
        "\x00\x07",
        "\U0001f600",
        "\ufeffx",
        "ä" * 500,
        "\"'",
        "%&@`",
    ],
    ids=repr,
)
def test_any_text_of_m3ter_gives_a_clear_file(text: str) -> None:
    data = {
        "customFieldMappings": {text.strip() or "x": "Field__c", "NO": "No__c", "007": "Seven__c"},
        "accountIds": ["007", "1e3", "no", "null", "0x1F", "1_000"],
        text: text,
    }
    (one,) = made({"name": text, "configData": data, text: text})
    assert one.attributes is not None
    written = file_text(one, one.attributes)
    require_clear(written)
    assert yaml.safe_load(written) == {
        "type": "m3sync_dagster.SalesforceSync",
        "attributes": one.attributes,
    }
    assert all(line.isprintable() for line in written.split("\n"))


def test_a_preview_shows_the_beginning_of_long_lists() -> None:
    (one,) = made({"configData": {"accountIds": [f"a{number}" for number in range(7)]}})
    shown = yaml.safe_load(preview(one))["attributes"]["account_ids"]
    assert shown == ["a0", "a1", "a2", "a3", "a4", "… and 2 more"]


def test_a_folder_that_appears_meanwhile_stays_as_it_is(defs_folder: DefsFolder) -> None:
    planned = plan_import(made({}, {"id": "c2", "name": "Other"}), defs_folder.path)
    mine = defs_folder.write("new", "# mine\n")
    results = write_imports(planned, defs_folder.path)
    assert [one.outcome for one in results] == [Outcome.FAILED, Outcome.WRITTEN]
    assert f"{mine.parent} exists already" in results[0].reason
    assert mine.read_text() == "# mine\n"
    assert list(defs_folder.path.glob(".*")) == []


@pytest.mark.parametrize("kind", ["file", "folder", "link to nothing"])
def test_nothing_replaces_what_has_the_name(defs_folder: DefsFolder, kind: str) -> None:
    place = defs_folder.path / "new"
    if kind == "file":
        place.write_text("mine")
    elif kind == "folder":
        place.mkdir()
    else:
        place.symlink_to(defs_folder.path / "missing")
    (planned,) = plan_import(made(), defs_folder.path)
    assert planned.outcome is Outcome.FAILED
    assert "exists already" in planned.reason
    assert planned.remedy


def test_what_a_killed_import_left_is_replaced(defs_folder: DefsFolder) -> None:
    draft = defs_folder.path / ".new.m3sync"
    draft.mkdir()
    (draft / "defs.yaml").write_text("half a fi")
    (result,) = write_imports(plan_import(made(), defs_folder.path), defs_folder.path)
    assert result.outcome is Outcome.WRITTEN
    assert not draft.exists()


def test_a_file_that_cannot_be_used_is_a_failure(defs_folder: DefsFolder) -> None:
    """Two files with one name are both invalid, so it is not called written."""
    planned = plan_import(made(), defs_folder.path)
    acme = defs_folder.path / "acme" / "defs.yaml"
    acme.write_text(acme.read_text().replace("name: acme", "name: new"))
    (result,) = write_imports(planned, defs_folder.path)
    assert result.outcome is Outcome.FAILED
    assert "more than one integration of the name new" in result.reason


def test_a_name_of_an_invalid_file_is_taken(defs_folder: DefsFolder) -> None:
    defs_folder.write("broken", "type: m3sync_dagster.SalesforceSync\nattributes: {name: new}\n")
    (planned,) = plan_import(made(), defs_folder.path)
    assert planned.outcome is Outcome.FAILED
    assert "an integration of the name new already" in planned.reason


def test_a_folder_that_does_not_exist_yet_is_made(defs_folder: DefsFolder, tmp_path: Path) -> None:
    folder = tmp_path / "new" / "defs"
    (result,) = write_imports(plan_import(made(), folder), folder)
    assert result.outcome is Outcome.WRITTEN
    assert (folder / "new" / "defs.yaml").is_file()
