"""A real HTTP server with scripted responses, which records its requests."""

import json
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from m3sync_dagster.m3ter import M3terAccessKey

SECRET = "sEcReT-7f3a"


@dataclass(frozen=True)
class Asked:
    """A request, and its time."""

    method: str
    path: str
    query: dict[str, list[str]]
    authorization: str
    body: str
    time: float

    @property
    def token(self) -> str | None:
        return self.query.get("nextToken", [None])[0]


@dataclass(frozen=True)
class Answer:
    """A response; ``drop`` closes the connection instead."""

    status: int = 200
    body: object = None
    headers: dict[str, str] = field(default_factory=dict)
    drop: bool = False

    @property
    def content(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def page(*ids: str, then: str | None = None) -> Answer:
    return Answer(body={"data": [{"id": i} for i in ids], "nextToken": then})


class Script:
    """Answers lists one after another from ``answers`` (the last again and again).

    Tokens are ``token-1``, ``token-2`` and so on, unless ``token_answers`` has others.
    """

    def __init__(self, *answers: Answer, token_answers: tuple[Answer, ...] = ()) -> None:
        self.answers = list(answers)
        self.token_answers = list(token_answers)
        self.asked: list[Asked] = []
        self.expires_in = 18000.0
        self.url = ""
        self.port = 0
        self._lock = threading.Lock()

    def answer(self, asked: Asked) -> Answer:
        with self._lock:
            self.asked.append(asked)
            if asked.path.endswith("/oauth/token"):
                return self._token()
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    @property
    def tokens(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.path.endswith("/oauth/token")]

    @property
    def lists(self) -> list[Asked]:
        return [asked for asked in self.asked if not asked.path.endswith("/oauth/token")]

    def credential(self, requests_per_second: int = 1000) -> M3terAccessKey:
        return M3terAccessKey("org-1", "key-1", SECRET, self.url, requests_per_second)

    def _token(self) -> Answer:
        if self.token_answers:
            return self.token_answers.pop(0)
        return Answer(
            body={
                "access_token": f"token-{len(self.tokens)}",
                "token_type": "Bearer",
                "expires_in": self.expires_in,
            }
        )


@contextmanager
def serving(script: Script, tls: ssl.SSLContext | None = None) -> Iterator[Script]:
    """Serve the script on a free port of this machine, over TLS with a context."""
    server = _Server(("127.0.0.1", 0), _handler(script.answer))
    if tls:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    script.port = int(server.server_address[1])
    script.url = f"{'https' if tls else 'http'}://127.0.0.1:{script.port}"
    try:
        yield script
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Do not print errors of clients that do not trust the certificate."""


def _handler(answer: Callable[[Asked], Answer]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1  # head and body in one packet

        def _respond(self) -> None:
            now = time.monotonic()
            url = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("Content-Length", "0"))).decode()
            authorization = self.headers.get("Authorization", "")
            asked = Asked(self.command, url.path, parse_qs(url.query), authorization, body, now)
            reply = answer(asked)
            if reply.drop:
                self.close_connection = True
                return
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.content)))
            self.end_headers()
            self.wfile.write(reply.content)

        do_GET = do_POST = _respond  # noqa: N815 - http.server's own names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
            """Keep quiet."""

    return Handler
