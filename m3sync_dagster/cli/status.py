"""``m3sync status``: each integration, whether it runs, and how it does."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.exit_codes import FAILED
from m3sync_dagster.cli.migrate import ready
from m3sync_dagster.cli.output import Json, print_error, print_json, print_message, print_table
from m3sync_dagster.cli.prepare_environment import demo_hint, enter_demo
from m3sync_dagster.cli.time_arguments import parse_duration, time_text

if TYPE_CHECKING:
    from m3sync_dagster.components.integration_status import IntegrationStatus, ProjectStatus
    from m3sync_dagster.runs.daemon_heartbeat import Daemon

Name = Annotated[
    str | None, typer.Argument(help="The integration; left out: all.", show_default=False)
]
FailIfStale = Annotated[
    timedelta | None,
    typer.Option(
        parser=parse_duration,
        metavar="DURATION",
        help="Exit with 1 if an integration that should run has had no success for so long, "
        "such as 3h.",
        show_default=False,
    ),
]
Demo = Annotated[bool, typer.Option("--demo", help="Show the demo of this folder.")]
NARROW = 10
"""The least width of a column, so that the table fits a terminal of 80 columns."""
_COLUMNS = (
    "name",
    "connection",
    "enabled",
    "last run",
    "last success",
    "next run",
    "failures in a row",
    "rejected",
)


def status(
    name: Name = None,
    *,
    demo: Demo = False,
    fail_if_stale: FailIfStale = None,
    json: Json = False,
) -> None:
    """Show each integration: connected, enabled or why not, last and next run, rejects."""
    if demo:
        enter_demo()
    ready()
    from dagster import DagsterInstance

    from m3sync_dagster.cli.find_integration import require_known
    from m3sync_dagster.components.integration_status import read_status
    from m3sync_dagster.components.load_project import load_project

    if name is not None:
        require_known(name)
    with DagsterInstance.get() as instance:
        found = read_status(instance, load_project())
    shown = [one for one in found.integrations if name in (None, one.name)]
    if json:
        print_json([one.as_dict(found.daemon) for one in shown])
    elif name is not None:
        for one in shown:
            _show_one(one, found.daemon)
    else:
        _show(shown, found.daemon)
    _report_errors(found, name)
    if fail_if_stale:
        _fail_if_stale(shown, fail_if_stale)


def _show(shown: "list[IntegrationStatus]", daemon: "Daemon") -> None:
    if shown:
        rows = [_cells(one, daemon) for one in shown]
        print_table("Integrations", _COLUMNS, rows, readable=NARROW)
    else:
        _explain_none()


def _cells(one: "IntegrationStatus", daemon: "Daemon") -> list[object]:
    org = _orgs_text(one)
    return [
        one.name,
        f"{one.connection.word}: {org}" if org else one.connection.word,
        _enabled(one, daemon),
        one.last_run and one.last_run.status,
        time_text(one.last_success) or "never",
        time_text(one.next_run(daemon)),
        one.failures,
        one.rejected,
    ]


def _enabled(one: "IntegrationStatus", daemon: "Daemon") -> str:
    if not one.enabled:
        return f"no: {one.disabled_reason}"
    return "yes" if daemon.alive else f"yes, but {daemon}"


def _show_one(one: "IntegrationStatus", daemon: "Daemon") -> None:
    print_table(one.name, ["", "what is known"], [list(row) for row in _details(one, daemon)])


def _details(one: "IntegrationStatus", daemon: "Daemon") -> Iterator[tuple[str, object]]:
    """Everything that is known of one integration, as names and values."""
    from m3sync_dagster.runs.hour_text import hours_text

    yield "file", one.path
    reason = f": {one.connection.reason}" if one.connection.reason else ""
    yield "connection", f"{one.connection.word}{reason}"
    if one.connection.checked_at:
        yield "last logins succeeded", time_text(one.connection.checked_at)
    yield "Salesforce org", _orgs_text(one) or "not known: no run has written to one yet"
    yield "enabled", _enabled(one, daemon)
    yield "daemon", daemon
    if one.last_run:
        run = one.last_run
        yield "last run", f"{run.status}, {hours_text(run.partition) or 'no hour'}, {run.run_id}"
    yield "last success", time_text(one.last_success) or "never"
    for entity in one.entities or one.syncs:
        synced = one.syncs.get(entity)
        yield f"last success of {entity}", time_text(synced.ended_at) if synced else "never"
    yield "next run", time_text(one.next_run(daemon)) or "none"
    yield "failures in a row", one.failures
    yield "rejected rows", one.rejected


def _orgs_text(one: "IntegrationStatus") -> str | None:
    """The org that runs have written to, or the org of each entity."""
    if len({org.id for org in one.orgs.values()}) > 1:
        return "; ".join(f"{entity}: {org}" for entity, org in one.orgs.items())
    return next(map(str, one.orgs.values()), None)


def _explain_none() -> None:
    """Say where integrations were looked for, and how to get one."""
    from m3sync_dagster.components.load_project import defs_folders

    folders = " and ".join(map(str, reversed(defs_folders())))
    print_message(
        f"There are no integrations in {folders}. To make one, run: m3sync init.{demo_hint()}"
    )


def _report_errors(found: "ProjectStatus", name: str | None) -> None:
    """Report what the table has no place for, also of integrations that are no longer loaded."""
    for one in found.integrations:
        if one.connection.reason and name is None:
            print_error(f"{one.name} is {one.connection.word}: {one.connection.reason}")
    for undelivered in found.undelivered:
        if name in (None, undelivered.integration):
            print_error(str(undelivered))
    for restored in found.restored:
        if name in (None, restored):
            print_error(
                f"{restored}: the state database was restored from a backup, moved or failed over. "
                f"The next run sends every record again. To do that now: m3sync run {restored}"
            )
    for one in found.integrations:
        if one.guard.guard_error and name in (None, one.name):
            print_error(f"{one.name}: the guard could not evaluate it: {one.guard.guard_error}")


def _fail_if_stale(shown: "list[IntegrationStatus]", limit: timedelta) -> None:
    """Exit with 1 if one of them should have succeeded meanwhile.

    Raises:
        ConfigurationError: there is none, so that nothing is known to be fine.
        typer.Exit: one is stale.
    """
    from m3sync_dagster.sync.errors import ConfigurationError

    if not shown:
        raise ConfigurationError("there are no integrations", "Check M3SYNC_DEFS.")
    stale = [one for one in shown if one.is_stale(limit, datetime.now(UTC))]
    for one in stale:
        since = time_text(one.last_success)
        print_error(
            f"{one.name} has had no success {f'since {since}' if since else 'yet'}. "
            f"See: m3sync runs {one.name}; m3sync events {one.name}"
        )
    if stale:
        raise typer.Exit(FAILED)
