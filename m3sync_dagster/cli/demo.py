"""``m3sync demo``: syncs a sample m3ter organization into the sandbox's Salesforce."""

import os
import shlex
import shutil
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from m3sync_dagster.cli.dev import Port
from m3sync_dagster.cli.exit_codes import FAILED
from m3sync_dagster.cli.migrate import migrate_tables
from m3sync_dagster.cli.output import print_error, print_message
from m3sync_dagster.cli.prepare_environment import Environment, start_postgres
from m3sync_dagster.cli.sandbox import serving
from m3sync_dagster.cli.signals import until_stopped
from m3sync_dagster.cli.write_project import dagster_files
from m3sync_dagster.project_folder import DAGSTER_HOME, DEFS, demo_folder
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError

if TYPE_CHECKING:
    from m3sync_dagster.cli.in_process_run import Report
    from m3sync_dagster.sandbox.demo_servers import Sandbox

Once = Annotated[bool, typer.Option("--once", help="Run one sync, print its summary and exit.")]

_START_SCHEDULE = """
mutation ($selector: ScheduleSelector!) {
  startSchedule(scheduleSelector: $selector) {
    __typename
    ... on PythonError { message }
    ... on UnauthorizedError { message }
  }
}
"""


def demo(*, once: Once = False, port: Port = 3000) -> None:
    """Run the sandbox, a sample organization and Dagster, until Ctrl-C.

    Its files are in the folder .m3sync/demo, below the one in which it is started.
    """
    from m3sync_dagster.cli.dagster_processes import free_port

    port = 0 if once else free_port(port)
    # The project's .env is not read, so that the demo cannot reach a real system.
    environment = Environment(demo_folder(), embedded=True)
    with until_stopped() as stopped, _alone(environment.root), serving() as sandbox:
        _set_up(environment, sandbox)
        report = _first_sync(environment)
        if once:
            if not report.clean:
                raise typer.Exit(FAILED)
        elif not stopped.is_set():
            _serve(environment, sandbox, port, stopped)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the demo's lock: a second demo would delete the first one's database.

    Raises:
        ConfigurationError: a demo is running in this folder, or the folder cannot be written.
    """
    import fasteners  # type: ignore[import-untyped] # it has no types

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be made ({error.strerror})",
            "Change to a folder in which this user may write.",
        ) from None
    lock = fasteners.InterProcessLock(folder / "demo.lock")
    if not lock.acquire(blocking=False):
        raise ConfigurationError(
            f"a demo is running already in {folder}", "End it with Ctrl-C where it runs."
        )
    try:
        yield
    finally:
        lock.release()


def _set_up(environment: Environment, sandbox: "Sandbox") -> None:
    """Make a project with an empty database, as the sandbox's Salesforce is empty.

    It is the working directory and the environment of all that follows.
    """
    from m3sync_dagster.sandbox import demo_servers as sample
    from m3sync_dagster.state import embedded_postgres as embedded

    folder = environment.own_folder / "postgres"
    shutil.rmtree(embedded.place(folder), ignore_errors=True)
    yesterday = datetime.now(UTC).date() - timedelta(days=1)
    variables = {**sandbox.environment, sample.START: f"{yesterday}-00:00"}
    _write_project(environment.root, sample.DEFS, variables)
    os.chdir(environment.root)
    os.environ.pop(DEFS, None)
    os.environ.update({**variables, DAGSTER_HOME: str(environment.root)})
    start_postgres(folder)
    migrate_tables()


def _write_project(root: Path, defs: Path, variables: Mapping[str, str]) -> None:
    """Write the demo's project; with its ``.env``, every command can be tried in it."""
    written = {name: text.encode() for name, text in dagster_files().items()}
    for file in defs.rglob("*.yaml"):
        written[f"defs/{file.relative_to(defs)}"] = file.read_bytes()
    written[".env"] = "".join(f"{name}={value}\n" for name, value in variables.items()).encode()
    for name, content in written.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def _first_sync(environment: Environment) -> "Report":
    from m3sync_dagster.cli.find_integration import find
    from m3sync_dagster.cli.in_process_run import sync
    from m3sync_dagster.cli.run import show, watched
    from m3sync_dagster.sandbox.demo_servers import INTEGRATION

    loaded = find(INTEGRATION)
    loaded.require_configured()
    with watched():
        report = sync(environment, loaded)
    show(report)
    if report.error:
        print_error(report.error)
    return report


def _serve(
    environment: Environment, sandbox: "Sandbox", port: int, stopped: threading.Event
) -> None:
    """Run Dagster's servers, and change records of the sandbox from time to time."""
    from m3sync_dagster.cli.dagster_processes import dagster_servers
    from m3sync_dagster.cli.dev import follow_edits
    from m3sync_dagster.sandbox.demo_servers import live

    with dagster_servers(environment, port) as servers:
        look = follow_edits(servers.url)
        if servers.wait_until_up(stopped):
            _start_schedule(servers.url)
            _explain(servers.url, environment.root)
            changes = threading.Thread(
                target=live, args=(sandbox.organization, stopped), daemon=True
            )
            changes.start()
            servers.serve(stopped, look)


def _start_schedule(url: str) -> None:
    """Start the integration's schedule, as a click in the UI does.

    Raises:
        RemoteError: Dagster did not start it.
    """
    import httpx

    from m3sync_dagster.components.schedule import schedule_name
    from m3sync_dagster.sandbox.demo_servers import INTEGRATION
    from m3sync_dagster.tls_and_proxy import httpx_options

    selector = {
        "repositoryLocationName": "m3sync",
        "repositoryName": "__repository__",
        "scheduleName": schedule_name(INTEGRATION),
    }
    query = {"query": _START_SCHEDULE, "variables": {"selector": selector}}
    try:
        answer = httpx.post(f"{url}/graphql", json=query, timeout=60, **httpx_options(url)).json()
        started = answer["data"]["startSchedule"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        raise RemoteError(f"Dagster's answer could not be read: {error}", "Try again.") from None
    if started["__typename"] != "ScheduleStateResult":
        raise RemoteError(
            f"Dagster did not start the demo's schedule: {started.get('message')}",
            "Read its messages above.",
        )


def _explain(url: str, root: Path) -> None:
    print_message(f"""
The demo is at {url}
  {url}/runs                     the first sync, with each entity's counts
  {url}/asset-groups             Salesforce's records, and the m3ter records they come from
  {url}/automation               the hourly schedule, which is on
Each half minute a few of the sample organization's records change. Click Materialize on the
assets of the group acme, or wait for the next hour: only these records are sent.
Every command works in the demo's folder, in another terminal:
  cd {shlex.quote(str(root))}
  m3sync plan acme
  m3sync events acme             which accounts have no link to an Account of the CRM, and why
Ctrl-C ends the demo.
""")
