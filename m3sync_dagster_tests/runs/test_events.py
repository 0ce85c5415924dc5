"""Each of m3ter's five events, from the fault that brings it about to its remedy."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from typer.testing import CliRunner

from m3sync_dagster.cli import app
from m3sync_dagster.components.load_project import load_project
from m3sync_dagster.components.watched_integrations import guarded_integrations
from m3sync_dagster.guard import sensor as guard
from m3sync_dagster_tests.conftest import (
    HOUR,
    DefsFolder,
    Sandbox,
    dagster_instance,
    sync,
)
from m3sync_dagster_tests.databases import Databases
from m3sync_dagster_tests.guard.fixtures import Fleet

pytestmark = pytest.mark.slow

Run = Callable[..., dg.ExecuteInProcessResult]


@pytest.fixture
def instance(  # noqa: PLR0917 - fixtures are arguments
    databases: Databases,
    dagster_template: str,
    tmp_path: Path,
    sandbox: Sandbox,
    defs_folder: DefsFolder,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dg.DagsterInstance]:
    for name, value in sandbox.environment.items():
        monkeypatch.setenv(name, value)
    with databases.copy(dagster_template) as url:
        monkeypatch.setenv("M3SYNC_POSTGRES_URL", url)
        monkeypatch.setenv("DAGSTER_HOME", str(tmp_path))
        with dagster_instance(tmp_path) as made:
            yield made


def m3sync(*args: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(args))
    assert result.exit_code == code, result.output
    return result.stdout


def fault(sandbox: Sandbox, **given: object) -> None:
    sandbox.salesforce.post("/sandbox/faults", json=given).raise_for_status()


def a_wrong_secret(
    instance: dg.DagsterInstance, sandbox: Sandbox, patch: pytest.MonkeyPatch
) -> None:
    patch.setenv("SALESFORCE_CLIENT_SECRET", "wrong")
    sync(instance, "account")


def a_row_that_salesforce_rejects(
    instance: dg.DagsterInstance, sandbox: Sandbox, patch: pytest.MonkeyPatch
) -> None:
    rows = {"object": "m3ter_Account__c", "code": "FIELD_CUSTOM_VALIDATION_EXCEPTION"}
    fault(sandbox, rows={**rows, "message": "Not in this org"}, times=3)
    sync(instance, "account")


def contracts_before_their_accounts(
    instance: dg.DagsterInstance, sandbox: Sandbox, patch: pytest.MonkeyPatch
) -> None:
    sync(instance, "contract")


def an_org_that_answers_nonsense(
    instance: dg.DagsterInstance, sandbox: Sandbox, patch: pytest.MonkeyPatch
) -> None:
    fault(sandbox, path="/sobjects/.*/describe", status=404, body="<html>", times=None)
    fault(sandbox, path="/services/oauth2/token", status=500, body="down", times=None)
    sync(instance, "account")


def ten_failures(instance: dg.DagsterInstance, sandbox: Sandbox, patch: pytest.MonkeyPatch) -> None:
    Fleet(instance).start("acme")
    Fleet(instance).fail("acme", 10)
    watched = {one.name: one for one in guarded_integrations(load_project())}
    guard.tick(instance, watched, "m3sync")


@pytest.mark.parametrize(
    ("provoke", "name", "entity", "remedy"),
    [
        (a_wrong_secret, "integration.authentication.error", "account", ""),
        (
            a_row_that_salesforce_rejects,
            "integration.validation.error",
            "account",
            "m3sync rejects",
        ),
        (
            contracts_before_their_accounts,
            "integration.missingaccountmapping.error",
            "contract",
            "m3sync rejects",
        ),
        (an_org_that_answers_nonsense, "integration.perform.error", "account", ""),
        (ten_failures, "integration.disabled.error", None, "m3sync enable acme"),
    ],
)
def test_each_event_is_on_record_with_its_remedy(  # noqa: PLR0917 - the columns of the table
    instance: dg.DagsterInstance,
    sandbox: Sandbox,
    monkeypatch: pytest.MonkeyPatch,
    provoke: Callable[..., None],
    name: str,
    entity: str | None,
    remedy: str,
) -> None:
    with monkeypatch.context() as patch:
        provoke(instance, sandbox, patch)
    told = [
        event for event in json.loads(m3sync("events", "acme", "--json")) if event["name"] == name
    ]
    (event,) = told
    assert list(event) == [
        "id", "name", "time", "integration", "entity", "run_id", "message", "remedy", "actioned",
        "closed",
    ]  # fmt: skip
    assert (event["integration"], event["entity"], event["actioned"]) == ("acme", entity, False)
    assert event["message"]
    assert event["remedy"]
    assert remedy in event["remedy"]
    assert instance.get_run_by_id(event["run_id"]) is not None
    key = dg.AssetKey(["acme", f"salesforce_{entity or 'account'}"])
    observations = [
        str(record.asset_observation and record.asset_observation.description)
        for record in instance.fetch_observations(key, limit=10).records
    ]
    assert any(event["remedy"].rstrip(".") in text or remedy in text for text in observations)
    m3sync("events", "action", str(event["id"]))
    assert event["id"] not in [one["id"] for one in json.loads(m3sync("events", "--json"))]
    (again,) = [
        one for one in json.loads(m3sync("events", "--all", "--json")) if one["id"] == event["id"]
    ]
    assert again["actioned"] is True


def test_an_event_that_is_not_there_cannot_be_actioned(instance: dg.DagsterInstance) -> None:
    m3sync("events", "action", "4711", code=2)
    m3sync("events", "nix", code=2)
    assert json.loads(m3sync("events", "--json")) == []


def test_runs_are_listed_with_what_they_did(instance: dg.DagsterInstance, sandbox: Sandbox) -> None:
    sync(instance, "account")
    (run,) = json.loads(m3sync("runs", "acme", "--json"))
    accounts = sandbox.organization.count("accounts")
    assert (run["integration"], run["partition"], run["status"]) == ("acme", HOUR, "COMPLETE")
    assert (run["trigger"], run["error"]) == ("person", None)
    assert run["started"] <= run["ended"]
    assert run["duration_seconds"] > 0
    assert run["entities"]["account"]["created"] == accounts
    assert f"{accounts} created" in m3sync("runs")
    fault(sandbox, path="/services/oauth2/token", status=500, body="down", times=None)
    sync(instance, "contract")
    newest = json.loads(m3sync("runs", "--json"))[0]
    assert newest["status"] == "ERROR"
    assert "acme, contract: " in newest["error"]
