"""Deploying metadata to an org over REST.

Source: Metadata API Developer Guide, "Deploying Metadata with REST", "DeployResult" and
"DeployMessage".
"""

import json
import time
from collections.abc import Callable, Iterator

import msgspec

from m3sync_dagster.salesforce.responses import decode
from m3sync_dagster.salesforce.transport import FilePart, Transport
from m3sync_dagster.sync.errors import DeadlineError, RemoteError, SyncError

PATH = "/metadata/deployRequest"
DEADLINE = 30 * 60
"""Seconds after which m3sync stops waiting for a deploy; Salesforce queues deploys."""
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 10.0
"""Seconds between two reads of a deploy's status, at first and at most."""

UNKNOWN = (
    "The deploy may have started. Check Salesforce Setup, Deployment Status, before you start it "
    "again."
)
"""The remedy where Salesforce's response to the start of a deploy was lost."""

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
    """The error of one component, as Salesforce reports it."""

    component_type: str | None = None
    full_name: str | None = None
    problem: str | None = None
    file_name: str | None = None
    line_number: int | None = None


class Deploy(msgspec.Struct, frozen=True, rename="camel"):
    """The status of a deploy.

    Args:
        status: Salesforce's status, such as ``Pending``, ``InProgress``, ``Succeeded``, ``Failed``.
        done: whether it has ended.
        success: whether all components were deployed, or passed the check.
        check_only: whether it only checks, and changes nothing.
        total, deployed, errors: numbers of components: all, deployed, and with an error.
        error: the error of the deploy as a whole.
        id: its id.
        details: the result of each component, when the deploy has ended.
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
    details: dict[str, object] | None = None

    @property
    def problems(self) -> list[DeployError]:
        """The errors of the components."""
        failures = (self.details or {}).get("componentFailures") or []
        # Salesforce sends a single failure as an object, not as a list.
        listed = failures if isinstance(failures, list) else [failures]
        return [msgspec.convert(failure, DeployError) for failure in listed]


class _Response(msgspec.Struct, rename="camel"):
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
    """Deploy a package, and yield its status until it has ended.

    Args:
        transport: the org, with a user that may deploy.
        archive: the zip with ``package.xml`` at its root.
        check_only: only check the package, and change nothing.
        sleep: waits a number of seconds.
        clock: monotonic seconds.

    Raises:
        DeadlineError: it does not end in time.
        SyncError: Salesforce could not be reached, or rejected the request.
    """
    started = _start(transport, archive, check_only=check_only)
    yield Deploy("Pending", check_only=check_only, id=started)
    ends, pause = clock() + DEADLINE, FIRST_PAUSE
    while not (found := _read_status(transport, started)).done:
        yield found
        if clock() > ends:
            raise DeadlineError(
                f"The deploy {started} is {found.status} after {DEADLINE // 60} minutes",
                how_to_follow(started),
            )
        sleep(pause)
        pause = min(pause * 1.5, LONGEST_PAUSE)
    yield found


def how_to_follow(deploy_id: str) -> str:
    """How to follow a deploy that m3sync no longer waits for."""
    return (
        f"The deploy {deploy_id} continues in Salesforce. Check Setup, Deployment Status, "
        f"or run sf project deploy report --job-id {deploy_id}."
    )


def _read_status(transport: Transport, started: str) -> Deploy:
    try:
        response = transport.fetch("GET", f"{PATH}/{started}?includeDetails=true", _Response)
    except SyncError as error:
        raise error.with_remedy(f"{error.remedy} {how_to_follow(started)}") from error
    found = response.deploy_result or Deploy("Pending")
    return msgspec.structs.replace(found, id=started)


def _start(transport: Transport, archive: bytes, *, check_only: bool) -> str:
    """Start the deploy, without a retry: a second deploy could run beside the first."""
    options = json.dumps({"deployOptions": _OPTIONS | {"checkOnly": check_only}})
    parts: dict[str, FilePart] = {
        "json": (None, options, "application/json"),
        "file": ("deploy.zip", archive, "application/zip"),
    }
    try:
        response = transport.call_once("POST", PATH, files=parts)
    except RemoteError as error:
        raise RemoteError(error.cause, UNKNOWN) from error
    return decode(response, _Response).id
