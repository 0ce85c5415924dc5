# ruff: noqa: S608 - SOQL for the sandbox, built from constants
import csv
import io

import pytest

from m3sync_dagster.sandbox.json_types import Json
from m3sync_dagster_tests.sandbox.salesforce.plain_client import (
    ACCOUNT,
    BALANCE,
    DATA,
    KEY,
    Client,
)


@pytest.fixture
def filled(client: Client) -> Client:
    client.upsert(
        [
            {KEY: "a", "Name": "Ann", "Version__c": 2, "Bill_Epoch__c": "2026-01-01"},
            {KEY: "b", "Name": 'O\'Hara \\ "q"', "Version__c": 10},
            {
                KEY: "c",
                "Name": "cid",
                "Code__c": "X",
                "Created_In_m3ter__c": "2026-01-02T00:00:00Z",
            },
        ]
    )
    client.upsert([{KEY: "b", "Parent_Account__r": {KEY: "a"}}])
    return client


@pytest.mark.parametrize(
    ("where", "found"),
    [
        (f"{KEY} = 'a'", "a"),
        (f"{KEY} = 'A'", ""),
        (f"{KEY} IN ('a', 'c', 'unknown')", "ac"),
        (f"{KEY} NOT IN ('a', 'c')", "b"),
        (f"{KEY} in ('a','b') and Version__c > 2", "b"),
        ("Name = 'ANN'", "a"),
        (r"Name = 'O\'Hara \\ \"q\"'", "b"),
        ("Version__c != null", "ab"),
        ("Version__c = null", "c"),
        ("Version__c >= 2 AND Version__c < 10", "a"),
        ("Version__c = 2.0", "a"),
        ("NOT Version__c = 2", "bc"),
        ("(Version__c = 2 OR Code__c = 'x') AND Name != null", "ac"),
        ("Bill_Epoch__c <= 2026-01-01", "a"),
        ("Created_In_m3ter__c = 2026-01-02T01:00:00+01:00", "c"),
        (f"Parent_Account__r.{KEY} = 'a'", "b"),
        ("Parent_Account__r.Name = 'ann'", "b"),
        ("SystemModstamp > 2020-01-01T00:00:00Z", "abc"),
        ("IsDeleted = false", "abc"),
    ],
)
def test_conditions(filled: Client, where: str, found: str) -> None:
    rows = filled.query(f"SELECT {KEY} FROM {ACCOUNT} WHERE {where}")["records"]

    assert "".join(sorted(row[KEY] for row in rows)) == found


def test_all_values_of_a_record(filled: Client) -> None:
    soql = f"select Id, Name, Version__c, Parent_Account__r.{KEY}, Created_In_m3ter__c"
    rows = filled.query(f"{soql} from {ACCOUNT} order by {KEY} desc limit 2")["records"]

    assert [row["Name"] for row in rows] == ["cid", 'O\'Hara \\ "q"']
    assert rows[0]["Created_In_m3ter__c"] == "2026-01-02T00:00:00.000+0000"
    assert rows[0]["Parent_Account__r"] is None
    assert rows[1]["Version__c"] == 10.0
    assert rows[1]["Parent_Account__r"][KEY] == "a"
    assert rows[1]["attributes"] == {
        "type": ACCOUNT,
        "url": f"{DATA}/sobjects/{ACCOUNT}/{rows[1]['Id']}",
    }


def test_order_by_puts_nulls_first_and_sorts_numbers_by_value(filled: Client) -> None:
    rows = filled.query(f"SELECT {KEY} FROM {ACCOUNT} ORDER BY Version__c ASC, {KEY}")["records"]

    assert [row[KEY] for row in rows] == ["c", "a", "b"]


def test_count(filled: Client) -> None:
    answer = filled.query(f"SELECT count() FROM {ACCOUNT} WHERE Version__c != null")

    assert answer == {"totalSize": 2, "done": True, "records": []}


@pytest.mark.parametrize(
    ("soql", "code", "part"),
    [
        ("SELECT", "MALFORMED_QUERY", "<EOF>"),
        ("SELECT Id FROM", "MALFORMED_QUERY", "<EOF>"),
        ("SELECT Id, FROM X", "MALFORMED_QUERY", "FROM"),
        (f"SELECT Id FROM {ACCOUNT} WHERE Name = 'x", "MALFORMED_QUERY", "'x"),
        (f"SELECT Id FROM {ACCOUNT} WHERE Name LIKE 'x'", "MALFORMED_QUERY", "LIKE"),
        (f"SELECT Id FROM {ACCOUNT} LIMIT x", "MALFORMED_QUERY", "x"),
        (f"SELECT Id FROM {ACCOUNT} GROUP BY Id", "MALFORMED_QUERY", "GROUP"),
        ("SELECT Id FROM Nothing__c", "INVALID_TYPE", "'Nothing__c'"),
        (f"SELECT Nmae FROM {ACCOUNT}", "INVALID_FIELD", "No such column 'Nmae'"),
        (f"SELECT X__r.Name FROM {ACCOUNT}", "INVALID_FIELD", "relationship 'X__r'"),
        (f"SELECT Id FROM {ACCOUNT} WHERE Version__c = '2'", "INVALID_FIELD", "type number"),
        (f"SELECT Id FROM {ACCOUNT} WHERE Name = 2", "INVALID_FIELD", "type string"),
        (f"SELECT Id FROM {BALANCE} WHERE Description__c = 'x'", "INVALID_FIELD", "filtered"),
    ],
)
def test_an_invalid_query(client: Client, soql: str, code: str, part: str) -> None:
    answer = client.get("/query", q=soql)

    assert answer.status_code == 400
    assert answer.json()[0]["errorCode"] == code
    assert part in answer.json()[0]["message"]


def many(client: Client, count: int) -> None:
    rows = "".join(f"id{n:05d}\n" for n in range(count))
    client.wait(client.start(f"{KEY}\n{rows}"))


@pytest.mark.parametrize(("option", "sizes"), [("", [2000, 101]), ("batchSize=1500", [1500, 601])])
def test_pages(client: Client, option: str, sizes: list[int]) -> None:
    many(client, 2101)
    headers = {"Sforce-Query-Options": option}
    soql = {"q": f"SELECT {KEY} FROM {ACCOUNT}"}
    page = client.http.get(f"{DATA}/query", params=soql, headers=headers).json()
    pages = [page]
    while not page["done"]:
        page = client.http.get(page["nextRecordsUrl"]).json()
        pages.append(page)

    assert [len(page["records"]) for page in pages] == sizes
    assert {page["totalSize"] for page in pages} == {2101}
    assert len({row[KEY] for page in pages for row in page["records"]}) == 2101


def test_an_unknown_cursor(client: Client) -> None:
    assert client.get("/query/01gnothing-2000").json()[0]["errorCode"] == "INVALID_QUERY_LOCATOR"


def test_query_all_finds_deleted_records(filled: Client) -> None:
    filled.send("DELETE", f"/sobjects/{ACCOUNT}/{KEY}/a")
    soql = f"SELECT {KEY}, IsDeleted FROM {ACCOUNT}"

    assert filled.query(soql)["totalSize"] == 2
    rows = filled.get("/queryAll", q=soql).json()["records"]
    assert {row[KEY]: row["IsDeleted"] for row in rows} == {"a": True, "b": False, "c": False}


def create_query_job(client: Client, soql: str) -> str:
    created = client.send("POST", "/jobs/query", {"operation": "query", "query": soql})
    assert created.json()["state"] == "UploadComplete"
    return str(created.json()["id"])


def test_a_query_job_in_pages(filled: Client) -> None:
    job = create_query_job(
        filled, f"SELECT Id, {KEY}, Version__c, Parent_Account__r.{KEY} FROM {ACCOUNT}"
    )
    early = filled.get(f"/jobs/query/{job}/results")
    assert filled.wait(job, "query")["numberRecordsProcessed"] == 3
    pages: list[Json] = []
    query = {"maxRecords": "2"}
    while query.get("locator") != "null":
        pages.append(filled.get(f"/jobs/query/{job}/results", **query))
        query["locator"] = pages[-1].headers["Sforce-Locator"]

    assert early.status_code == 400
    assert [page.headers["Sforce-NumberOfRecords"] for page in pages] == ["2", "1"]
    rows = [row for page in pages for row in csv.DictReader(io.StringIO(page.text))]
    versions = {row[KEY]: (row["Version__c"], row[f"Parent_Account__r.{KEY}"]) for row in rows}
    assert versions == {"a": ("2.0", ""), "b": ("10.0", "a"), "c": ("", "")}


def test_query_results_require_the_version_of_their_job(filled: Client) -> None:
    job = create_query_job(filled, f"SELECT Id FROM {ACCOUNT}")
    filled.wait(job, "query")

    assert filled.http.get(f"/services/data/v66.0/jobs/query/{job}/results").status_code == 409
    assert filled.send("DELETE", f"/jobs/query/{job}").status_code == 204
    assert filled.get(f"/jobs/query/{job}").status_code == 404


def test_a_large_number_is_returned_as_a_double(client: Client) -> None:
    client.upsert([{KEY: "b", "Amount__c": 912260031}], BALANCE)

    answer = client.get("/query", q=f"SELECT Amount__c FROM {BALANCE}")
    assert '"Amount__c":9.12260031E8' in answer.text
