"""The check before the first write of a run, over real HTTP."""

import json
from collections.abc import Callable, Iterator

import dagster as dg
import pytest

from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster_tests.conftest import INTEGRATION, DefsFolder, Sandbox, sandbox_of, sync

Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def run(environment: Sandbox) -> Iterator[Run]:
    with dg.DagsterInstance.ephemeral() as instance:

        def execute(
            *entities: str, tags: dict[str, str] | None = None
        ) -> dg.ExecuteInProcessResult:
            names = entities or ("account", "contract", "commitment", "balance")
            return sync(instance, *names, tags=tags)

        yield execute


def change(sandbox: Sandbox, object_name: str, field: str, **properties: object) -> None:
    body = {"object": object_name, "field": field, "set": properties}
    sandbox.salesforce.post("/sandbox/schema", json=body).raise_for_status()


def failure(result: dg.ExecuteInProcessResult) -> str:
    assert not result.success
    event = next(e for e in result.all_events if e.is_step_failure)
    failure = event.step_failure_data.user_failure_data
    assert failure
    assert failure.description
    return failure.description


def calls(sandbox: Sandbox) -> list[str]:
    """The requests to Salesforce since the last call, without tokens."""
    noted = sandbox.salesforce.get("/sandbox/calls").json()["calls"]
    sandbox.salesforce.delete("/sandbox/calls")
    return [
        f"{call['method']} {call['path'].split('/v67.0/')[-1]} {call['status']}"
        for call in noted
        if "oauth2" not in call["path"]
    ]


def test_one_report_names_every_finding_of_every_entity_and_nothing_is_sent(
    run: Run, environment: Sandbox
) -> None:
    change(environment, "m3ter_Account__c", "m3ter_Id__c", unique=False)
    change(environment, "m3ter_Contract__c", "Code__c", visible=False)
    change(environment, "m3ter_Commitment__c", "Amount__c", updateable=False)
    change(environment, "m3ter_Balance__c", "Region__c", type="Text", length=9, required=True)
    text = failure(run())
    assert "in 4 ways" in text
    for words in (
        "m3ter_Account__c.m3ter_Id__c is not Unique",
        "field-level security hides Code__c of m3ter_Contract__c",
        "may read but not write Amount__c of m3ter_Commitment__c",
        "m3ter_Balance__c requires Region__c",
    ):
        assert words in text
    assert not [call for call in calls(environment) if call.startswith(("PATCH", "POST"))]
    assert environment.records("m3ter_Account__c") == {}


def test_hidden_and_missing_are_one_where_setup_may_not_be_read(
    run: Run, environment: Sandbox
) -> None:
    environment.salesforce.post("/sandbox/setup", json={"readable": False}).raise_for_status()
    change(environment, "m3ter_Account__c", "Code__c", visible=False)
    text = failure(run("account"))
    assert "shows no field Code__c" in text
    assert "its rights do not allow to see" in text


def test_describes_are_kept_and_only_asked_for_when_something_is_to_be_written(
    run: Run, environment: Sandbox
) -> None:
    assert run().success
    calls(environment)
    assert run().success
    assert calls(environment) == []
    account = environment.organization.ids("accounts")[0]
    environment.organization.change("accounts", account, name="Another name")
    assert run().success
    assert calls(environment) == [
        "GET sobjects/m3ter_Account__c/describe 304",
        "PATCH composite/sobjects/m3ter_Account__c/m3ter_Id__c 200",
    ]


def test_a_thousand_changed_accounts_take_eight_calls_at_most(
    postgres_url: str, defs_folder: DefsFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    defs_folder.write("acme", INTEGRATION[: INTEGRATION.index("    contract:")])
    organization = Organization.generate(1_100)
    with (
        sandbox_of(organization) as sandbox,
        dg.DagsterInstance.ephemeral() as instance,
    ):
        for name, value in sandbox.environment.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("M3SYNC_POSTGRES_URL", postgres_url)
        for _ in range(2):
            sandbox.salesforce_calls()
            assert sync(instance, "account").success
            for m3ter_id in organization.ids("accounts")[:1_000]:
                organization.change("accounts", m3ter_id, name="Another name")
        # A token, a describe, five times 200 rows, and children whose parents were in the last.
        assert sandbox.salesforce_calls() <= 8


def test_a_change_of_the_org_is_seen_the_next_hour(run: Run, environment: Sandbox) -> None:
    assert run("account").success
    change(environment, "m3ter_Account__c", "Code__c", length=3)
    account = environment.organization.ids("accounts")[0]
    environment.organization.change("accounts", account, code="too long for it")
    result = run("account")
    assert result.success
    measured = result.asset_materializations_for_node("acme__salesforce_account")[0].metadata
    assert measured["invalid"].value == 1
    change(environment, "m3ter_Account__c", "Code__c", visible=False)
    environment.organization.change("accounts", account, code="c")
    assert "Code__c" in failure(run("account"))
    change(environment, "m3ter_Account__c", "Code__c", visible=True, length=40)
    assert run("account").success
    assert environment.records("m3ter_Account__c")[account]["Code__c"] == "c"


def test_a_mapping_that_does_not_fit_is_refused_without_any_record(
    run: Run, environment: Sandbox
) -> None:
    for name in ("balances", "commitments"):
        for m3ter_id in environment.organization.ids(name):
            environment.organization.remove(name, m3ter_id)
    change(environment, "m3ter_Balance__c", "Amount__c", visible=False)
    for _ in range(2):
        assert "Amount__c" in failure(run("balance"))
    change(environment, "m3ter_Balance__c", "Amount__c", visible=True)
    assert run("balance").success
    calls(environment)
    # Once it is known to fit, an hour without records costs no describe.
    assert run("balance").success
    assert calls(environment) == []


def test_only_the_run_s_own_entities_are_looked_at(run: Run, environment: Sandbox) -> None:
    change(environment, "m3ter_Balance__c", "Amount__c", visible=False)
    assert run("account").success
    assert not any("m3ter_Balance__c" in call for call in calls(environment))


def test_warnings_are_logged_and_stop_nothing(
    run: Run, environment: Sandbox, capfd: pytest.CaptureFixture[str]
) -> None:
    change(environment, "m3ter_Account__c", "Purchase_Order_Number__c", length=40)
    assert run("account").success
    assert "Purchase_Order_Number__c holds 40 characters" in capfd.readouterr().err


def test_a_text_that_may_be_cut_is_cut(
    run: Run, environment: Sandbox, defs_folder: DefsFolder
) -> None:
    change(environment, "m3ter_Account__c", "Code__c", length=4)
    text = INTEGRATION.replace("account: {}", "account: {truncate: [code]}")
    defs_folder.write("acme", text)
    assert run("account").success
    organization = environment.organization
    for m3ter_id, held in environment.records("m3ter_Account__c").items():
        assert held["Code__c"] == organization.get("accounts", m3ter_id)["code"][:4].strip()


def test_accounts_can_go_into_the_standard_account(
    run: Run, environment: Sandbox, defs_folder: DefsFolder
) -> None:
    """Its object and fields are named one by one, with a constant of the org."""
    for body in (
        {"object": "Account", "add": {"label": "Account"}},
        {"object": "Account", "field": "m3ter_Id__c", "set": ID},
        {"object": "Account", "field": "AccountNumber", "set": {"type": "Text", "length": 40}},
        {
            "object": "Account",
            "field": "lastSystemToUpdate__c",
            "set": {"type": "Text", "length": 20},
        },
    ):
        environment.salesforce.post("/sandbox/schema", json=body).raise_for_status()
    given = {
        "object": "Account",
        "external_id_field": "m3ter_Id__c",
        "fields": dict.fromkeys(DEFAULT_SOURCES) | {"title": "Name", "code": "AccountNumber"},
        "constants": {"lastSystemToUpdate__c": "m3ter"},
    }
    text = INTEGRATION[: INTEGRATION.index("  entities:")]
    defs_folder.write("acme", f"{text}  entities:\n    account: {json.dumps(given)}\n")
    result = run("account")
    assert result.success
    held = environment.records("Account")
    assert len(held) == environment.organization.count("accounts")
    assert {record["lastSystemToUpdate__c"] for record in held.values()} == {"m3ter"}


ID = {"type": "Text", "length": 64, "external_id": True, "unique": True, "case_sensitive": True}
DEFAULT_SOURCES = [
    "name", "emailAddress", "parentAccountId", "currency", "purchaseOrderNumber",
    "daysBeforeBillDue", "billEpoch", "address.addressLine1", "address.addressLine2",
    "address.addressLine3", "address.addressLine4", "address.locality", "address.region",
    "address.postCode", "address.country", "statementDefinitionId", "autoGenerateStatementMode",
    "creditApplicationOrder", "version", "dtCreated", "dtLastModified", "createdBy",
    "lastModifiedBy",
]  # fmt: skip
