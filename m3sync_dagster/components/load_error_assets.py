"""Shows an invalid ``defs.yaml`` in the UI, as an asset with the error message."""

from collections import defaultdict
from collections.abc import Sequence

import dagster as dg

from m3sync_dagster.components.load_errors import LoadError, messages_of

GROUP = "configuration_errors"


def load_error_assets(problems: Sequence[LoadError]) -> list[dg.AssetSpec]:
    """One asset for each name that is not loaded; it cannot be materialized."""
    by_key: dict[dg.AssetKey, list[LoadError]] = defaultdict(list)
    for problem in problems:
        by_key[_key(problem)].append(problem)
    return [
        dg.AssetSpec(
            key,
            description=_description(same_name),
            group_name=GROUP,
            kinds={"yaml"},
            metadata={"defs_yaml": dg.MetadataValue.path(str(same_name[0].path))},
        )
        for key, same_name in by_key.items()
    ]


def _description(problems: Sequence[LoadError]) -> str:
    return f"**{problems[0].name} is not loaded.**\n\n```\n{messages_of(problems)}\n```"


def _key(problem: LoadError) -> dg.AssetKey:
    letters = (c if c.isalnum() else "_" for c in problem.name)
    return dg.AssetKey(["".join(letters), "configuration_error"])
