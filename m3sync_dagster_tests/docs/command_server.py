"""Runs each ``m3sync`` of a shell in a process of its own, without starting Python for it.

Imports take seconds, so this program makes them once, and forks for each command that arrives at
its socket: JSON with arguments, working directory and environment, and the shell's three streams.
It sends back the exit status.
"""

import array
import importlib
import io
import json
import os
import select
import signal
import socket
import sys
import threading
import traceback

from m3sync_dagster.cli import main as m3sync
from m3sync_dagster_tests.cli.command_processes import NEEDED

_STREAMS = (0, 1, 2)


def main(path: str) -> None:
    """Serve at a Unix socket until this process is killed."""
    for name in NEEDED:
        importlib.import_module(name)
    # A thread does not exist in the child, where its locks would never be released.
    assert threading.active_count() == 1
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()
        print("ready", flush=True)
        while True:
            connection, _ = server.accept()
            if os.fork() == 0:
                server.close()
                _serve(connection)
                os._exit(0)
            connection.close()


def _serve(connection: socket.socket) -> None:
    """Run one command in a child, and answer with its exit status."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    request, streams = _receive(connection)
    lives, child_s_end = os.pipe()
    pid = os.fork()
    if pid == 0:
        connection.close()
        _run(request, streams)
    os.close(child_s_end)
    ready, _, _ = select.select([connection.fileno(), lives], [], [])
    if lives not in ready:
        # The client was killed, and so is what runs in its place.
        os.kill(pid, signal.SIGKILL)
        return
    connection.sendall(str(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])).encode())


def _receive(connection: socket.socket) -> tuple[dict[str, object], list[int]]:
    streams = array.array("i")
    size = len(_STREAMS) * streams.itemsize
    text, ancillary, _, _ = connection.recvmsg(65536, socket.CMSG_LEN(size))
    for _, _, data in ancillary:
        streams.frombytes(data)
    while not text.endswith(b"\n"):
        text += connection.recv(65536)
    return json.loads(text), list(streams)


def _run(request: dict[str, object], streams: list[int]) -> None:
    for stream, given in zip(_STREAMS, streams, strict=True):
        os.dup2(given, stream)
    # The server's own objects remember what kind of file their streams were.
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)))
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.BufferedWriter(io.FileIO(number, "w", closefd=False)))
        for number in (1, 2)
    )
    os.chdir(str(request["folder"]))
    os.environ.clear()
    os.environ.update(dict(request["environment"]))  # type: ignore[call-overload]
    sys.argv = ["m3sync", *list(request["args"])]  # type: ignore[call-overload]
    code = 1
    try:
        m3sync()
    except SystemExit as ended:
        code = int(ended.code or 0)
    except BaseException:  # noqa: BLE001 - as a program ends with any other error
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    main(sys.argv[1])
