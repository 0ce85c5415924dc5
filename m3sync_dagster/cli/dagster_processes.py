"""Dagster's webserver and daemon for one machine, as a child process that ends with ours."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx

from m3sync_dagster.cli.prepare_environment import Environment
from m3sync_dagster.cli.webserver_address import left_in_project
from m3sync_dagster.cli.write_project import TEMPLATES
from m3sync_dagster.project_folder import WORKSPACE_YAML
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError
from m3sync_dagster.tls_and_proxy import httpx_options, set_for_other_libraries

HOST = "127.0.0.1"
# Dagster recommends `dg dev` instead, which is a tool for development.
_KNOWN = "ignore:Function `dev_command` is superseded"
_GRACE_SECONDS = 20.0
_POLL_SECONDS = 0.3
_LOOK_SECONDS = 1.0


def free_port(port: int) -> int:
    """The port itself, or a free one for 0.

    Raises:
        ConfigurationError: it is in use.
    """
    try:
        with socket.create_server((HOST, port)) as listener:
            return int(listener.getsockname()[1])
    except OSError as error:
        raise ConfigurationError(
            f"port {port} of {HOST} cannot be listened on ({error.strerror})",
            "Choose another one with --port.",
        ) from None


class DagsterServers:
    """``dagster dev`` with all processes that it starts, in one process group.

    Args:
        environment: the project.
        port: the webserver's port.
    """

    def __init__(self, environment: Environment, port: int) -> None:
        from m3sync_dagster.runs.dagster_links import WEBSERVER_URL

        self.url = f"http://{HOST}:{port}"
        self._environment = environment
        # Requests between Dagster's processes must not go through a proxy.
        set_for_other_libraries()
        workspace = environment.workspace or TEMPLATES / WORKSPACE_YAML
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and paths
            [
                *(sys.executable, "-W", _KNOWN, "-m", "dagster", "dev", "--log-level", "warning"),
                *("-w", str(workspace), "-h", HOST, "-p", str(port)),
            ],
            cwd=environment.root,
            # Messages about integrations link to this webserver unless another address is set.
            env={WEBSERVER_URL: self.url, **os.environ},
            # Its output is messages, which belong on standard error.
            stdout=sys.stderr.fileno(),
            start_new_session=True,
        )

    def wait_until_up(self, stopped: threading.Event) -> bool:
        """Wait until the webserver answers; ``False`` if ``stopped`` is set before.

        Raises:
            RemoteError: Dagster's process has ended.
        """
        while not self._answers():
            if stopped.wait(_POLL_SECONDS):
                return False
            self._require_running()
        return True

    def serve(self, stopped: threading.Event, meanwhile: Callable[[], None]) -> None:
        """Wait until ``stopped`` is set, with the webserver's address left in the project.

        Args:
            stopped: ends the wait.
            meanwhile: called once a second.

        Raises:
            RemoteError: Dagster's process has ended.
        """
        with left_in_project(self._environment, self.url):
            while not stopped.wait(_LOOK_SECONDS):
                self._require_running()
                meanwhile()

    def stop(self) -> None:
        """Ask it to end, then the runs that go on without it, and kill what does not end."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_SECONDS)
        # A run that is interrupted reports this; one that is killed cannot.
        deadline = time.monotonic() + _GRACE_SECONDS
        left = self._signal_all(signal.SIGINT)
        while left and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
            left = self._signal_all(0)
        self._signal_all(signal.SIGKILL)
        self._process.wait()

    def _signal_all(self, number: int) -> bool:
        """Send a signal to all processes of the group that are left; 0 only asks for them."""
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return False
        return True

    def _answers(self) -> bool:
        try:
            return httpx.get(
                f"{self.url}/server_info", timeout=5, **httpx_options(self.url)
            ).is_success
        except httpx.HTTPError:
            return False

    def _require_running(self) -> None:
        code = self._process.poll()
        if code is not None:
            raise RemoteError(
                f"Dagster's process has ended with the exit code {code}",
                "Read its messages above.",
            )


@contextmanager
def dagster_servers(environment: Environment, port: int) -> Iterator[DagsterServers]:
    """Dagster's servers, while the block lasts."""
    servers = DagsterServers(environment, port)
    try:
        yield servers
    finally:
        servers.stop()
