"""``m3sync runs``: what each run did, from Dagster's own storage."""

from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.entity_option import Entity
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import Json, print_json, print_table
from m3sync_dagster.cli.time_arguments import Since, Until, time_text

if TYPE_CHECKING:
    from m3sync_dagster.runs.run_list import ListedRun
    from m3sync_dagster.runs.run_status import RunSummary

_HEADINGS = ("integration", "hour", "status", "trigger", "started", "seconds", "counts", "error")
_UNCHANGED = ("read", "salesforce_api_calls")

Name = Annotated[
    str | None, typer.Argument(help="The integration; left out: all.", show_default=False)
]
RunLimit = Annotated[int, typer.Option("--limit", min=1, help="List at most so many.")]


def runs(  # noqa: PLR0913 - the options that people ask for
    name: Name = None,
    *,
    entity: Entity = None,
    since: Since = None,
    until: Until = None,
    limit: RunLimit = 50,
    json: Json = False,
) -> None:
    """List the newest runs, with what they counted and why they failed."""
    ready()
    from dagster import DagsterInstance

    from m3sync_dagster.cli.find_integration import names_in, require_known
    from m3sync_dagster.components.load_project import load_project
    from m3sync_dagster.runs.dead_runs import report_dead_runs
    from m3sync_dagster.runs.run_list import RunsWanted, list_runs
    from m3sync_dagster.state import connect, postgres_url

    if name is not None:
        require_known(name)
    names = [name] if name else names_in(load_project())
    with DagsterInstance.get() as instance:
        with connect(postgres_url()) as connection:
            report_dead_runs(instance, connection, names)
        found = list_runs(instance, names, RunsWanted(entity, since, until, limit))
    if json:
        print_json([run.as_dict() for run in found])
    else:
        print_table("Runs", [*_HEADINGS, "run"], [_cells(run) for run in found])


def _cells(run: "ListedRun") -> list[object]:
    from m3sync_dagster.runs.hour_text import hours_text

    summary = run.summary
    return [
        *(run.integration, hours_text(summary.partition), summary.status, run.trigger),
        *(_started(summary), run.duration),
        "; ".join(f"{entity}: {_counts(counts)}" for entity, counts in run.entities.items()),
        run.error,
        summary.run_id,
    ]


def _started(summary: "RunSummary") -> str | None:
    return time_text(datetime.fromisoformat(summary.started)) if summary.started else None


def _counts(counts: dict[str, int | float]) -> str:
    """What was read, and every other count that is not zero."""
    from m3sync_dagster.runs.run_status import COUNTS, WITHOUT_LINK

    shown = (*COUNTS, WITHOUT_LINK)
    rest = [name for name in shown if name not in _UNCHANGED and counts.get(name)]
    return ", ".join(f"{counts[name]} {name.replace('_', ' ')}" for name in ("read", *rest))
