"""Test servers for Salesforce, and helpers to write to them."""

import time as real_time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol

import pytest
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from m3sync_dagster.salesforce import ConnectedApp, SalesforceClient
from m3sync_dagster.salesforce.bulk_ingest import MOST_BYTES
from m3sync_dagster.sandbox.salesforce import Credentials, Org, create_app
from m3sync_dagster.sandbox.server import running
from m3sync_dagster.sync.row_results import Acknowledged, Rejected, RowResult
from m3sync_dagster.sync.row_types import Column, Group, Row, Target

SECRET = "s3cr3t-of-the-app"
BALANCES = Target(
    "m3ter_Balance__c",
    "m3ter_Id__c",
    (
        Column("Name"),
        Column("Amount__c"),
        Column("m3ter_Account__c", "m3ter_Account__r", "m3ter_Id__c"),
    ),
)
ACCOUNTS = Target("m3ter_Account__c", "m3ter_Id__c", (Column("Name"), Column("Code__c")))


@dataclass
class Jobs:
    """A job log in a list."""

    events: list[tuple[str, ...]] = field(default_factory=list)
    requested: list[tuple[str, int, str]] = field(default_factory=list)
    other_requested: set[str] = field(default_factory=set)

    def record_job_requested(self, object_name: str, rows: int, sha256: str) -> None:
        self.requested.append((object_name, rows, sha256))

    def unknown_jobs(self, job_ids: Sequence[str]) -> list[str]:
        known = {event[1] for event in self.events if event[0] == "created"}
        return [job_id for job_id in job_ids if job_id not in known]

    def is_other_job_requested(self, object_name: str) -> bool:
        return object_name in self.other_requested

    def record_job_created(self, job_id: str, object_name: str, rows: int, sha256: str) -> None:
        assert len(sha256) == 64
        self.events.append(("created", job_id, object_name, str(rows)))

    def record_job_finished(self, job_id: str | None, state: str) -> None:
        self.events.append(("finished", job_id or "requested", state))

    @property
    def states(self) -> list[str]:
        """What was recorded, without the ids."""
        return [event[0] if event[0] == "created" else event[2] for event in self.events]


@dataclass
class Time:
    """A clock that only ``sleep`` advances."""

    now: float = 0.0
    naps: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds

    def clock(self) -> float:
        return self.now


def accounts(*ids: str) -> list[Row]:
    return [Row(key, [f"Account {key}", f"code-{key}"]) for key in ids]


def group(rows: Sequence[Row], *, large: bool = False, **options: object) -> Group:
    """A group of these rows; with ``large`` an ingest job sends even a few."""
    return Group(rows, 1_000_000 if large else len(rows), **options)  # type: ignore[arg-type]


def send_all(
    org: SalesforceClient, target: Target, rows: Sequence[Row], jobs: Jobs, *, large: bool = False
) -> Iterator[list[RowResult]]:
    """The results of rows, sent as a sync sends them: rows without a result are sent again."""
    left, tries = {row.m3ter_id: row for row in rows}, 0
    while left:
        waiting = group(list(left.values()), large=large, tries=tries)
        for results in org.upsert(target, waiting, jobs):
            for result in results:
                del left[result.m3ter_id]
            yield results
        tries += 1


def outcome(batches: Iterator[list[RowResult]]) -> dict[str, RowResult]:
    """The results by id; checks that no id has two results."""
    results = list(chain.from_iterable(batches))
    found = {result.m3ter_id: result for result in results}
    assert len(found) == len(results)
    return found


def created(results: dict[str, RowResult]) -> set[str]:
    return {k for k, r in results.items() if isinstance(r, Acknowledged) and r.created}


def updated(results: dict[str, RowResult]) -> set[str]:
    return {k for k, r in results.items() if isinstance(r, Acknowledged) and not r.created}


def rejected(results: dict[str, RowResult]) -> dict[str, str]:
    return {k: r.code for k, r in results.items() if isinstance(r, Rejected)}


@dataclass
class Script:
    """A server whose handler a test provides; logins succeed by default.

    The handler gets the request and its body, and returns the response.
    """

    handler: Callable[[Request, bytes], Response]
    requests: list[str] = field(default_factory=list)
    tokens: int = 0
    token_answer: object = None
    usage: str | None = "api-usage=1/100000"

    def app(self) -> Starlette:
        methods = ["GET", "POST", "PUT", "PATCH"]
        return Starlette(
            routes=[
                Route("/services/oauth2/token", self._token, methods=["POST"]),
                Route("/{path:path}", self._any, methods=methods),
            ]
        )

    async def _token(self, request: Request) -> Response:
        self.tokens += 1
        url = str(request.base_url).rstrip("/")
        if self.token_answer is not None:
            return JSONResponse(self.token_answer)
        return JSONResponse({"access_token": f"token-{self.tokens}", "instance_url": url})

    async def _any(self, request: Request) -> Response:
        self.requests.append(f"{request.method} {request.url.path}")
        answer = await run_in_threadpool(self.handler, request, await request.body())
        if self.usage:
            answer.headers.setdefault("Sforce-Limit-Info", self.usage)
        return answer


class Scripted(Protocol):
    """Makes a client of a server with a test's handler."""

    def __call__(
        self, handler: Callable[[Request, bytes], Response], *, most_bytes: int = ...
    ) -> tuple[SalesforceClient, Script]: ...


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
def scripted(time: Time) -> Iterator[Scripted]:
    """The clients are closed and the servers stopped at the end."""
    opened = []

    def make(
        handler: Callable[[Request, bytes], Response], *, most_bytes: int = MOST_BYTES
    ) -> tuple[SalesforceClient, Script]:
        script = Script(handler)
        server = running(script.app())
        url = server.__enter__()
        org = SalesforceClient(
            ConnectedApp(url, "id", SECRET),
            most_bytes=most_bytes,
            sleep=time.sleep,
            clock=time.clock,
        )
        opened.append((server, org))
        return org, script

    yield make
    for server, org in opened:
        org.close()
        server.__exit__(None, None, None)


@dataclass
class Sandbox:
    """The sandbox org: its URL, and its Python object."""

    url: str
    inside: Org

    def credential(self, secret: str = SECRET) -> ConnectedApp:
        return ConnectedApp(self.url, "the-app", secret)

    def records(self, target: Target) -> dict[str, dict[str, Any]]:
        """The records of an object, by external ID."""
        found = self.inside.records(target.object)
        return {record["m3ter_Id__c"]: record for record in found}


@pytest.fixture(scope="session")
def served() -> Iterator[Sandbox]:
    app = create_app(credentials=Credentials("the-app", SECRET))
    with running(app) as url:
        yield Sandbox(url, app.state.org)


@pytest.fixture
def sandbox(served: Sandbox) -> Sandbox:
    """The org without records, sessions or faults."""
    inside = served.inside
    inside.clear_records()
    inside.sessions.clear()
    inside.faults.clear()
    inside.calls.counts.clear()
    inside.usage.max, inside.usage.used = 100_000, 0
    return served


@pytest.fixture
def org(sandbox: Sandbox, time: Time) -> Iterator[SalesforceClient]:
    """A client of the sandbox org that does not really sleep."""

    def nap(seconds: float) -> None:
        time.sleep(seconds)
        real_time.sleep(0.005)

    found = SalesforceClient(sandbox.credential(), sleep=nap, clock=time.clock)
    yield found
    found.close()
