"""What Dagster makes of ``defs.yaml`` files."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from m3sync_dagster.components.credential_components import SalesforceCredential
from m3sync_dagster.components.load_project import load_project
from m3sync_dagster.components.salesforce_sync import SalesforceSync
from m3sync_dagster.definitions import defs
from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster_tests.conftest import CREDENTIALS, INTEGRATION, DefsFolder, edited

ROOT = Path(__file__).parents[2]


def test_an_integration_becomes_assets_checks_and_a_schedule(defs_folder: DefsFolder) -> None:
    graph = defs().get_repository_def().asset_graph
    keys = {key.to_user_string() for key in graph.get_all_asset_keys()}
    entities = ("account", "contract", "commitment", "balance")
    assert keys == {f"acme/salesforce_{e}" for e in entities} | {
        f"m3ter_production/m3ter_{e}" for e in ENTITIES
    }
    balance = graph.get(dg.AssetKey(["acme", "salesforce_balance"]))
    assert {key.to_user_string() for key in balance.parent_keys} == {
        "m3ter_production/m3ter_balance",
        "acme/salesforce_account",
        "acme/salesforce_contract",
    }
    assert balance.kinds == {"m3ter", "salesforce"}
    assert balance.group_name == "acme"
    assert balance.backfill_policy == dg.BackfillPolicy.single_run()
    assert balance.partitions_def == dg.HourlyPartitionsDefinition(
        "2026-11-01-00:00", timezone="UTC"
    )
    assert {check.name for check in balance.check_keys} >= {"no_rejected_records"}
    schedule = defs().resolve_schedule_def("acme_hourly")
    assert schedule.execution_timezone == "UTC"
    assert 0 <= int(str(schedule.cron_schedule).split()[0]) <= 9


def test_assets_lead_to_the_line_that_defines_them(defs_folder: DefsFolder) -> None:
    node = defs().get_repository_def().asset_graph.get(dg.AssetKey(["acme", "salesforce_account"]))
    (reference,) = node.metadata["dagster/code_references"].code_references
    assert reference.file_path == str(defs_folder.path / "acme" / "defs.yaml")


def test_assets_have_the_owners_that_the_file_names_and_no_others(
    defs_folder: DefsFolder,
) -> None:
    def owners() -> dict[str, list[str]]:
        graph = defs().get_repository_def().asset_graph
        return {key.path[0]: list(graph.get(key).owners) for key in graph.get_all_asset_keys()}

    assert owners() == {"acme": [], "m3ter_production": []}
    named = "post_processing:\n  assets:\n    - attributes: {owners: [team:billing]}\n"
    defs_folder.write("acme", INTEGRATION + named)
    assert owners() == {"acme": ["team:billing"], "m3ter_production": []}


def test_an_integration_of_one_entity_has_no_parents_of_its_own(defs_folder: DefsFolder) -> None:
    only = INTEGRATION.split("    account")[0] + "    contract:\n"
    defs_folder.write("acme", only)
    node = defs().get_repository_def().asset_graph.get(dg.AssetKey(["acme", "salesforce_contract"]))
    assert {key.to_user_string() for key in node.parent_keys} == {"m3ter_production/m3ter_contract"}


def test_an_integration_without_a_salesforce_credential_is_not_connected(
    defs_folder: DefsFolder,
) -> None:
    line = "  salesforce_credential: salesforce_production\n"
    defs_folder.write("acme", INTEGRATION.replace(line, ""))
    node = defs().get_repository_def().asset_graph.get(dg.AssetKey(["acme", "salesforce_account"]))
    assert "NOT CONNECTED" in (node.description or "")


def test_an_entity_may_narrow_and_restrict_further(defs_folder: DefsFolder) -> None:
    text = INTEGRATION.replace(
        "    account: {}\n",
        "    account: {account_ids: [a], restricted_account_ids: [b]}\n",
    ).replace("  entities:", "  account_ids: [x, y]\n  restricted_account_ids: [z]\n  entities:")
    defs_folder.write("acme", text)
    component = load_project().of_type(SalesforceSync)["acme"]
    assert isinstance(component, SalesforceSync)
    mappings = component.integration().mappings
    own, inherited = mappings["account"].scope, mappings["contract"].scope
    assert own == AccountFilter(frozenset("a"), frozenset("bz"))
    assert inherited == AccountFilter(frozenset("xy"), frozenset("z"))


def test_integrations_may_begin_at_different_hours(defs_folder: DefsFolder) -> None:
    late = INTEGRATION.replace("acme", "late").replace("2026-11-01", "2026-11-20")
    defs_folder.write("late", late)
    defs_folder.write("later", late.replace("late", "later"))
    repository = defs().get_repository_def()
    repository.load_all_definitions()
    partitions = {
        name: repository.asset_graph.get(dg.AssetKey([name, "salesforce_account"])).partitions_def
        for name in ("acme", "late", "later")
    }
    assert partitions["acme"] == dg.HourlyPartitionsDefinition("2026-11-01-00:00", timezone="UTC")
    assert partitions["late"] == dg.HourlyPartitionsDefinition("2026-11-20-00:00", timezone="UTC")
    assert partitions["later"] is partitions["late"]
    job = repository.get_job("salesforce_sync")
    assert job.executor_def is dg.in_process_executor
    assert {key.path[0] for key in job.asset_layer.executable_asset_keys} == partitions.keys()


@pytest.mark.parametrize(
    ("written", "meant"), [("'12'", "12"), ("\"{{ env('ACCOUNT') }}\"", "a1"), ("'{a'", "{a")]
)
def test_templates_are_filled_in_and_other_text_is_kept(
    defs_folder: DefsFolder, monkeypatch: pytest.MonkeyPatch, written: str, meant: str
) -> None:
    monkeypatch.setenv("ACCOUNT", "a1")
    monkeypatch.setenv("NAME", "acme")
    text = edited("name: acme", "name: \"{{ env('NAME') }}\"")
    defs_folder.write(
        "acme", text.replace("  entities:", f"  account_ids: [{written}]\n  entities:")
    )
    component = load_project().of_type(SalesforceSync)["acme"]
    assert isinstance(component, SalesforceSync)
    assert component.account_ids == [meant]


def test_a_prepayment_is_a_commitment(defs_folder: DefsFolder) -> None:
    defs_folder.write("acme", edited("commitment: {}", "prepayment: {constants: {A__c: b}}"))
    component = load_project().of_type(SalesforceSync)["acme"]
    assert isinstance(component, SalesforceSync)
    mappings = component.integration().mappings
    assert list(mappings) == ["account", "contract", "commitment", "balance"]
    assert mappings["commitment"].constants == {"A__c": "b"}


def test_a_mounted_config_map_is_read_once(
    defs_folder: DefsFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It consists of links into a hidden folder, so that it changes at once."""
    mount = tmp_path / "mount"
    mount.mkdir()
    defs_folder.path.rename(mount / "..2026_11_24")
    (mount / "..data").symlink_to("..2026_11_24")
    for name in ("acme", "credentials"):
        (mount / name).symlink_to(f"..data/{name}")
    (mount / "..2026_11_24" / "acme" / "round").symlink_to(".")
    monkeypatch.setenv("M3SYNC_DEFS", str(mount))
    project = load_project()
    assert not project.problems
    assert {unit.path for unit in project.units} == {
        mount / name / "defs.yaml" for name in ("acme", "credentials")
    }


@pytest.mark.parametrize("name", ["class", "io_manager", "m3sync_state"])
def test_a_credential_with_a_reserved_name_affects_no_other(
    defs_folder: DefsFolder, name: str
) -> None:
    defs_folder.write(
        "other", f"type: m3sync_dagster.M3terCredential\nattributes: {{name: {name}}}\n"
    )
    (problem,) = load_project().problems
    assert f"{name!r} has another meaning" in problem.message
    assert defs().get_repository_def().has_schedule_def("acme_hourly")


@pytest.mark.parametrize("written", ['"65.0"', "65.0", "65", '"{{ env.OUR_VERSION }}"'])
def test_an_api_version_is_a_text_however_it_is_written(
    defs_folder: DefsFolder, monkeypatch: pytest.MonkeyPatch, written: str
) -> None:
    monkeypatch.setenv("OUR_VERSION", "65.0")
    defs_folder.write("credentials", f"{CREDENTIALS}  api_version: {written}\n")
    project = load_project()
    assert project.problems == []
    (credential,) = project.of_type(SalesforceCredential).values()
    assert isinstance(credential, SalesforceCredential)
    assert credential.resource().api_version == "65.0"


def test_integrations_without_their_credentials_are_not_loaded(defs_folder: DefsFolder) -> None:
    defs_folder.write("credentials_again", CREDENTIALS)
    problems = load_project().problems
    assert {p.path.parent.name for p in problems} == {"credentials", "credentials_again", "acme"}
    assert any("there is no M3terCredential of the name" in p.message for p in problems)
    assert not defs().get_repository_def().has_schedule_def("acme_hourly")


def dg_command(*arguments: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    command = Path(sys.executable).parent / "dg"
    return subprocess.run(
        [command, *arguments],
        cwd=cwd,
        env={**os.environ, "COLUMNS": "200", **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_dg_knows_the_components_and_lists_the_definitions(
    defs_folder: DefsFolder, tmp_path: Path
) -> None:
    environment = {"M3SYNC_DEFS": str(defs_folder.path), "DAGSTER_HOME": str(tmp_path)}
    listed = dg_command("list", "defs", cwd=ROOT, **environment)
    assert listed.returncode == 0, listed.stderr
    for name in ("acme/salesforce_account", "acme_hourly", "m3ter_production"):
        assert name in listed.stdout
    components = dg_command("list", "components", cwd=ROOT, **environment)
    for name in ("SalesforceSync", "M3terCredential", "SalesforceCredential"):
        assert f"m3sync_dagster.{name}" in components.stdout
    defs_folder.write("acme", INTEGRATION.replace("start", "strat"))
    refused = dg_command("check", "defs", cwd=ROOT, **environment)
    assert refused.returncode != 0
    assert "attributes.strat" in refused.stdout + refused.stderr


def test_the_values_of_a_file_are_checked_once(defs_folder: DefsFolder) -> None:
    (component,) = load_project().of_type(SalesforceSync).values()
    assert isinstance(component, SalesforceSync)
    assert component.integration() is component.integration()
