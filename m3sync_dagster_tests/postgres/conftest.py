from collections.abc import Iterator

import pytest

from m3sync_dagster_tests.postgres.own_server import OwnServer, own_server


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    """A server of this module's tests alone, on TCP."""
    with own_server() as running:
        yield running
