"""Integrations whose users are in the sandbox's m3ter, and receivers that never answer."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from m3sync_dagster.guard.guarded_integration import GuardedIntegration, UserDirectory
from m3sync_dagster.m3ter import M3terAccessKey, M3terSource
from m3sync_dagster.notifications import threads_with_deadline as background_tasks
from m3sync_dagster_tests.conftest import PATIENCE, Sandbox
from m3sync_dagster_tests.guard.fixtures import Fleet


def directory_at(sandbox: Sandbox, base_url: str, credential: str = "m3ter") -> UserDirectory:
    """The users of an m3ter that answers at an address, or does not."""
    given = sandbox.environment
    key = M3terAccessKey(
        given["M3TER_ORG_ID"], given["M3TER_API_KEY"], given["M3TER_API_SECRET"], base_url
    )

    @contextmanager
    def opened() -> Iterator[M3terSource]:
        with M3terSource(key, retries=0) as organization:
            yield organization

    return UserDirectory(credential, opened)


def notify(
    fleet: Fleet, sandbox: Sandbox, *ids: str, name: str = "acme", **hangs: UserDirectory
) -> None:
    """Add an integration of which these users are notified."""
    fleet.add(name)
    added = fleet.watched[name]
    directory = hangs.get("directory") or directory_at(
        sandbox, sandbox.environment["M3TER_BASE_URL"]
    )
    fleet.watched[name] = GuardedIntegration(
        added.name, added.schedule, added.assets, ids, directory
    )


def email(sandbox: Sandbox, user: str) -> str:
    return str(sandbox.organization.get("users", user)["email"])


@pytest.fixture
def users(sandbox: Sandbox) -> list[str]:
    """The ids of two users of the sandbox's m3ter."""
    return list(sandbox.organization.ids("users")[:2])


@pytest.fixture
def silent_port() -> Iterator[int]:
    """A port at which connections are made and nothing is ever answered."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]
    end_of_tasks()


def end_of_tasks() -> None:
    """Wait for the tasks that earlier ticks have left in the background."""
    for task in list(background_tasks._running.values()):
        assert task.wait(time.monotonic() + PATIENCE), task.name
