"""The code location ``m3sync``: everything that the ``defs.yaml`` files say, put together."""

import dagster as dg

from m3sync_dagster.components.broken import broken_specs
from m3sync_dagster.components.loading import load_project
from m3sync_dagster.components.materialize import STATE
from m3sync_dagster.components.resources import StateResource
from m3sync_dagster.components.schedule import JOB


@dg.definitions
def defs() -> dg.Definitions:
    """Build the code location. What is wrong with one file shows as an asset of its own."""
    project = load_project()
    shared = dg.Definitions(
        assets=broken_specs(project.problems),
        jobs=[
            dg.define_asset_job(
                JOB,
                selection=dg.AssetSelection.all(),
                executor_def=dg.in_process_executor,
                description="Syncs the integrations whose assets a run selects.",
            )
        ],
        executor=dg.in_process_executor,
        resources={STATE: StateResource()},
    )
    return dg.Definitions.merge(shared, *(unit.definitions for unit in project.units))
