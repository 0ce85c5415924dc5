"""The part of the destination contract about ingest jobs, queries and query jobs.

Sources: Bulk API 2.0 Developer Guide; REST API Developer Guide, "Query"; SOQL and SOSL Reference.
"""

# ruff: noqa: S608 - SOQL for test servers, made of constants
import re

from m3sync_dagster_tests.salesforce.destination_contract import (
    LONGEST_NAME,
    MOST_RECORDS,
    LoggedIn,
    account,
    keys,
    status_and_code,
)
from m3sync_dagster_tests.sandbox.salesforce.plain_client import ACCOUNT, BALANCE, KEY, Client

PAGE = 2_000


def fill(client: Client, count: int) -> None:
    """Create accounts with an ingest job."""
    rows = "".join(f"k{number:05d}\n" for number in range(count))
    assert client.wait(client.start(f"{KEY}\n{rows}"))["state"] == "JobComplete"


class IngestJobs:
    """Bulk API 2.0 ingest jobs."""

    def test_the_states_of_a_job(self, client: LoggedIn) -> None:
        job = client.new_job()
        states = [client.get(f"/jobs/ingest/{job}").json()["state"]]
        client.put(job, f"{KEY},Name\na,A\n".encode())
        client.close(job)
        while states[-1] not in {"JobComplete", "Failed", "Aborted"}:
            states.append(client.get(f"/jobs/ingest/{job}").json()["state"])
        assert states[0] == "Open"
        assert list(dict.fromkeys(states[1:]))[-2:] == ["InProgress", "JobComplete"]

    def test_the_successful_results(self, client: LoggedIn) -> None:
        client.upsert([{KEY: "old"}])
        job = client.start(f"{KEY},Name\nold,One\nnew,Two\n")
        client.wait(job)
        results = {row[KEY]: row for row in client.results(job, "successfulResults/")}
        created = {key: row["sf__Created"] for key, row in results.items()}
        assert created == {"old": "false", "new": "true"}
        assert results["new"]["sf__Id"] == account(client, "new")["Id"]

    def test_the_failed_results(self, client: LoggedIn) -> None:
        job = client.start(f"{KEY},Name\ngood,One\nbad,{'x' * (LONGEST_NAME + 1)}\n")
        assert client.wait(job)["state"] == "JobComplete"
        (failed,) = client.results(job, "failedResults/")
        assert failed[KEY] == "bad"
        assert re.fullmatch(r"STRING_TOO_LONG:.*:Name ?--", failed["sf__Error"])

    def test_a_complete_job_has_no_unprocessed_records(self, client: LoggedIn) -> None:
        job = client.start(f"{KEY}\na\n")
        client.wait(job)
        assert client.results(job, "unprocessedrecords/") == []

    def test_an_empty_cell_keeps_and_na_clears(self, client: LoggedIn) -> None:
        client.upsert([{KEY: "a", "Name": "One", "Code__c": "code"}])
        client.wait(client.start(f"{KEY},Name,Code__c\na,,#N/A\n"))
        assert (account(client, "a")["Name"], account(client, "a")["Code__c"]) == ("One", None)

    def test_a_lookup_is_set_by_a_relationship_column(self, client: LoggedIn) -> None:
        client.upsert([{KEY: "p"}])
        path = f"m3ter_Account__r.{KEY}"
        client.wait(client.start(f"{KEY},{path}\nb,p\n", BALANCE))
        page = client.query(f"SELECT Id, {path} FROM {BALANCE} WHERE {path} IN ('p')")
        assert len(page["records"]) == 1

    def test_a_repeated_external_id_is_a_failed_result(self, client: LoggedIn) -> None:
        job = client.start(f"{KEY}\na\nb\na\n")
        client.wait(job)
        failed = client.results(job, "failedResults/")
        assert {row[KEY] for row in failed} == {"a"}
        error = "DUPLICATE_VALUE:Duplicate external id specified: a"
        assert all(row["sf__Error"].startswith(error) for row in failed)

    def test_another_line_ending_fails_the_job(self, client: LoggedIn) -> None:
        info = client.wait(client.start(f"{KEY},Name\r\na,A\r\n", lineEnding="LF"))
        assert info["state"] == "Failed"
        assert info["errorMessage"].startswith("ClientInputError : LineEnding is invalid")
        assert keys(client) == set()

    def test_a_failed_job_lists_its_unprocessed_records(self, client: LoggedIn) -> None:
        job = client.start(f"{KEY},Unknown__c\na,A\n")
        assert client.wait(job)["state"] == "Failed"
        assert [row[KEY] for row in client.results(job, "unprocessedrecords/")] == ["a"]

    def test_a_failed_job_keeps_what_it_has_written(self, client: LoggedIn) -> None:
        assert client.server.fail_next_job
        client.server.fail_next_job(MOST_RECORDS)
        rows = "".join(f"k{number}\n" for number in range(MOST_RECORDS + 1))
        job = client.start(f"{KEY}\n{rows}")
        assert client.wait(job)["state"] == "Failed"
        assert len(client.results(job, "successfulResults/")) == len(keys(client)) == MOST_RECORDS
        assert len(client.results(job, "unprocessedrecords/")) == 1

    def test_an_update_writes_existing_records_alone(self, client: LoggedIn) -> None:
        record_id = client.upsert([{KEY: "a", "Name": "One"}])[0]["id"]
        properties = {"object": ACCOUNT, "operation": "update", "lineEnding": "LF"}
        job = client.send("POST", "/jobs/ingest", properties).json()["id"]
        missing = f"{record_id[:-6]}zzzzzz"
        client.put(job, f"{KEY},Name,Id\na,Two,{record_id}\nb,New,{missing}\n".encode())
        client.close(job)
        assert client.wait(job)["state"] == "JobComplete"
        (written,) = client.results(job, "successfulResults/")
        assert (written[KEY], written["sf__Id"], written["sf__Created"]) == (
            "a",
            record_id,
            "false",
        )
        assert [row[KEY] for row in client.results(job, "failedResults/")] == ["b"]
        assert account(client, "a")["Name"] == "Two"
        assert keys(client) == {"a"}

    def test_an_aborted_job_writes_nothing(self, client: LoggedIn) -> None:
        job = client.new_job()
        client.put(job, f"{KEY}\na\n".encode())
        aborted = client.send("PATCH", f"/jobs/ingest/{job}", {"state": "Aborted"})
        assert aborted.json()["state"] == "Aborted"
        assert client.wait(job)["state"] == "Aborted"
        assert keys(client) == set()

    def test_an_aborted_job_accepts_no_data(self, client: LoggedIn) -> None:
        job = client.new_job()
        client.send("PATCH", f"/jobs/ingest/{job}", {"state": "Aborted"})
        response = client.put(job, f"{KEY}\na\n".encode())
        assert status_and_code(response) == (400, "INVALIDJOBSTATE")

    def test_the_list_of_jobs_names_their_user(self, client: LoggedIn) -> None:
        job = client.new_job()
        user_id = client.server.log_in().json()["id"].rpartition("/")[2]
        listed = client.get("/jobs/ingest", jobType="V2Ingest").json()["records"]
        (found,) = (each for each in listed if each["id"] == job)
        assert (found["createdById"], found["state"]) == (user_id, "Open")
        assert (found["object"], found["operation"]) == (ACCOUNT, "upsert")

    def test_an_unknown_job_is_404(self, client: LoggedIn) -> None:
        assert client.get("/jobs/ingest/750000000000000AAA").status_code == 404


class Queries:
    """SOQL queries, and Bulk API 2.0 query jobs."""

    def test_a_query_has_its_total_size(self, client: LoggedIn) -> None:
        client.upsert([{KEY: "a"}, {KEY: "b"}])
        page = client.query(f"SELECT Id FROM {ACCOUNT} WHERE {KEY} != null")
        assert (page["totalSize"], page["done"], len(page["records"])) == (2, True, 2)

    def test_a_quote_in_a_value_is_escaped(self, client: LoggedIn) -> None:
        client.upsert([{KEY: "o'neil \\"}])
        page = client.query(rf"SELECT {KEY} FROM {ACCOUNT} WHERE {KEY} IN ('o\'neil \\')")
        assert [record[KEY] for record in page["records"]] == ["o'neil \\"]

    def test_an_unknown_field_in_a_query_is_400(self, client: LoggedIn) -> None:
        response = client.get("/query", q=f"SELECT Unknown__c FROM {ACCOUNT} WHERE {KEY} != null")
        assert status_and_code(response) == (400, "INVALID_FIELD")

    def test_a_query_is_read_in_pages_of_2000(self, client: LoggedIn) -> None:
        fill(client, PAGE + 1)
        page = client.query(f"SELECT {KEY} FROM {ACCOUNT} WHERE {KEY} != null")
        assert (page["totalSize"], page["done"], len(page["records"])) == (PAGE + 1, False, PAGE)
        rest = client.http.get(page["nextRecordsUrl"]).json()
        assert (rest["done"], len(rest["records"])) == (True, 1)

    def test_the_results_of_a_query_job_are_read_page_by_page(self, client: LoggedIn) -> None:
        fill(client, 1_001)
        soql = f"SELECT {KEY} FROM {ACCOUNT} WHERE {KEY} != null"
        job = client.send("POST", "/jobs/query", {"operation": "query", "query": soql}).json()["id"]
        assert client.wait(job, "query")["state"] == "JobComplete"
        path = f"/jobs/query/{job}/results"
        first = client.get(path, maxRecords="1000")
        last = client.get(path, maxRecords="1000", locator=first.headers["Sforce-Locator"])
        assert last.headers["Sforce-Locator"] == "null"
        lines = [*first.text.split("\n")[1:-1], *last.text.split("\n")[1:-1]]
        assert len(set(lines)) == 1_001

    def test_the_organization_record_has_the_id_of_the_login(self, client: LoggedIn) -> None:
        soql = "SELECT Id, Name, IsSandbox, InstanceName FROM Organization"
        (record,) = client.query(soql)["records"]
        assert f"/{record['Id']}/" in client.server.log_in().json()["id"]
