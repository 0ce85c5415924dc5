"""``m3sync verify``: reads Salesforce back, compares it with m3ter, and mends it if asked to."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from m3sync_dagster.cli.exit_codes import FAILED, failed
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import (
    EntityBars,
    Json,
    complain,
    print_json,
    print_table,
    progress,
    say,
)
from m3sync_dagster.cli.run import Entity, Name
from m3sync_dagster.sync.errors import SyncError

if TYPE_CHECKING:
    from m3sync_dagster.cli.repair import Connections, RepairReport, Verified

Repair = Annotated[
    bool,
    typer.Option("--repair", help="Send what is missing or changed, and do as when_gone says."),
]
Yes = Annotated[
    bool,
    typer.Option("--yes", help="Agree to the first deletion that when_gone: delete asks for."),
]

DeleteUpTo = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Agree to the deletion of as many as N records of an entity, whatever share of all "
        "they are.",
        show_default=False,
    ),
]

COUNTS = ("equal", "missing", "changed", "extra", "gone", "flagged", "invalid", "pending")
"""What is told of each entity; see ``sync.comparison.DiffCounts``."""


def verify(  # noqa: PLR0913 - the command line's options
    name: Name,
    *,
    entity: Entity = None,
    repair: Repair = False,
    yes: Yes = False,
    delete_up_to: DeleteUpTo = 0,
    json: Json = False,
) -> None:
    """Read Salesforce back and compare it with m3ter."""
    environment = ready()
    from m3sync_dagster.cli.find_integration import find
    from m3sync_dagster.cli.repair import mend, opened
    from m3sync_dagster.sync.deletions import DeletionConsent

    found = find(name, entity)
    found.require_configured()
    entities = [entity] if entity else list(found.integration.mappings)
    with opened(found) as both, _verified(both, entities) as verified:
        agreed = DeletionConsent(first=yes, many=delete_up_to)
        mended = mend(environment, both, verified, entity=entity, agreed=agreed) if repair else None
    told = _told(name, verified, mended)
    if json:
        print_json(told)
    else:
        _show(name, verified, mended)
    for problem in mended.problems if mended else ():
        complain(problem)
    if not told["matches"]:
        if not repair:
            say(f"Salesforce differs. Run m3sync verify {name} --repair to send what differs.")
        raise typer.Exit(FAILED)


@contextmanager
def _verified(both: "Connections", entities: list[str]) -> Iterator[dict[str, "Verified"]]:
    """Verify entities; what was found is there to be mended while the block lasts."""
    from m3sync_dagster.cli.repair import verified

    with ExitStack() as stack:
        try:
            with progress() as bars:
                shown = EntityBars(bars)
                found_of = {
                    name: stack.enter_context(verified(both, name, partial(shown.show, name)))
                    for name in entities
                }
            yield found_of
        except SyncError as error:
            raise failed(error) from None


def _told(
    name: str, verified: dict[str, "Verified"], mended: "RepairReport | None"
) -> dict[str, Any]:
    entities = {key: one.as_dict() for key, one in verified.items()}
    clean = mended.clean if mended else all(one.tally.matches for one in verified.values())
    told = {"integration": name, "matches": clean, "entities": entities}
    return told | ({"repair": mended.as_dict()} if mended else {})


def _show(name: str, verified: dict[str, "Verified"], mended: "RepairReport | None") -> None:
    print_table(
        f"{name}: Salesforce beside m3ter",
        ["entity", *COUNTS, "calls"],
        [
            [entity, *(getattr(one.tally, count) for count in COUNTS), one.calls]
            for entity, one in verified.items()
        ],
    )
    rows = [
        [entity, example.m3ter_id, example.kind, field, _short(wanted), _short(held)]
        for entity, one in verified.items()
        for example in one.examples
        for field, (wanted, held) in (example.fields or {"": (None, None)}).items()
    ]
    if rows:
        print_table(
            "Of the first records that differ",
            ["entity", "m3ter id", "difference", "field", "m3ter", "Salesforce"],
            rows,
        )
    if mended:
        columns = ["entity", "sent", "flagged", "deleted", "left", "calls"]
        repaired = [[key, *one.values()] for key, one in mended.entities.items()]
        print_table(f"{name}: repaired", columns, repaired)


def _short(value: object) -> str | None:
    if value is None:
        return None
    text = " ".join(str(value).split())
    return text if len(text) <= 60 else f"{text[:59]}…"
