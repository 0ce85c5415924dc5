"""How a ``defs.yaml`` that cannot be used shows in the UI: as an asset that says why."""

from collections import defaultdict
from collections.abc import Sequence

import dagster as dg

from m3sync_dagster.components.load_errors import LoadError

GROUP = "configuration_errors"


def load_error_assets(problems: Sequence[LoadError]) -> list[dg.AssetSpec]:
    """One asset for each name that is not loaded; it can be looked at, not materialized."""
    by_key: dict[dg.AssetKey, list[LoadError]] = defaultdict(list)
    for problem in problems:
        by_key[_key(problem)].append(problem)
    return [
        dg.AssetSpec(
            key,
            description=f"**{found[0].name} is not loaded.**\n\n```\n{_messages(found)}\n```",
            group_name=GROUP,
            kinds={"yaml"},
            metadata={"defs_yaml": dg.MetadataValue.path(str(found[0].path))},
        )
        for key, found in by_key.items()
    ]


def _messages(problems: Sequence[LoadError]) -> str:
    return "\n".join(problem.message for problem in problems)


def _key(problem: LoadError) -> dg.AssetKey:
    letters = (c if c.isalnum() else "_" for c in problem.name)
    return dg.AssetKey(["".join(letters), "configuration_error"])
