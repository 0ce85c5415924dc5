"""The errors of invalid ``defs.yaml`` files."""

import dagster as dg
import pytest

from m3sync_dagster.components.code_location import VALIDATING
from m3sync_dagster.components.load_project import load_project
from m3sync_dagster.definitions import defs
from m3sync_dagster_tests.conftest import CREDENTIALS, INTEGRATION, DefsFolder, edited

INVALID: list[tuple[str, str, str]] = [
    (edited("  name: acme", "  name: Acme"), ":3, attributes.name", "'Acme' is not a valid name"),
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
        "There are: account, contract, commitment, prepayment, balance, bill, bill_line_item.",
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
    (
        "type: m3sync_dagster.SalesforceSink\nattributes: {}\n",
        ":1, type",
        "no component m3sync_dagster.SalesforceSink; did you mean m3sync_dagster.SalesforceSync?",
    ),
    (
        "type: m3sync_dagster.Account\nattributes: {}\n",
        ":1, type",
        "There are: m3sync_dagster.SalesforceSync, m3sync_dagster.M3terCredential,",
    ),
    (
        INTEGRATION.split("    account")[0].replace("entities:\n", "entities: {}\n"),
        ":8, attributes.entities",
        "no entity is carried",
    ),
    ("type: m3sync_dagster.SalesforceSync\nattributes: [1]\n", ":2, attributes", "an object"),
    ("type: 3\nattributes: {}\n", ":1, type", "3 is not a text; put it in quotes: '3'"),
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
        "12 is not a text; put it in quotes: '12'",
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
    ("type: m3sync_dagster.SalesforceSync\nattributes: " + 600 * "[", ":", "recursion"),
]


@pytest.mark.parametrize(
    ("text", "place", "cause"), INVALID, ids=[one[1] + one[2] for one in INVALID]
)
def test_an_error_names_file_line_and_field(
    defs_folder: DefsFolder, text: str, place: str, cause: str
) -> None:
    file = defs_folder.write("acme", text)
    (problem,) = load_project().problems
    first, *_ = problem.message.splitlines()
    assert first.startswith(f"{file}{place}")
    assert cause in problem.message


def test_a_mistyped_attribute_of_a_credential_is_reported(defs_folder: DefsFolder) -> None:
    text = CREDENTIALS.replace("requests_per_second", "request_per_second")
    file = defs_folder.write("credentials", text)
    messages = [problem.message for problem in load_project().problems]
    message = "there is no attribute request_per_second here; did you mean requests_per_second?"
    assert f"{file}:4, attributes.request_per_second: {message}" in messages


def test_an_incomplete_jwt_flow_is_reported(defs_folder: DefsFolder) -> None:
    file = defs_folder.write("credentials", CREDENTIALS + "  username_env: SALESFORCE_USER\n")
    messages = [problem.message for problem in load_project().problems]
    assert any(
        message.startswith(f"{file}:9, attributes.username_env: the JWT bearer flow needs both")
        for message in messages
    )


def test_two_integrations_of_one_name_are_refused(defs_folder: DefsFolder) -> None:
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
        # Dagster does not say which of the two the error is in.
        ("2026-11-01-00:00", "soon", ", attributes.start: 'soon' is not"),
        ("  namespace:", "  minute_of_hour: 60\n  namespace:", ":19, attributes.minute_of_hour"),
    ],
)
def test_an_invalid_file_is_a_problem_of_each_of_its_integrations(
    defs_folder: DefsFolder, old: str, new: str, place: str
) -> None:
    first, second = TWO.split("---\n")
    file = defs_folder.write("acme", first + "---\n" + second.replace(old, new))
    problems = load_project().problems
    assert [problem.name for problem in problems] == ["acme", "beta"]
    assert all(problem.message.startswith(f"{file}{place}") for problem in problems)


def test_a_broken_link_and_a_missing_folder_are_reported(
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


def test_a_credential_of_the_other_kind_is_refused(defs_folder: DefsFolder) -> None:
    crossed = INTEGRATION.replace(
        "salesforce_credential: salesforce_production", "salesforce_credential: m3ter_production"
    )
    defs_folder.write("acme", crossed)
    (problem,) = load_project().problems
    assert "there is no SalesforceCredential of the name m3ter_production" in problem.message


def test_an_invalid_file_shows_and_does_not_affect_others(defs_folder: DefsFolder) -> None:
    defs_folder.write("bad_key", INTEGRATION.replace("acme", "bad").replace("start", "strat"))
    defs_folder.write("bad_syntax", "type: [")
    defs_folder.write("bad_reference", INTEGRATION.replace("acme", "lost").replace("m3ter_p", "x"))
    repository = defs().get_repository_def()
    keys = {key.to_user_string() for key in repository.asset_graph.get_all_asset_keys()}
    assert "acme/salesforce_account" in keys
    schedules = {schedule.name for schedule in repository.schedule_defs}
    assert schedules == {"acme_hourly", "salesforce_verify_daily", "m3sync_purge_daily"}
    invalid = {key for key in keys if key.endswith("/configuration_error")}
    assert invalid == {f"{n}/configuration_error" for n in ("bad", "bad_syntax", "lost")}
    node = repository.asset_graph.get(dg.AssetKey(["bad", "configuration_error"]))
    description = " ".join(str(node.description).split())
    assert "attributes.strat: there is no attribute strat here" in description


def test_dagsters_own_validation_fails_with_every_problem(
    defs_folder: DefsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    defs_folder.write("bad", INTEGRATION.replace("acme", "Bad"))
    defs_folder.write("worse", "type: [")
    monkeypatch.setenv(VALIDATING, "1")
    with pytest.raises(
        dg.DagsterInvalidDefinitionError, match=r"(?s)'Bad' is not a valid name.*worse"
    ):
        defs()
