"""What people write, what Dagster makes of it, and what they are told when it is wrong."""

import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from m3sync_dagster.components.loading import load_project
from m3sync_dagster.components.salesforce_sync import SalesforceSync
from m3sync_dagster.definitions import VALIDATING, defs
from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync.scope import Scope
from m3sync_dagster_tests.conftest import CREDENTIALS, INTEGRATION, DefsFolder

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
    assert balance.owners
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


def test_an_integration_of_one_entity_has_no_parents_of_its_own(defs_folder: DefsFolder) -> None:
    only = INTEGRATION.split("    account")[0] + "    contract:\n"
    defs_folder.write("acme", only)
    node = defs().get_repository_def().asset_graph.get(dg.AssetKey(["acme", "salesforce_contract"]))
    assert {key.to_user_string() for key in node.parent_keys} == {"m3ter_production/m3ter_contract"}


def test_an_integration_without_a_salesforce_credential_says_so(defs_folder: DefsFolder) -> None:
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
    assert own == Scope(frozenset("a"), frozenset("bz"))
    assert inherited == Scope(frozenset("xy"), frozenset("z"))


def edited(old: str, new: str) -> str:
    assert old in INTEGRATION
    return INTEGRATION.replace(old, new)


BROKEN: list[tuple[str, str, str]] = [
    (edited("  name: acme", "  name: Acme"), ":3, attributes.name", "'Acme' cannot be a name"),
    (edited("start: 2026-11-01-00:00", "start: soon"), ":7, attributes.start", "start of an hour"),
    (
        edited("start: 2026-11-01-00:00", "start: 2026-11-01-00:30"),
        ":7, attributes.start",
        "start of an hour",
    ),
    (
        edited("  start:", "  minute_of_hour: 60\n  start:"),
        ":7, attributes.minute_of_hour",
        "60 is not a minute",
    ),
    (edited("custom_objects", "custom"), ":6, attributes.namespace", ""),
    (
        edited("  start:", "  namespace_prefix: m3\n  start:"),
        ":7, attributes.namespace_prefix",
        "have no namespace prefix",
    ),
    (edited("  start:", "  strat:"), ":7, attributes.strat", "Extra inputs are not permitted"),
    (
        edited("account: {}", "account: {fieldz: {}}"),
        ":9, attributes.entities.account.fieldz",
        "Extra inputs are not permitted",
    ),
    (
        edited("account: {}", "invoice: {}"),
        ":9, attributes.entities.invoice",
        "Extra inputs are not permitted",
    ),
    (
        edited("account: {}", "account:\n      fields:\n        name: X__c\n        code: X__c"),
        ":12, attributes.entities.account.fields.code",
        "the account field X__c is mapped twice: to name and to code",
    ),
    (
        edited("account: {}", "account: {custom_field_mappings: {tier: Code__c}}"),
        ":9, attributes.entities.account.custom_field_mappings.tier",
        "is mapped twice",
    ),
    (
        edited("  m3ter_credential: m3ter_production\n", ""),
        ":2, attributes.m3ter_credential",
        "Field required",
    ),
    (
        edited("m3ter_production", "m3ter_elsewhere"),
        ":4, attributes.m3ter_credential",
        "there is no M3terCredential of the name m3ter_elsewhere",
    ),
    (
        edited("salesforce_production", "salesforce_elsewhere"),
        ":5, attributes.salesforce_credential",
        "there is no SalesforceCredential of the name salesforce_elsewhere",
    ),
    (edited("  name: acme", "  name: [acme"), ":", "expected"),
    ("type: m3sync_dagster.SalesforceSink\nattributes: {}\n", ":", "SalesforceSink"),
    (
        INTEGRATION.split("    account")[0].replace("entities:\n", "entities: {}\n"),
        ":8, attributes.entities",
        "no entity is carried",
    ),
]


@pytest.mark.parametrize(("text", "place", "cause"), BROKEN, ids=[b[1] + b[2] for b in BROKEN])
def test_what_is_wrong_is_told_with_file_line_and_field(
    defs_folder: DefsFolder, text: str, place: str, cause: str
) -> None:
    file = defs_folder.write("acme", text)
    (problem,) = load_project().problems
    first, *_ = problem.message.splitlines()
    assert first.startswith(f"{file}{place}")
    assert cause in problem.message


def test_an_unset_salesforce_flow_is_told(defs_folder: DefsFolder) -> None:
    file = defs_folder.write("credentials", CREDENTIALS + "  username_env: SALESFORCE_USER\n")
    messages = [problem.message for problem in load_project().problems]
    assert any(
        message.startswith(f"{file}:9, attributes.username_env: the JWT bearer flow needs both")
        for message in messages
    )


def test_two_of_one_name_are_both_refused(defs_folder: DefsFolder) -> None:
    defs_folder.write("acme_again", INTEGRATION)
    problems = load_project().problems
    assert {p.path.parent.name for p in problems} == {"acme", "acme_again"}
    assert all("more than one integration of the name acme" in p.message for p in problems)


def test_integrations_without_their_credentials_go_with_them(defs_folder: DefsFolder) -> None:
    defs_folder.write("credentials_again", CREDENTIALS)
    problems = load_project().problems
    assert {p.path.parent.name for p in problems} == {"credentials", "credentials_again", "acme"}
    assert any("there is no M3terCredential of the name" in p.message for p in problems)
    assert not defs().get_repository_def().has_schedule_def("acme_hourly")


def test_a_credential_of_the_other_kind_is_none(defs_folder: DefsFolder) -> None:
    crossed = INTEGRATION.replace(
        "salesforce_credential: salesforce_production", "salesforce_credential: m3ter_production"
    )
    defs_folder.write("acme", crossed)
    (problem,) = load_project().problems
    assert "there is no SalesforceCredential of the name m3ter_production" in problem.message


def test_one_broken_file_breaks_nothing_else_and_shows(defs_folder: DefsFolder) -> None:
    defs_folder.write("bad_key", INTEGRATION.replace("acme", "bad").replace("start", "strat"))
    defs_folder.write("bad_syntax", "type: [")
    defs_folder.write("bad_reference", INTEGRATION.replace("acme", "lost").replace("m3ter_p", "x"))
    repository = defs().get_repository_def()
    keys = {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()}
    assert "acme/salesforce_account" in keys
    schedules = {schedule.name for schedule in repository.schedule_defs}
    assert schedules == {"acme_hourly", "salesforce_verify_daily"}
    broken = {key for key in keys if key.endswith("/configuration_error")}
    assert broken == {f"{n}/configuration_error" for n in ("bad", "bad_syntax", "lost")}
    node = repository.asset_graph.get(dg.AssetKey(["bad", "configuration_error"]))
    assert "attributes.strat: Extra inputs are not permitted" in (node.description or "")


def test_dagsters_own_validation_fails_with_every_problem(
    defs_folder: DefsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    defs_folder.write("bad", INTEGRATION.replace("acme", "Bad"))
    defs_folder.write("worse", "type: [")
    monkeypatch.setenv(VALIDATING, "1")
    with pytest.raises(dg.DagsterInvalidDefinitionError, match=r"(?s)'Bad' cannot be.*worse"):
        defs()


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
    good = dg_command("check", "yaml", str(defs_folder.path / "acme"), cwd=ROOT, **environment)
    assert good.returncode == 0, good.stdout
    checked = dg_command("check", "defs", cwd=ROOT, **environment)
    assert checked.returncode == 0, checked.stderr
    defs_folder.write("acme", INTEGRATION.replace("start", "strat"))
    refused = dg_command("check", "defs", cwd=ROOT, **environment)
    assert refused.returncode != 0
    assert "attributes.strat" in refused.stdout + refused.stderr
