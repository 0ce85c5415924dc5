"""``m3sync import``: makes integrations from the organization's hosted ones."""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.exit_codes import FAILED
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import Json, print_error, print_json, print_message, print_table
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.printable_text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from m3sync_dagster.components.import_hosted import PlannedImport
    from m3sync_dagster.discovery.hosted_integrations import HostedIntegration

Credential = Annotated[
    str | None,
    typer.Option(
        "--credential",
        metavar="NAME",
        help="The M3terCredential to read with; left out: the project's only one.",
        show_default=False,
    ),
]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the files, and write nothing.")]
Yes = Annotated[bool, typer.Option("--yes", help="Write without asking.")]


def import_integrations(
    *, credential: Credential = None, dry_run: DryRun = False, yes: Yes = False, json: Json = False
) -> None:
    """Write defs.yaml files from the organization's hosted integration configurations."""
    if not (dry_run or yes):
        _require_terminal(json=json)
    ready()
    from m3sync_dagster.components.import_hosted import Outcome, plan_import, write_imports
    from m3sync_dagster.project_folder import defs_for_new_files

    folder = defs_for_new_files()
    planned = plan_import(_read(credential), folder)
    new = [one for one in planned if one.outcome is Outcome.NEW]
    if not json:
        _show(planned, new)
    if new and not dry_run and (yes or _confirmed(len(new), folder)):
        planned = write_imports(planned, folder)
    if json:
        print_json([one.as_dict() for one in planned])
    _report(planned)
    if any(one.outcome is Outcome.FAILED for one in planned):
        raise typer.Exit(FAILED)


def _require_terminal(*, json: bool) -> None:
    if json or not sys.stdin.isatty():
        cause = "with --json it does not ask" if json else "there is no terminal to ask on"
        raise ConfigurationError(
            f"m3sync import asks before it writes, and {cause}",
            "Add --dry-run to see what it would write, or --yes to write it.",
        )


def _read(credential: str | None) -> "list[HostedIntegration]":
    """Read the configurations, and make the integrations.

    The look-up does not count as a login of the credential: a user who may not read the
    configurations may still read the records.
    """
    from m3sync_dagster.cli.find_integration import find_m3ter_credential
    from m3sync_dagster.components.credential_components import SalesforceCredential
    from m3sync_dagster.components.integration import current_hour
    from m3sync_dagster.components.load_project import load_project
    from m3sync_dagster.discovery.hosted_integrations import ProjectNames, make_integrations
    from m3sync_dagster.m3ter import M3terSource
    from m3sync_dagster.state import postgres_url

    project = load_project()
    name, key = find_m3ter_credential(project, credential)
    names = ProjectNames(name, sorted(project.of_type(SalesforceCredential)), current_hour())
    with M3terSource(key, postgres_url()) as organization:
        return make_integrations(organization.hosted_configurations(), names)


def _show(planned: "Sequence[PlannedImport]", new: "Sequence[PlannedImport]") -> None:
    from m3sync_dagster.components.import_hosted import preview

    print_table(
        "m3ter's configurations",
        ["m3ter name", "record type", "integration", "result", "file or reason"],
        [
            [
                one.made.hosted.name or one.made.hosted.id,
                one.made.hosted.entity_type,
                one.made.name,
                one.outcome.value,
                one.reason or one.path,
            ]
            for one in planned
        ],
    )
    for one in new:
        sys.stdout.write(printable(f"\n{one.path}\n\n{preview(one.made)}"))


def _confirmed(count: int, folder: "Path") -> bool:
    files = "1 file" if count == 1 else f"{count} files"
    return typer.confirm(f"Write {files} into {folder}?", err=True)


def _report(planned: "Sequence[PlannedImport]") -> None:
    from m3sync_dagster.components.import_hosted import Outcome

    for one in planned:
        if one.outcome is Outcome.FAILED:
            hosted = one.made.hosted
            title = hosted.name or hosted.id or "A configuration without a name"
            kind = f" ({hosted.entity_type})" if hosted.entity_type else ""
            print_error(f"{title}{kind} was not imported: {one.reason}. {one.remedy}")
    written = [str(one.made.name) for one in planned if one.outcome is Outcome.WRITTEN]
    if not planned:
        print_message("The organization has no configurations of hosted integrations.")
    elif not written:
        print_message("Nothing was written.")
    else:
        print_message(_next_steps(written))


def _next_steps(written: Sequence[str]) -> str:
    first = written[0]
    return f"""\
Written: {", ".join(written)}. None of them runs by itself.
Read the comment in each file, and check them all; then, one by one:
  m3sync check
  m3sync plan {first}
  disable the configuration in m3ter's Console, so that only one of the two writes
  m3sync enable {first}"""
