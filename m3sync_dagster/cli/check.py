"""``m3sync check``: configuration, both connections, and the org's fields against the mapping."""

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.exit_codes import code_of
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import Json, print_json, print_message, print_table
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.printable_text import printable

if TYPE_CHECKING:
    from pathlib import Path

    from m3sync_dagster.cli.prepare_environment import Environment
    from m3sync_dagster.components.integration_check import CheckResult
    from m3sync_dagster.components.mapping_change import MappingChange
    from m3sync_dagster.components.propose_mapping_yaml import Proposal

Name = Annotated[
    str | None, typer.Argument(help="The integration; left out: all.", show_default=False)
]
Write = Annotated[
    bool,
    typer.Option(
        "--write",
        help="Put the proposed mapping into the integration's file, after showing the difference.",
    ),
]
Yes = Annotated[bool, typer.Option("--yes", help="With --write: write it without asking.")]


def check(name: Name = None, *, write: Write = False, yes: Yes = False, json: Json = False) -> None:
    """Check the configuration, both connections, and the org's objects and fields."""
    environment = ready()
    if not write:
        results = list(_results(name))
    elif name is None:
        raise ConfigurationError(
            "--write changes the file of one integration", "Name it: m3sync check NAME --write."
        )
    else:
        results = _write(environment, name, yes=yes)
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


def _write(environment: "Environment", name: str, *, yes: bool) -> "list[CheckResult]":
    """Write the proposed mapping if there is one and a person agrees; then check again."""
    from m3sync_dagster.cli.reload_code_location import report_change
    from m3sync_dagster.components.integration_check import CheckResult

    results = list(_results(name))
    proposal = next((result.proposal for result in results if result.proposal), None)
    if proposal is None or not proposal.additions:
        return [*results, CheckResult(name, "write", _why_nothing(results))]
    change = _change(name, proposal)
    _explain(change, proposal)
    if not (yes or _agreed(change.place.path)):
        return [*results, CheckResult(name, "write", "nothing was written")]
    written = f"the proposed mapping is written to {change.write()}"
    report_change(environment, f"{written[0].upper()}{written[1:]}.")
    return [*_results(name), CheckResult(name, "write", written)]


def _why_nothing(results: "list[CheckResult]") -> str:
    if any(result.error for result in results):
        return "nothing was written: no change is proposed; the findings above say what to do"
    return "nothing was written: the mapping fits the org"


def _change(name: str, proposal: "Proposal") -> "MappingChange":
    from m3sync_dagster.components.mapping_change import change_mapping

    try:
        return change_mapping(name, proposal.additions)
    except ConfigurationError:
        print_message(f"The proposed mapping:\n\n{proposal.yaml}")
        raise


def _explain(change: "MappingChange", proposal: "Proposal") -> None:
    print_message(change.diff())
    for choice in proposal.kept:
        print_message(f"Stays as the file says: {choice}.")
    for choice in proposal.undecided:
        print_message(f"Not proposed, and so not written: {choice}.")


def _agreed(path: "Path") -> bool:
    """Ask whether to write a file.

    Raises:
        ConfigurationError: there is no terminal.
    """
    if not sys.stdin.isatty():
        raise ConfigurationError(
            "nothing was written: there is no terminal at which to ask", "Run it again with --yes."
        )
    return typer.confirm(f"Write this to {path}?", err=True)


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
            sys.stdout.write(printable(f"\n{result.proposal.yaml}"))
