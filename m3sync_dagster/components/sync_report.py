"""What a complete sync reports besides its materialization: its counts, and m3ter's records."""

from collections.abc import Mapping

import dagster as dg

from m3sync_dagster.entities import EntityType
from m3sync_dagster.runs.run_status import COUNTS, SECONDS

_CALLS = "salesforce_api_calls"


def source_key(m3ter_credential: str, entity: EntityType) -> dg.AssetKey:
    """The external asset of an m3ter organization's records, where the lineage begins."""
    return dg.AssetKey([m3ter_credential, f"m3ter_{entity.name}"])


def counts_line(where: str, measures: Mapping[str, int | float]) -> str:
    """The counts of one entity's sync as one line of the run's log.

    Args:
        where: the integration and the entity.
        measures: the counts and the seconds, by the names of the materialization's metadata.
    """
    counts = ", ".join(f"{measures[name]:,} {name}" for name in COUNTS if name != _CALLS)
    calls = measures[_CALLS]
    plural = "" if calls == 1 else "s"
    return f"{where}: {counts}; {calls:,} Salesforce call{plural} in {measures[SECONDS]:.1f} s"


def observe_source(
    context: dg.AssetExecutionContext, source: dg.AssetKey, integration: str, read: int
) -> None:
    """Show on m3ter's external asset how many records an integration has read, and when.

    It is one event of the run, whatever was observed before.
    """
    context.op_execution_context.log_event(
        dg.AssetObservation(
            source,
            description=f"{integration} has read {read:,} records.",
            metadata={"read": read, "integration": integration},
        )
    )
