"""Dagster's private modules: which parts of them m3sync uses, and from where."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from m3sync_dagster import dagster_internals

PACKAGE = Path(dagster_internals.__file__).parent
PRIVATE = ("dagster._", "dagster.components.core", "dagster_shared")
USED = {
    "dagster._core.code_pointer": {"CodePointer"},
    "dagster._core.definitions.assets.graph.asset_graph": {"AssetGraph"},
    "dagster._core.definitions.assets.job.asset_job": {
        "IMPLICIT_ASSET_JOB_NAME",
        "build_asset_job",
        "get_asset_graph_for_job",
    },
    "dagster._core.definitions.definitions_load_context": {
        "DefinitionsLoadContext",
        "DefinitionsLoadType",
    },
    "dagster._core.definitions.partitions.context": {"partition_loading_context"},
    "dagster._core.definitions.reconstruct": {"ReconstructableJob", "ReconstructableRepository"},
    "dagster._core.definitions.run_request": {"InstigatorType"},
    "dagster._core.definitions.selector": {"InstigatorSelector"},
    "dagster._core.definitions.unresolved_asset_job_definition": {"UnresolvedAssetJobDefinition"},
    "dagster._core.events": {"JobFailureData"},
    "dagster._core.execution.api": {"create_execution_plan", "execute_run"},
    "dagster._core.launcher": {"CheckRunHealthResult", "LaunchRunContext", "WorkerStatus"},
    "dagster._core.remote_origin": {
        "CodeLocationOrigin",
        "GrpcServerCodeLocationOrigin",
        "ManagedGrpcPythonEnvCodeLocationOrigin",
        "RemoteJobOrigin",
        "RemoteRepositoryOrigin",
    },
    "dagster._core.scheduler.instigation": {
        "InstigatorState",
        "InstigatorStatus",
        "ScheduleInstigatorData",
    },
    "dagster._core.snap": {"snapshot_from_execution_plan"},
    "dagster._core.utils": {"make_new_run_id"},
    "dagster._core.workspace.load_target": {"ModuleTarget", "WorkspaceFileTarget"},
    "dagster._grpc.types": {"ExecuteRunArgs"},
    "dagster._serdes": {"ConfigurableClassData"},
    "dagster._time": {"get_current_datetime", "get_current_timestamp"},
    "dagster.components.core.component_tree": {"ComponentTree"},
    "dagster.components.core.defs_module": {"CompositeYamlComponent"},
    "dagster.components.core.load_defs": {"get_library_json_enriched_defs"},
    "dagster_shared.error": {"SerializableErrorInfo"},
    "dagster_shared.record": {"replace"},
    "dagster_shared.serdes": {"unpack_value"},
    "dagster_shared.yaml_utils": {"DagsterYamlLoader", "parse_yamls_with_source_position"},
    "dagster_shared.yaml_utils.source_position": {"ValueAndSourcePositionTree"},
}


def imports(path: Path) -> Iterator[tuple[str, set[str]]]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, {name.name for name in node.names}
        elif isinstance(node, ast.Import):
            yield from ((name.name, set[str]()) for name in node.names)


@pytest.mark.parametrize(
    "path", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_only_one_file_imports_private_modules_of_dagster(path: Path) -> None:
    private = [module for module, _ in imports(path) if module.startswith(PRIVATE)]
    assert not private or path.name == "dagster_internals.py"


def test_what_is_used_of_dagsters_private_modules() -> None:
    used: dict[str, set[str]] = {}
    for module, names in imports(Path(dagster_internals.__file__)):
        used.setdefault(module, set()).update(names)
    assert used == USED
