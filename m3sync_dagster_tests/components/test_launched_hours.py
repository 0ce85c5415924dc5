"""Runs that a person launches, by Dagster's API, for hours that the UI does not offer."""

from collections.abc import Iterator

import dagster as dg
import pytest

from m3sync_dagster.runs.run_status import status_word
from m3sync_dagster_tests.conftest import Sandbox, sync

PARTITION, FIRST, LAST = (
    "dagster/partition",
    "dagster/asset_partition_range_start",
    "dagster/asset_partition_range_end",
)
EARLY = "2026-10-31-22:00"
ACCOUNT = dg.AssetKey(["acme", "salesforce_account"])


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


@pytest.mark.parametrize("tags", [{PARTITION: EARLY}, {FIRST: EARLY, LAST: "2026-11-02-00:00"}])
def test_an_hour_before_the_start_is_refused_before_anything_is_sent(
    environment: Sandbox, instance: dg.DagsterInstance, tags: dict[str, str]
) -> None:
    result = sync(instance, "account", partition_key=None, tags=tags)
    (failure,) = [e for e in result.all_events if e.is_step_failure]
    data = failure.step_failure_data.user_failure_data
    assert data
    assert data.description
    assert f"the hour {EARLY} is before 2026-11-01-00:00, the start of" in data.description
    (run,) = instance.get_runs()
    assert status_word(run) == "ERROR"
    assert environment.records("m3ter_Account__c") == {}


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {PARTITION: "2100-01-01-00:00"},
        {FIRST: "2026-11-22-12:00", LAST: "2026-11-22-10:00"},
    ],
)
def test_a_run_for_no_hour_that_is_over_syncs_and_fills_none(
    environment: Sandbox, instance: dg.DagsterInstance, tags: dict[str, str]
) -> None:
    assert sync(instance, "account", partition_key=None, tags=tags).success
    assert len(environment.records("m3ter_Account__c")) == 120
    assert instance.get_materialized_partitions(ACCOUNT) == set()
