"""``m3sync purge``: deletes runs and state that are no longer needed, as a job does daily."""

from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import Json, print_error, print_json, print_message, print_table
from m3sync_dagster.sync.errors import ConfigurationError

if TYPE_CHECKING:
    from m3sync_dagster.components.load_project import DefinedNames
    from m3sync_dagster.components.purge_job import PurgeReport

Integration = Annotated[
    str | None,
    typer.Option(
        "--integration",
        metavar="NAME",
        help="Delete all state of this integration, whose defs.yaml is deleted.",
        show_default=False,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the counts, and delete nothing.")]


def purge(*, integration: Integration = None, dry_run: DryRun = False, json: Json = False) -> None:
    """Delete runs and state that are too old, and the state of deleted integrations."""
    ready()
    from m3sync_dagster.components.load_project import defined_names, load_project
    from m3sync_dagster.components.purge_job import NOT_FINISHED

    defined = defined_names(load_project())
    if integration is None:
        report = _purge_all(defined, dry_run=dry_run)
    else:
        report = _purge_one(defined, integration, dry_run=dry_run)
    if json:
        print_json({"dry_run": dry_run, **report.as_dict()})
    else:
        _show(report)
    if report.note:
        print_error(report.note)
    if not report.finished:
        print_message(NOT_FINISHED)
    if dry_run:
        print_message("Nothing was deleted.")


def _purge_all(defined: "DefinedNames", *, dry_run: bool) -> "PurgeReport":
    from dagster import DagsterInstance

    from m3sync_dagster.components.purge_job import purge as purge_state
    from m3sync_dagster.state import connect, postgres_url

    with DagsterInstance.get() as instance, connect(postgres_url()) as connection:
        return purge_state(instance, connection, defined, dry_run=dry_run)


def _purge_one(defined: "DefinedNames", name: str, *, dry_run: bool) -> "PurgeReport":
    from m3sync_dagster.components.purge_job import PurgeReport
    from m3sync_dagster.state import AbsentIntegration, connect, postgres_url, purge_integration

    _require_undefined(defined, name)
    with connect(postgres_url()) as connection:
        rows = purge_integration(connection, name, dry_run=dry_run)
    if not rows:
        raise ConfigurationError(
            f"there is no state of an integration {name} that can be deleted",
            "Write the name as it was in its defs.yaml.",
        )
    return PurgeReport([], [AbsentIntegration(name, rows=rows)])


def _require_undefined(defined: "DefinedNames", name: str) -> None:
    """Make sure that no ``defs.yaml``, valid or not, defines the integration.

    Raises:
        ConfigurationError: one does, or may.
    """
    if name in defined.names:
        raise ConfigurationError(
            f"the integration {name} is still defined", "Delete its defs.yaml first."
        )
    if defined.unreadable:
        files = ", ".join(map(str, defined.unreadable))
        raise ConfigurationError(
            f"{files} may define the integration {name}: its names cannot all be read",
            "Correct the file, or delete it; then run the command again.",
        )


def _show(report: "PurgeReport") -> None:
    if report.aged:
        print_table(
            "Rows that are too old",
            ["what", "days", "rows"],
            [[one.what, one.days, one.rows] for one in report.aged],
        )
    if report.absent:
        print_table(
            "Integrations that were deleted",
            ["integration", "absent since", "rows", "kept because"],
            [
                [one.integration, one.absent_since, one.rows, one.kept_because]
                for one in report.absent
            ],
        )
