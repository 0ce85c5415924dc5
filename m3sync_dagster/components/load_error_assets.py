"""Shows an invalid ``defs.yaml`` in the UI, as an asset with the error message."""

from collections import defaultdict
from collections.abc import Sequence
from textwrap import wrap

import dagster as dg

from m3sync_dagster.components.load_errors import LoadError, messages_of

GROUP = "configuration_errors"
WIDTH = 88
"""Characters in a line of a message."""


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
    """The messages as they are, in lines that fit into the page: the UI does not wrap code."""
    lines = (
        wrap(line, WIDTH, break_long_words=False, break_on_hyphens=False)
        for line in messages_of(problems).splitlines()
    )
    text = "\n".join("\n".join(wrapped) for wrapped in lines)
    return f"{problems[0].name} is not loaded.\n\n```\n{text}\n```"


def _key(problem: LoadError) -> dg.AssetKey:
    letters = (c if c.isalnum() else "_" for c in problem.name)
    return dg.AssetKey(["".join(letters), "configuration_error"])
