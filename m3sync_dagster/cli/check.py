"""``m3sync check``: configuration, both connections, and the org's fields against the mapping."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.exit_codes import code_of
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import Json, print_json, print_table

if TYPE_CHECKING:
    from m3sync_dagster.components.integration_check import CheckResult

Name = Annotated[
    str | None, typer.Argument(help="The integration; left out: all.", show_default=False)
]


def check(name: Name = None, *, json: Json = False) -> None:
    """Check the configuration, both connections, and the org's objects and fields."""
    ready()
    results = list(_results(name))
    if json:
        print_json([result.as_dict() for result in results])
    else:
        _show(results)
    errors = [result.error for result in results if result.error]
    if errors:
        raise typer.Exit(min(code_of(error) for error in errors))


def _results(name: str | None) -> "Iterator[CheckResult]":
    from m3sync_dagster.cli.find_integration import find
    from m3sync_dagster.components.integration_check import OrgCheck, invalid_file
    from m3sync_dagster.components.load_project import load_project
    from m3sync_dagster.components.loaded_integration import loaded_integrations

    with OrgCheck() as org_check:
        if name is not None:
            yield from org_check.check(find(name))
            return
        project = load_project()
        yield from map(invalid_file, project.problems)
        for loaded in loaded_integrations(project):
            yield from org_check.check(loaded)


def _show(results: "list[CheckResult]") -> None:
    print_table(
        "Checks",
        ["integration", "check", "", "result"],
        [
            [result.integration, result.check, result.verdict, str(result.error or result.message)]
            for result in results
        ],
    )
    for result in results:
        if result.proposal:
            sys.stdout.write(f"\n{result.proposal}")
