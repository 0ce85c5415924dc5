"""The ``m3sync`` of the walk's shells: it hands its command to ``command_server``."""

import json
import os
import socket
import sys


def main() -> int:
    """Run the command at the socket that the first argument names."""
    folder = os.getcwd()  # noqa: PTH109 - pathlib takes longer to import than all the rest
    request = {"args": sys.argv[2:], "folder": folder, "environment": dict(os.environ)}
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(sys.argv[1])
        text = json.dumps(request).encode() + b"\n"
        sent = socket.send_fds(server, [text], [0, 1, 2])
        server.sendall(text[sent:])
        return int(server.recv(16))


if __name__ == "__main__":
    raise SystemExit(main())
