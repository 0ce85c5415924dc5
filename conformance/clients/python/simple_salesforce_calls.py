"""The calls of simple-salesforce, the client that most Python programs use."""

import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import requests
from calls import KEY, OBJECT, QUERY, ROWS, URL, VERSION, Call, names, refused, run, token
from requests.adapters import HTTPAdapter
from simple_salesforce.api import Salesforce

WAIT = 0.1
FIND = f"SELECT Id FROM {OBJECT} WHERE {KEY}"  # noqa: S608 - of constants


class Http(HTTPAdapter):
    """Sends by http what simple-salesforce sends by https, since the sandbox serves http."""

    def send(self, request: requests.PreparedRequest, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Send a request."""
        request.url = str(request.url).replace("https://", "http://", 1)
        return super().send(request, *args, **kwargs)


def client() -> Salesforce:
    """A client with a session."""
    session = requests.Session()
    session.mount(URL.replace("http://", "https://"), Http())
    return Salesforce(session_id=token(), instance_url=URL, session=session, version=VERSION)


def calls() -> Iterator[Call]:
    """All calls."""
    salesforce = client()
    yield from org(salesforce)
    yield from records(salesforce)
    yield from queries(salesforce)
    yield from ingest_jobs(salesforce)
    yield from query_jobs(salesforce)
    yield from not_served(salesforce)


def org(salesforce: Salesforce) -> Iterator[Call]:
    """Descriptions, limits and other resources."""
    account = getattr(salesforce, OBJECT)
    yield "describe", lambda: OBJECT in names(salesforce.describe()), True
    yield "SFType.describe", lambda: account.describe()["name"], OBJECT
    yield "SFType.metadata", lambda: account.metadata()["objectDescribe"]["name"], OBJECT
    yield "limits", lambda: salesforce.limits()["DailyApiRequests"]["Max"], 100_000
    yield "is_sandbox", salesforce.is_sandbox, True
    yield "restful", lambda: "DailyApiRequests" in salesforce.restful("limits"), True
    yield "oauth2", lambda: salesforce.oauth2("userinfo")["user_type"], "STANDARD"
    fields = "query/?q=SELECT DeveloperName FROM CustomField"
    yield "toolingexecute", lambda: salesforce.toolingexecute(fields)["totalSize"] > 0, True
    yield "api_usage", lambda: salesforce.api_usage["api-usage"].total, 100_000


def records(salesforce: Salesforce) -> Iterator[Call]:
    """Single records."""
    account, found = getattr(salesforce, OBJECT), {}

    def created() -> bool:
        found.update(account.create({KEY: "one", "Name": "One"}))
        return found["success"] is True

    def times() -> tuple[datetime, datetime]:
        now = datetime.now(UTC)
        return now - timedelta(minutes=10), now + timedelta(minutes=5)

    yield "create", created, True
    yield "get", lambda: account.get(found["id"])["Name"], "One"
    yield "update", lambda: account.update(found["id"], {"Name": "Two"}), 204
    yield "get_by_custom_id", lambda: account.get_by_custom_id(KEY, "one")["Name"], "Two"
    yield "upsert, existing", lambda: account.upsert(f"{KEY}/one", {"Name": "Three"}), 200
    yield "upsert, new", lambda: account.upsert(f"{KEY}/new", {"Name": "New"}), 201
    yield "updated", lambda: found["id"] in account.updated(*times())["ids"], True
    yield "delete", lambda: account.delete(found["id"]), 204
    yield (
        "deleted",
        lambda: found["id"] in {one["id"] for one in account.deleted(*times())["deletedRecords"]},
        True,
    )
    yield "get, deleted", refused("ENTITY_IS_DELETED", lambda: account.get(found["id"])), True
    invalid = refused("REQUIRED_FIELD_MISSING", lambda: salesforce.Account.create({}))
    yield "create, invalid", invalid, True
    unknown = {KEY: "two", "Unknown__c": 1}
    yield "create, unknown field", refused("INVALID_FIELD", lambda: account.create(unknown)), True
    expired = Salesforce(session_id="x", instance_url=URL, session=salesforce.session)
    yield "expired session", refused("INVALID_SESSION_ID", expired.limits), True


def queries(salesforce: Salesforce) -> Iterator[Call]:
    """Queries."""
    new = f"{FIND} = 'new'"
    yield "query", lambda: salesforce.query(new)["totalSize"], 1
    yield "query_all", lambda: len(salesforce.query_all(QUERY)["records"]), 1
    yield "query_all_iter", lambda: len(list(salesforce.query_all_iter(QUERY))), 1
    deleted = f"{FIND} = 'one'"
    yield (
        "query_all, deleted records",
        lambda: salesforce.query_all(deleted, include_deleted=True)["totalSize"],
        1,
    )
    groups = f"SELECT Name, COUNT(Id) n FROM {OBJECT} GROUP BY Name"  # noqa: S608 - constants
    yield "query, groups", lambda: salesforce.query(groups)["records"][0]["n"], 1
    yield "query, malformed", refused("MALFORMED_QUERY", lambda: salesforce.query("SELECT")), True


def ingest_jobs(salesforce: Salesforce) -> Iterator[Call]:
    """Ingest jobs, with rows and from a file."""
    bulk = getattr(salesforce.bulk2, OBJECT)

    def upsert() -> tuple[int, int]:
        return counts(bulk.upsert(records=ROWS, external_id_field=KEY, wait=WAIT))

    def updated() -> tuple[int, int]:
        rows = [one | {"Name": "Changed"} for one in ids(salesforce, "LIKE 'row %'")]
        return counts(bulk.update(records=rows, wait=WAIT))

    def from_file() -> tuple[int, int]:
        with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
            file.write(f"{KEY},Name\nfile 1,Ä\nfile 2,B\n")
            file.flush()
            return counts(bulk.insert(csv_file=file.name, wait=WAIT))

    inserted = [{KEY: f"new {number}", "Name": "New"} for number in range(3)]
    yield "bulk2.upsert", upsert, (5, 0)
    yield "bulk2.upsert, again", upsert, (5, 0)
    yield "bulk2.insert", lambda: counts(bulk.insert(records=inserted, wait=WAIT)), (3, 0)
    yield "bulk2.insert, from a file", from_file, (2, 0)
    yield "bulk2.update", updated, (5, 0)
    yield from results_and_deletions(salesforce)


def results_and_deletions(salesforce: Salesforce) -> Iterator[Call]:
    """The results of a job with a bad row, and jobs that delete what was inserted."""
    bulk = getattr(salesforce.bulk2, OBJECT)

    def results() -> list[int]:
        rows = [{KEY: "good", "Name": "Good"}, {KEY: "x" * 100, "Name": "Bad"}]
        job = bulk.insert(records=rows, wait=WAIT)[0]["job_id"]
        return [len(one) for one in bulk.get_all_ingest_records(job).values()]

    def deleted(delete: Callable[..., Any], where: str) -> tuple[int, int]:
        return counts(delete(records=ids(salesforce, where), wait=WAIT))

    yield "bulk2.get_all_ingest_records", results, [1, 1, 0]
    yield "bulk2.delete", lambda: deleted(bulk.delete, "IN ('new 0', 'new 1')"), (2, 0)
    yield "bulk2.hard_delete", lambda: deleted(bulk.hard_delete, "= 'new 2'"), (1, 0)
    bad = [{KEY: "bad", "Unknown__c": "1"}]
    yield (
        "bulk2.insert, unknown field",
        refused("InvalidBatch", lambda: bulk.insert(records=bad, wait=WAIT)),
        True,
    )


def counts(done: list[dict[str, Any]]) -> tuple[int, int]:
    """How many rows the jobs have processed, and how many of them failed."""
    total, failed = (
        sum(int(one[name]) for one in done)
        for name in ("numberRecordsProcessed", "numberRecordsFailed")
    )
    return total, failed


def ids(salesforce: Salesforce, where: str) -> list[dict[str, str]]:
    """The Ids of records by a condition on their external ID, as rows of a job."""
    return [{"Id": one["Id"]} for one in salesforce.query(f"{FIND} {where}")["records"]]


def query_jobs(salesforce: Salesforce) -> Iterator[Call]:
    """Query jobs."""
    bulk = getattr(salesforce.bulk2, OBJECT)

    def lines(pages: Any) -> int:  # noqa: ANN401 - what the client gives
        return sum(page.count("\n") - 1 for page in pages)

    def downloaded() -> int:
        with tempfile.TemporaryDirectory() as folder:
            bulk.download(f"{FIND} LIKE 'row %'", folder, wait=WAIT)
            return sum(lines([one.read_text()]) for one in Path(folder).iterdir())

    yield "bulk2.query", lambda: lines(bulk.query(f"{FIND} LIKE 'row %'", wait=WAIT)), 5
    yield (
        "bulk2.query, in pages",
        lambda: len(list(bulk.query(f"{FIND} LIKE 'row %'", max_records=2, wait=WAIT))),
        3,
    )
    yield "bulk2.query_all", lambda: lines(bulk.query_all(f"{FIND} = 'new 0'", wait=WAIT)), 1
    yield "bulk2.download", downloaded, 5


def not_served(salesforce: Salesforce) -> Iterator[Call]:
    """What is no part of a sync."""
    account = getattr(salesforce, OBJECT)
    yield "search", lambda: len(salesforce.search("FIND {New}")["searchRecords"]), 1
    yield "quick_search", lambda: len(salesforce.quick_search("New")["searchRecords"]), 1
    yield "bulk", lambda: len(salesforce.bulk.Account.insert([{"Name": "New"}])), 1
    yield "mdapi", lambda: salesforce.mdapi.CustomObject.read(OBJECT).fullName, OBJECT
    yield "deploy", lambda: "asyncId" in salesforce.deploy(__file__, sandbox=True), True
    yield "describe_layout", lambda: "layouts" in account.describe_layout(""), True


if __name__ == "__main__":
    run(calls())
