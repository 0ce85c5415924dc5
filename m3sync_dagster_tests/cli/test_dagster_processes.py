import contextlib
import json
import re
import resource
import shlex
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from m3sync_dagster.cli.prepare_environment import project_root
from m3sync_dagster_tests.cli.conftest import child_environment
from m3sync_dagster_tests.cli.processes import PROGRAM, Program, is_free, program
from m3sync_dagster_tests.conftest import PATIENCE
from m3sync_dagster_tests.live.conftest import until
from m3sync_dagster_tests.proxy_servers import http_proxy

NOWHERE = ("127.0.0.1", 9)
"""The address of a proxy that must receive no request."""
DEMO = project_root() / ".m3sync" / "demo"


def test_the_sandbox_prints_its_credentials_and_ends_on_a_signal() -> None:
    with program("sandbox") as running:
        line = running.wait_for("SALESFORCE_CLIENT_SECRET")
        lines = [one for one in (*running.lines, line) if one.startswith("export ")]
        given = dict(shlex.split(one)[1].split("=", 1) for one in lines)
        token = httpx.post(
            f"{given['SALESFORCE_LOGIN_URL']}/services/oauth2/token",
            data={
                "grant_type": "client_credentials",
                "client_id": given["SALESFORCE_CLIENT_ID"],
                "client_secret": given["SALESFORCE_CLIENT_SECRET"],
            },
        )
        m3ter = httpx.post(
            f"{given['M3TER_BASE_URL']}/oauth/token",
            auth=(given["M3TER_API_KEY"], given["M3TER_API_SECRET"]),
            data={"grant_type": "client_credentials"},
        )
        assert (token.status_code, m3ter.status_code) == (200, 200)
        assert running.stop(signal.SIGTERM) == 0
        assert is_free(urlsplit(given["M3TER_BASE_URL"]).port or 0)


def test_the_sandbox_s_json_is_one_object_with_the_given_credentials() -> None:
    options = ("--m3ter-credentials", "key:one:two", "--salesforce-credentials", "app:other")
    with subprocess.Popen(
        [PROGRAM, "sandbox", "--json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=child_environment(),
    ) as process:
        assert process.stdout
        assert process.stderr
        assert "Ctrl-C" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        given = json.loads(process.stdout.read())
        assert process.wait(PATIENCE) == 0
    assert set(given) >= {"M3TER_BASE_URL", "SALESFORCE_LOGIN_URL"}
    assert (given["M3TER_API_KEY"], given["M3TER_API_SECRET"]) == ("key", "one:two")
    assert given["SALESFORCE_CLIENT_ID"] == "app"
    assert given["SALESFORCE_CLIENT_SECRET"] == "other"


@pytest.mark.parametrize("command", ["sandbox --m3ter-port", "dev --port", "demo --port"])
def test_a_taken_port_is_refused(command: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = subprocess.run(
            [PROGRAM, *command.split(), port],
            capture_output=True,
            text=True,
            env=child_environment(),
            check=False,
        )
    assert done.returncode == 2
    assert port in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_demo_once_syncs_everything_and_leaves_nothing_running_whatever_proxy_is_named() -> None:
    with http_proxy(NOWHERE) as seen:
        done = subprocess.run(
            [PROGRAM, "demo", "--once"],
            capture_output=True,
            text=True,
            env=child_environment(HTTP_PROXY=seen.url, NO_PROXY="", no_proxy=""),
            check=False,
        )
    assert seen == []
    assert (done.returncode, done.stderr) == (0, "")
    assert "acme: COMPLETE" in done.stdout
    sizes = {"account": 120, "contract": 160, "commitment": 140, "balance": 180}
    for entity, size in sizes.items():
        assert re.search(rf"{entity} +{size} +{size} +0 +0 +0 +0 +0 ", done.stdout)
    assert re.search(r"account .* 61 *\n", done.stdout), "the accounts without a link"
    assert servers_in(DEMO) == []


@pytest.mark.slow
def test_the_demo_is_there_to_be_clicked_on_and_ends_with_all_it_started() -> None:
    with program("demo", "--port", "0") as running:
        url = running.wait_for("The demo is at").split()[-1]
        asked = httpx.post(f"{url}/graphql", json={"query": DAEMONS}, timeout=PATIENCE)
        answer = asked.json()["data"]
        (run,) = answer["runsOrError"]["results"]
        assert run["status"] == "SUCCESS"
        assert run["repositoryOrigin"]["repositoryLocationName"] == "m3sync"
        schedules = answer["schedulesOrError"]["results"]
        assert {"name": "acme_hourly", "scheduleState": {"status": "RUNNING"}} in schedules

        second = subprocess.run(
            [PROGRAM, "demo", "--once"],
            capture_output=True,
            text=True,
            env=child_environment(),
            check=False,
        )
        assert (second.returncode, second.stdout) == (2, "")
        assert "running already" in second.stderr

        children = psutil.Process(running.process.pid).children(recursive=True)
        assert len(children) > 3
        assert running.stop(signal.SIGINT) == 0
        _, alive = psutil.wait_procs(children, timeout=PATIENCE)
        assert alive == []
        assert is_free(urlsplit(url).port or 0)
    assert servers_in(DEMO) == []


@pytest.fixture
def core_files_allowed() -> Iterator[None]:
    """Programs that are started may leave core files, as far as this machine allows it."""
    before = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (before[1], before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_CORE, before)


@pytest.mark.slow
def test_dev_serves_the_project_on_this_machine_alone(
    empty_postgres_url: str, tmp_path: Path, core_files_allowed: None
) -> None:
    given = {"M3SYNC_POSTGRES_URL": empty_postgres_url, "M3SYNC_DEFS": str(tmp_path)}
    with http_proxy(NOWHERE) as seen:
        proxy = {"HTTP_PROXY": seen.url, "NO_PROXY": "", "no_proxy": ""}
        with program("dev", "--port", "0", **given, **proxy) as running:
            url = running.wait_for("Dagster is at").split()[3].rstrip(".")
            assert httpx.get(f"{url}/server_info", timeout=PATIENCE).is_success
            started = psutil.Process(running.process.pid)
            processes = [started, *started.children(recursive=True)]
            assert listening_addresses(processes) == {"127.0.0.1"}
            assert may_leave_core_files(processes) == []
            stop_with_all_it_started(running)
    assert seen == []


def listening_addresses(processes: list[psutil.Process]) -> set[str]:
    """The addresses of this machine at which they accept connections."""
    found = set()
    for one in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            sockets = one.net_connections("inet")
            found |= {one.laddr.ip for one in sockets if one.status == psutil.CONN_LISTEN}
    return found


def may_leave_core_files(processes: list[psutil.Process]) -> list[psutil.Process]:
    """Those that write their memory, which has secrets, to the disk when they crash."""
    found = []
    for one in processes:
        with contextlib.suppress(ProcessLookupError):
            found += [one] * (resource.prlimit(one.pid, resource.RLIMIT_CORE)[0] != 0)
    return found


def stop_with_all_it_started(running: Program) -> None:
    children = psutil.Process(running.process.pid).children(recursive=True)
    assert running.stop(signal.SIGTERM) == 0
    _, alive = psutil.wait_procs(children, timeout=PATIENCE)
    assert alive == []


@pytest.mark.slow
def test_dev_reports_that_dagster_has_ended(empty_postgres_url: str, tmp_path: Path) -> None:
    with program(
        "dev", "--port", "0", M3SYNC_POSTGRES_URL=empty_postgres_url, M3SYNC_DEFS=str(tmp_path)
    ) as running:
        parent = psutil.Process(running.process.pid)
        dagster, *_ = until(lambda: dagster_dev(parent), "dagster dev")
        dagster.kill()
        running.wait_for("Dagster's process has ended")
        assert running.process.wait(PATIENCE) == 1


def dagster_dev(parent: psutil.Process) -> list[psutil.Process]:
    """The child that runs ``dagster dev``: a program may have other children for a moment."""
    found = []
    for child in parent.children():
        with contextlib.suppress(psutil.Error):  # It may have ended.
            found += [child] * ("dagster" in child.cmdline())
    return found


DAEMONS = """{
  runsOrError(filter: {pipelineName: "salesforce_sync"}) {
    ... on Runs { results { status repositoryOrigin { repositoryLocationName } } } }
  schedulesOrError(
    repositorySelector: {repositoryName: "__repository__", repositoryLocationName: "m3sync"}
  ) { ... on Schedules { results { name scheduleState { status } } } }
}"""


def servers_in(folder: Path) -> list[psutil.Process]:
    """PostgreSQL servers whose data is in a folder."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(folder) in part for part in process.info["cmdline"] or ())
    ]
