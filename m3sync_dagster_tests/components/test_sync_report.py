"""What Dagster shows of a sync besides its materialization."""

import logging
import re
import sys
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.execution.plan.objects import StepFailureData

from m3sync_dagster.components import materialize
from m3sync_dagster.components.resources import StateResource
from m3sync_dagster.components.sync_report import counts_line
from m3sync_dagster.definitions import defs
from m3sync_dagster_tests.conftest import HOUR, INTEGRATION, DefsFolder, Sandbox, sync

ENTITIES = ("account", "contract", "commitment", "balance")
SOURCE = dg.AssetKey(["m3ter_production", "m3ter_account"])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def lines(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> list[str]:
    """The lines that a run has written itself."""
    entries = instance.all_logs(result.run_id)
    return [
        one.user_message
        for one in entries
        if not one.is_dagster_event and int(one.level) >= logging.INFO
    ]


def step_failure(result: dg.ExecuteInProcessResult) -> StepFailureData:
    (event,) = [one for one in result.all_events if one.is_step_failure]
    return event.step_failure_data


@pytest.mark.parametrize(
    ("calls", "seconds", "end"),
    [(4, 2.149, "4 Salesforce calls in 2.1 s"), (1, 0.0, "1 Salesforce call in 0.0 s")],
)
def test_the_line_has_every_count(calls: int, seconds: float, end: str) -> None:
    counts = {
        "read": 1200,
        "created": 3,
        "updated": 10,
        "unchanged": 1187,
        "invalid": 0,
        "rejected": 0,
        "waiting": 0,
    }
    measures = counts | {"salesforce_api_calls": calls, "duration_seconds": seconds}
    assert counts_line("acme, account", measures) == (
        "acme, account: 1,200 read, 3 created, 10 updated, 1,187 unchanged, 0 invalid, "
        f"0 rejected, 0 waiting; {end}"
    )


def test_a_run_logs_one_line_for_each_entity(
    environment: Sandbox, instance: dg.DagsterInstance
) -> None:
    found = sorted(lines(instance, sync(instance, *ENTITIES)))
    assert len(found) == len(ENTITIES)
    for line, entity in zip(found, sorted(ENTITIES), strict=True):
        read = environment.organization.count(f"{entity}s")
        assert line.startswith(f"acme, {entity}: {read} read, {read} created, 0 updated, ")
        assert re.search(r" 0 waiting; \d+ Salesforce calls? in \d+\.\d s$", line)


def test_a_long_run_logs_its_progress(
    environment: Sandbox, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(materialize, "LOG_EVERY", 10)
    found = lines(instance, sync(instance, "account"))
    read = environment.organization.count("accounts")
    assert f"Account: {read} read, {read} answered by Salesforce" in found
    assert found[-1].startswith("acme, account: ")


def test_a_failure_shows_cause_remedy_and_links_and_no_stack_trace(
    environment: Sandbox, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", "a wrong one")
    failure = step_failure(sync(instance, "account"))
    assert failure.error
    assert failure.error.message.startswith("m3sync.SyncFailure: acme, account: ")
    assert list(failure.error.stack) == []
    assert not failure.error.cause
    assert not failure.error.context
    assert failure.user_failure_data
    shown = failure.user_failure_data.metadata
    assert str(shown["cause"].value) in failure.error.message
    assert str(shown["remedy"].value) in failure.error.message
    assert shown["asset"].value == dg.AssetKey(["acme", "salesforce_account"])
    assert shown["salesforce_org"].value == environment.environment["SALESFORCE_LOGIN_URL"]
    # Other errors of this process keep their stack traces.
    assert not hasattr(sys, "tracebacklimit")


def test_a_failure_before_the_orgs_address_is_known_has_no_link_to_the_org(
    environment: Sandbox, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SALESFORCE_LOGIN_URL")
    data = step_failure(sync(instance, "account")).user_failure_data
    assert data
    assert "SALESFORCE_LOGIN_URL" in str(data.metadata["cause"].value)
    assert "salesforce_org" not in data.metadata


def test_the_next_step_has_stack_traces_again() -> None:
    before = vars(sys).get("tracebacklimit")
    with StateResource().opened() as state:
        state.hide_stack_traces()
        assert sys.tracebacklimit == 0
        state.show_stack_traces()
        assert vars(sys).get("tracebacklimit") == before
        state.hide_stack_traces()
    assert vars(sys).get("tracebacklimit") == before


def test_integrations_that_share_a_credential_each_observe_their_source(
    environment: Sandbox, instance: dg.DagsterInstance, defs_folder: DefsFolder
) -> None:
    scope = f"  account_ids: [{environment.organization.ids('accounts')[0]}]\n"
    other = INTEGRATION.replace("name: acme", "name: globex")
    defs_folder.write("globex", other.replace("  entities:", f"{scope}  entities:"))
    keys = [dg.AssetKey([name, "salesforce_account"]) for name in ("acme", "globex")]
    job = defs().resolve_job_def("salesforce_sync")
    both = job.execute_in_process(instance=instance, partition_key=HOUR, asset_selection=keys)
    assert both.success
    found = instance.fetch_observations(SOURCE, limit=10).records
    observed = [one.asset_observation for one in found]
    assert {
        one.metadata["integration"].value: one.metadata["read"].value for one in observed if one
    } == {
        "acme": environment.organization.count("accounts"),
        "globex": 1,
    }


def test_a_sync_that_failed_has_observed_nothing(
    environment: Sandbox, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SALESFORCE_CLIENT_SECRET", "a wrong one")
    assert not sync(instance, "account").success
    assert not instance.fetch_observations(SOURCE, limit=10).records
