"""``m3sync run``: a sync now, in this process, recorded by Dagster like any other run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.exit_codes import FAILED
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import (
    EntityBars,
    Json,
    complain,
    print_json,
    print_table,
    progress,
)

if TYPE_CHECKING:
    from m3sync_dagster.cli.in_process_run import Report

Name = Annotated[str, typer.Argument(help="The integration.", show_default=False)]
Entity = Annotated[
    str | None,
    typer.Option(help="This entity alone, such as account.", show_default=False),
]
Full = Annotated[
    bool, typer.Option("--full", help="Send every row, whatever Salesforce has acknowledged.")
]


def run(name: Name, *, entity: Entity = None, full: Full = False, json: Json = False) -> None:
    """Sync an integration now, in this process."""
    environment = ready()
    from m3sync_dagster.cli.find_integration import find
    from m3sync_dagster.cli.in_process_run import sync

    found = find(name, entity)
    found.require_configured()
    with watched():
        report = sync(environment, found, entity=entity, full=full)
    if json:
        print_json(report.as_dict())
    else:
        show(report)
    if report.error:
        complain(report.error)
    if not report.clean:
        raise typer.Exit(FAILED)


@contextmanager
def watched() -> Iterator[None]:
    """Show how far the syncs of this process are, where somebody can see it."""
    from m3sync_dagster.components.materialize import watcher
    from m3sync_dagster.sync.engine import Progress

    with progress() as bars:
        shown = EntityBars(bars)

        def watch(entity: str, told: Progress) -> None:
            answered = f", {told.answered} answered" if told.answered else ""
            shown.show(entity, f"{told.read} read{answered}")

        token = watcher.set(watch)
        try:
            yield
        finally:
            watcher.reset(token)


def show(report: "Report") -> None:
    """Print what a run has done as a table."""
    from m3sync_dagster.runs.run_status import COUNTS, SECONDS

    headings = ["entity", *COUNTS[:-1], "API calls", "seconds"]
    print_table(
        f"{report.integration}: {report.status} (run {report.run_id})",
        headings,
        [
            [entity, *(measures[name] for name in (*COUNTS, SECONDS))]
            for entity, measures in report.entities.items()
        ],
    )
