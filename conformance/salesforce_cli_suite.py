"""The suite of Salesforce's own CLI: its commands, run in their order, each a test."""

import csv
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from client_environment import salesforce_token, sandbox
from node_environment import NotReachedError, install_from_npm, node
from outcomes import Outcome, Suite

VERSION = "2.150.6"
NAME = "Salesforce CLI"
METADATA = Path(__file__).parents[1] / "m3sync_dagster" / "salesforce" / "metadata"
"""The Salesforce DX project with m3sync's own objects, which the CLI deploys."""
OBJECT, KEY = "m3ter_Account__c", "m3ter_Id__c"
_VARIABLES = {
    "SF_AUTOUPDATE_DISABLE": "true",
    "SF_DISABLE_TELEMETRY": "true",
    "SF_SKIP_NEW_VERSION_CHECK": "true",
    "SF_USE_GENERIC_UNIX_KEYCHAIN": "true",
    # The CLI deploys by the REST API, and not by SOAP.
    "SF_ORG_METADATA_REST_DEPLOY": "true",
}


@dataclass(frozen=True, slots=True)
class Case:
    """A test: a command, and whether its result is right.

    Args:
        command: the command, such as ``data query``.
        options: its options.
        check: whether the result is right.
        note: what distinguishes it from other tests of the command.
    """

    command: str
    options: tuple[str, ...]
    check: Callable[[Any], object]
    note: str = ""


@dataclass(slots=True)
class _Cli:
    """The CLI.

    Args:
        script: its program.
        folder: its home and working folder.
        variables: its environment.
        result: what the last command gave.
    """

    script: Path
    folder: Path
    variables: dict[str, str]
    result: Any = None

    def file(self, name: str, text: str) -> str:
        """Write a file that a command reads; gives its name."""
        (self.folder / name).write_text(text)
        return name

    def rows(self, name: str) -> list[dict[str, str]]:
        """The rows of a CSV file; none if there is no such file."""
        path = self.folder / name
        return list(csv.DictReader(path.open(newline=""))) if path.is_file() else []

    def outcome(self, case: Case) -> Outcome:
        """Run a command, and check its result."""
        arguments = (*case.command.split(), *case.options, "--json")
        done = node(self.script, *arguments, folder=self.folder, **self.variables)
        try:
            answer = json.loads(done.stdout)
            self.result = answer.get("result", answer)
            right = bool(case.check(self.result))
        except (ValueError, KeyError, TypeError, IndexError, AttributeError):
            right = False
        test = f"{case.command}: {case.note}" if case.note else case.command
        return Outcome(test, None if right else (done.stdout + done.stderr)[:600])


def salesforce_cli() -> Suite:
    """Log in, read and write records, run jobs, describe objects, read limits, and deploy."""
    try:
        package = install_from_npm("@salesforce/cli", VERSION)
    except NotReachedError as error:
        return Suite(NAME, VERSION, skipped=str(error))
    with tempfile.TemporaryDirectory() as home, sandbox() as servers:
        shutil.copytree(METADATA, home, dirs_exist_ok=True)
        token = {"HOME": home, "SF_ACCESS_TOKEN": salesforce_token(servers)}
        cli = _Cli(package / "bin" / "run.js", Path(home), _VARIABLES | token)
        url = servers["SALESFORCE_LOGIN_URL"]
        return Suite(NAME, VERSION, tuple(map(cli.outcome, _cases(cli, url))))


def _cases(cli: _Cli, url: str) -> Iterator[Case]:
    """The tests, of which some use the result of the one before."""
    login = ("--instance-url", url, "--alias", "sandbox", "--set-default", "--no-prompt")
    yield Case("org login access-token", login, lambda it: it["instanceUrl"] == f"{url}/")
    yield Case("org display", (), lambda it: it["connectedStatus"] == "Connected")
    yield Case("org list", (), lambda it: "sandbox" in json.dumps(it))
    yield from _deployment()
    yield from _descriptions()
    yield from _single_records(cli)
    yield from _jobs(cli)
    yield from _not_served()


def _deployment() -> Iterator[Case]:
    folder = ("--source-dir", "force-app", "--wait", "2")
    yield Case("project deploy start", folder, lambda it: it["status"] == "Succeeded")
    yield Case("project deploy report", ("--use-most-recent",), lambda it: it["success"])


def _descriptions() -> Iterator[Case]:
    yield Case("sobject list", ("--sobject", "all"), lambda it: OBJECT in it)
    yield Case("sobject describe", ("--sobject", OBJECT), lambda it: it["name"] == OBJECT)
    yield Case("org list limits", (), lambda it: "DailyApiRequests" in {one["name"] for one in it})
    counts = ("--sobject", OBJECT)
    yield Case("org list sobject record-counts", counts, lambda it: it[0]["name"] == OBJECT)


def _single_records(cli: _Cli) -> Iterator[Case]:
    this = ("--sobject", OBJECT)
    yield Case("data create record", (*this, "--values", f"Name=One {KEY}=one"), _succeeded)
    record = (*this, "--record-id", str(cli.result.get("id")))
    yield Case("data get record", record, lambda it: it["Name"] == "One")
    yield Case("data update record", (*record, "--values", "Name=Two"), _succeeded)
    where = (*this, "--where", f"{KEY}=one")
    yield Case("data get record", where, lambda it: it["Name"] == "Two", "by a field")
    query = ("--query", f"SELECT Id, Name FROM {OBJECT} WHERE {KEY} = 'one'")  # noqa: S608 - constants
    yield Case("data query", query, lambda it: it["records"][0]["Name"] == "Two")
    count = ("--query", f"SELECT COUNT(Id) number FROM {OBJECT}")  # noqa: S608 - constants
    yield Case("data query", count, lambda it: it["records"][0]["number"] == 1, "aggregate")
    yield Case("data delete record", record, _succeeded)
    yield Case("data get record", record, lambda it: it["name"] == "ENTITY_IS_DELETED", "deleted")


def _jobs(cli: _Cli) -> Iterator[Case]:
    this = ("--sobject", OBJECT, "--wait", "2")
    rows = ("--file", cli.file("rows.csv", f"{KEY},Name\na,Ä\nb,B\n"))
    upsert = (*this, *rows, "--external-id", KEY)
    yield Case("data upsert bulk", upsert, lambda it: _processed(it) == (2, 0))
    yield Case("data upsert bulk", upsert, lambda it: _processed(it) == (2, 0), "again")
    bad = ("--file", cli.file("bad.csv", f"{KEY},Unknown__c\nc,1\n"))
    yield Case(
        "data upsert bulk",
        (*this, *bad, "--external-id", KEY),
        lambda it: "InvalidBatch" in json.dumps(it),
        "with an unknown field",
    )
    new = ("--file", cli.file("new.csv", f"{KEY},Name\nd,D\ne,\nf,F\n"))
    yield Case("data import bulk", (*this, *new), lambda it: it["failedRecords"] == 0)
    query = f"SELECT Id, Name FROM {OBJECT}"  # noqa: S608 - of constants
    export = ("--query", query, "--output-file", "out.csv", "--result-format", "csv", "--wait", "2")
    yield Case("data export bulk", export, lambda it: it["totalSize"] == len(cli.rows("out.csv")))
    changed = [f"{one['Id']},{one['Name']} new\n" for one in cli.rows("out.csv")]
    update = (*this, "--file", cli.file("changed.csv", "".join(["Id,Name\n", *changed])))
    yield Case("data update bulk", update, lambda it: it["processedRecords"] == len(changed))
    ids = [f"{one['Id']}\n" for one in cli.rows("out.csv")]
    delete = (*this, "--file", cli.file("ids.csv", "".join(["Id\n", *ids])))
    yield Case("data delete bulk", delete, lambda it: _processed(it) == (len(ids), 0))


def _not_served() -> Iterator[Case]:
    find = ("--query", "FIND {One} RETURNING Account(Name)")
    yield Case("data search", find, lambda it: "searchRecords" in it)
    yield Case("org list metadata-types", (), lambda it: "metadataObjects" in it)


def _succeeded(result: Any) -> object:  # noqa: ANN401 - any JSON
    return result["success"]


def _processed(result: Any) -> tuple[int, int]:  # noqa: ANN401 - any JSON
    """The rows of a job, and how many failed."""
    job = result["jobInfo"]
    return job["numberRecordsProcessed"], job["numberRecordsFailed"]
