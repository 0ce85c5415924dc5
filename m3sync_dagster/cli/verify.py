"""``m3sync verify``: compares Salesforce with m3ter, and repairs the differences if asked."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.entity_option import Entity
from m3sync_dagster.cli.exit_codes import FAILED, failed
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import (
    EntityBars,
    Json,
    Linked,
    print_error,
    print_json,
    print_message,
    print_table,
    progress,
    shorten,
)
from m3sync_dagster.cli.run import Name, watched
from m3sync_dagster.sync.errors import SyncError

if TYPE_CHECKING:
    from m3sync_dagster.cli.in_process_run import Report
    from m3sync_dagster.cli.prepare_environment import Environment
    from m3sync_dagster.components.loaded_integration import LoadedIntegration
    from m3sync_dagster.components.verify_entity import Connections, VerifiedEntity
    from m3sync_dagster.components.verify_repair import RepairReport

Repair = Annotated[
    bool,
    typer.Option(
        "--repair",
        help="Send missing and changed records, and treat deleted ones as when_gone says.",
    ),
]
Yes = Annotated[
    bool,
    typer.Option("--yes", help="Accept the first deletion that when_gone: delete asks for."),
]

DeleteUpTo = Annotated[
    int,
    typer.Option(
        min=0,
        metavar="N",
        help="Accept the deletion of up to N records of each entity, whatever their share.",
        show_default=False,
    ),
]

COUNTS = ("equal", "missing", "changed", "extra", "gone", "flagged", "invalid", "pending")
"""The counts of each entity in the table; see ``sync.reconcile_types.DiffCounts``."""


def verify(  # noqa: PLR0913 - the command line's options
    name: Name,
    *,
    entity: Entity = None,
    repair: Repair = False,
    yes: Yes = False,
    delete_up_to: DeleteUpTo = 0,
    json: Json = False,
) -> None:
    """Compare Salesforce with m3ter."""
    environment = ready()
    from m3sync_dagster.cli.find_integration import find
    from m3sync_dagster.components.verify_repair import IntegrationRepair
    from m3sync_dagster.sync.flag_or_delete import DeletionConsent

    loaded = find(name, entity)
    loaded.require_configured()
    entities = [entity] if entity else list(loaded.integration.mappings)
    repaired = None
    with connected(loaded) as connections, _verified(connections, entities) as verified:
        if repair:
            consent = DeletionConsent(first=yes, many=delete_up_to)
            sync = _sync(environment, loaded, entity)
            repaired = IntegrationRepair(connections, verified, sync, consent).run()
    matches = repaired.clean if repaired else all(o.counts.matches for o in verified.values())
    if json:
        print_json(_as_dict(name, verified, repaired, matches=matches))
    else:
        _show(name, verified, repaired)
    for entity_name, result in verified.items():
        if result.encrypted:
            print_message(
                f"{entity_name}: {', '.join(result.encrypted)} is encrypted in Salesforce. Without "
                "the permission View Encrypted Data this user reads asterisks there, and the "
                "values may be equal. Give it that permission, and verify again."
            )
    for problem in repaired.problems if repaired else ():
        print_error(problem)
    if not matches:
        if not repair:
            print_message(
                f"Salesforce differs. Run m3sync verify {name} --repair to send what differs."
            )
        raise typer.Exit(FAILED)


@contextmanager
def connected(loaded: "LoadedIntegration") -> "Iterator[Connections]":
    """Connect to the systems of an integration while the block lasts."""
    from m3sync_dagster.components.verify_entity import Connections

    with loaded.m3ter().opened() as m3ter, loaded.salesforce().opened() as salesforce:
        yield Connections(loaded.integration, m3ter.organization, salesforce.org)


@contextmanager
def _verified(
    connections: "Connections", entities: list[str]
) -> "Iterator[dict[str, VerifiedEntity]]":
    """Verify entities; their comparisons are kept while the block lasts."""
    from m3sync_dagster.components.verify_entity import verify_entity

    with ExitStack() as stack:
        with progress() as bars:
            shown = EntityBars(bars)
            verified = {
                name: stack.enter_context(
                    verify_entity(connections, name, partial(shown.show, name))
                )
                for name in entities
            }
        try:
            yield verified
        except SyncError as error:
            raise failed(error) from None


def _sync(
    environment: "Environment", loaded: "LoadedIntegration", entity: str | None
) -> "Callable[[], Report]":
    """The sync run that a repair makes, with its progress."""
    from m3sync_dagster.cli import in_process_run

    def sync() -> "Report":
        with watched():
            return in_process_run.sync(environment, loaded, entity=entity)

    return sync


def _as_dict(
    name: str,
    verified: "dict[str, VerifiedEntity]",
    repaired: "RepairReport | None",
    *,
    matches: bool,
) -> dict[str, object]:
    entities = {entity: result.as_dict() for entity, result in verified.items()}
    result = {"integration": name, "matches": matches, "entities": entities}
    return result | ({"repair": repaired.as_dict()} if repaired else {})


def _show(
    name: str, verified: "dict[str, VerifiedEntity]", repaired: "RepairReport | None"
) -> None:
    print_table(
        f"{name}: Salesforce compared with m3ter",
        ["entity", *COUNTS, "calls"],
        [
            [entity, *(getattr(result.counts, count) for count in COUNTS), result.calls]
            for entity, result in verified.items()
        ],
    )
    rows = [
        [
            *(entity, Linked(example.m3ter_id, result.link(example)), example.kind),
            *(field, shorten(m3ter), shorten(salesforce)),
        ]
        for entity, result in verified.items()
        for example in result.examples
        for field, (m3ter, salesforce) in (example.fields or {"": (None, None)}).items()
    ]
    if rows:
        print_table(
            "The first records that differ",
            ["entity", "m3ter id", "difference", "field", "m3ter", "Salesforce"],
            rows,
        )
    if repaired:
        columns = ["entity", "sent", "flagged", "deleted", "left", "calls"]
        counts = [[entity, *one.values()] for entity, one in repaired.entities.items()]
        print_table(f"{name}: repaired", columns, counts)
