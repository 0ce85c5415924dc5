"""The code location ``m3sync``: everything that the ``defs.yaml`` files say, put together."""

import gc
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import dagster as dg
from dagster.components.core.load_defs import get_library_json_enriched_defs

from m3sync_dagster.components.entity_runs import STATE
from m3sync_dagster.components.guard_inputs import checked_integrations, guarded_integrations
from m3sync_dagster.components.load_error_assets import load_error_assets
from m3sync_dagster.components.load_errors import LoadError
from m3sync_dagster.components.loading import Project, defined_names, load_project
from m3sync_dagster.components.purge_job import build_purge
from m3sync_dagster.components.resources import StateResource
from m3sync_dagster.components.verify_check import build_daily, build_jobs
from m3sync_dagster.guard.sensor import build_guard

VALIDATING = "DAGSTER_IS_DEFS_VALIDATION_CLI"
"""Set by ``dg check defs`` and ``dagster definitions validate``, says Dagster's documentation."""

_NEVER = 1_000_000


@dg.definitions
def defs() -> dg.Definitions:
    """Build the code location. What is wrong with one file shows as an asset of its own.

    Raises:
        DagsterInvalidDefinitionError: a file is wrong, and Dagster only wants to know whether
            one is.
    """
    # Dagster itself uses a beta parameter when it takes asset checks in.
    warnings.filterwarnings("ignore", "Parameter `execution_type`", dg.BetaWarning)
    with _kept_for_good():
        return _build(load_project())


@contextmanager
def _kept_for_good() -> Iterator[None]:
    """Keep the garbage collector from looking through what is built, then and later.

    The definitions of many integrations are a million objects that live as long as the process.
    Full collections of them would take as long as building them does.
    """
    thresholds = gc.get_threshold()
    gc.set_threshold(*thresholds[:2], _NEVER)
    try:
        yield
    finally:
        gc.freeze()
        gc.set_threshold(*thresholds)


def _build(project: Project) -> dg.Definitions:
    if project.problems and os.environ.get(VALIDATING):
        raise dg.DagsterInvalidDefinitionError(_told(project.problems))
    checked = checked_integrations(project)
    shared = dg.Definitions(
        assets=load_error_assets(project.problems),
        jobs=build_jobs(checked),
        schedules=[build_daily(checked), build_purge(defined_names(project))],
        sensors=[build_guard(guarded_integrations(project))],
        executor=dg.in_process_executor,
        resources={STATE: StateResource()},
    )
    docs = get_library_json_enriched_defs(None)
    return dg.Definitions.merge(docs, shared, *(unit.definitions for unit in project.units))


def _told(problems: Sequence[LoadError]) -> str:
    return "\n".join(problem.message for problem in problems)
