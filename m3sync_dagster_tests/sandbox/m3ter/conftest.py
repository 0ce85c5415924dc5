from collections.abc import Callable, Iterator
from typing import Any

import httpx
import m3ter
import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from m3sync_dagster.sandbox.m3ter import Credentials, create_app
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.server import running

CREDENTIALS = Credentials()
HOME = f"/organizations/{CREDENTIALS.organization_id}"


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def organization() -> Organization:
    return Organization.sample()


class CurrentApp:
    """Passes requests to the application of the current test, so that one server is enough."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.app(scope, receive, send)


@pytest.fixture(scope="session")
def current_app() -> Iterator[tuple[CurrentApp, str]]:
    current_app = CurrentApp()
    with running(current_app) as url:
        yield current_app, url


Serve = Callable[[int | None], str]


@pytest.fixture
def serve(current_app: tuple[CurrentApp, str], organization: Organization, clock: Clock) -> Serve:
    """Serves the test's organization, with or without a limit, and returns the URL."""

    def replace_app(requests_per_second: int | None) -> str:
        current_app[0].app = create_app(
            organization, CREDENTIALS, requests_per_second=requests_per_second, clock=clock
        )
        return current_app[1]

    return replace_app


@pytest.fixture
def url(serve: Serve) -> str:
    return serve(None)


@pytest.fixture
def http(url: str) -> Iterator[httpx.Client]:
    """A client with a token."""
    with httpx.Client(base_url=url) as client:
        login(client)
        client.delete("/sandbox/calls")
        yield client


@pytest.fixture
def sdk(url: str) -> Iterator[m3ter.M3ter]:
    """m3ter's own client, with strict validation of responses against the API description."""
    with sdk_for(url) as client:
        yield client


def sdk_for(url: str, **changes: str) -> m3ter.M3ter:
    arguments: dict[str, Any] = {
        "api_key": CREDENTIALS.access_key_id,
        "api_secret": CREDENTIALS.api_secret,
        "org_id": CREDENTIALS.organization_id,
        **changes,
    }
    return m3ter.M3ter(**arguments, base_url=url, max_retries=0, _strict_response_validation=True)


def login(client: httpx.Client) -> None:
    """Gets a token for the client's further requests."""
    credentials = (CREDENTIALS.access_key_id, CREDENTIALS.api_secret)
    grant = {"grant_type": "client_credentials"}
    answer = client.post("/oauth/token", auth=credentials, json=grant)
    client.headers["authorization"] = f"Bearer {answer.raise_for_status().json()['access_token']}"
