"""Deploys of metadata."""

from collections.abc import Callable

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.salesforce import SalesforceClient
from m3sync_dagster.salesforce.deploy import DEADLINE, deploy
from m3sync_dagster.salesforce.metadata_package import package, sfdx_files
from m3sync_dagster.sync.errors import (
    AuthenticationError,
    ConfigurationError,
    DeadlineError,
    SyncError,
)
from m3sync_dagster_tests.salesforce.conftest import Scripted, Time

ARCHIVE = b"PK a zip"


def started(body: bytes) -> Response:
    assert b'"checkOnly": true' in body
    assert ARCHIVE in body
    return JSONResponse({"id": "0Af1", "deployResult": None}, 201)


def states(*results: dict[str, object]) -> Callable[[Request, bytes], Response]:
    left = list(results)

    def handler(request: Request, body: bytes) -> Response:
        if request.method == "POST":
            return started(body)
        assert request.url.path.endswith("/metadata/deployRequest/0Af1")
        assert request.query_params["includeDetails"] == "true"
        result = left.pop(0) if len(left) > 1 else left[0]
        return JSONResponse({"id": "0Af1", "deployResult": result})

    return handler


def run(org: SalesforceClient, time: Time) -> list[tuple[str, int]]:
    stream = deploy(org.transport, ARCHIVE, check_only=True, sleep=time.sleep, clock=time.clock)
    return [(step.status, step.deployed) for step in stream]


def test_a_deploy_is_followed_to_its_end(scripted: Scripted, time: Time) -> None:
    handler = states(
        {"status": "Pending", "done": False},
        {"status": "InProgress", "numberComponentsDeployed": 3, "numberComponentsTotal": 9},
        {"status": "Succeeded", "done": True, "success": True, "numberComponentsDeployed": 9},
    )
    org, _ = scripted(handler)
    assert run(org, time) == [("Pending", 0), ("Pending", 0), ("InProgress", 3), ("Succeeded", 9)]
    assert time.naps == [1.0, 1.5]


@pytest.mark.parametrize("listed", [True, False])
def test_a_single_error_may_be_an_object_or_a_list(
    scripted: Scripted, time: Time, listed: bool
) -> None:
    failure = {"fullName": "A__c.B__c", "problem": "no", "lineNumber": 3, "columnNumber": "7"}
    details = {"componentFailures": [failure] if listed else failure}
    org, _ = scripted(states({"status": "Failed", "done": True, "details": details}))
    _, step = deploy(org.transport, ARCHIVE, check_only=True, sleep=time.sleep, clock=time.clock)
    assert [(p.full_name, p.problem, p.line_number) for p in step.problems] == [
        ("A__c.B__c", "no", 3)
    ]


@pytest.mark.parametrize("status", ["Pending", "InProgress", "FinalizingDeploy", "Canceling"])
def test_waiting_for_a_deploy_ends_at_the_deadline(
    scripted: Scripted, time: Time, status: str
) -> None:
    org, _ = scripted(states({"status": status}))
    with pytest.raises(DeadlineError, match=f"0Af1 is {status} after 30 minutes") as caught:
        run(org, time)
    assert "sf project deploy report --job-id 0Af1" in str(caught.value)
    assert DEADLINE < time.now < DEADLINE + 30


def test_a_canceled_deploy_has_failed(scripted: Scripted, time: Time) -> None:
    ended = {"status": "Canceled", "done": True, "success": False, "details": None}
    org, _ = scripted(states({"status": "Canceling"}, ended))
    *_, last = deploy(org.transport, ARCHIVE, check_only=True, sleep=time.sleep, clock=time.clock)
    assert (last.id, last.status, last.success, last.problems) == ("0Af1", "Canceled", False, [])


def test_a_deploy_continues_after_a_lost_connection(scripted: Scripted, time: Time) -> None:
    def handler(request: Request, body: bytes) -> Response:
        if request.method == "POST":
            return started(body)
        return JSONResponse([{"errorCode": "NOT_FOUND", "message": "no such thing"}], 404)

    org, _ = scripted(handler)
    with pytest.raises(SyncError, match="The deploy 0Af1 continues in Salesforce"):
        run(org, time)


def test_a_session_that_has_ended_is_renewed_since_nothing_was_done(
    scripted: Scripted, time: Time
) -> None:
    ended = states({"status": "Succeeded", "done": True, "success": True})
    tokens: list[str] = []

    def handler(request: Request, body: bytes) -> Response:
        tokens.append(request.headers["authorization"])
        if len(tokens) == 1:
            return JSONResponse([{"errorCode": "INVALID_SESSION_ID", "message": "expired"}], 401)
        return ended(request, body)

    org, script = scripted(handler)
    assert run(org, time) == [("Pending", 0), ("Succeeded", 0)]
    assert tokens[0] != tokens[1]
    assert script.tokens == 2


def test_a_missing_permission_is_reported(scripted: Scripted, time: Time) -> None:
    def handler(_request: Request, _body: bytes) -> Response:
        body = [{"errorCode": "INSUFFICIENT_ACCESS", "message": "use of the Metadata API requires"}]
        return JSONResponse(body, 403)

    org, script = scripted(handler)
    with pytest.raises((ConfigurationError, AuthenticationError), match="Metadata API requires"):
        run(org, time)
    assert len(script.requests) == 1


def test_the_sandbox_accepts_our_metadata(org: SalesforceClient, time: Time) -> None:
    archive = package(sfdx_files(list(ENTITIES)))
    *_, last = deploy(org.transport, archive, check_only=True, sleep=time.sleep, clock=time.clock)
    assert (last.success, last.check_only, last.problems) == (True, True, [])
    *_, broken = deploy(org.transport, b"no zip", check_only=True, sleep=time.sleep)
    assert [p.problem for p in broken.problems] == ["No package.xml found"]
