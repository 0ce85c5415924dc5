"""Runs that read the lists of their entities at the same time, in this process."""

import threading
from collections.abc import Iterator

import dagster as dg
import msgspec
import pytest

from m3sync_dagster.definitions import defs
from m3sync_dagster.sandbox import m3ter
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.server import running
from m3sync_dagster_tests.components.test_materialize import counts, failure
from m3sync_dagster_tests.conftest import HOUR, Sandbox, sync
from m3sync_dagster_tests.m3ter.held_pages import HeldPages

ENTITIES = ("account", "contract", "commitment", "balance")
PATHS = {f"{entity}s" for entity in ENTITIES}


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def add_fault(environment: Sandbox, **fault: object) -> None:
    environment.m3ter.post("/sandbox/faults", json=fault).raise_for_status()


def asked(environment: Sandbox) -> set[str]:
    calls = environment.m3ter.get("/sandbox/calls").json()
    return {call["path"].rpartition("/")[2] for call in calls} - {"token"}


def list_threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("m3sync list")]


def test_a_run_asks_for_all_lists_before_one_is_answered(
    environment: Sandbox, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first page of accounts is answered at once. The parents are still sent first."""
    organization = Organization.generate(120, contracts=3, commitments=2, balances=4)
    keys = m3ter.Credentials()
    held = HeldPages(
        m3ter.create_app(organization, keys),
        hold=lambda path, query: path != "accounts" or "nextToken" in query,
        release=lambda held: set(held) == PATHS,
    )
    with running(held) as url:
        monkeypatch.setenv("M3TER_BASE_URL", url)
        result = sync(instance, *ENTITIES)
    assert result.success
    assert held.most_in_flight >= len(ENTITIES)
    created = {entity: found["created"] for entity, found in counts(result).items()}
    assert created == {"account": 120, "contract": 3, "commitment": 2, "balance": 4}
    assert not list_threads()


def test_a_run_of_one_entity_asks_for_no_other(
    environment: Sandbox, instance: dg.DagsterInstance
) -> None:
    assert sync(instance, "balance").success
    assert asked(environment) == {"balances"}


def test_an_entity_whose_list_fails_leaves_the_others_as_they_are(
    environment: Sandbox, instance: dg.DagsterInstance
) -> None:
    forbidden = {"kind": "respond", "status": 403}
    add_fault(environment, action=forbidden, path="*/balances", times=None)
    result = sync(instance, *ENTITIES)
    assert failure(result).startswith("acme, balance: m3ter answered balances with 403")
    assert counts(result).keys() == set(ENTITIES) - {"balance"}
    ended = instance.get_run_by_id(result.run_id)
    assert ended
    assert ended.tags["m3sync/status"] == "AUTH_FAILED"
    assert not list_threads()


def sync_job() -> dg.JobDefinition:
    return defs().resolve_job_def("salesforce_sync")


def test_a_run_that_repeats_a_failed_one_reads_only_the_lists_of_its_steps(
    environment: Sandbox, instance: dg.DagsterInstance
) -> None:
    """It selects the same assets, and has the steps that failed."""
    refused = {"kind": "respond", "status": 403}
    add_fault(environment, action=refused, path="*/commitments", times=1)
    failed = sync(instance, *ENTITIES)
    assert not failed.success
    environment.m3ter.delete("/sandbox/calls")
    with dg.execute_job(
        dg.reconstructable(sync_job),
        instance,
        tags={"dagster/partition": HOUR},
        asset_selection=[dg.AssetKey(["acme", f"salesforce_{name}"]) for name in ENTITIES],
        reexecution_options=dg.ReexecutionOptions.from_failure(failed.run_id, instance),
    ) as repeated:
        assert repeated.success
    assert "commitments" in asked(environment)
    assert "accounts" not in asked(environment)


def test_a_first_list_that_breaks_off_stops_the_others(
    environment: Sandbox, instance: dg.DagsterInstance
) -> None:
    cut = {"kind": "respond", "status": 200, "body": '{"data":[{"id":'}
    add_fault(environment, action=cut, path="*/accounts", after=1, times=None)
    result = sync(instance, *ENTITIES)
    assert "accounts" in failure(result)
    assert counts(result) == {}
    assert not list_threads()


def test_salesforce_refuses_before_m3ter_is_asked(
    environment: Sandbox, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", "a wrong one")
    assert failure(sync(instance, *ENTITIES)).startswith("acme, account: ")
    assert asked(environment) == set()


def test_a_child_that_is_newer_than_the_list_of_its_parents_waits_for_the_next_hour(
    environment: Sandbox, instance: dg.DagsterInstance
) -> None:
    """Accounts come newest first: after their first page the new one is no longer seen."""
    organization = environment.organization
    account, contract = (organization.new_id() for _ in range(2))
    like = msgspec.json.decode(organization.raw("contracts", organization.ids("contracts")[0]))
    like |= {"id": contract, "accountId": account}
    new = {"id": account, "name": "New", "code": "new"}
    for entity, fields in (("accounts", new), ("contracts", like)):
        insert = {"kind": "insert", "entity": entity, "fields": fields}
        add_fault(environment, action=insert, path="*/contracts")
    first = counts(sync(instance, *ENTITIES))
    assert account not in environment.records("m3ter_Account__c")
    assert first["contract"]["waiting"] == 1
    assert contract not in environment.records("m3ter_Contract__c")
    second = counts(sync(instance, *ENTITIES))
    assert second["account"]["created"] == second["contract"]["created"] == 1
    parent = environment.records("m3ter_Account__c")[account]["Id"]
    assert environment.records("m3ter_Contract__c")[contract]["m3ter_Account__c"] == parent
