"""A server in place of the Kubernetes API, over HTTPS, which keeps the jobs that are created."""

import json
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import trustme

TOKEN = "the-token-of-the-service-account"


@dataclass
class Cluster:
    """What the server was asked.

    Args:
        port: its port on this machine.
        created: the path and the body of each request that creates an object.
    """

    port: int
    created: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@contextmanager
def kubernetes_api(folder: Path) -> Iterator[Cluster]:
    """Run the server; ``folder`` gets the files that a pod finds of its service account."""
    authority = trustme.CA()
    (folder / "token").write_text(TOKEN)
    authority.cert_pem.write_to_path(folder / "ca.crt")
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.cluster = Cluster(server.server_address[1])  # type: ignore[attr-defined]
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield server.cluster  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        known = self.headers["Authorization"] == f"bearer {TOKEN}"
        if known:
            self.server.cluster.created.append((self.path, json.loads(body)))  # type: ignore[attr-defined]
        self.send_response(201 if known else 401)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name there
        """Print nothing."""
