"""The login of docs/operating.md in front of Dagster's UI, as nginx itself understands it.

In place of Dagster and of OAuth2 Proxy are servers that record what reaches them.
"""

import hashlib
import os
import re
import shutil
import ssl
import subprocess
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import httpx
import pytest
import trustme
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from m3sync_dagster.sandbox.server import running
from m3sync_dagster_tests.conftest import PATIENCE, ROOT
from m3sync_dagster_tests.docs.blocks import blocks_of
from m3sync_dagster_tests.live.conftest import free_port

NGINX = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not NGINX, reason="nginx is not installed"),
]

PATHS = ("/", "/graphql", "/runs/1?x=1", "/oauth2/../graphql", "/./graphql")
COOKIE = "the-session"
MAIN = """
daemon off;
master_process off;
pid nginx.pid;
error_log stderr;
events {{}}
http {{
  access_log off;
  client_body_temp_path body;
  proxy_temp_path proxy;
  fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi;
  scgi_temp_path scgi;
  {server}
}}
"""


def documented() -> tuple[str, str]:
    """The server with OAuth2 Proxy, and the lines for a list of users."""
    page = ROOT / "docs" / "operating.md"
    server, users = (block.text for block in blocks_of(page) if block.language == "nginx")
    return server, users


def with_users(server: str, users: str) -> str:
    """What the page says to write for a list of users."""
    server = re.sub(r"(?ms)^  location (?:= )?(?:/oauth2/|@sign_in).*?^  }\n", "", server)
    assert "oauth2" in server.partition("location / {")[2]
    return re.sub(r"(?m)^ *auth_request .*\n.*error_page.*\n", users + "\n", server)


class Seen(list[Request]):
    """What reached a server."""

    def app(self, answer: Callable[[Request], Response]) -> Starlette:
        def record(request: Request) -> Response:
            self.append(request)
            return answer(request)

        return Starlette(routes=[Route("/{path:path}", record, methods=["GET", "POST"])])


def oauth2_proxy(request: Request) -> Response:
    """Answers as OAuth2 Proxy does. Source: its documentation, "Endpoints"."""
    if request.url.path == "/oauth2/auth":
        accepted = request.cookies.get("_oauth2_proxy") == COOKIE
        return Response(status_code=202 if accepted else 401)
    return PlainTextResponse("sign in here")


Served = Callable[[str], AbstractContextManager[tuple[httpx.Client, Seen]]]


@pytest.fixture
def served(tmp_path: Path) -> Served:
    """Runs nginx with a server of the page, and gives a client of it and what reaches the UI."""

    @contextmanager
    def serve(server: str) -> Iterator[tuple[httpx.Client, Seen]]:
        seen, authority, port = Seen(), trustme.CA(), free_port()
        certificate = authority.issue_cert("localhost")
        certificate.private_key_pem.write_to_path(tmp_path / "key")
        for part in certificate.cert_chain_pems:
            part.write_to_path(tmp_path / "pem", append=True)
        digest = b64encode(hashlib.sha1(b"secret").digest()).decode()  # noqa: S324 - nginx's form
        (tmp_path / "users").write_text(f"ada:{{SHA}}{digest}\n")
        with (
            running(seen.app(lambda _: PlainTextResponse("the UI"))) as ui,
            running(Seen().app(oauth2_proxy)) as login,
        ):
            for written, here in (
                ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
                ("http://127.0.0.1:3000", ui),
                ("http://127.0.0.1:4180", login),
                ("/etc/ssl/dagster.example.com.pem", str(tmp_path / "pem")),
                ("/etc/ssl/dagster.example.com.key", str(tmp_path / "key")),
                ("/etc/nginx/dagster.users", str(tmp_path / "users")),
            ):
                server = server.replace(written, here)
            (tmp_path / "nginx.conf").write_text(MAIN.format(server=server))
            context = ssl.create_default_context()
            authority.configure_trust(context)
            with (
                nginx(tmp_path),
                httpx.Client(base_url=f"https://localhost:{port}", verify=context) as client,
            ):
                wait_for(client)
                yield client, seen

    return serve


@contextmanager
def nginx(folder: Path) -> Iterator[None]:
    command = [str(NGINX), "-p", str(folder), "-c", "nginx.conf", "-e", "stderr"]
    checked = subprocess.run([*command, "-t"], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    with subprocess.Popen(command) as process:
        try:
            yield
        finally:
            process.terminate()


def wait_for(client: httpx.Client) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            client.get("/oauth2/sign_in")
        except httpx.TransportError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError("nginx does not answer")


def test_nobody_reaches_the_ui_without_the_login(served: Served) -> None:
    with served(documented()[0]) as (client, seen):
        for path in PATHS:
            for headers in ({}, {"Cookie": "_oauth2_proxy=other", "X-Auth-Request-User": "ada"}):
                answer = client.post(path, headers=headers)
                assert (answer.status_code, "the UI" in answer.text) == (302, False), path
                assert answer.headers["Location"].startswith("https://localhost")
                assert "/oauth2/sign_in?rd=" in answer.headers["Location"]
        assert client.get("/oauth2/sign_in").text == "sign in here"
        assert seen == []
        upgrade = {"Upgrade": "websocket", "Connection": "upgrade"}
        answer = client.get("/graphql", headers={"Cookie": f"_oauth2_proxy={COOKIE}", **upgrade})
        assert answer.text == "the UI"
        (request,) = seen
        assert (request.headers["upgrade"], request.headers["connection"]) == (
            "websocket",
            "upgrade",
        )


def test_a_list_of_users_is_enough(served: Served) -> None:
    with served(with_users(*documented())) as (client, seen):
        seen.clear()
        for path in PATHS:
            assert client.post(path).status_code == 401
            for user in (("ada", "wrong"), ("eve", "secret")):
                assert client.post(path, auth=user).status_code == 401
        assert seen == []
        assert client.get("/graphql", auth=("ada", "secret")).text == "the UI"
        assert [request.url.path for request in seen] == ["/graphql"]
