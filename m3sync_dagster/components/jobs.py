"""The jobs of all integrations: two sync, one verifies.

Those that sync do not evaluate the check ``salesforce_matches_m3ter``. Dagster's UI adds every
check of an asset's job to a run, and its API every check of the asset. The check would then be
planned, which already replaces its last result, and it would fail together with the sync.
"""

from collections.abc import Mapping, Sequence

import dagster as dg

from m3sync_dagster.components.schedule import JOB
from m3sync_dagster.components.verify_check import CHECK, VERIFY_JOB, VerifiedIntegration
from m3sync_dagster.dagster_internals import (
    IMPLICIT_ASSET_JOB_NAME,
    AssetGraph,
    UnresolvedAssetJobDefinition,
    build_asset_job,
    get_asset_graph_for_job,
)


def build_jobs(integrations: Sequence[VerifiedIntegration]) -> list[UnresolvedAssetJobDefinition]:
    """Build the jobs that sync and do not verify, and the one that verifies and does not sync.

    Dagster's UI and its backfills use its own job of all assets, which it makes for each code
    location. Our asset job of the same name takes its place. A backfill names all checks of its
    assets, whatever the job has; see ``verify_check`` for what the check does then.
    """
    checks = dg.AssetSelection.checks(*(key for one in integrations for key in one.checks))
    return [
        _SyncJob(
            JOB,
            selection=dg.AssetSelection.all(),
            executor_def=dg.in_process_executor,
            description="Syncs the integrations whose assets a run selects.",
        ),
        _SyncJob(
            IMPLICIT_ASSET_JOB_NAME,
            selection=dg.AssetSelection.all() - checks,
            executor_def=dg.in_process_executor,
        ),
        dg.define_asset_job(
            VERIFY_JOB,
            selection=checks,
            executor_def=dg.in_process_executor,
            description="Compares Salesforce with m3ter; writes to neither.",
        ),
    ]


class _SyncJob(UnresolvedAssetJobDefinition):
    """An asset job whose assets may have different partitions, without the checks that verify.

    A run syncs one integration, whose assets have the same partitions. Dagster allows different
    ones in its own job of all assets, in every subset of a job, and in run requests with
    partition keys. ``define_asset_job`` does not: with it, one integration with another ``start``
    would stop the whole code location from loading.
    """

    def resolve(
        self,
        asset_graph: AssetGraph,
        default_executor_def: dg.ExecutorDefinition | None = None,
        resource_defs: Mapping[str, dg.ResourceDefinition] | None = None,
    ) -> dg.JobDefinition:
        """Build the job from the assets of the code location.

        The checks of a run that selects some of the assets are chosen from this graph too.
        """
        backfilled = self.name == IMPLICIT_ASSET_JOB_NAME
        graph = asset_graph if backfilled else _without_verifying_checks(asset_graph)
        return build_asset_job(
            self.name,
            asset_graph=get_asset_graph_for_job(
                graph, self.selection, allow_different_partitions_defs=True
            ),
            allow_different_partitions_defs=True,
            description=self.description,
            executor_def=self.executor_def or default_executor_def,
            resource_defs=resource_defs,
        )


def _without_verifying_checks(graph: AssetGraph) -> AssetGraph:
    return AssetGraph.from_assets(
        [
            definition
            for definition in graph.assets_defs
            if definition.keys or any(key.name != CHECK for key in definition.check_keys)
        ]
    )
