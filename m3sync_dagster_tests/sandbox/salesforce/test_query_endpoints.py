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
        ("Name LIKE 'a%'", "a"),
        ("Name LIKE '%n%'", "a"),
        ("Name LIKE 'c_D'", "c"),
        ("Name LIKE 'c_'", ""),
        (r"Name LIKE 'O\'hara%'", "b"),
        (r"Name LIKE '%\%%'", ""),
        ("Code__c LIKE '%'", "c"),
        ("(NOT Name LIKE 'a%') AND Version__c > 0", "b"),
        ("Owner.Name = 'integration user'", "abc"),
        ("OwnerId = null", ""),
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
        (f"SELECT Id FROM {ACCOUNT} WHERE Name LIKE 5", "MALFORMED_QUERY", "5"),
        (f"SELECT Id FROM {ACCOUNT} WHERE Version__c LIKE '5'", "INVALID_QUERY_FILTER_OPERATOR",
         "number"),
        (f"SELECT Id FROM {ACCOUNT} LIMIT x", "MALFORMED_QUERY", "x"),
        (f"SELECT Name FROM {ACCOUNT} GROUP BY Code__c", "MALFORMED_QUERY", "aggregated: Name"),
        (f"SELECT Name, COUNT(Id) FROM {ACCOUNT}", "MALFORMED_QUERY", "aggregated: Name"),
        (f"SELECT COUNT(Id) FROM {ACCOUNT} GROUP BY Version__c", "INVALID_FIELD", "grouped"),
        (f"SELECT SUM(Name) FROM {ACCOUNT}", "MALFORMED_QUERY", "operator SUM"),
        (f"SELECT COUNT(), Id FROM {ACCOUNT}", "MALFORMED_QUERY", "only element"),
        (f"SELECT UPPER(Name) FROM {ACCOUNT}", "MALFORMED_QUERY", "("),
        (f"SELECT COUNT(Id) FROM {ACCOUNT} GROUP BY Code__c ORDER BY Name", "MALFORMED_QUERY",
         "Ordered field must be grouped"),
        (f"SELECT FIELDS(ALL) FROM {ACCOUNT}", "MALFORMED_QUERY", "LIMIT of at most 200"),
        (f"SELECT FIELDS(CUSTOM) FROM {ACCOUNT} LIMIT 201", "MALFORMED_QUERY", "at most 200"),
        (f"SELECT FIELDS(SOME) FROM {ACCOUNT}", "MALFORMED_QUERY", "SOME"),
        (f"SELECT Owner.Nothing FROM {ACCOUNT}", "INVALID_FIELD", "'Owner.Nothing'"),
        (f"SELECT Id FROM {ACCOUNT} ORDER BY Name NULLS", "MALFORMED_QUERY", "<EOF>"),
        (f"SELECT Id FROM {ACCOUNT} FOR EVER", "MALFORMED_QUERY", "EVER"),
        ("SELECT Id FROM Nothing__c", "INVALID_TYPE", "'Nothing__c'"),
        (f"SELECT Nmae FROM {ACCOUNT}", "INVALID_FIELD", "No such column 'Nmae'"),
        (f"SELECT X__r.Name FROM {ACCOUNT}", "INVALID_FIELD", "relationship 'X__r'"),
        (f"SELECT Id FROM {ACCOUNT} WHERE Version__c = '2'", "INVALID_FIELD", "type number"),
        (f"SELECT Id FROM {ACCOUNT} WHERE Name = 2", "INVALID_FIELD", "type string"),
        (f"SELECT Id FROM {BALANCE} WHERE Description__c = 'x'", "INVALID_FIELD", "filtered"),
    ],
)  # fmt: skip
def test_an_invalid_query(client: Client, soql: str, code: str, part: str) -> None:
    answer = client.get("/query", q=soql)

    assert answer.status_code == 400
    assert answer.json()[0]["errorCode"] == code
    # The lines before the last one show the query.
    assert part in answer.json()[0]["message"].rpartition("\n")[2]


@pytest.mark.parametrize(
    ("soql", "position"),
    [
        (f"SELECT Id, Nmae FROM {ACCOUNT}", "Row:1:Column:12"),
        (f"SELECT Id FROM {ACCOUNT}\nWHERE Nmae = 'x'", "Row:2:Column:7"),
        ("SELECT Id FROM Nothing__c", "Row:1:Column:16"),
        ("SELECT Id FROM", "Row:1:Column:15"),
        (f"SELECT Id FROM {ACCOUNT} WHERE Name = 5", f"Row:1:Column:{len(ACCOUNT) + 23}"),
    ],
)
def test_an_error_shows_its_position(client: Client, soql: str, position: str) -> None:
    message = client.get("/query", q=soql).json()[0]["message"]
    shown, pointer, place, text = message.removeprefix("\n").split("\n", maxsplit=3)

    assert place == f"ERROR at {position}"
    assert text
    line = soql.split("\n")[int(position[4]) - 1]
    column = int(position.rpartition(":")[2])
    assert shown[pointer.index("^") :] == line[column - 1 :][:40]


@pytest.mark.parametrize(
    ("order", "found"),
    [
        ("Version__c", "cab"),
        ("Version__c DESC", "bac"),
        ("Version__c NULLS LAST", "abc"),
        ("Version__c DESC NULLS FIRST", "cba"),
        (f"Code__c NULLS LAST, {KEY} DESC", "cba"),
        (f"Owner.Name, {KEY}", "abc"),
    ],
)
def test_order(filled: Client, order: str, found: str) -> None:
    rows = filled.query(f"SELECT {KEY} FROM {ACCOUNT} ORDER BY {order}")["records"]

    assert "".join(row[KEY] for row in rows) == found


@pytest.mark.parametrize(
    ("soql", "records"),
    [
        ("COUNT(Id) FROM %s", [{"expr0": 3}]),
        ("COUNT(Version__c) c, COUNT(Id) FROM %s", [{"c": 2, "expr0": 3}]),
        ("SUM(Version__c), AVG(Version__c) mean FROM %s", [{"expr0": 12.0, "mean": 6.0}]),
        ("MIN(Version__c) a, MAX(Name) b FROM %s", [{"a": 2.0, "b": "cid"}]),
        ("MAX(Version__c) FROM %s WHERE Name = 'nobody'", [{"expr0": None}]),
        ("COUNT_DISTINCT(Parent_Account__c) FROM %s", [{"expr0": 1}]),
        (
            "Code__c, COUNT(Id) n FROM %s GROUP BY Code__c ORDER BY Code__c DESC",
            [{"Code__c": "X", "n": 1}, {"Code__c": None, "n": 2}],
        ),
        ("Code__c FROM %s GROUP BY Code__c ORDER BY Code__c LIMIT 1", [{"Code__c": None}]),
        ("COUNT(Id) FROM %s WHERE Name = 'nobody' GROUP BY Code__c", []),
    ],
)
def test_aggregates(filled: Client, soql: str, records: list[Json]) -> None:
    answer = filled.query(f"SELECT {soql % ACCOUNT}")

    kind = {"attributes": {"type": "AggregateResult"}}
    assert answer["records"] == [kind | record for record in records]
    assert (answer["totalSize"], answer["done"]) == (len(records), True)


def test_sets_of_fields(filled: Client) -> None:
    described = {f["name"] for f in filled.get(f"/sobjects/{ACCOUNT}/describe").json()["fields"]}
    custom = {name for name in described if name.endswith("__c")}

    for which, names in (("ALL", described), ("CUSTOM", custom), ("STANDARD", described - custom)):
        row = filled.query(f"SELECT FIELDS({which}) FROM {ACCOUNT} LIMIT 1")["records"][0]
        assert row.keys() - {"attributes"} == names


def test_the_integration_user_owns_and_writes_every_record(filled: Client) -> None:
    user = filled.http.get("/services/oauth2/userinfo").json()
    names = ("OwnerId", "CreatedById", "LastModifiedById")
    soql = f"SELECT {', '.join(names)}, Owner.Name FROM {ACCOUNT} LIMIT 1 FOR VIEW"
    row = filled.query(soql)["records"][0]

    assert {row[name] for name in names} == {user["user_id"]}
    assert row["Owner"]["Name"] == user["name"]
    assert row["Owner"]["attributes"]["url"] == f"{DATA}/sobjects/User/{user['user_id']}"


def test_a_query_is_described_instead_of_run(filled: Client) -> None:
    soql = f"SELECT Id, Parent_Account__r.Name FROM {ACCOUNT}"
    columns = filled.get("/query", q=soql, columns="true").json()
    grouped = filled.get(
        "/query", q=f"SELECT Name, COUNT(Id) FROM {ACCOUNT} GROUP BY Name", columns="true"
    ).json()
    user = filled.get("/query", q="SELECT Username FROM User", columns="true").json()
    plan = filled.get("/query", explain=soql).json()["plans"][0]

    assert columns["entityName"] == ACCOUNT
    joined = {one["columnName"]: one["joinColumns"] for one in columns["columnMetadata"]}
    assert joined["Id"] == []
    assert [one["columnName"] for one in joined["Parent_Account__r"]] == ["Name"]
    shown = [(one["columnName"], one["aggregate"]) for one in grouped["columnMetadata"]]
    assert shown == [("Name", False), ("expr0", True)]
    assert [one["columnName"] for one in user["columnMetadata"]] == ["Username"]
    assert (plan["cardinality"], plan["sobjectType"]) == (3, ACCOUNT)


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
