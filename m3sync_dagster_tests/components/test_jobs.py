"""Which assets and checks a run of each job has."""

import dagster as dg
import pytest

from m3sync_dagster.components.verify_check import CHECK
from m3sync_dagster.definitions import defs
from m3sync_dagster_tests.conftest import DefsFolder, edited

KEYS = {dg.AssetKey(["acme", f"salesforce_{name}"]) for name in ("account", "contract")}


# The UI names the checks of Dagster's own job; a program may name none.
@pytest.mark.parametrize(("job", "named"), [("salesforce_sync", False), ("__ASSET_JOB", True)])
def test_a_sync_has_the_check_of_its_rows_alone(
    defs_folder: DefsFolder, job: str, *, named: bool
) -> None:
    # Another first hour is no reason for the code location not to load.
    later = edited("2026-11-01-00:00", "2026-11-05-00:00").replace("name: acme", "name: second")
    defs_folder.write("second", later)
    whole = defs().resolve_job_def(job)
    of_job = whole.asset_layer.asset_graph.asset_check_keys
    checks = frozenset(key for key in of_job if key.asset_key in KEYS) if named else None
    chosen = whole.get_subset(asset_selection=KEYS, asset_check_selection=checks)
    assert {node.name for node in chosen.nodes} == {
        "acme__salesforce_account",
        "acme__salesforce_contract",
    }
    found = chosen.asset_layer.asset_graph.asset_check_keys
    assert {key.name for key in found} == {"no_rejected_records"}


def test_the_check_has_a_job_of_its_own(defs_folder: DefsFolder) -> None:
    repository = defs().get_repository_def()
    with_check = {
        job.name
        for job in repository.get_all_jobs()
        for key in job.asset_layer.asset_graph.asset_check_keys
        if key.name == CHECK
    }
    assert with_check == {"salesforce_verify"}


def test_each_asset_has_a_time_after_which_it_is_late(defs_folder: DefsFolder) -> None:
    graph = defs().resolve_asset_graph()
    late = {key for key in graph.get_all_asset_keys() if graph.get(key).freshness_policy}
    assert late == {key for key in graph.executable_asset_keys if key.path[0] == "acme"}
