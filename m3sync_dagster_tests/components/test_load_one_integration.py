"""What is loaded for one integration: what it needs, with the same result as if all were."""

import pytest

from m3sync_dagster.components.load_one_integration import load_integration
from m3sync_dagster.components.load_project import Project, load_project
from m3sync_dagster.components.salesforce_sync import SalesforceSync
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster_tests.conftest import CREDENTIALS, INTEGRATION, DefsFolder, edited

GLOBEX = edited("name: acme", "name: globex")
M3TER, SALESFORCE = CREDENTIALS.split("---\n")


def loaded_files(project: Project) -> set[str]:
    return {unit.path.parent.name for unit in project.units}


def test_only_the_integration_and_its_credentials_are_loaded(defs_folder: DefsFolder) -> None:
    defs_folder.write("globex", GLOBEX)
    defs_folder.write("quoted", GLOBEX.replace("globex", "quoted").replace(": s", ': "s', 1))
    defs_folder.write("json", GLOBEX.replace("globex", '"initech"'))
    defs_folder.write("longer", edited("name: acme", "name: acme_accounts"))
    template = "start: \"{{ env('START') }}\""
    defs_folder.write("template", GLOBEX.replace("start: 2026-11-01-00:00", template))
    defs_folder.write("mention", f"# As acme.\n{GLOBEX.replace('globex', 'hooli')}")
    defs_folder.write("broken", "type: [")
    defs_folder.write("credentials_2", CREDENTIALS.replace("production", "test"))
    project = load_integration("acme")
    assert loaded_files(project) == {"acme", "credentials"}
    assert project.problems == []


def test_a_credential_in_a_file_of_its_own_is_loaded(defs_folder: DefsFolder) -> None:
    defs_folder.write("credentials", M3TER)
    defs_folder.write("org", SALESFORCE)
    assert loaded_files(load_integration("acme")) == {"acme", "credentials", "org"}


def test_a_file_is_loaded_with_all_that_its_other_integrations_need(
    defs_folder: DefsFolder,
) -> None:
    initech = GLOBEX.replace("globex", "initech").replace("production", "test")
    defs_folder.write("acme", f"{INTEGRATION}---\n{initech}")
    defs_folder.write("globex", GLOBEX)
    defs_folder.write("credentials_2", CREDENTIALS.replace("production", "test"))
    project = load_integration("acme")
    assert loaded_files(project) == {"acme", "credentials", "credentials_2"}
    assert set(project.of_type(SalesforceSync)) == {"acme", "initech"}


@pytest.mark.parametrize(
    "written",
    [
        "name: 'acme'",
        '"name": "acme"',
        'name: "\\x61cme"',
        "name: \"{{ env('NAME') }}\"",
        "name: &name acme",
        "name: !!str acme",
        "name: >-\n    acme",
        "name:  # the first one\n    acme",
        "? name\n  : acme",
    ],
)
def test_a_name_is_found_however_it_is_written(
    defs_folder: DefsFolder, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("NAME", "acme")
    defs_folder.write("acme", edited("name: acme", written))
    defs_folder.write("globex", GLOBEX)
    assert loaded_files(load_integration("acme")) == {"acme", "credentials"}


@pytest.mark.parametrize(
    ("folder", "text"),
    [
        ("again", INTEGRATION),
        ("again", edited("name: acme", 'name: "\\x61cme"')),
        ("credentials_2", CREDENTIALS),
        ("credentials_2", SALESFORCE.replace("salesforce_production", '"salesforce_production"')),
        ("acme", f"{INTEGRATION}---\n{GLOBEX.replace('production', 'test')}"),
        ("credentials", f"{CREDENTIALS}---\n{GLOBEX.replace('production', 'test')}"),
        ("credentials", M3TER),
        ("credentials", "type: ["),
        ("acme", "name: acme\ntype: ["),
        ("acme", edited("start:", "strat:")),
    ],
)
def test_an_invalid_integration_is_refused_as_if_all_were_loaded(
    defs_folder: DefsFolder, folder: str, text: str
) -> None:
    defs_folder.write("initech", GLOBEX.replace("globex", "initech"))
    defs_folder.write(folder, text)
    (expected,) = {one.message for one in load_project().problems if one.path.parent.name == "acme"}
    with pytest.raises(ConfigurationError) as refused:
        load_integration("acme")
    assert refused.value.cause == expected


def test_an_unknown_name_is_refused_with_the_names_that_there_are(defs_folder: DefsFolder) -> None:
    defs_folder.write("globex", GLOBEX)
    with pytest.raises(ConfigurationError) as refused:
        load_integration("nix")
    assert str(refused.value) == (
        "there is no integration of the name nix. There are: acme, globex."
    )
