"""Deploying metadata to an org over REST.

Source: Metadata API Developer Guide, "Deploying Metadata with REST", "DeployResult" and
"DeployMessage".
"""

import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from m3sync_dagster.salesforce.answers import decode
from m3sync_dagster.salesforce.transport import Transport
from m3sync_dagster.sync.errors import DeadlineError, RemoteError, SyncError

PATH = "/metadata/deployRequest"
DEADLINE = 30 * 60
"""Seconds after which nobody waits for a deploy any longer; Salesforce queues them."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
"""Seconds between two looks at a deploy, at first and at most."""

UNKNOWN = (
    "Whether the deploy has begun is not known: look at Setup, Deployment Status, before you start "
    "it again."
)
"""What is said where Salesforce's answer to the start of a deploy has been lost."""

_OPTIONS = {
    "allowMissingFiles": False,
    "ignoreWarnings": False,
    "performRetrieve": False,
    "purgeOnDelete": False,
    "rollbackOnError": True,
    "singlePackage": True,
    "testLevel": "NoTestRun",
}


class DeployError(msgspec.Struct, frozen=True, rename="camel"):
    """What is wrong with one component, in Salesforce's words."""

    component_type: str | None = None
    full_name: str | None = None
    problem: str | None = None
    file_name: str | None = None
    line_number: int | None = None


class Deploy(msgspec.Struct, frozen=True, rename="camel"):
    """How far a deploy is.

    Args:
        status: Salesforce's word, such as ``Pending``, ``InProgress``, ``Succeeded``, ``Failed``.
        done: whether it has come to its end.
        success: whether everything was deployed, or would be.
        check_only: whether nothing is changed.
        total, deployed, errors: components in all, done, and refused.
        error: what stopped it as a whole.
        id: its id.
        details: each component's fate, at its end.
    """

    status: str
    done: bool = False
    success: bool = False
    check_only: bool = False
    total: int = msgspec.field(name="numberComponentsTotal", default=0)
    deployed: int = msgspec.field(name="numberComponentsDeployed", default=0)
    errors: int = msgspec.field(name="numberComponentErrors", default=0)
    error: str | None = msgspec.field(name="errorMessage", default=None)
    id: str = ""
    details: dict[str, Any] | None = None

    @property
    def problems(self) -> list[DeployError]:
        """Each component's problem."""
        failures = (self.details or {}).get("componentFailures") or []
        # A single one comes without its list.
        listed = failures if isinstance(failures, list) else [failures]
        return [msgspec.convert(failure, DeployError) for failure in listed]


class _Answer(msgspec.Struct, rename="camel"):
    id: str
    deploy_result: Deploy | None = None


def deploy(
    transport: Transport,
    archive: bytes,
    *,
    check_only: bool,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Deploy]:
    """Deploy a package, and tell how far it is until it is done.

    Args:
        transport: the way to the org, as a user that may deploy.
        archive: the zip with ``package.xml`` at its root.
        check_only: have it checked, and change nothing.
        sleep: waits a number of seconds.
        clock: seconds that only grow.

    Raises:
        DeadlineError: it does not end.
        SyncError: Salesforce could not be asked, or refused.
    """
    started = _start(transport, archive, check_only=check_only)
    yield Deploy("Pending", check_only=check_only, id=started)
    ends, pause = clock() + DEADLINE, FIRST_PAUSE
    while not (found := _look(transport, started)).done:
        yield found
        if clock() > ends:
            raise DeadlineError(
                f"The deploy {started} is {found.status} after {DEADLINE // 60} minutes",
                unwatched(started),
            )
        sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
    yield found


def unwatched(deploy_id: str) -> str:
    """What becomes of a deploy that nobody waits for, and how to look at it."""
    return (
        f"The deploy {deploy_id} goes on without us: see Setup, Deployment Status, or run sf "
        f"project deploy report --job-id {deploy_id}."
    )


def _look(transport: Transport, started: str) -> Deploy:
    try:
        answer = transport.fetch("GET", f"{PATH}/{started}?includeDetails=true", _Answer)
    except SyncError as error:
        raise error.with_remedy(f"{error.remedy} {unwatched(started)}") from error
    found = answer.deploy_result or Deploy("Pending")
    return msgspec.structs.replace(found, id=started)


def _start(transport: Transport, archive: bytes, *, check_only: bool) -> str:
    """Hand the package over, once: a second deploy could run beside the first."""
    options = json.dumps({"deployOptions": _OPTIONS | {"checkOnly": check_only}})
    parts = {
        "json": (None, options, "application/json"),
        "file": ("deploy.zip", archive, "application/zip"),
    }
    try:
        response = transport.call_once("POST", PATH, files=parts)
    except RemoteError as error:
        raise RemoteError(error.cause, UNKNOWN) from error
    return decode(response, _Answer).id
