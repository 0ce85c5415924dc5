"""How a ``defs.yaml`` that cannot be used shows in the UI: as an asset that says why."""

from collections.abc import Sequence

import dagster as dg

from m3sync_dagster.components.problems import Problem

GROUP = "configuration_errors"


def broken_specs(problems: Sequence[Problem]) -> list[dg.AssetSpec]:
    """One asset for each file that cannot be used; it can be looked at, not materialized."""
    by_key = {_key(problem): problem for problem in problems}
    return [
        dg.AssetSpec(
            key,
            description=f"**This integration is not loaded.**\n\n```\n{problem.message}\n```",
            group_name=GROUP,
            kinds={"yaml"},
            metadata={"defs_yaml": dg.MetadataValue.path(str(problem.path))},
        )
        for key, problem in by_key.items()
    ]


def _key(problem: Problem) -> dg.AssetKey:
    letters = (c if c.isalnum() else "_" for c in problem.name)
    return dg.AssetKey(["".join(letters), "configuration_error"])
