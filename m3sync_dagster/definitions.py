"""The code location ``m3sync``: the definitions of all ``defs.yaml`` files.

A run's process needs one integration alone, and names it in ``M3SYNC_ONLY_INTEGRATION``.
"""

import os
import warnings
from functools import lru_cache

import dagster as dg

from m3sync_dagster.components.entity_syncs import STATE
from m3sync_dagster.components.jobs import build_jobs
from m3sync_dagster.components.load_one_integration import load_integration
from m3sync_dagster.components.load_project import (
    Project,
    files_state,
    load_project,
)
from m3sync_dagster.components.resources import StateResource
from m3sync_dagster.components.watched_integrations import (
    integrations_to_verify,
)
from m3sync_dagster.core_files import forbid_core_files
from m3sync_dagster.dagster_internals import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
)
from m3sync_dagster.gc_settings import exempt_from_collection
from m3sync_dagster.project_folder import ONLY_INTEGRATION


@dg.definitions
def defs() -> dg.Definitions:
    """Build the code location. Each invalid file becomes an asset that shows its error.

    With ``M3SYNC_ONLY_INTEGRATION`` it has what a run of this integration needs, and no more.

    Raises:
        DagsterInvalidDefinitionError: a file is invalid, and a command of Dagster validates the
            definitions.
        ConfigurationError: there is no valid integration of the one name.
    """
    if DefinitionsLoadContext.get().load_type == DefinitionsLoadType.INITIALIZATION:
        return _build()
    return _built_for_runs(frozenset(os.environ.items()), frozenset(files_state().items()))


@lru_cache(maxsize=1)
def _built_for_runs(environment: object, files: object) -> dg.Definitions:  # noqa: ARG001 - see below
    """Build the definitions once for a run, which asks Dagster for them two or three times.

    They depend on the environment, which templates read, and on the files.
    """
    return _build()


def _build() -> dg.Definitions:
    forbid_core_files()
    # Dagster itself uses a beta parameter when it reads asset checks.
    warnings.filterwarnings("ignore", "Parameter `execution_type`", dg.BetaWarning)
    with exempt_from_collection():
        if only := os.environ.get(ONLY_INTEGRATION):
            return _for_runs(load_integration(only))
        return _code_location(load_project())


def _for_runs(project: Project) -> dg.Definitions:
    """What a run needs: no guard and no schedule of the whole project, which would be wrong."""
    return _merged(project, dg.Definitions(jobs=build_jobs(integrations_to_verify(project))))


def _code_location(project: Project) -> dg.Definitions:
    # It imports the guard and what sends messages, for which a run has no use.
    from m3sync_dagster.components.code_location import build_code_location  # noqa: PLC0415

    return _merged(project, *build_code_location(project))


def _merged(project: Project, *more: dg.Definitions) -> dg.Definitions:
    of_all = dg.Definitions(
        executor=dg.in_process_executor,
        resources={STATE: StateResource()},
    )
    return dg.Definitions.merge(*more, of_all, *(unit.definitions for unit in project.units))
