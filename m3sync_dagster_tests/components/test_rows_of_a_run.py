"""What an hour without a change writes to Dagster's storage: so many rows and bytes at most.

The purge limits for how long they are kept; ``benchmarks/growth.py`` measures the disk.
"""

from collections.abc import Sequence

import dagster as dg

from m3sync_dagster.state import connect, postgres_url
from m3sync_dagster.state.sent_changes import SAMPLE
from m3sync_dagster_tests.conftest import DefsFolder, Sandbox, sync
from m3sync_dagster_tests.runs.old_run_fixtures import count

ENTITIES = ("account", "contract", "commitment", "balance")
EVENTS = 47
"""10 for each entity and 7 for the run; 2 of each entity are ours: log line and observation."""
EVENT_BYTES = 108_000
"""It is 93 KB and a little more with longer paths; 38 KB are the materializations, with columns."""
SAMPLE_BYTES = 5_000
"""What the first written rows of an entity add, at most ten; an hour without a change has none."""
CHECK_EXECUTIONS = 8
TAGS = 6


def test_an_hour_without_a_change(
    instance: dg.DagsterInstance,
    sandbox_in_environment: Sandbox,
    defs_folder: DefsFolder,
) -> None:
    first = sync(instance, *ENTITIES, partition_key="2026-11-24-10:00")
    assert [len(written(first, entity)) for entity in ENTITIES] == [SAMPLE] * 4
    assert {row.data["action"] for row in written(first, "account")} == {"created"}
    assert event_bytes(first.run_id) <= EVENT_BYTES + SAMPLE_BYTES * len(ENTITIES)
    unchanged = sync(instance, *ENTITIES, partition_key="2026-11-24-11:00")
    assert [len(written(unchanged, entity)) for entity in ENTITIES] == [0] * 4
    run_id = unchanged.run_id
    assert count("event_logs", run_id) <= EVENTS
    assert event_bytes(run_id) <= EVENT_BYTES
    assert count("asset_check_executions", run_id) <= CHECK_EXECUTIONS
    assert count("run_tags", run_id) <= TAGS


def written(result: dg.ExecuteInProcessResult, entity: str) -> Sequence[dg.TableRecord]:
    """The sample of written rows of an entity."""
    (one,) = result.asset_materializations_for_node(f"acme__salesforce_{entity}")
    found = one.metadata.get("written")
    if found is None:
        return ()
    assert isinstance(found, dg.TableMetadataValue)
    return found.records


def event_bytes(run_id: str) -> int:
    with connect(postgres_url()) as connection:
        query = "SELECT sum(octet_length(event)) FROM event_logs WHERE run_id = %s"
        (number,) = connection.execute(query, (run_id,)).fetchone() or (0,)
        return int(number)
