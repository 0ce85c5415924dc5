"""What each tool does with nulls, rejected rows, unprocessed rows and a kill: by running it.

The servers are m3sync's sandbox, because it keeps records and behaves as Salesforce's documents
say: an empty cell of a CSV file leaves a field as it is, and a failed job has unprocessed rows.
"""

import contextlib
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from m3ter_records import Lists, record_id
from msgspec import json as msgspec_json
from process_figures import Program, answer_of
from tools import M3SYNC, Postgres, Servers, m3sync_program, rival_program

from m3sync_dagster.sandbox import m3ter, salesforce
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.salesforce.ingest_job import IngestJob
from m3sync_dagster.sandbox.salesforce.org import Org
from m3sync_dagster.sandbox.server import running

ROWS = 2_500
"""More than m3sync sends by sObject Collections, so that it uses an ingest job too."""
PROCESSED = 400
"""Rows that a job saves before it fails."""
PATIENCE = 300.0
"""Seconds for a run."""
LIST, OBJECT = "accounts", "m3ter_Account__c"
REASON = "FIELD_CUSTOM_VALIDATION_EXCEPTION"


@dataclass(slots=True)
class Trial:
    """One tool, with both sandbox servers to itself."""

    organization: Organization
    org: Org
    program: Program
    tool: str
    _known: set[str] = field(default_factory=set)

    def run(self) -> tuple[int, str]:
        """Run the tool to its end; gives the exit code and all that it has printed."""
        done = subprocess.run(  # noqa: S603 - programs of this comparison
            self.program.command,
            env=self.program.environment,
            cwd=self.program.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
            timeout=PATIENCE,
        )
        return done.returncode, done.stdout.decode(errors="replace")

    def m3sync(self, *arguments: str) -> str:
        """The output of another command of m3sync."""
        command = [self.program.command[0], *arguments]
        return subprocess.run(  # noqa: S603 - our own
            command, env=self.program.environment, cwd=self.program.folder,
            capture_output=True, text=True, check=False,
        ).stdout  # fmt: skip

    def uploaded(self) -> int:
        """The rows of the ingest jobs since the last call."""
        new = [job for name, job in self.org.jobs.items() if name not in self._known]
        self._known |= set(self.org.jobs)
        return sum(_rows(job) for job in new)


def _rows(job: IngestJob) -> int:
    with job.rows() as rows:
        return sum(1 for _ in rows) - 1


def check_tools(tools: list[str], postgres: Postgres) -> dict[str, list[str]]:
    """The answer of each tool to each question."""
    found: dict[str, list[str]] = {}
    for question, ask in QUESTIONS.items():
        found[question] = []
        for tool in tools:
            with _trial(tool, postgres) as trial:
                try:
                    answer = ask(trial)
                except (ValueError, TimeoutError, subprocess.TimeoutExpired) as error:
                    answer = f"no answer: {error!r}"
                found[question].append(answer)
            print(f"{question} {tool}: {found[question][-1]}", flush=True)
    return found


@contextlib.contextmanager
def _trial(tool: str, postgres: Postgres) -> Iterator[Trial]:
    organization, accepted = Organization(), m3ter.Credentials()
    text = Lists(ROWS)
    for begin in range(0, ROWS, 100):
        for record in msgspec_json.decode(text.page(LIST, begin, 100)[0])["data"]:
            organization.put_raw(LIST, record["id"], msgspec_json.encode(record))
    app = salesforce.create_app()
    org: Org = app.state.org
    org.sessions.add("token")
    # No rate limit: the pages of the other tools come without one.
    source = m3ter.create_app(organization, accepted, requests_per_second=None)
    with (
        running(source) as m3ter_url,
        running(app) as salesforce_url,
        tempfile.TemporaryDirectory(prefix="m3s") as name,
        contextlib.ExitStack() as stack,
    ):
        servers = Servers(
            m3ter_url,
            salesforce_url,
            accepted.organization_id,
            accepted.access_key_id,
            accepted.api_secret,
            org.credentials.client_id,
            org.credentials.client_secret,
        )
        if tool == M3SYNC:
            url = stack.enter_context(postgres.database())
            program = m3sync_program(servers, Path(name), ("account",), postgres, url)
        else:
            program = rival_program(tool, servers, Path(name), ("account",))
            # One of them uses a password, which the sandbox does not accept.
            token = {"access_token": "token", "instance_url": salesforce_url}
            org.faults.add({"path": "/oauth2/token", "status": 200, "body": token, "times": None})
        yield Trial(organization, org, program, tool)


def _null(trial: Trial) -> str:
    """Set a field to null in m3ter, and run again."""
    trial.run()
    changed = record_id(LIST, 7)
    trial.organization.change(LIST, changed, purchaseOrderNumber=None)
    trial.run()
    (kept,) = (r for r in trial.org.records(OBJECT) if r["m3ter_Id__c"] == changed)
    value = kept["Purchase_Order_Number__c"]
    return "cleared" if value is None else "not cleared: the old value stays"


def _reject(trial: Trial) -> str:
    """Let Salesforce reject one row."""
    rejected = record_id(LIST, 1_234)
    rule = {"external_ids": [rejected], "code": REASON, "message": "Rejected by a rule"}
    trial.org.faults.add({"rows": rule, "times": None})
    code, printed = trial.run()
    rejects = trial.m3sync("rejects", "comparison", "--json") if trial.tool == M3SYNC else ""
    texts = (("row", rejected), ("reason", REASON))
    joined = "".join((printed + rejects).split())  # a terminal's lines may end within an id
    told = [name for name, text in texts if text in joined]
    reported = " and ".join(told) if told else "nothing of it"
    return f"reported: {reported}; {_end_of(trial, code, printed)}"


def _unprocessed(trial: Trial) -> str:
    """Let the job fail in the middle, and run again."""
    trial.org.faults.add({"job": {"fail_after": PROCESSED}})
    code, printed = trial.run()
    first = len(trial.org.records(OBJECT))
    if first == ROWS:
        return f"{_end_of(trial, code, printed)}: the same run sends the rest, {first:,} are saved"
    trial.uploaded()
    told = "the number is reported" if str(ROWS - PROCESSED) in printed else "not counted"
    trial.run()
    second, saved = trial.uploaded(), len(trial.org.records(OBJECT))
    return (
        f"{_end_of(trial, code, printed)}, {first:,} saved, {ROWS - first:,} unprocessed: {told}; "
        f"the next run uploads {second:,} rows, then {saved:,} are saved"
    )


def _kill(trial: Trial) -> str:
    """Kill the process while its job is under way, and run again."""
    trial.org.faults.add({"job": {"polls_per_chunk": 3}})
    process = subprocess.Popen(  # noqa: S603 - as above
        trial.program.command,
        env=trial.program.environment,
        cwd=trial.program.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        job = _job_under_way(trial.org)
    finally:
        process.kill()
        process.wait()
    # Salesforce finishes the job, whether or not its client still exists.
    while not job.progress.ended:
        job.poll()
        time.sleep(0.01)
    trial.uploaded()
    trial.run()
    again = trial.uploaded()
    keys = [record["m3ter_Id__c"] for record in trial.org.records(OBJECT)]
    return (
        f"{ROWS - len(set(keys))} lost, {len(keys) - len(set(keys))} doubled; "
        f"{again:,} rows are uploaded again"
    )


def _job_under_way(org: Org) -> IngestJob:
    """The first job that has saved some rows.

    Raises:
        TimeoutError: there is none in time.
    """
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        for job in list(org.jobs.values()):
            if 0 < job.processed < ROWS:
                return job
        time.sleep(0.01)
    raise TimeoutError(f"no ingest job in {PATIENCE:.0f} s")


def _end_of(trial: Trial, code: int, printed: str) -> str:
    """Whether the tool says that something failed: a program by its exit code."""
    error = answer_of(printed).get("error")
    if error:
        return f"ends with an error: {str(error)[:90]}"
    return f"exit code {code}" if trial.tool == M3SYNC else "ends without an error"


QUESTIONS: dict[str, Callable[[Trial], str]] = {
    "A field is set to null in the source": _null,
    "Salesforce rejects one row": _reject,
    "The job fails in the middle": _unprocessed,
    "The process is killed while its job is under way": _kill,
}
