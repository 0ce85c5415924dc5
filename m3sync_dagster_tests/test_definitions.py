"""The definitions of a run's process."""

import dagster as dg
import pytest

from m3sync_dagster.dagster_internals import (
    CodePointer,
    DefinitionsLoadContext,
    ReconstructableRepository,
)
from m3sync_dagster.definitions import defs
from m3sync_dagster.project_folder import ONLY_INTEGRATION
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster_tests.conftest import DefsFolder, Sandbox, edited, sync

GLOBEX = edited("name: acme", "name: globex")


def integrations(repository: dg.RepositoryDefinition) -> set[str]:
    return {key.path[0] for key in repository.asset_graph.executable_asset_keys}


def test_a_run_has_its_integration_alone_with_its_jobs_and_checks(
    defs_folder: DefsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    defs_folder.write("globex", GLOBEX)
    defs_folder.write("broken", "type: [")
    whole = defs().get_repository_def()
    monkeypatch.setenv(ONLY_INTEGRATION, "acme")
    alone = defs().get_repository_def()
    assert (integrations(whole), integrations(alone)) == ({"acme", "globex"}, {"acme"})
    for job in ("salesforce_sync", "__ASSET_JOB", "salesforce_verify"):
        assert alone.get_job(job).asset_layer.asset_graph.asset_check_keys == {
            key
            for key in whole.get_job(job).asset_layer.asset_graph.asset_check_keys
            if key.asset_key.path[0] == "acme"
        }
    # The guard and the purge would take every other integration for a deleted one.
    assert [schedule.name for schedule in alone.schedule_defs] == ["acme_hourly"]
    assert list(alone.sensor_defs) == []


def test_a_run_succeeds_with_its_integration_alone(
    instance: dg.DagsterInstance,
    environment: Sandbox,
    defs_folder: DefsFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    defs_folder.write("globex", GLOBEX)
    monkeypatch.setenv(ONLY_INTEGRATION, "acme")
    assert sync(instance, "account", "contract").success
    accounts = environment.organization.ids("accounts")
    assert environment.records("m3ter_Account__c").keys() == set(accounts)


def test_an_unknown_integration_is_refused(
    defs_folder: DefsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ONLY_INTEGRATION, "nix")
    with pytest.raises(ConfigurationError, match="no integration of the name nix"):
        defs()


@pytest.fixture
def run_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Dagster's state in a process that has loaded nothing yet."""
    monkeypatch.setattr(DefinitionsLoadContext, "_instance", None)


def built() -> object:
    """What Dagster makes of the definitions each time that a run needs them."""
    pointer = CodePointer.from_module("m3sync_dagster.definitions", "defs", None)
    repository = ReconstructableRepository(pointer).get_definition()
    return repository.get_job("salesforce_sync")


@pytest.mark.usefixtures("run_process")
def test_a_run_builds_its_definitions_once(
    defs_folder: DefsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = built()
    assert built() is first
    defs_folder.write("globex", GLOBEX)
    edited_files = built()
    assert edited_files is not first
    monkeypatch.setenv(ONLY_INTEGRATION, "acme")
    assert built() is not edited_files


@pytest.mark.usefixtures("run_process")
def test_a_code_server_builds_its_definitions_each_time(defs_folder: DefsFolder) -> None:
    assert defs() is not defs()
