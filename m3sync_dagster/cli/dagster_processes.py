"""Dagster's webserver and daemon for one machine, as a child that ends with us."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx

from m3sync_dagster.cli.environment import Environment
from m3sync_dagster.http_settings import httpx_options, set_for_other_libraries
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError

HOST = "127.0.0.1"
# What Dagster recommends in the place of its command is a tool for development.
_KNOWN = "ignore:Function `dev_command` is superseded"
_GRACE_SECONDS = 20.0
_POLL_SECONDS = 0.3


def free_port(port: int) -> int:
    """The port, or a free one for 0.

    Raises:
        ConfigurationError: it is taken.
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
    """``dagster dev`` with everything that it starts, in a process group of its own.

    Args:
        environment: the project.
        port: where the webserver is to listen.
    """

    def __init__(self, environment: Environment, port: int) -> None:
        from m3sync_dagster.notifications.message_text import WEBSERVER_URL

        self.url = f"http://{HOST}:{port}"
        # Dagster's processes talk to each other, and a proxy would be in their way.
        set_for_other_libraries()
        self._process = subprocess.Popen(  # noqa: S603 - our own interpreter and paths
            [
                *(sys.executable, "-W", _KNOWN, "-m", "dagster", "dev", "--log-level", "warning"),
                *("-w", str(environment.workspace), "-h", HOST, "-p", str(port)),
            ],
            cwd=environment.root,
            # Messages about integrations link to this webserver, unless a proxy has another name.
            env={WEBSERVER_URL: self.url, **os.environ},
            # What it has to say is for standard error, as all messages are.
            stdout=sys.stderr.fileno(),
            start_new_session=True,
        )

    def wait_until_up(self, stopped: threading.Event) -> bool:
        """Wait until the webserver answers; ``False`` if we are told to stop before.

        Raises:
            RemoteError: Dagster has ended by itself.
        """
        while not self._answers():
            if stopped.wait(_POLL_SECONDS):
                return False
            self._require_running()
        return True

    def serve(self, stopped: threading.Event) -> None:
        """Wait until we are told to stop.

        Raises:
            RemoteError: Dagster has ended by itself.
        """
        while not stopped.wait(_POLL_SECONDS):
            self._require_running()

    def stop(self) -> None:
        """End it in good order, and then whatever is left of its group."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGINT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_GRACE_SECONDS)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

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
                f"Dagster has ended by itself with the exit code {code}",
                "See what it has written above.",
            )


@contextmanager
def dagster_servers(environment: Environment, port: int) -> Iterator[DagsterServers]:
    """Dagster's servers, while the block lasts."""
    servers = DagsterServers(environment, port)
    try:
        yield servers
    finally:
        servers.stop()
