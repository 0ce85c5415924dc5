"""Serves the m3ter lists and Salesforce endpoints that the comparison needs, with set latencies.

Run: ``python benchmarks/stand_in.py``; it prints its URL. It accepts every credential, validates
nothing and keeps only the external IDs, so that it takes little time; what a tool does with nulls,
rejects and failed jobs is shown against the sandbox instead, which behaves as Salesforce's
documents say. ``POST /control`` takes a JSON object: ``records``, ``revision``, ``changed_every``,
``request_seconds``, ``job_seconds``, ``collection_seconds``, and ``reset`` for an empty org.
``GET /control`` gives the counts since the last ``POST``.
"""

import contextlib
import csv
import io
import json
import threading
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

from m3ter_records import PAGE, Lists

from m3sync_dagster.sandbox.salesforce import (
    METADATA,
    Credentials,
    Org,
    add_account_link,
    add_sample_objects,
)
from m3sync_dagster.sandbox.salesforce.describe_results import describe
from m3sync_dagster.sandbox.salesforce.dx_source import read_schema

ORG, USER = "00D000000000001AAA", "005000000000001AAA"
CREATED = "2026-01-01T00:00:00.000+0000"
CSV, JSON = "text/csv; charset=UTF-8", "application/json"
VERSIONS = [
    {"label": "any", "url": f"/services/data/v{n}.0", "version": f"{n}.0"} for n in (58, 67)
]
LIMIT = {"Max": 1_000_000, "Remaining": 1_000_000}
LIMITS = {"DailyApiRequests": LIMIT, "DailyBulkApiBatches": LIMIT}
ORGANIZATION = {
    "totalSize": 1,
    "done": True,
    "records": [{"Id": ORG, "Name": "Stand-in", "IsSandbox": True, "InstanceName": "CS1"}],
}
"""The answer to the only query that m3sync makes in a sync."""


@dataclass(slots=True)
class Counts:
    """What clients have sent and received since the last ``POST /control``.

    ``bytes_sent`` and ``bytes_received`` are those of bodies to and from Salesforce, as the client
    sees them; ``rows`` is the number of rows of ingest jobs and of sObject Collections calls.
    """

    m3ter_pages: int = 0
    salesforce_calls: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    rows: int = 0
    jobs: int = 0
    unknown: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Latencies:
    """Seconds that a request, an ingest job and a call of sObject Collections take."""

    request_seconds: float = 0.0
    job_seconds: float = 0.0
    collection_seconds: float = 0.0


@dataclass(slots=True)
class Job:
    """An ingest job: its request, the CSV, and the result set."""

    info: dict[str, object]
    body: bytes = b""
    results: bytes = b""
    rows: int = 0
    ready: float = float("inf")


@lru_cache(maxsize=1_200)
def _page(lists: Lists, name: str, begin: int, size: int) -> bytes:
    return lists.page(name, begin, size)[0]


class Organizations:
    """Both organizations: the lists of m3ter, and the records and jobs of the org."""

    def __init__(self) -> None:
        self.lists = Lists(0)
        self.latencies = Latencies()
        self.counts = Counts()
        self.lock = threading.Lock()
        self._records: dict[tuple[str, str], str] = {}
        self._jobs: dict[str, Job] = {}
        org = Org(read_schema(METADATA, ""), Credentials())
        add_sample_objects(org)
        add_account_link(org)
        self._schema = org.schema

    def control(self, change: dict[str, float]) -> None:
        """Change the lists or the latencies; the counts begin again."""
        if change.pop("reset", False):
            self._records.clear()
            self._jobs.clear()
        of_latencies = {name for name in change if name.endswith("_seconds")}
        self.latencies = replace(self.latencies, **{n: change[n] for n in of_latencies})
        rest = {name: int(change[name]) for name in change.keys() - of_latencies}
        self.lists = replace(self.lists, **rest)
        self.counts = Counts()

    def describe(self, name: str) -> dict[str, object]:
        """The describe of an object of m3sync's own metadata, or of Account."""
        definition = next(one for one in self._schema if one.name == name)
        return dict(describe(self._schema, definition, "/services/data/v67.0"))

    def create_job(self, request: dict[str, object]) -> dict[str, object]:
        """A new ingest job."""
        with self.lock:
            self.counts.jobs += 1
            number = len(self._jobs) + 1
            version = request.pop("version")
            info: dict[str, object] = {
                "id": f"750{number:012}AAA",
                "createdById": USER,
                "createdDate": CREATED,
                "systemModstamp": CREATED,
                "concurrencyMode": "Parallel",
                "contentType": "CSV",
                "apiVersion": version,
                "columnDelimiter": "COMMA",
                "lineEnding": "LF",
                "state": "Open",
                **request,
            }
            self._jobs[str(info["id"])] = Job(info)
        return info | {"contentUrl": f"services/data/v{version}/jobs/ingest/{info['id']}/batches"}

    def job(self, job_id: str) -> Job:
        """A job by its id."""
        return self._jobs[job_id]

    def jobs(self) -> list[dict[str, object]]:
        """The properties of all jobs."""
        return [self.state_of(job) for job in self._jobs.values()]

    def close(self, job: Job) -> dict[str, object]:
        """Write the rows of a job, which ends after ``job_seconds``; gives its properties."""
        lines = job.body.splitlines(keepends=True)
        head = next(csv.reader([lines[0].decode()]))
        key = head.index(str(job.info["externalIdFieldName"]))
        rows = csv.reader(io.StringIO(job.body.decode(), newline=""))
        next(rows)
        results = [b'"sf__Id","sf__Created",' + lines[0]]
        for line, row in zip(lines[1:], rows, strict=True):
            salesforce_id, created = self.upsert(str(job.info["object"]), row[key])
            results.append(f'"{salesforce_id}","{str(created).lower()}",'.encode() + line)
        job.results, job.rows = b"".join(results), len(lines) - 1
        job.body = b""
        job.ready = time.monotonic() + self.latencies.job_seconds
        with self.lock:
            self.counts.rows += job.rows
        return self.state_of(job) | {"state": "UploadComplete"}

    def upsert(self, object_name: str, external_id: str) -> tuple[str, bool]:
        """The record's id, and whether it is new."""
        with self.lock:
            known = self._records.get((object_name, external_id))
            if known is not None:
                return known, False
            salesforce_id = f"a01{len(self._records):012}AAA"
            self._records[object_name, external_id] = salesforce_id
            return salesforce_id, True

    def state_of(self, job: Job) -> dict[str, object]:
        """The properties of a job now."""
        ended = time.monotonic() >= job.ready
        closed = job.ready != float("inf")
        state = "JobComplete" if ended else "InProgress" if closed else job.info["state"]
        rows = job.rows if ended else 0
        counts = {"numberRecordsProcessed": rows, "numberRecordsFailed": 0}
        return job.info | {"state": state, "jobType": "V2Ingest", "retries": 0, **counts}


class Handler(BaseHTTPRequestHandler):
    """Answers one connection's requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    organizations: Organizations

    def log_message(self, *_: object) -> None:
        """No log."""

    def do_GET(self) -> None:
        """Answer a request."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        url = urlsplit(self.path)
        if url.path == "/control":
            self._control(body)
        elif url.path.startswith("/organizations/") or url.path == "/oauth/token":
            self._m3ter(url.path, parse_qs(url.query))
        else:
            self._salesforce(url.path.rstrip("/"), body)

    do_POST = do_PUT = do_PATCH = do_DELETE = do_GET  # noqa: N815 - the library's names

    def _control(self, body: bytes) -> None:
        if body:
            self.organizations.control(json.loads(body))
        self._send(json.dumps(asdict(self.organizations.counts)).encode())

    def _m3ter(self, path: str, query: dict[str, list[str]]) -> None:
        time.sleep(self.organizations.latencies.request_seconds)
        if path == "/oauth/token":
            self._send(b'{"access_token":"token","expires_in":18000,"token_type":"Bearer"}')
            return
        begin = int(query.get("nextToken", ["0"])[0])
        size = int(query.get("pageSize", [str(PAGE)])[0])
        with self.organizations.lock:
            self.organizations.counts.m3ter_pages += 1
        self._send(_page(self.organizations.lists, path.rpartition("/")[2], begin, size))

    def _salesforce(self, path: str, body: bytes) -> None:
        organizations = self.organizations
        time.sleep(organizations.latencies.request_seconds)
        with organizations.lock:
            organizations.counts.salesforce_calls += 1
            organizations.counts.bytes_sent += len(body)
        status, answer, kind = self._answer(path.split("/")[1:], body)
        with organizations.lock:
            organizations.counts.bytes_received += len(answer)
        self._send(answer, status, kind)

    def _answer(self, path: list[str], body: bytes) -> tuple[int, bytes, str]:
        """Status, body and media type of the answer to a request to Salesforce."""
        answer: object
        match self.command, path:
            case method, ["services", "data", version, "jobs", "ingest", *rest]:
                return self._ingest(method, version.removeprefix("v"), rest, body)
            case "POST", ["services", "oauth2", "token"]:
                answer = self._token()
            case "GET", ["services", "data"]:
                answer = VERSIONS
            case "GET", ["services", "data", _, "query"]:
                answer = ORGANIZATION
            case "GET", ["services", "data", _, "limits"]:
                answer = LIMITS
            case "GET", ["services", "data", _, "sobjects", name, "describe"]:
                answer = self.organizations.describe(name)
            case "PATCH", ["services", "data", _, "composite", "sobjects", name, key]:
                answer = self._upsert(name, key, json.loads(body))
            case _:
                self.organizations.counts.unknown.append(f"{self.command} /{'/'.join(path)}")
                return 404, b'[{"errorCode":"NOT_FOUND","message":"not served here"}]', JSON
        return 200, json.dumps(answer).encode(), JSON

    def _token(self) -> dict[str, str]:
        url = f"http://{self.headers['Host']}"
        identity = f"{url}/id/{ORG}/{USER}"
        return {"access_token": "token", "instance_url": url, "id": identity, "scope": "api"}

    def _upsert(self, name: str, key: str, request: dict[str, list[dict[str, str]]]) -> object:
        rows = request["records"]
        time.sleep(self.organizations.latencies.collection_seconds)
        done = [self.organizations.upsert(name, row[key]) for row in rows]
        with self.organizations.lock:
            self.organizations.counts.rows += len(rows)
        return [{"id": i, "success": True, "created": c, "errors": []} for i, c in done]

    def _ingest(
        self, method: str, version: str, path: list[str], body: bytes
    ) -> tuple[int, bytes, str]:
        organizations = self.organizations
        answer: object
        match method, path:
            case "GET", [job_id, name]:
                return 200, _result_set(organizations.job(job_id), name.lower()), CSV
            case "PUT", [job_id, "batches"]:
                organizations.job(job_id).body = body
                return 201, b"", JSON
            case "POST", []:
                answer = organizations.create_job(json.loads(body) | {"version": version})
            case "PATCH", [job_id]:
                answer = organizations.close(organizations.job(job_id))
            case "GET", [job_id]:
                answer = organizations.state_of(organizations.job(job_id))
            case _:
                answer = {"done": True, "records": organizations.jobs(), "nextRecordsUrl": None}
        return 200, json.dumps(answer).encode(), JSON

    def _send(self, body: bytes, status: int = 200, kind: str = JSON) -> None:
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Sforce-Limit-Info", "api-usage=1/1000000")
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()


def _result_set(job: Job, name: str) -> bytes:
    """A result set: every row has succeeded."""
    head = job.results.partition(b"\n")[0] + b"\n"
    if name == "successfulresults":
        return job.results
    if name == "failedresults":
        return head.replace(b"sf__Created", b"sf__Error")
    return head.removeprefix(b'"sf__Id","sf__Created",')


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


@contextlib.contextmanager
def serving() -> Iterator[str]:
    """Serve both organizations from threads of this process while the block runs; gives the URL."""
    handler = type("OwnHandler", (Handler,), {"organizations": Organizations()})
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def main() -> None:
    """Serve until the process is stopped."""
    with serving() as url:
        print(url, flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    main()
