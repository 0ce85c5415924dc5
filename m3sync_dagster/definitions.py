"""The code location ``m3sync``: everything that the ``defs.yaml`` files say, put together."""

import os
from collections.abc import Sequence

import dagster as dg

from m3sync_dagster.components.broken import broken_specs
from m3sync_dagster.components.loading import load_project
from m3sync_dagster.components.materialize import STATE
from m3sync_dagster.components.problems import Problem
from m3sync_dagster.components.resources import StateResource
from m3sync_dagster.components.schedule import JOB

VALIDATING = "DAGSTER_IS_DEFS_VALIDATION_CLI"
"""Set by ``dg check defs`` and ``dagster definitions validate``, says Dagster's documentation."""


@dg.definitions
def defs() -> dg.Definitions:
    """Build the code location. What is wrong with one file shows as an asset of its own.

    Raises:
        DagsterInvalidDefinitionError: a file is wrong, and Dagster only wants to know whether
            one is.
    """
    project = load_project()
    if project.problems and os.environ.get(VALIDATING):
        raise dg.DagsterInvalidDefinitionError(_told(project.problems))
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


def _told(problems: Sequence[Problem]) -> str:
    return "\n".join(problem.message for problem in problems)
