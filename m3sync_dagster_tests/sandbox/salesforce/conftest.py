"""A running sandbox org, and a client with a session."""

from collections.abc import Iterator

import httpx
import pytest

from m3sync_dagster.sandbox.salesforce import Org, create_app
from m3sync_dagster.sandbox.server import running
from m3sync_dagster_tests.conftest import PATIENCE
from m3sync_dagster_tests.sandbox.salesforce.plain_client import Client


@pytest.fixture(scope="session")
def served() -> Iterator[tuple[str, Org]]:
    app = create_app()
    with running(app) as url:
        yield url, app.state.org


@pytest.fixture
def client(served: tuple[str, Org]) -> Iterator[Client]:
    """A client of the shared org, without records, fault rules and logged calls."""
    url, _ = served
    with httpx.Client(base_url=url, timeout=PATIENCE) as http:
        for path in ("faults", "records", "calls"):
            assert http.delete(f"/sandbox/{path}").status_code == 204
        yield Client(http)


@pytest.fixture
def own_client() -> Iterator[Client]:
    """A client of an org that only this test uses, so it can change the schema."""
    with running(create_app()) as url, httpx.Client(base_url=url, timeout=PATIENCE) as http:
        yield Client(http)
