"""A company's proxy that decrypts TLS with a certificate of the company, and forwards the data."""

import shutil
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from socketserver import StreamRequestHandler, ThreadingTCPServer
from typing import Any

import trustme


@dataclass
class CompanyProxy:
    """A proxy on this machine.

    Args:
        target: port of the server that all hosts are.
        authority: who issues the certificates.
        at_once: the host for which it ends TLS without being asked to connect, as a server does.
        refusal: the status line with which it refuses to connect; ``None``: it connects.

    Attributes:
        port: where it listens.
        hosts: whom it was asked to connect to, call by call.
    """

    target: int
    authority: trustme.CA
    at_once: str | None = None
    refusal: str | None = None
    port: int = 0
    hosts: list[str] = field(default_factory=list)


@contextmanager
def listening(proxy: CompanyProxy) -> Iterator[CompanyProxy]:
    """Serve for as long as the block lasts."""

    class Handler(StreamRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                _serve(proxy, self.connection, self.rfile)

    class Server(ThreadingTCPServer):
        daemon_threads = True
        allow_reuse_address = True

    with Server(("127.0.0.1", 0), Handler) as server:
        proxy.port = server.server_address[1]
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield proxy
        finally:
            server.shutdown()


def _serve(proxy: CompanyProxy, client: socket.socket, lines: Any) -> None:  # noqa: ANN401 - a file
    host = proxy.at_once or _connect(proxy, client, lines)
    if host:
        _pass_on(proxy, host, client)


def _connect(proxy: CompanyProxy, client: socket.socket, lines: Any) -> str | None:  # noqa: ANN401
    """The host that a client asks to be connected to; ``None`` where that is refused."""
    host: str = lines.readline().decode().split()[1].partition(":")[0]
    while lines.readline().strip():
        pass
    proxy.hosts.append(host)
    status = proxy.refusal or "200 Connection established"
    client.sendall(f"HTTP/1.1 {status}\r\n\r\n".encode())
    return None if proxy.refusal else host


def _pass_on(proxy: CompanyProxy, host: str, client: socket.socket) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    proxy.authority.issue_cert(host).configure_cert(context)
    with (
        context.wrap_socket(client, server_side=True) as inside,
        socket.create_connection(("127.0.0.1", proxy.target)) as outside,
    ):
        back = threading.Thread(target=_copy, args=(outside, inside), daemon=True)
        back.start()
        _copy(inside, outside)
        back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    """Pass on what comes until the end; then say so."""
    with suppress(OSError, ValueError):
        shutil.copyfileobj(source.makefile("rb", buffering=0), target.makefile("wb", buffering=0))
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
