"""Ingest jobs, with a scripted server that also responds with errors."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from m3sync_dagster.salesforce.bulk_job_poller import LONGEST_STALL
from m3sync_dagster.sync.errors import (
    ConfigurationError,
    DeadlineError,
    RateLimitError,
    RemoteError,
    SyncError,
)
from m3sync_dagster.sync.row_results import ErrorClass, Rejected
from m3sync_dagster.sync.row_types import Row, UnfinishedJob
from m3sync_dagster_tests.salesforce.conftest import (
    ACCOUNTS,
    Jobs,
    Scripted,
    Time,
    created,
    group,
    outcome,
    rejected,
    send_all,
    updated,
)

LOCKED = "UNABLE_TO_LOCK_ROW:unable to obtain exclusive access to this record:--"
HEAD = '"sf__Id","sf__Created",m3ter_Id__c,Name,Code__c\n'
FAILED_HEAD = '"sf__Id","sf__Error",m3ter_Id__c,Name,Code__c\n'


def rows(*ids: str) -> list[Row]:
    return [Row(key, [f"Name of {key}", None]) for key in ids]


def left(job_id: str | None) -> UnfinishedJob:
    return UnfinishedJob(job_id, "m3ter_Account__c", datetime.now(UTC))


def done(*ids: str, new: bool = True) -> str:
    lines = (f'"001{key}","{str(new).lower()}","{key}","N","#N/A"\n' for key in ids)
    return HEAD + "".join(lines)


def failed(**errors: str) -> str:
    return FAILED_HEAD + "".join(f'"","{text}","{key}","N",""\n' for key, text in errors.items())


def unprocessed(*ids: str) -> str:
    return "m3ter_Id__c,Name,Code__c\n" + "".join(f"{key},N,\n" for key in ids)


@dataclass
class Job:
    """One job: its states, one per poll, and its three result sets."""

    states: list[str] = field(default_factory=lambda: ["UploadComplete", "JobComplete"])
    done: str = HEAD
    failed: str = FAILED_HEAD
    unprocessed: str = ""
    message: str | None = None
    closed: bool = False
    data: bytes = b""
    polls: int = 0

    def state(self) -> str:
        if not self.closed:
            return "Open"
        self.polls += 1
        return self.states[min(self.polls, len(self.states)) - 1]


@dataclass
class Server:
    """Creates the given jobs, one for each request."""

    queue: list[Job]
    hook: Callable[[str, str], Response | None] = lambda _m, _p: None
    made: list[Job] = field(default_factory=list)

    def __call__(self, request: Request, body: bytes) -> Response:
        if request.url.path.endswith("/limits"):
            return JSONResponse({"DailyApiRequests": {"Max": 15_000, "Remaining": 14_000}})
        path = request.url.path.partition("/jobs/ingest")[2].strip("/")
        if (answer := self.hook(request.method, path)) is not None:
            return answer
        if request.method == "POST":
            assert b'"operation":"upsert"' in body.replace(b" ", b"")
            self.made.append(self.queue[len(self.made)])
            return JSONResponse({"id": f"750{len(self.made)}", "state": "Open", "apiVersion": 67.0})
        number, _, kind = path.partition("/")
        return self.on_job(request, self.made[int(number[3:]) - 1], number, kind, body)

    def on_job(self, request: Request, job: Job, number: str, kind: str, body: bytes) -> Response:
        if request.method == "PUT":
            assert request.headers["content-type"].startswith("text/csv")
            job.data = body
            return Response(status_code=201)
        if request.method == "PATCH":
            job.closed = True
            return JSONResponse({"id": number, "state": "UploadComplete"})
        texts = {
            "successfulResults": job.done,
            "failedResults": job.failed,
            "unprocessedrecords": job.unprocessed,
        }
        if kind:
            return Response(texts[kind], media_type="text/csv; charset=ISO-8859-1")
        info = {"id": number, "state": job.state(), "errorMessage": job.message}
        return JSONResponse({**info, "externalIdFieldName": "m3ter_Id__c"})


def test_results_are_matched_by_external_id(scripted: Scripted, jobs: Jobs) -> None:
    job = Job(
        ["UploadComplete", "InProgress", "JobComplete"],
        done("r3") + done("r1", new=False).removeprefix(HEAD),
        failed(r2="REQUIRED_FIELD_MISSING:Required fields are missing: [Name]:Name --"),
    )
    org, script = scripted(Server([job]))
    results = outcome(org.upsert(ACCOUNTS, group(rows("r1", "r2", "r3"), large=True), jobs))
    assert created(results) == {"r3"}
    assert updated(results) == {"r1"}
    assert results["r2"] == Rejected(
        "r2",
        ErrorClass.PERMANENT,
        "REQUIRED_FIELD_MISSING",
        "Required fields are missing: [Name]",
        ("Name",),
    )
    assert job.data.startswith(b"m3ter_Id__c,Name,Code__c\nr1,Name of r1,#N/A\n")
    assert jobs.events == [
        ("created", "7501", "m3ter_Account__c", "3"),
        ("finished", "7501", "JobComplete"),
    ]
    assert org.calls == 1 + 1 + 3 + 3 + 3
    assert len(script.requests) == 10


def test_a_job_is_recorded_before_its_data_is_closed(scripted: Scripted, jobs: Jobs) -> None:
    known: list[list[str]] = []

    def watch(method: str, _path: str) -> None:
        if method in {"PUT", "PATCH"}:
            known.append(jobs.states)

    org, _ = scripted(Server([Job(done=done("r1"))], watch))
    list(org.upsert(ACCOUNTS, group(rows("r1"), large=True), jobs))
    assert known == [["created"], ["created"]]


def test_polling_pauses_grow_until_the_deadline(scripted: Scripted, jobs: Jobs, time: Time) -> None:
    org, _ = scripted(Server([Job(["InProgress"])]))
    with pytest.raises(
        DeadlineError,
        match="7501 of m3ter_Account__c is InProgress and has made no progress for 20 ",
    ):
        list(org.upsert(ACCOUNTS, group(rows("r1"), large=True), jobs))
    assert time.naps[:3] == pytest.approx([0.1, 0.15, 0.225])
    assert max(time.naps) == 15
    assert time.now <= LONGEST_STALL
    assert jobs.states == ["created"]


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ("InvalidBatch : Field name not found : Code__c", ConfigurationError),
        ("ClientInputError : LineEnding is invalid on user data", ConfigurationError),
        ("ExceededQuota : too many batches", RateLimitError),
        ("TooManyLockFailure : locks", RemoteError),
        ("InternalServerError : sorry", RemoteError),
        (None, RemoteError),
    ],
)
@pytest.mark.parametrize("state", ["Failed", "Aborted"])
def test_a_job_that_processed_no_row_stops_the_run(
    scripted: Scripted, jobs: Jobs, state: str, message: str | None, kind: type[SyncError]
) -> None:
    if state == "Aborted":
        message, kind = "by hand", RemoteError
    org, _ = scripted(Server([Job([state], unprocessed=unprocessed("r1"), message=message)]))
    with pytest.raises(kind, match="7501 of m3ter_Account__c") as caught:
        list(org.upsert(ACCOUNTS, group(rows("r1"), large=True), jobs))
    assert (message or "JOB_FAILED").partition(" : ")[2] in caught.value.cause
    assert jobs.states == ["created", state]


def test_unprocessed_rows_of_a_failed_job_are_sent_again(scripted: Scripted, jobs: Jobs) -> None:
    first = Job(["Failed"], done("r1"), unprocessed=unprocessed("r2", "r3"), message="Timeout : x")
    second = Job(done=done("r3", "r2"))
    org, _ = scripted(Server([first, second]))
    results = outcome(send_all(org, ACCOUNTS, rows("r1", "r2", "r3"), jobs, large=True))
    assert created(results) == {"r1", "r2", "r3"}
    head = b"m3ter_Id__c,Name,Code__c\n"
    assert second.data == head + b"r2,Name of r2,#N/A\nr3,Name of r3,#N/A\n"
    assert jobs.states == ["created", "Failed", "created", "JobComplete"]


def test_locked_rows_are_sent_again_three_times_and_then_rejected(
    scripted: Scripted, jobs: Jobs, time: Time
) -> None:
    first = Job(done=done("r1"), failed=failed(r2=LOCKED, r3=LOCKED))
    second = Job(done=done("r3"), failed=failed(r2=LOCKED))
    third = Job(failed=failed(r2=LOCKED))
    org, script = scripted(Server([first, second, third, third]))
    results = outcome(send_all(org, ACCOUNTS, rows("r1", "r2", "r3"), jobs, large=True))
    assert created(results) == {"r1", "r3"}
    assert rejected(results) == {"r2": "UNABLE_TO_LOCK_ROW"}
    assert isinstance(results["r2"], Rejected)
    assert results["r2"].error_class is ErrorClass.TRANSIENT
    assert sum("POST" in request for request in script.requests) == 4
    long = [nap for nap in time.naps if nap >= 0.5]
    assert long == sorted(long)


def test_an_exceeded_quota_keeps_results_and_stops(scripted: Scripted, jobs: Jobs) -> None:
    job = Job(["Failed"], done("r1"), unprocessed=unprocessed("r2"), message="ExceededQuota : x")
    org, script = scripted(Server([job]))
    handed: list[str] = []
    batches = org.upsert(ACCOUNTS, group(rows("r1", "r2"), large=True), jobs)
    with pytest.raises(RateLimitError):
        handed.extend(result.m3ter_id for batch in batches for result in batch)
    assert handed == ["r1"]
    assert sum("POST" in request for request in script.requests) == 1


def test_the_next_run_reads_the_results_of_jobs_beside_one_that_failed(
    scripted: Scripted, jobs: Jobs
) -> None:
    first = Job(["Failed"], unprocessed=unprocessed("r1"), message="InternalServerError : sorry")
    server = Server([first, Job(done=done("r2"))])
    org, _ = scripted(server, most_bytes=30)
    with pytest.raises(RemoteError, match="7501 of m3ter_Account__c"):
        list(org.upsert(ACCOUNTS, group(rows("r1", "r2"), large=True), jobs))
    assert jobs.events[2:] == [("finished", "7501", "Failed")]
    assert created(outcome(org.resume(left("7502"), jobs))) == {"r2"}
    assert jobs.events[3:] == [("finished", "7502", "JobComplete")]


@pytest.mark.parametrize(
    "job",
    [
        Job(done=done("r1")),
        Job(),
        Job(done=done("r1", "r2", "r3")),
        Job(done=done("r1", "r1")),
        Job(done=done("r1", "stranger")),
        Job(done=done("r1"), failed=failed(r1="X:y:--")),
    ],
)
def test_results_of_other_rows_stop_the_run(scripted: Scripted, jobs: Jobs, job: Job) -> None:
    org, _ = scripted(Server([job]))
    with pytest.raises(RemoteError, match="2 rows sent"):
        list(org.upsert(ACCOUNTS, group(rows("r1", "r2"), large=True), jobs))


def test_a_job_is_closed_once_after_a_lost_response(scripted: Scripted, jobs: Jobs) -> None:
    wrong = [{"errorCode": "INVALIDJOBSTATE", "message": "not open"}]
    answers = iter([PlainTextResponse("", 503), JSONResponse(wrong, 400)])
    server = Server([Job(done=done("r1"))])

    def lose(method: str, _path: str) -> Response | None:
        if method != "PATCH":
            return None
        server.made[0].closed = True
        return next(answers)

    server.hook = lose
    org, _ = scripted(server)
    results = outcome(org.upsert(ACCOUNTS, group(rows("r1"), large=True), jobs))
    assert created(results) == {"r1"}


def test_a_job_that_cannot_be_closed_is_left_to_the_next_run(
    scripted: Scripted, jobs: Jobs
) -> None:
    def refuse(method: str, _path: str) -> Response | None:
        wrong = [{"errorCode": "INVALIDJOBSTATE", "message": "not now"}]
        return JSONResponse(wrong, 400) if method == "PATCH" else None

    org, script = scripted(Server([Job()], refuse))
    with pytest.raises(RemoteError, match="INVALIDJOBSTATE"):
        list(org.upsert(ACCOUNTS, group(rows("r1"), large=True), jobs))
    assert jobs.states == ["created"]
    assert script.requests[-1].startswith("GET /services/data/v67.0/jobs/ingest/7501")


def test_a_job_whose_upload_fails_is_aborted(scripted: Scripted, jobs: Jobs) -> None:
    def refuse(method: str, _path: str) -> Response | None:
        return PlainTextResponse("", 503) if method == "PUT" else None

    org, script = scripted(Server([Job()], refuse))
    with pytest.raises(RemoteError):
        list(org.upsert(ACCOUNTS, group(rows("r1"), large=True), jobs))
    assert jobs.states == ["created", "Aborted"]
    assert script.requests[-1].startswith("PATCH")


def test_an_error_while_polling_or_reading_does_not_abort_the_job(
    scripted: Scripted, jobs: Jobs
) -> None:
    trouble = iter([0, 503, 503, 0, 502, 0, 0, 0])

    def fail(method: str, _path: str) -> Response | None:
        status = next(trouble, 0) if method == "GET" else 0
        return PlainTextResponse("", status) if status else None

    org, script = scripted(Server([Job(done=done("r1"))], fail))
    assert created(outcome(org.upsert(ACCOUNTS, group(rows("r1"), large=True), jobs))) == {"r1"}
    assert sum("PATCH" in request for request in script.requests) == 1


def test_a_result_set_that_is_cut_off_is_read_again(scripted: Scripted, jobs: Jobs) -> None:
    whole = done("r1", "r2").encode()
    breaks = iter([True, False])

    def cut(_method: str, path: str) -> Response | None:
        if not path.endswith("successfulResults") or not next(breaks):
            return None
        return Response(whole[:-20], headers={"content-length": str(len(whole))})

    org, _ = scripted(Server([Job(done=whole.decode())], cut))
    results = outcome(org.upsert(ACCOUNTS, group(rows("r1", "r2"), large=True), jobs))
    assert created(results) == {"r1", "r2"}


def test_a_failed_upload_is_repeated_from_its_start(scripted: Scripted, jobs: Jobs) -> None:
    trouble = iter([503, 0])

    def fail(method: str, _path: str) -> Response | None:
        status = next(trouble) if method == "PUT" else 0
        return PlainTextResponse("", status) if status else None

    job = Job(done=done("r1"))
    org, _ = scripted(Server([job], fail))
    list(org.upsert(ACCOUNTS, group(rows("r1"), large=True), jobs))
    assert job.data == b"m3ter_Id__c,Name,Code__c\nr1,Name of r1,#N/A\n"


def test_text_is_read_as_utf8_even_with_another_media_type(scripted: Scripted, jobs: Jobs) -> None:
    job = Job(done=done("żółć"))
    org, _ = scripted(Server([job]))
    results = outcome(org.upsert(ACCOUNTS, group(rows("żółć"), large=True), jobs))
    assert created(results) == {"żółć"}


@pytest.mark.parametrize(
    ("state", "ending", "expected"),
    [
        ("JobComplete", "JobComplete", {"r1"}),
        ("Failed", "Failed", {"r1"}),
        ("Open", "Aborted", set()),
    ],
)
def test_the_results_of_an_earlier_runs_job_are_read(
    scripted: Scripted, jobs: Jobs, state: str, ending: str, expected: set[str]
) -> None:
    server = Server([], made=[Job([state], done("r1"), closed=state != "Open")])
    org, _ = scripted(server)
    assert created(outcome(org.resume(left("7501"), jobs))) == expected
    assert jobs.events == [("finished", "7501", ending)]


def test_a_job_that_salesforce_has_deleted_has_no_results(scripted: Scripted, jobs: Jobs) -> None:
    gone = [{"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}]
    org, _ = scripted(lambda _r, _b: JSONResponse(gone, 404))
    assert list(org.resume(left("7501"), jobs)) == []
    assert jobs.events == [("finished", "7501", "Unknown")]
