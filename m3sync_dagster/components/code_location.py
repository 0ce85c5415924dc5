"""The definitions of the whole code location, which a run does not need."""

import os
from functools import cache

import dagster as dg

from m3sync_dagster.components.jobs import build_jobs
from m3sync_dagster.components.load_error_assets import load_error_assets
from m3sync_dagster.components.load_errors import messages_of
from m3sync_dagster.components.load_project import Project, defined_names
from m3sync_dagster.components.purge_job import build_purge
from m3sync_dagster.components.verify_check import build_verify_schedule
from m3sync_dagster.components.watched_integrations import (
    guarded_integrations,
    integrations_to_verify,
)
from m3sync_dagster.dagster_internals import get_library_json_enriched_defs
from m3sync_dagster.guard.sensor import build_guard

VALIDATING = "DAGSTER_IS_DEFS_VALIDATION_CLI"
"""Set by ``dg check defs`` and ``dagster definitions validate``. Source: Dagster's docs."""


def build_code_location(project: Project) -> list[dg.Definitions]:
    """Build what a code location has beside its integrations: jobs, guard, errors, and docs.

    Raises:
        DagsterInvalidDefinitionError: a file is invalid, and a command of Dagster validates the
            definitions.
    """
    if project.problems and os.environ.get(VALIDATING):
        raise dg.DagsterInvalidDefinitionError(messages_of(project.problems))
    checked = integrations_to_verify(project)
    shared = dg.Definitions(
        assets=load_error_assets(project.problems),
        jobs=build_jobs(checked),
        schedules=[build_verify_schedule(checked), build_purge(defined_names(project))],
        sensors=[build_guard(guarded_integrations(project))],
    )
    return [_component_docs(), shared]


@cache
def _component_docs() -> dg.Definitions:
    """What the UI's page of component docs shows; it depends on the installed packages alone."""
    return get_library_json_enriched_defs(None)
