"""What people write, what Dagster makes of it, and what they are told when it is wrong."""

import gc
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from m3sync_dagster.components.credentials import SalesforceCredential
from m3sync_dagster.components.loading import load_project
from m3sync_dagster.components.salesforce_sync import SalesforceSync
from m3sync_dagster.definitions import VALIDATING, defs
from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync.account_filter import AccountFilter
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
    assert own == AccountFilter(frozenset("a"), frozenset("bz"))
    assert inherited == AccountFilter(frozenset("xy"), frozenset("z"))


def test_integrations_begin_at_hours_of_their_own(defs_folder: DefsFolder) -> None:
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
def test_templates_are_filled_in_and_other_text_is_left_alone(
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


def test_what_is_built_is_not_looked_through_for_garbage(defs_folder: DefsFolder) -> None:
    gc.unfreeze()
    thresholds = gc.get_threshold()
    full = gc.get_stats()[2]["collections"]
    loaded = defs()
    assert gc.get_stats()[2]["collections"] == full
    assert gc.get_threshold() == thresholds
    assert not any(one is loaded for one in gc.get_objects())
    assert gc.get_freeze_count()


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
    (edited("  start:", "  strat:"), ":7, attributes.strat", "did you mean start?"),
    (
        edited("account: {}", "account: {fieldz: {}}"),
        ":9, attributes.entities.account.fieldz",
        "did you mean fields?",
    ),
    (
        edited("account: {}", "invoice: {}"),
        ":9, attributes.entities.invoice",
        "There are: account, contract, commitment, prepayment, balance, bill.",
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
    ("type: m3sync_dagster.SalesforceSync\nattributes: [1]\n", ":2, attributes", "an object"),
    ("type: 3\nattributes: {}\n", ":1, type", "3 is no text; put it in quotes: '3'"),
    (edited("attributes:", "atributes:"), ":2, atributes", "did you mean attributes?"),
    (edited("name: acme", "name:"), ":3, attributes.name", "there is no value"),
    (
        edited("account: {}", "account: {constants: {Code__c: }}"),
        ":9, attributes.entities.account.constants.Code__c",
        "there is no value",
    ),
    (
        edited("  entities:", "  account_ids: [12]\n  entities:"),
        ":8, attributes.account_ids.0",
        "12 is no text; put it in quotes: '12'",
    ),
    (
        edited("commitment: {}", "commitment: {}\n    prepayment: {}"),
        ":12, attributes.entities.prepayment",
        "two names of the same records",
    ),
    (
        edited("commitment: {}", "prepayment: {fields: {name: Same__c, amount: Same__c}}"),
        ":11, attributes.entities.prepayment.fields",
        "is mapped twice",
    ),
    ("just text\n", ":1: ", "an object"),
    ("", ":1: ", "there is nothing in this file"),
    ("type: m3sync_dagster.SalesforceSync\nattributes: " + 2000 * "[", ":", "recursion"),
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


def test_a_prepayment_is_a_commitment(defs_folder: DefsFolder) -> None:
    defs_folder.write("acme", edited("commitment: {}", "prepayment: {constants: {A__c: b}}"))
    component = load_project().of_type(SalesforceSync)["acme"]
    assert isinstance(component, SalesforceSync)
    mappings = component.integration().mappings
    assert list(mappings) == ["account", "contract", "commitment", "balance"]
    assert mappings["commitment"].constants == {"A__c": "b"}


def test_a_mistyped_attribute_of_a_credential_is_told(defs_folder: DefsFolder) -> None:
    text = CREDENTIALS.replace("requests_per_second", "request_per_second")
    file = defs_folder.write("credentials", text)
    messages = [problem.message for problem in load_project().problems]
    words = "there is no attribute request_per_second here; did you mean requests_per_second?"
    assert f"{file}:4, attributes.request_per_second: {words}" in messages


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
    node = defs().get_repository_def().asset_graph.get(dg.AssetKey(["acme", "configuration_error"]))
    assert all(str(problem.path) in str(node.description) for problem in problems)


TWO = INTEGRATION + "---\n" + INTEGRATION.replace("acme", "beta")


@pytest.mark.parametrize(
    ("old", "new", "place"),
    [
        ("  m3ter_credential: m3ter_production\n", "", ":15, attributes.m3ter_credential: Field"),
        ("start:", "strat:", ":20, attributes.strat"),
        ("salesforce_production", "nowhere", ":18, attributes.salesforce_credential: there is no"),
        # Which of the two is at fault is not told here.
        ("2026-11-01-00:00", "soon", ", attributes.start: 'soon' is not"),
        ("  namespace:", "  minute_of_hour: 60\n  namespace:", ":19, attributes.minute_of_hour"),
    ],
)
def test_all_that_a_broken_file_defines_is_told_of(
    defs_folder: DefsFolder, old: str, new: str, place: str
) -> None:
    first, second = TWO.split("---\n")
    file = defs_folder.write("acme", first + "---\n" + second.replace(old, new))
    problems = load_project().problems
    assert [problem.name for problem in problems] == ["acme", "beta"]
    assert all(problem.message.startswith(f"{file}{place}") for problem in problems)


def test_a_mounted_config_map_is_read_once(
    defs_folder: DefsFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is links into a hidden folder, so that all of it changes at once."""
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


def test_what_leads_nowhere_is_told(
    defs_folder: DefsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = defs_folder.path / "lost" / "defs.yaml"
    link.parent.mkdir()
    link.symlink_to("nowhere")
    (problem,) = load_project().problems
    assert (problem.name, problem.path) == ("lost", link)
    monkeypatch.setenv("M3SYNC_DEFS", str(defs_folder.path / "no_folder"))
    (problem,) = load_project().problems
    assert (problem.name, "No such file" in problem.message) == ("no_folder", True)


@pytest.mark.parametrize("name", ["class", "io_manager", "m3sync_state"])
def test_a_credential_whose_name_is_taken_breaks_nothing_else(
    defs_folder: DefsFolder, name: str
) -> None:
    defs_folder.write(
        "other", f"type: m3sync_dagster.M3terCredential\nattributes: {{name: {name}}}\n"
    )
    (problem,) = load_project().problems
    assert f"{name!r} means something else" in problem.message
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
    assert isinstance(credential, SalesforceCredential)
    assert credential.resource().api_version == "65.0"


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
    assert schedules == {"acme_hourly", "salesforce_verify_daily", "m3sync_purge_daily"}
    broken = {key for key in keys if key.endswith("/configuration_error")}
    assert broken == {f"{n}/configuration_error" for n in ("bad", "bad_syntax", "lost")}
    node = repository.asset_graph.get(dg.AssetKey(["bad", "configuration_error"]))
    assert "attributes.strat: there is no attribute strat here" in (node.description or "")


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
