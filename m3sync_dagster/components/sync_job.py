"""The one job of all integrations, each of which begins at an hour of its own."""

from collections.abc import Mapping

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.definitions.assets.job.asset_job import build_asset_job, get_asset_graph_for_job
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition


class SyncJob(UnresolvedAssetJobDefinition):
    """An asset job whose assets need not all have the same partitions.

    A run is of one integration, whose assets do. Dagster allows this for its own job of all
    assets, for every subset of a job, and for the partition keys that a run request names; only
    ``define_asset_job`` does not, and so a single integration with another ``start`` would keep
    the whole code location from loading.
    """

    def resolve(
        self,
        asset_graph: AssetGraph,
        default_executor_def: dg.ExecutorDefinition | None = None,
        resource_defs: Mapping[str, dg.ResourceDefinition] | None = None,
    ) -> dg.JobDefinition:
        """Build the job of the assets that there are."""
        return build_asset_job(
            self.name,
            asset_graph=get_asset_graph_for_job(
                asset_graph, self.selection, allow_different_partitions_defs=True
            ),
            allow_different_partitions_defs=True,
            description=self.description,
            executor_def=self.executor_def or default_executor_def,
            resource_defs=resource_defs,
        )
