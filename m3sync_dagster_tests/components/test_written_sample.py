"""The sample of written rows in a materialization."""

from collections.abc import Sequence

import dagster as dg

from m3sync_dagster.state.sent_changes import SAMPLE
from m3sync_dagster_tests.conftest import DefsFolder, Sandbox, sync

ENTITIES = ("account", "contract", "commitment", "balance")


def test_the_first_rows_that_were_written(
    instance: dg.DagsterInstance, sandbox_in_environment: Sandbox, defs_folder: DefsFolder
) -> None:
    first = sync(instance, *ENTITIES, partition_key="2026-11-24-10:00")
    assert [len(written(first, entity)) for entity in ENTITIES] == [SAMPLE] * 4
    assert {row.data["action"] for row in written(first, "account")} == {"created"}
    unchanged = sync(instance, *ENTITIES, partition_key="2026-11-24-11:00")
    assert [len(written(unchanged, entity)) for entity in ENTITIES] == [0] * 4


def written(result: dg.ExecuteInProcessResult, entity: str) -> Sequence[dg.TableRecord]:
    """The sample of an entity."""
    (one,) = result.asset_materializations_for_node(f"acme__salesforce_{entity}")
    found = one.metadata.get("written")
    if found is None:
        return ()
    assert isinstance(found, dg.TableMetadataValue)
    return found.records
