"""What a client gets at each boundary, and whether the server has acted."""

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from m3sync_dagster.sandbox.server import running
from m3sync_dagster_tests.chaos.boundary import M3TER, SALESFORCE, Boundary, Plan
from m3sync_dagster_tests.chaos.faults import ANSWERS
from m3sync_dagster_tests.live.conftest import until

EXPECTED: dict[str, tuple[int | type[Exception], bool]] = {
    "cut before the server acted": (httpx.RemoteProtocolError, False),
    "cut after the server acted": (httpx.RemoteProtocolError, True),
    "truncated": (httpx.RemoteProtocolError, True),
    "slow": (201, True),
    "no answer": (httpx.ReadTimeout, True),
    "HTML": (200, False),
    "HTML after the server acted": (200, True),
    "401": (401, False),
    "429": (429, False),
    "500": (500, False),
    "500 after the server acted": (500, True),
    "503": (503, False),
    "503 after the server acted": (503, True),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_second_request_to_salesforce_is_answered_so(name: str) -> None:
    acted: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        acted.append(Request(scope).url.path)
        await JSONResponse({"id": "1"}, 201)(scope, receive, send)

    def request(path: str, read: float = 120) -> int | type[Exception]:
        try:
            return httpx.post(url + path, timeout=httpx.Timeout(120, read=read)).status_code
        except httpx.TransportError as error:
            return type(error)

    expected, carried_out = EXPECTED[name]
    boundary = Boundary()
    boundary.add(Plan(SALESFORCE, 2, 1, name, ANSWERS[name]))
    with running(boundary.before(app)) as url:
        assert [request(path) for path in ("/services/1", "/other")] == [201, 201]
        read = 1 if expected is httpx.ReadTimeout else 120
        assert request("/services/2", read) == expected
        if carried_out:
            until(lambda: "/services/2" in acted, "the request")
        assert request("/services/3") == 201
    assert ("/services/2" in acted) == carried_out
    assert boundary.struck == {name: 1}


def test_requests_are_counted_for_each_system() -> None:
    plan = Plan(M3TER, 1, 2, "", ANSWERS["500"])
    asked = [plan.applies(system) for system in (SALESFORCE, M3TER, SALESFORCE, M3TER, M3TER)]
    assert asked == [False, True, False, True, False]
