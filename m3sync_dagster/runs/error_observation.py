"""Error events in Dagster's UI, for those who look nowhere else."""

import dagster as dg

from m3sync_dagster.sync.errors import SyncError


def show_event(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext,
    key: dg.AssetKey,
    error: SyncError,
) -> None:
    """Show an error event on an asset, as an observation that links to its run."""
    context.op_execution_context.log_event(
        dg.AssetObservation(
            key,
            description=str(error),
            metadata={"event": error.event, "cause": error.cause, "remedy": error.remedy},
        )
    )
