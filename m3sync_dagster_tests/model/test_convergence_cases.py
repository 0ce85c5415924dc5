"""Situations in which Salesforce once did not become what m3ter holds, one by one."""

import pytest

from m3sync_dagster_tests.model import reference
from m3sync_dagster_tests.model.scenario import Scenario


def family(scenario: Scenario) -> None:
    """An account with a contract and a balance, in Salesforce as they are in m3ter."""
    scenario.put("account", 1, name="Ada")
    scenario.put("contract", 1, accountId="a1", name="One")
    scenario.put("balance", 1, accountId="a1", contractId="c1", amount=1)
    scenario.quiet()


def test_a_first_load_converges_and_the_next_run_only_logs_in(scenario: Scenario) -> None:
    family(scenario)


@pytest.mark.parametrize("above", [0, 2_000])
def test_a_change_whose_answer_is_lost_and_that_is_taken_back(
    scenario: Scenario, above: int
) -> None:
    family(scenario)
    scenario.world.send_by_jobs(above)
    scenario.put("balance", 1, accountId="a1", contractId="c1", amount=2)
    path = "/composite/" if above else "/jobs/ingest/750[^/]+$"
    scenario.lose_answer(path, times=12)
    assert not scenario.run().complete
    scenario.revert("balance", 1)
    scenario.quiet()


def test_another_org_and_back(scenario: Scenario) -> None:
    family(scenario)
    scenario.configure(org=1)
    scenario.quiet()
    scenario.put("balance", 1, accountId="a1", contractId="c1", amount=2)
    scenario.quiet()
    scenario.configure_back()
    scenario.quiet()


def test_a_full_run_that_fails_at_accounts_counts_for_balances(scenario: Scenario) -> None:
    family(scenario)
    scenario.edit("balance", 1)
    scenario.lose_answer("/composite/", when="before", times=12)
    assert not scenario.run(full=True).complete
    scenario.quiet()
    assert scenario.held("balance")["b1"]["Currency__c"] is None


def test_an_account_that_was_deleted_in_salesforce_and_gets_a_new_child(scenario: Scenario) -> None:
    family(scenario)
    scenario.delete("account", 1)
    scenario.put("contract", 2, accountId="a1", name="Two")
    scenario.quiet()


def test_an_account_that_was_deleted_in_salesforce_and_changes(scenario: Scenario) -> None:
    family(scenario)
    scenario.delete("account", 1)
    scenario.put("account", 1, name="Bea")
    scenario.quiet()
    assert scenario.held("contract")["c1"]["m3ter_Account__c"] == "a1"


def test_a_parent_account_that_was_deleted_in_salesforce_and_changes(scenario: Scenario) -> None:
    scenario.put("account", 1, name="Ada")
    scenario.put("account", 2, name="Bea", parentAccountId="a1")
    scenario.quiet()
    scenario.delete("account", 1)
    scenario.put("account", 1, name="Cid")
    scenario.quiet()
    assert scenario.held("account")["a2"]["Parent_Account__c"] == "a1"


def test_another_external_id_field_and_back(scenario: Scenario) -> None:
    family(scenario)
    scenario.configure(second_key=True)
    scenario.quiet()
    scenario.configure_back()
    scenario.quiet()


def test_another_object_and_back(scenario: Scenario) -> None:
    family(scenario)
    scenario.configure(other_balance=True)
    scenario.put("balance", 1, accountId="a1", contractId="c1", amount=2)
    scenario.quiet()
    scenario.revert("balance", 1)
    scenario.quiet()
    scenario.configure_back()
    scenario.quiet()


def test_everything_was_deleted_in_salesforce_and_a_grandchild_changes(scenario: Scenario) -> None:
    family(scenario)
    scenario.wipe()
    scenario.put("balance", 1, accountId="a1", contractId="c1", amount=2)
    scenario.quiet()


def test_an_account_that_was_deleted_in_salesforce_and_a_row_that_waits_for_another_parent(
    scenario: Scenario,
) -> None:
    family(scenario)
    scenario.put("commitment", 1, accountId="a1", contractId="c2")
    scenario.quiet()
    scenario.delete("account", 1)
    scenario.quiet()


def test_a_row_that_waits_for_one_parent_leaves_its_other_parent_alone(scenario: Scenario) -> None:
    family(scenario)
    scenario.put("commitment", 1, accountId="a1", contractId="c2")
    scenario.quiet()
    scenario.org.calls()
    scenario.run()
    written = [call["path"] for call in scenario.org.org.calls.latest if call["method"] == "PATCH"]
    assert not [path for path in written if reference.ACCOUNT in path]
