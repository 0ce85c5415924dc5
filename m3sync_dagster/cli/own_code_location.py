"""Which of a workspace's code locations is m3sync's."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg

from m3sync_dagster.cli.prepare_environment import Environment
from m3sync_dagster.dagster_internals import (
    CodeLocationOrigin,
    InstigatorType,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    ModuleTarget,
    WorkspaceFileTarget,
)
from m3sync_dagster.guard.sensor import GUARD
from m3sync_dagster.runs.dagster_links import LOCATION
from m3sync_dagster.sync.errors import ConfigurationError

MODULE = "m3sync_dagster.definitions"
"""The module of our definitions, as a workspace names it."""


def own_code_location(environment: Environment, instance: dg.DagsterInstance) -> CodeLocationOrigin:
    """Find m3sync's code location: in the workspace, or where the guard's sensor has ticked.

    Without a workspace, as where each server gets its code locations by options, and before the
    first tick, it is what ``m3sync init`` writes into a workspace.

    Raises:
        ConfigurationError: the workspace cannot be read, or none of its code locations is ours.
    """
    if environment.workspace is None:
        return next(_guard_locations(instance), _default())
    origins = _read(environment.workspace)
    known = [origin for origin in origins if len(origins) == 1 or _is_ours(origin)]
    if known:
        return known[0]
    ticked = {origin.location_name for origin in _guard_locations(instance)}
    for origin in origins:
        if origin.location_name in ticked:
            return origin
    names = ", ".join(origin.location_name for origin in origins)
    raise ConfigurationError(
        f"none of the code locations in {environment.workspace} ({names}) is known to be m3sync's",
        f"Set location_name: {LOCATION} for the one that loads {MODULE}.",
    )


def _read(workspace: Path) -> Sequence[CodeLocationOrigin]:
    try:
        origins = WorkspaceFileTarget([str(workspace)]).create_origins()
    except Exception as error:  # noqa: BLE001 - Dagster raises errors of many kinds
        raise ConfigurationError(
            f"{workspace} cannot be read ({' '.join(str(error).split())})", "Correct the file."
        ) from None
    if not origins:
        raise ConfigurationError(
            f"there is no code location in {workspace}",
            "Write the one of the workspace.yaml that m3sync init makes.",
        )
    return origins


def _is_ours(origin: CodeLocationOrigin) -> bool:
    if origin.location_name == LOCATION:
        return True
    return (
        isinstance(origin, ManagedGrpcPythonEnvCodeLocationOrigin)
        and origin.loadable_target_origin.module_name == MODULE
    )


def _guard_locations(instance: dg.DagsterInstance) -> Iterator[CodeLocationOrigin]:
    """The code locations whose guard a daemon has evaluated."""
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR):
        if state.instigator_name == GUARD:
            yield state.origin.repository_origin.code_location_origin


def _default() -> CodeLocationOrigin:
    (origin,) = ModuleTarget(
        module_name=MODULE, attribute=None, working_directory=None, location_name=LOCATION
    ).create_origins()
    return origin
