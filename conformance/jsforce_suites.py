"""The suites of jsforce, the client that most JavaScript programs and Salesforce's CLI use.

Its own tests are not in its package of npm, only in its repository. Where that cannot be reached,
they do not run; the calls that they make are written here too, in ``clients/jsforce``.
"""

import os
import shutil
import time
from pathlib import Path

import httpx
from client_environment import FOLDER, HERE, salesforce_token, sandbox
from node_environment import NODE, NotReachedError, checked_run, install_from_npm, node, npm
from outcomes import Outcome, Suite, outcomes_of_script, read_jest

PACKAGE_VERSION = "3.10.26"
TESTS_VERSION = "3.10.18"
"""The tag of the repository with the tests that run."""
REPOSITORY = "https://github.com/jsforce/jsforce"
OTHER_REPOSITORY = "M3SYNC_JSFORCE"
"""The environment variable with another address of the repository, such as a local clone's."""

SCRIPTS = ("meta", "crud", "bulk2", "query")
"""Our scripts with the calls of jsforce's tests of the same names."""
_ALL = "."
_NOT_IMPORTED = "^(?!should (bulk|call bulk))"
"""All tests but those of ``bulk.test.ts``: two files import it, so that jest adds its tests."""
_TESTS = {
    "bulk2": _ALL,
    "connection-crud": _NOT_IMPORTED,
    "query": _NOT_IMPORTED,
    "connection-meta": _ALL,
}
"""The files with jsforce's tests, and which tests of each run."""
_BIG_TABLE_RECORDS = 6_500
"""The records of ``BigTable__c``; a test reads 5,000 and stops."""
_SCHEMA: list[dict[str, object]] = [
    {"object": "BigTable__c", "add": {"label": "Big Table"}},
    {"object": "UpsertTable__c", "add": {"label": "Upsert Table"}},
    {
        "object": "UpsertTable__c",
        "field": "ExtId__c",
        "set": {"type": "Text", "length": 64, "external_id": True},
    },
]
"""The objects that jsforce's tests use, as in its ``test/package``. ``ExtId__c`` is not unique."""


def jsforce_calls() -> Suite:
    """The calls that jsforce's tests make in an org, written here."""
    name = "jsforce, our calls"
    try:
        folder = install_from_npm("jsforce", PACKAGE_VERSION).parents[1]
    except NotReachedError as error:
        return Suite(name, PACKAGE_VERSION, skipped=str(error))
    outcomes: tuple[Outcome, ...] = ()
    with sandbox() as servers:
        _make_objects(servers)
        for script in SCRIPTS:
            path = HERE / "clients" / "jsforce" / f"{script}.mjs"
            done = node(path, folder=folder, **servers)
            outcomes += outcomes_of_script(done, script)
    return Suite(name, PACKAGE_VERSION, outcomes)


def jsforce_tests() -> Suite:
    """The tests of jsforce itself in an org: bulk2, crud, query and meta."""
    name = "jsforce, its own tests"
    try:
        folder = _repository()
    except NotReachedError as error:
        return Suite(name, TESTS_VERSION, skipped=f"not reached: {error}")
    with sandbox() as servers:
        _make_objects(servers)
        outcomes = tuple(one for test in _TESTS for one in _jest(folder, test, servers))
    return Suite(name, TESTS_VERSION, outcomes)


def _jest(folder: Path, test: str, servers: dict[str, str]) -> tuple[Outcome, ...]:
    report = FOLDER / f"jest-{test}.json"
    report.unlink(missing_ok=True)
    done = node(
        folder / "node_modules" / "jest" / "bin" / "jest.js",
        "--forceExit", "--json", f"--outputFile={report}", "--testNamePattern", _TESTS[test],
        f"test/{test}.test.ts",
        folder=folder,
        SF_LOGIN_URL=servers["SALESFORCE_LOGIN_URL"],
        SF_ACCESS_TOKEN=salesforce_token(servers),
    )  # fmt: skip
    if not report.is_file():
        return (Outcome(test, f"jest wrote no report: {done.stderr[-300:]}"),)
    return read_jest(report.read_text(), test)


def _repository() -> Path:
    """A clone of the repository in which its tests can run, made if it is not there.

    Raises:
        NotReachedError: it cannot be cloned, or its packages cannot be installed.
    """
    folder, source = FOLDER / "jsforce", os.environ.get(OTHER_REPOSITORY) or REPOSITORY
    built = folder / "built.txt"
    if built.is_file() and built.read_text() == TESTS_VERSION:
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    _clone(source, folder)
    npm("ci", folder=folder)
    compiler = folder / "node_modules" / "typescript" / "bin" / "tsc"
    checked_run(NODE, compiler, "-p", ".", folder=folder, failure="tsc -p . in the repository")
    built.write_text(TESTS_VERSION)
    return folder


def _clone(source: str, folder: Path) -> None:
    shown = REPOSITORY if source == REPOSITORY else f"the repository that {OTHER_REPOSITORY} names"
    command = ("git", "clone", "--quiet", "--depth", "1", "--branch", TESTS_VERSION)
    checked_run(
        *command, source, folder, folder=FOLDER, failure=f"git clone of {shown}", seconds=60
    )


def _make_objects(servers: dict[str, str]) -> None:
    """Make the objects of the tests, and fill the large one by an ingest job."""
    token = {"authorization": f"Bearer {salesforce_token(servers)}"}
    jobs = "/services/data/v67.0/jobs/ingest"
    with httpx.Client(base_url=servers["SALESFORCE_LOGIN_URL"], headers=token, timeout=60) as org:
        org.post("/sandbox/schema", json=_SCHEMA).raise_for_status()
        wanted = {"object": "BigTable__c", "operation": "insert"}
        job = f"{jobs}/{org.post(jobs, json=wanted).raise_for_status().json()['id']}"
        rows = "\n".join(["Name", *(f"Row {number}" for number in range(_BIG_TABLE_RECORDS)), ""])
        csv = {"content-type": "text/csv"}
        org.put(f"{job}/batches", content=rows, headers=csv).raise_for_status()
        org.patch(job, json={"state": "UploadComplete"}).raise_for_status()
        while org.get(job).raise_for_status().json()["state"] != "JobComplete":
            time.sleep(0.1)
