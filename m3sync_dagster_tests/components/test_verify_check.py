"""The asset check, as Dagster runs it, over real HTTP between the two sandbox servers."""

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.remote_origin import ManagedGrpcPythonEnvCodeLocationOrigin
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._serdes import ConfigurableClassData

from m3sync_dagster.components.verify_check import CHECK, DAILY, VERIFY_JOB
from m3sync_dagster.definitions import defs
from m3sync_dagster.guard import schedules
from m3sync_dagster.state import IntegrationLock, connect
from m3sync_dagster.state.postgres_from_environment import postgres_url as current_url
from m3sync_dagster_tests.conftest import INTEGRATION, DefsFolder, Sandbox

pytestmark = pytest.mark.slow

ENTITIES = ("account", "contract", "commitment", "balance")
KEYS = [dg.AssetKey(["acme", f"salesforce_{entity}"]) for entity in ENTITIES]
Tick = Callable[[], Sequence[dg.RunRequest]]
Checks = dict[str, dg.AssetCheckEvaluation]


@pytest.fixture
def ephemeral() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as found:
        yield found


@pytest.fixture
def sync(environment: Sandbox, ephemeral: dg.DagsterInstance) -> Callable[[], None]:
    def execute() -> None:
        job = defs().resolve_job_def("salesforce_sync")
        synced(job, ephemeral)

    return execute


def synced(job: dg.JobDefinition, ephemeral: dg.DagsterInstance) -> None:
    result = job.execute_in_process(
        instance=ephemeral, partition_key="2026-11-24-10:00", asset_selection=KEYS
    )
    assert result.success
    # A sync does not verify, even if no checks are selected.
    evaluated = {event.check_name for event in result.get_asset_check_evaluations()}
    assert evaluated == {"no_rejected_records"}


def test_a_sync_that_the_ui_launches_does_not_verify(
    environment: Sandbox, ephemeral: dg.DagsterInstance
) -> None:
    synced(defs().get_repository_def().get_implicit_global_asset_job_def(), ephemeral)


def run_checks(ephemeral: dg.DagsterInstance) -> dg.ExecuteInProcessResult:
    job = defs().resolve_job_def(VERIFY_JOB)
    return job.execute_in_process(instance=ephemeral, raise_on_error=False)


def evaluations(result: dg.ExecuteInProcessResult) -> Checks:
    return {
        event.asset_key.path[-1].removeprefix("salesforce_"): event
        for event in result.get_asset_check_evaluations()
    }


def numbers(check: dg.AssetCheckEvaluation) -> dict[str, object]:
    """The counts that are not zero, without those of every check."""
    left_out = ("equal", "salesforce_api_calls", "duration_seconds")
    return {
        name: entry.value
        for name, entry in check.metadata.items()
        if isinstance(entry.value, int | float) and entry.value and name not in left_out
    }


def test_the_check_passes_where_salesforce_holds_what_m3ter_holds(
    sync: Callable[[], None], environment: Sandbox, ephemeral: dg.DagsterInstance
) -> None:
    sync()
    held = {e: environment.records(f"m3ter_{e.title()}__c") for e in ENTITIES}
    environment.salesforce_calls()
    result = run_checks(ephemeral)
    assert result.success
    found = evaluations(result)
    assert list(found) == list(ENTITIES)
    for entity, check in found.items():
        assert (check.check_name, check.passed, numbers(check)) == (CHECK, True, {})
        assert check.metadata["equal"].value == environment.organization.count(f"{entity}s")
    # A login for all, and a describe and one page of SOQL for each.
    assert environment.salesforce_calls() == 1 + 2 * len(ENTITIES)
    assert {e: environment.records(f"m3ter_{e.title()}__c") for e in ENTITIES} == held


def test_the_check_fails_with_examples_after_a_record_was_changed(
    sync: Callable[[], None], environment: Sandbox, ephemeral: dg.DagsterInstance
) -> None:
    sync()
    balances = environment.organization.ids("balances")
    edit(environment, "m3ter_Balance__c", balances[0], {"Amount__c": 0.5})
    edit(environment, "m3ter_Account__c", "not-of-m3ter", {"Name": "by hand"})
    environment.organization.change(
        "contracts", environment.organization.ids("contracts")[0], name="Changed since"
    )
    result = run_checks(ephemeral)
    # The run has done its work: what failed is the check.
    assert result.success
    found = evaluations(result)
    assert {e: (c.passed, c.severity.value) for e, c in found.items() if not c.passed} == {
        "balance": (False, "ERROR"),
        "account": (False, "WARN"),
    }
    assert numbers(found["balance"]) == {"changed": 1}
    assert numbers(found["account"]) == {"extra": 1}
    assert numbers(found["contract"]) == {"changed": 1, "pending": 1}
    table = found["balance"].metadata["examples"]
    assert isinstance(table, dg.TableMetadataValue)
    (record,) = table.records
    assert record.data["m3ter_id"] == balances[0]
    assert (record.data["field"], record.data["salesforce"]) == ("Amount__c", "0.5")
    org = f"{environment.environment['SALESFORCE_LOGIN_URL']}/lightning"
    salesforce_id = environment.records("m3ter_Balance__c")[balances[0]]["Id"]
    assert record.data["salesforce_url"] == f"{org}/r/m3ter_Balance__c/{salesforce_id}/view"
    list_view = found["balance"].metadata["salesforce_list_view"].value
    assert list_view == f"{org}/o/m3ter_Balance__c/list"
    assert environment.records("m3ter_Balance__c")[balances[0]]["Amount__c"] == pytest.approx(0.5)


def edit(environment: Sandbox, name: str, m3ter_id: str, values: dict[str, object]) -> None:
    """Write a record as an admin does."""
    variables = environment.environment
    answer = environment.salesforce.post(
        "/services/oauth2/token",
        data={
            "grant_type": "client_credentials",
            "client_id": variables["SALESFORCE_CLIENT_ID"],
            "client_secret": variables["SALESFORCE_CLIENT_SECRET"],
        },
    )
    path = f"/services/data/v67.0/sobjects/{name}/m3ter_Id__c/{m3ter_id}"
    headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}
    environment.salesforce.patch(path, json=values, headers=headers).raise_for_status()


def test_a_check_waits_for_no_sync_and_stands_in_the_way_of_none(
    sync: Callable[[], None], environment: Sandbox, ephemeral: dg.DagsterInstance
) -> None:
    sync()
    with connect(current_url()) as connection, IntegrationLock(connection, "acme"):
        found = evaluations(run_checks(ephemeral))
    assert [check.passed for check in found.values()] == [True] * len(ENTITIES)


def test_an_org_that_cannot_be_asked_fails_the_run_and_is_an_event(
    sync: Callable[[], None],
    environment: Sandbox,
    ephemeral: dg.DagsterInstance,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sync()
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", "a wrong one")
    result = run_checks(ephemeral)
    assert not result.success
    assert not result.get_asset_check_evaluations()
    with connect(current_url()) as connection:
        found = connection.execute("SELECT name FROM m3sync.integration_event").fetchall()
    assert found == [("integration.authentication.error",)]


def test_records_of_another_integration_are_not_extra(
    sync: Callable[[], None],
    environment: Sandbox,
    ephemeral: dg.DagsterInstance,
    defs_folder: DefsFolder,
) -> None:
    sync()
    with connect(current_url()) as connection:
        connection.execute("UPDATE m3sync.synced_record SET integration = 'elsewhere'")
    environment.organization.remove("balances", environment.organization.ids("balances")[0])
    found = evaluations(run_checks(ephemeral))
    assert numbers(found["balance"]) == {}


@pytest.fixture
def tick(instance: dg.DagsterInstance, defs_folder: DefsFolder) -> Tick:
    def evaluate() -> Sequence[dg.RunRequest]:
        schedule = defs().get_repository_def().get_schedule_def(DAILY)
        with dg.build_schedule_context(
            instance, scheduled_execution_time=datetime(2026, 11, 24, 2, 40, tzinfo=UTC)
        ) as context:
            return schedule.evaluate_tick(context).run_requests or ()

    return evaluate


def test_on_kubernetes_the_run_s_pod_loads_one_integration(
    tick: Tick, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    launcher = ConfigurableClassData("dagster_k8s", "K8sRunLauncher", "{}")
    ref = instance.get_ref()._replace(run_launcher_data=launcher)
    monkeypatch.setattr(instance, "_ref", ref)
    origin = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(), "m3sync")
    schedules.start(instance, origin, "acme_hourly", "3 * * * *")
    (request,) = tick()
    assert '"value": "acme"' in request.tags["dagster-k8s/config"]


def test_each_day_each_integration_that_syncs_is_verified_in_a_run_of_its_own(
    tick: Tick, instance: dg.DagsterInstance, defs_folder: DefsFolder
) -> None:
    for name in ("second", "stopped"):
        defs_folder.write(name, INTEGRATION.replace("name: acme", f"name: {name}"))
    unconnected = INTEGRATION.replace("  salesforce_credential: salesforce_production\n", "")
    defs_folder.write("unconnected", unconnected.replace("name: acme", "name: unconnected"))
    assert not tick()
    origin = ManagedGrpcPythonEnvCodeLocationOrigin(LoadableTargetOrigin(), "m3sync")
    for name in ("acme", "second", "unconnected"):
        schedules.start(instance, origin, f"{name}_hourly", "3 * * * *")
    first, second = tick()
    assert (first.run_key, second.run_key) == ("acme 2026-11-24", "second 2026-11-24")
    assert first.asset_check_keys == [dg.AssetCheckKey(key, CHECK) for key in KEYS]
    assert first.asset_selection == []
    job = defs().resolve_job_def(VERIFY_JOB)
    chosen = job.get_subset(asset_check_selection=frozenset(first.asset_check_keys))
    assert [node.name for node in chosen.nodes] == ["acme__salesforce_matches_m3ter"]
    assert first.tags["m3sync/verified_integration"] == "acme"
    assert first.tags["m3sync/salesforce_credential"] == "salesforce_production"
    # This tag marks the syncs of an integration.
    assert "m3sync/integration" not in first.tags


def test_a_run_that_names_no_checks_repeats_the_last_result(
    sync: Callable[[], None], environment: Sandbox, ephemeral: dg.DagsterInstance
) -> None:
    sync()
    first = run_checks(ephemeral)
    whole = defs().get_repository_def().get_implicit_global_asset_job_def()
    for _ in range(2):
        environment.salesforce_calls()
        result = whole.execute_in_process(
            instance=ephemeral, partition_key="2026-11-24-10:00", asset_selection=KEYS
        )
        assert result.success
        # Only the login: nothing is read back.
        assert environment.salesforce_calls() == 1
        repeated = {
            event.asset_key: event
            for event in result.get_asset_check_evaluations()
            if event.check_name == CHECK
        }
        assert set(repeated) == set(KEYS)
        for check in repeated.values():
            assert check.passed
            assert check.metadata["evaluated_in"].value == first.run_id
            assert "equal" in check.metadata
