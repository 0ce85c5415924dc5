import asyncio
import socket
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from m3sync_dagster.sandbox import server
from m3sync_dagster.sandbox.server import DROP, running
from m3sync_dagster_tests.conftest import PATIENCE


async def hello(_: Request) -> PlainTextResponse:
    return PlainTextResponse("hello")


def test_the_server_stops_at_the_end_of_the_block() -> None:
    before = set(threading.enumerate())
    with running(Starlette(routes=[Route("/", hello)])) as url:
        assert httpx.get(url).text == "hello"

    with pytest.raises(httpx.ConnectError):
        httpx.get(url)
    assert set(threading.enumerate()) <= before  # threads of earlier tests may have ended


def test_an_idle_connection_does_not_delay_the_stop() -> None:
    with httpx.Client() as client, running(Starlette(routes=[Route("/", hello)])) as url:
        client.get(url)


def test_a_request_under_way_is_answered_before_the_stop() -> None:
    begun = threading.Event()

    async def until_nobody_can_connect(request: Request) -> PlainTextResponse:
        begun.set()
        with suppress(OSError):
            while True:
                _, writer = await asyncio.open_connection(request.url.hostname, request.url.port)
                writer.close()
        return PlainTextResponse("late")

    with ThreadPoolExecutor() as threads:
        with running(Starlette(routes=[Route("/", until_nobody_can_connect)])) as url:
            answer = threads.submit(httpx.get, url, timeout=PATIENCE)
            begun.wait()
        assert answer.result().text == "late"


def test_a_request_without_an_answer_does_not_prevent_the_stop(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server, "STOP_SECONDS", 0.1)
    begun = threading.Event()

    async def never(_: Request) -> PlainTextResponse:
        begun.set()
        await asyncio.Event().wait()
        return PlainTextResponse("never seen")

    with ThreadPoolExecutor() as threads:
        with running(Starlette(routes=[Route("/", never)])) as url:
            answer = threads.submit(httpx.get, url, timeout=PATIENCE)
            begun.wait()
        assert answer.exception() or answer.result().is_error


def test_a_port_in_use() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OSError, match="in use"), running(Starlette(), port=port):
            pass


def test_an_application_that_does_not_start() -> None:
    @asynccontextmanager
    async def broken(_: Starlette) -> AsyncIterator[None]:
        raise RuntimeError("no")
        yield

    with pytest.raises(RuntimeError, match="did not start"), running(Starlette(lifespan=broken)):
        pass


def test_an_application_can_close_its_connection() -> None:
    async def close_connection(request: Request) -> PlainTextResponse:
        request.scope["extensions"][DROP]()
        return PlainTextResponse("never seen")

    with (
        running(Starlette(routes=[Route("/", close_connection)])) as url,
        pytest.raises(httpx.TransportError),
    ):
        httpx.get(url)
