"""The option ``--entity``: an entity by its name, or by its name in m3ter's Console."""

from typing import Annotated

import typer

from m3sync_dagster.entities import ENTITIES, OTHER_NAMES

_NAMES = {name: name for name in ENTITIES} | {other: name for name, other in OTHER_NAMES.items()}


def entity_name(written: str) -> str:
    """The entity's name in YAML and in asset keys.

    Raises:
        typer.BadParameter: there is no such entity.
    """
    if written.lower() not in _NAMES:
        raise typer.BadParameter(
            f"there is no entity {written!r}. Use one of {', '.join(ENTITIES)}."
        )
    return _NAMES[written.lower()]


def _complete(incomplete: str) -> list[str]:
    return [name for name in _NAMES if name.startswith(incomplete)]


Entity = Annotated[
    str | None,
    typer.Option(
        parser=entity_name,
        metavar="|".join(ENTITIES),
        autocompletion=_complete,
        help="Only this entity. prepayment is another name of commitment.",
        show_default=False,
    ),
]
"""One entity, or all."""

EntityName = Annotated[
    str,
    typer.Argument(
        parser=entity_name,
        metavar="ENTITY",
        autocompletion=_complete,
        help=f"The entity: {', '.join(ENTITIES)}. prepayment is another name of commitment.",
        show_default=False,
    ),
]
"""The entity that a command is about."""

Entities = Annotated[
    list[str] | None,
    typer.Option(
        "--entity",
        parser=entity_name,
        metavar="|".join(ENTITIES),
        autocompletion=_complete,
        help="Only the object of this entity; may be repeated.",
        show_default=False,
    ),
]
"""Some entities, or all."""
