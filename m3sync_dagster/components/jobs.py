"""The two jobs of all integrations: one syncs, the other verifies."""

from collections.abc import Mapping, Sequence

import dagster as dg

from m3sync_dagster.components.schedule import JOB
from m3sync_dagster.components.verify_check import VERIFY_JOB, VerifiedIntegration
from m3sync_dagster.dagster_internals import (
    AssetGraph,
    UnresolvedAssetJobDefinition,
    build_asset_job,
    get_asset_graph_for_job,
)


def build_jobs(integrations: Sequence[VerifiedIntegration]) -> list[UnresolvedAssetJobDefinition]:
    """Build the two jobs: one syncs and does not verify, the other verifies and does not sync."""
    checks = dg.AssetSelection.checks(*(key for one in integrations for key in one.checks))
    return [
        _MixedPartitionsJob(
            JOB,
            selection=dg.AssetSelection.all() - checks,
            executor_def=dg.in_process_executor,
            description="Syncs the integrations whose assets a run selects.",
        ),
        dg.define_asset_job(
            VERIFY_JOB,
            selection=checks,
            executor_def=dg.in_process_executor,
            description="Compares Salesforce with m3ter; writes to neither.",
        ),
    ]


class _MixedPartitionsJob(UnresolvedAssetJobDefinition):
    """An asset job whose assets may have different partitions.

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
        """Build the job from the assets of the code location."""
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
