"""Every part of Dagster's private modules that m3sync uses, each with the reason.

Dagster may move or change any of them in a new release; a test lists them, so that an upgrade shows
at once what moved. Nothing else in m3sync imports a private module of Dagster.
"""

# A run in the process of ``m3sync run`` that the UI shows like one of the daemon's: the public
# ``execute_in_process`` records neither the code location nor the snapshot that the UI needs.
from dagster._core.code_pointer import CodePointer
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.assets.job.asset_job import (
    # Its own job of all assets, which the UI uses, evaluates all checks; one of this name does not.
    IMPLICIT_ASSET_JOB_NAME,
    # One job for integrations that begin at different hours: ``define_asset_job`` refuses that.
    build_asset_job,
    get_asset_graph_for_job,
)

# A run's process builds the definitions once; a code server builds them anew each time.
from dagster._core.definitions.definitions_load_context import (
    DefinitionsLoadContext,
    DefinitionsLoadType,
)

# The hours that are complete at a schedule's tick, and not at the wall clock's time.
from dagster._core.definitions.partitions.context import partition_loading_context
from dagster._core.definitions.reconstruct import ReconstructableJob, ReconstructableRepository

# Schedules are started and stopped by the guard and by commands without a webserver; the public
# API has this as GraphQL alone.
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.definitions.selector import InstigatorSelector
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition

# Why a run failed is told by its last events, whose data has no public type.
from dagster._core.events import JobFailureData
from dagster._core.execution.api import create_execution_plan, execute_run

# A run launcher's interface, which the public ``DefaultRunLauncher`` has in its signatures.
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.remote_origin import (
    CodeLocationOrigin,
    GrpcServerCodeLocationOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.scheduler.instigation import (
    InstigatorState,
    InstigatorStatus,
    ScheduleInstigatorData,
)
from dagster._core.snap import snapshot_from_execution_plan

# The id of a run is needed before the run is recorded: its process takes a lock under it.
from dagster._core.utils import make_new_run_id

# Which of the workspace's code locations is ours: a schedule's stored state is found by it.
from dagster._core.workspace.load_target import ModuleTarget, WorkspaceFileTarget

# The command that executes a run in a process of its own, as Dagster's launchers for containers do.
from dagster._grpc.types import ExecuteRunArgs

# What the public ``DefaultRunLauncher`` is made with.
from dagster._serdes import ConfigurableClassData

# Dagster's clock, which its own ``freeze_time`` sets in tests.
from dagster._time import get_current_datetime, get_current_timestamp

# Each ``defs.yaml`` is a component tree of its own, so that a broken one breaks nothing else.
from dagster.components.core.component_tree import ComponentTree
from dagster.components.core.defs_module import CompositeYamlComponent

# The component docs in the UI, which ``load_from_defs_folder`` would add.
from dagster.components.core.load_defs import get_library_json_enriched_defs
from dagster_shared.error import SerializableErrorInfo

# ``Definitions`` is one of Dagster's records: only this makes a changed copy.
from dagster_shared.record import replace as replace_record

# What the run launcher for Celery puts into its queue: a worker reads there which run it executes.
from dagster_shared.serdes import unpack_value

# The line in the file that an error is about, read as Dagster itself reads the file.
from dagster_shared.yaml_utils import DagsterYamlLoader, parse_yamls_with_source_position
from dagster_shared.yaml_utils.source_position import ValueAndSourcePositionTree

__all__ = [
    "IMPLICIT_ASSET_JOB_NAME",
    "AssetGraph",
    "CheckRunHealthResult",
    "CodeLocationOrigin",
    "CodePointer",
    "ComponentTree",
    "CompositeYamlComponent",
    "ConfigurableClassData",
    "DagsterYamlLoader",
    "DefinitionsLoadContext",
    "DefinitionsLoadType",
    "ExecuteRunArgs",
    "GrpcServerCodeLocationOrigin",
    "InstigatorSelector",
    "InstigatorState",
    "InstigatorStatus",
    "InstigatorType",
    "JobFailureData",
    "LaunchRunContext",
    "ManagedGrpcPythonEnvCodeLocationOrigin",
    "ModuleTarget",
    "ReconstructableJob",
    "ReconstructableRepository",
    "RemoteJobOrigin",
    "RemoteRepositoryOrigin",
    "ScheduleInstigatorData",
    "SerializableErrorInfo",
    "UnresolvedAssetJobDefinition",
    "ValueAndSourcePositionTree",
    "WorkerStatus",
    "WorkspaceFileTarget",
    "build_asset_job",
    "create_execution_plan",
    "execute_run",
    "get_asset_graph_for_job",
    "get_current_datetime",
    "get_current_timestamp",
    "get_library_json_enriched_defs",
    "make_new_run_id",
    "parse_yamls_with_source_position",
    "partition_loading_context",
    "replace_record",
    "snapshot_from_execution_plan",
    "unpack_value",
]
