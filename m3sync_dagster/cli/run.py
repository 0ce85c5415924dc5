"""``m3sync run``: a sync now, in this process, recorded by Dagster like any other run."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.entity_option import Entity
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import (
    EntityBars,
    Json,
    print_error,
    print_json,
    print_table,
    progress,
)

if TYPE_CHECKING:
    from m3sync_dagster.cli.in_process_run import Report

Name = Annotated[str, typer.Argument(help="The integration.", show_default=False)]
Full = Annotated[bool, typer.Option("--full", help="Send every row, also unchanged ones.")]


def run(name: Name, *, entity: Entity = None, full: Full = False, json: Json = False) -> None:
    """Sync an integration now, in this process."""
    environment = ready()
    from m3sync_dagster.cli.find_integration import find
    from m3sync_dagster.cli.in_process_run import sync

    loaded = find(name, entity)
    loaded.require_configured()
    with watched():
        report = sync(environment, loaded, entity=entity, full=full)
    if json:
        print_json(report.as_dict())
    else:
        show(report)
    if report.error:
        print_error(report.error)
    if report.exit_code:
        raise typer.Exit(report.exit_code)


@contextmanager
def watched() -> Iterator[None]:
    """Show the progress of this process's syncs if standard error is a terminal."""
    from m3sync_dagster.components.materialize import watcher
    from m3sync_dagster.sync.engine import Progress

    with progress() as bars:
        shown = EntityBars(bars)

        def watch(entity: str, progress: Progress) -> None:
            answered = f", {progress.answered} answered" if progress.answered else ""
            shown.show(entity, f"{progress.read} read{answered}")

        token = watcher.set(watch)
        try:
            yield
        finally:
            watcher.reset(token)


def show(report: "Report") -> None:
    """Print a run's counts as a table; accounts without a link only if they are linked."""
    from m3sync_dagster.runs.run_status import COUNTS, SECONDS, WITHOUT_LINK

    headings = {name: name for name in COUNTS} | {COUNTS[-1]: "API calls", SECONDS: "seconds"}
    if any(WITHOUT_LINK in measures for measures in report.entities.values()):
        headings[WITHOUT_LINK] = "without link"
    print_table(
        f"{report.integration}: {report.status} (run {report.run_id})",
        ["entity", *headings.values()],
        [
            [entity, *(measures.get(name) for name in headings)]
            for entity, measures in report.entities.items()
        ],
    )
