"""Real proxies on this machine that connect every host to one server, and record requests."""

import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from socketserver import BaseRequestHandler, ThreadingTCPServer

Target = tuple[str, int]


class Seen(list[str]):
    """The requests of a proxy: ``host:port`` for a tunnel, the first line for others."""

    url: str = ""


@contextmanager
def http_proxy(
    target: Target, *, refuse: str | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Seen]:
    """A proxy that opens tunnels with CONNECT, and responds 502 to other requests.

    Args:
        target: the server of every tunnel.
        refuse: the status with which it refuses tunnels instead.
        tls: serves the proxy itself over TLS.
    """

    def handle(plain: socket.socket, seen: Seen) -> None:
        with tls.wrap_socket(plain, server_side=True) if tls else plain as connection:
            head = _head(connection)
            method, asked = head.split(b" ", 2)[:2]
            seen.append(asked.decode() if method == b"CONNECT" else head.decode("latin-1"))
            if method != b"CONNECT" or refuse:
                status = refuse or "502 Not a tunnel"
                answer = f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n"
                connection.sendall(answer.encode())
                return
            connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            _join(connection, target)

    with _serving(handle) as seen:
        seen.url = f"{'https' if tls else 'http'}://localhost:{seen.url}"
        yield seen


@contextmanager
def socks_proxy(target: Target) -> Iterator[Seen]:
    """A SOCKS 5 proxy without a password, for host names (RFC 1928)."""

    def handle(connection: socket.socket, seen: Seen) -> None:
        connection.recv(262)
        connection.sendall(b"\x05\x00")
        _version, _command, _reserved, kind = connection.recv(4)
        assert kind == 3, "a host name, which the proxy resolves"
        host = connection.recv(connection.recv(1)[0]).decode()
        (port,) = struct.unpack(">H", connection.recv(2))
        seen.append(f"{host}:{port}")
        connection.sendall(b"\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00")
        _join(connection, target)

    with _serving(handle) as seen:
        seen.url = f"socks5h://localhost:{seen.url}"
        yield seen


@contextmanager
def http2_proxy(tls: ssl.SSLContext, *, refuse: bool) -> Iterator[Seen]:
    """A proxy that speaks only HTTP/2.

    Args:
        tls: serves the proxy over TLS.
        refuse: whether it ends the TLS handshake, because the client does not offer HTTP/2
            (RFC 7301); otherwise it sends its first frame (RFC 9113).
    """

    def handle(plain: socket.socket, _seen: Seen) -> None:
        if refuse:
            plain.recv(65536)
            plain.sendall(b"\x15\x03\x03\x00\x02\x02\x78")  # alert 120, no_application_protocol
            return
        with tls.wrap_socket(plain, server_side=True) as connection:
            _head(connection)
            connection.sendall(b"\0\0\x06\4\0\0\0\0\0\0\3\0\0\0\x64")  # SETTINGS

    with _serving(handle) as seen:
        seen.url = f"https://localhost:{seen.url}"
        yield seen


@contextmanager
def _serving(handle: Callable[[socket.socket, Seen], None]) -> Iterator[Seen]:
    seen = Seen()

    class Handler(BaseRequestHandler):
        def handle(self) -> None:
            with suppress(OSError):
                handle(self.request, seen)

    server = ThreadingTCPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    seen.url = str(server.server_address[1])
    try:
        yield seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _head(connection: socket.socket) -> bytes:
    head = b""
    while not head.endswith(b"\r\n\r\n") and (more := connection.recv(1)):
        head += more
    return head


def _join(one: socket.socket, target: Target) -> None:
    """Copy bytes in both directions until one side closes."""
    with socket.create_connection(target) as other:
        ways = {one: other, other: one}
        while True:
            for ready in select.select(list(ways), [], [])[0]:
                if not (data := ready.recv(65536)):
                    return
                ways[ready].sendall(data)
