"""The code location ``m3sync``: the definitions of all ``defs.yaml`` files."""

import os
import warnings
from functools import cache

import dagster as dg

from m3sync_dagster.components.entity_syncs import STATE
from m3sync_dagster.components.gc_settings import exempt_from_collection
from m3sync_dagster.components.jobs import build_jobs
from m3sync_dagster.components.load_error_assets import load_error_assets
from m3sync_dagster.components.load_errors import messages_of
from m3sync_dagster.components.load_project import Project, defined_names, load_project
from m3sync_dagster.components.purge_job import build_purge
from m3sync_dagster.components.resources import StateResource
from m3sync_dagster.components.verify_check import build_verify_schedule
from m3sync_dagster.components.watched_integrations import (
    guarded_integrations,
    integrations_to_verify,
)
from m3sync_dagster.dagster_internals import get_library_json_enriched_defs
from m3sync_dagster.guard.sensor import build_guard

VALIDATING = "DAGSTER_IS_DEFS_VALIDATION_CLI"
"""Set by ``dg check defs`` and ``dagster definitions validate``. Source: Dagster's docs."""


@dg.definitions
def defs() -> dg.Definitions:
    """Build the code location. Each invalid file becomes an asset that shows its error.

    Raises:
        DagsterInvalidDefinitionError: a file is invalid, and a command of Dagster validates the
            definitions.
    """
    # Dagster itself uses a beta parameter when it reads asset checks.
    warnings.filterwarnings("ignore", "Parameter `execution_type`", dg.BetaWarning)
    with exempt_from_collection():
        return _build(load_project())


def _build(project: Project) -> dg.Definitions:
    if project.problems and os.environ.get(VALIDATING):
        raise dg.DagsterInvalidDefinitionError(messages_of(project.problems))
    checked = integrations_to_verify(project)
    shared = dg.Definitions(
        assets=load_error_assets(project.problems),
        jobs=build_jobs(checked),
        schedules=[build_verify_schedule(checked), build_purge(defined_names(project))],
        sensors=[build_guard(guarded_integrations(project))],
        executor=dg.in_process_executor,
        resources={STATE: StateResource()},
    )
    return dg.Definitions.merge(
        _component_docs(), shared, *(unit.definitions for unit in project.units)
    )


@cache
def _component_docs() -> dg.Definitions:
    """What the UI's page of component docs shows; it depends on the installed packages alone.

    For one run Dagster builds the definitions three times, and this is most of it.
    """
    return get_library_json_enriched_defs(None)
