import pytest

from m3sync_dagster.sandbox.json_types import Json
from m3sync_dagster_tests.sandbox.salesforce.plain_client import (
    ACCOUNT,
    BALANCE,
    DATA,
    KEY,
    Client,
)


def test_a_client_sees_every_state(client: Client) -> None:
    job = client.new_job()
    states = [client.get(f"/jobs/ingest/{job}").json()["state"]]
    client.put(job, f"{KEY},Name\na,A\n".encode())
    client.close(job)
    while states[-1] != "JobComplete":
        states.append(client.get(f"/jobs/ingest/{job}").json()["state"])

    assert list(dict.fromkeys(states)) == ["Open", "UploadComplete", "InProgress", "JobComplete"]


def test_job_info_as_documented(client: Client) -> None:
    job = client.new_job()
    opened = client.get(f"/jobs/ingest/{job}/").json()
    client.put(job, f"{KEY},Name\na,A\nb,{'x' * 81}\n".encode())
    client.close(job)
    info = client.wait(job)

    assert opened["contentUrl"] == f"services/data/v67.0/jobs/ingest/{job}/batches"
    assert job.startswith("750")
    assert info["apiVersion"] == 67.0
    assert info["externalIdFieldName"] == KEY
    assert (info["numberRecordsProcessed"], info["numberRecordsFailed"]) == (2, 1)
    assert "errorMessage" not in info
    listed = client.get("/jobs/ingest").json()
    assert job in {each["id"] for each in listed["records"]}


def test_the_result_sets(client: Client) -> None:
    client.upsert([{KEY: "old"}])
    header = f"{KEY},Name,Version__c,Parent_Account__r.{KEY}"
    job = client.start(f'{header}\nold,"A, ""a""\nb",912260031,\nnew,B,1,old\nbad,C,x,\n')
    client.wait(job)

    succeeded = {row[KEY]: row for row in client.results(job, "successfulResults/")}
    assert {key: row["sf__Created"] for key, row in succeeded.items()} == {
        "old": "false",
        "new": "true",
    }
    assert succeeded["old"]["Name"] == 'A, "a"\nb'
    assert succeeded["old"]["Version__c"] == "9.12260031E8"
    assert succeeded["new"]["sf__Id"] == client.records()["new"]["Id"]
    failed = client.results(job, "failedResults")
    assert failed == [
        {
            "sf__Id": "",
            "sf__Error": "INVALID_TYPE_ON_FIELD_IN_RECORD:m3ter Version: value not of required"
            " type: x:Version__c --",
            KEY: "bad",
            "Name": "C",
            "Version__c": "x",
            f"Parent_Account__r.{KEY}": "",
        }
    ]
    assert client.results(job, "unprocessedRecords") == []
    raw = client.get(f"/jobs/ingest/{job}/successfulResults")
    assert raw.text.startswith(f'"sf__Id","sf__Created",{header}\n"')
    assert raw.headers["content-type"] == "text/csv; charset=UTF-8"


def test_results_are_in_another_order(client: Client) -> None:
    ids = [f"id{n}" for n in range(50)]
    job = client.start(f"{KEY}\n" + "\n".join(ids) + "\n")
    client.wait(job)

    found = [row[KEY] for row in client.results(job, "successfulResults")]
    assert found != ids
    assert sorted(found) == sorted(ids)


def test_an_empty_cell_changes_nothing_and_na_clears(client: Client) -> None:
    client.upsert([{KEY: "a", "Code__c": "c", "Region__c": "r"}, {KEY: "p"}])
    client.upsert([{KEY: "a", "Parent_Account__r": {KEY: "p"}}])
    job = client.start(f"{KEY},Code__c,Region__c,Parent_Account__c\na,,#N/A,#N/A\n")

    assert client.wait(job)["numberRecordsFailed"] == 0
    row = client.records()["a"]
    assert (row["Code__c"], row["Region__c"], row["Parent_Account__c"]) == ("c", None, None)


def test_repeated_external_ids_are_rejected_across_chunks(client: Client) -> None:
    rows = ["twice", *(f"id{n}" for n in range(300)), "twice"]
    job = client.start(f"{KEY}\n" + "\n".join(rows) + "\n")
    info = client.wait(job)

    assert (info["numberRecordsProcessed"], info["numberRecordsFailed"]) == (302, 2)
    errors = {row["sf__Error"] for row in client.results(job, "failedResults")}
    assert errors == {f"DUPLICATE_VALUE:Duplicate external id specified: twice:{KEY} --"}
    assert "twice" not in client.records()


def test_a_parent_is_found_in_a_later_chunk(client: Client) -> None:
    rows = ["p,", "near,p", *(f"id{n}," for n in range(198)), "far,p"]
    job = client.start(f"{KEY},Parent_Account__r.{KEY}\n" + "\n".join(rows) + "\n")
    client.wait(job)

    failed = client.results(job, "failedResults")
    assert [row[KEY] for row in failed] == ["near"]
    assert failed[0]["sf__Error"] == (
        f"INVALID_FIELD:Foreign key external ID: p not found for field {KEY} in entity {ACCOUNT}:--"
    )


WRONG_ENDING = (
    "ClientInputError : LineEnding is invalid on user data. Current LineEnding setting is "
)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (f"{KEY},Name\r\na,A\r\n", {}, f"{WRONG_ENDING}LF"),
        (f'{KEY},Name\na,"A\r\nB"\n', {}, f"{WRONG_ENDING}LF"),
        (f"{KEY},Name\na,A\n", {"lineEnding": "CRLF"}, f"{WRONG_ENDING}CRLF"),
        (f"{KEY},Industryy,Nmae\na,A,B\n", {}, "InvalidBatch : Field name not found : Industryy"),
        (f"\ufeff{KEY},Name\na,A\n", {}, f"InvalidBatch : Field name not found : \ufeff{KEY}"),
        ("Name\nA\n", {}, f"InvalidBatch : Field name not found : {KEY}"),
        (f"{KEY},Name\na\n", {}, "InvalidBatch : Row 1 does not have 2 columns"),
        (f'{KEY},Name\na,A\nb,"B" ,\n', {}, "InvalidBatch : ',' expected after '\"'"),
    ],
)
def test_a_job_that_fails_as_a_whole(
    client: Client, content: str, options: dict[str, str], message: str
) -> None:
    job = client.start(content, **options)
    info = client.wait(job)

    assert (info["state"], info["errorMessage"]) == ("Failed", message)
    assert client.records() == {}
    assert client.get(f"/jobs/ingest/{job}/unprocessedrecords").content == content.encode()


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (f"{KEY},Name\r\na,A\r\n", {"lineEnding": "CRLF"}),
        (f"{KEY}|Name\na|A\n", {"columnDelimiter": "PIPE"}),
        (f"{KEY.upper()},name\na,A", {}),
        (f'"{KEY}","Name"\n"a","A"\n', {}),
    ],
)
def test_other_forms_of_csv(client: Client, content: str, options: dict[str, str]) -> None:
    info = client.wait(client.start(content, **options))

    assert info["state"] == "JobComplete"
    assert client.records()["a"]["Name"] == "A"


def test_a_job_and_its_data_in_one_request(client: Client) -> None:
    job = f'{{"object":"{ACCOUNT}","operation":"upsert","externalIdFieldName":"{KEY}"}}'
    parts: Json = {
        "job": (None, job, "application/json"),
        "content": ("content", f"{KEY},Name\na,Ü\n".encode(), "text/csv"),
    }
    created = client.http.post(f"{DATA}/jobs/ingest", files=parts)

    assert created.json()["state"] == "UploadComplete"
    assert client.wait(created.json()["id"])["numberRecordsProcessed"] == 1
    assert client.records()["a"]["Name"] == "Ü"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"object": "Nothing__c"}, "InvalidJob : Unable to find object: Nothing__c"),
        (
            {"externalIdFieldName": "website"},
            (
                "InvalidJob : Field name provided, website does not match an External ID,"
                f" Salesforce Id, or indexed field for {ACCOUNT}"
            ),
        ),
        ({"operation": "Upsert"}, "InvalidJob : Unknown operation: Upsert"),
    ],
)
def test_a_job_that_cannot_be_created(client: Client, change: Json, message: str) -> None:
    body = {"object": ACCOUNT, "operation": "upsert", "externalIdFieldName": KEY, **change}
    answer = client.send("POST", "/jobs/ingest", body)

    assert answer.status_code == 400
    assert answer.json() == [{"errorCode": "INVALIDJOB", "message": message}]


def test_requests_that_the_state_of_a_job_does_not_allow(client: Client) -> None:
    job = client.new_job()
    closed_early = client.send("PATCH", f"/jobs/ingest/{job}", {"state": "UploadComplete"})
    content = f"{KEY}\na\n".encode()
    assert client.put(job, content).status_code == 201
    second_put = client.put(job, content)
    client.close(job)
    late_put = client.put(job, content)
    early_delete = client.send("DELETE", f"/jobs/ingest/{job}")
    early_results = client.get(f"/jobs/ingest/{job}/successfulResults")
    client.wait(job)
    late_abort = client.send("PATCH", f"/jobs/ingest/{job}", {"state": "Aborted"})

    refused = (closed_early, second_put, late_put, early_delete, early_results, late_abort)
    assert [answer.status_code for answer in refused] == [400] * 6
    assert late_abort.json() == [
        {
            "errorCode": "INVALIDJOBSTATE",
            "message": "Aborting already Completed Job not allowed",
        }
    ]
    assert client.send("DELETE", f"/jobs/ingest/{job}").status_code == 204
    assert client.get(f"/jobs/ingest/{job}").status_code == 404


def test_a_failed_job_keeps_the_saved_rows(client: Client) -> None:
    client.fault(job={"object": ACCOUNT, "fail_after": 300, "message": "InternalError : error"})
    job = client.start(f"{KEY}\n" + "".join(f"id{n:03d}\n" for n in range(500)))
    info = client.wait(job)

    assert (info["state"], info["errorMessage"]) == ("Failed", "InternalError : error")
    assert info["numberRecordsProcessed"] == 300
    saved = {row[KEY] for row in client.results(job, "successfulResults")}
    rest = {row[KEY] for row in client.results(job, "unprocessedrecords")}
    assert saved == set(client.records())
    assert (len(saved), len(rest), saved & rest) == (300, 200, set())


def test_a_job_that_never_ends_can_be_aborted(client: Client) -> None:
    client.fault(job={"hang_after": 200})
    job = client.start(f"{KEY}\n" + "".join(f"id{n:03d}\n" for n in range(201)))
    states = [client.get(f"/jobs/ingest/{job}").json()["state"] for _ in range(20)]
    while len(client.records()) < 200:
        pass
    aborted = client.send("PATCH", f"/jobs/ingest/{job}", {"state": "Aborted"})

    assert states == ["UploadComplete"] + ["InProgress"] * 19
    assert aborted.json()["state"] == "Aborted"
    assert [row[KEY] for row in client.results(job, "unprocessedrecords")] == ["id200"]


def test_an_open_job_can_be_aborted(client: Client) -> None:
    job = client.new_job()
    client.send("PATCH", f"/jobs/ingest/{job}", {"state": "Aborted"})

    assert client.wait(job)["state"] == "Aborted"
    assert client.put(job, b"x").status_code == 400


def test_a_job_with_only_a_header(client: Client) -> None:
    info = client.wait(client.start(f"{KEY},Name\n"))

    assert (info["state"], info["numberRecordsProcessed"]) == ("JobComplete", 0)


def test_amounts_are_stored_exactly(client: Client) -> None:
    job = client.start(f"{KEY},Amount__c\na,1234567890.12345678\n", BALANCE)
    client.wait(job)

    assert str(client.records(BALANCE)["a"]["Amount__c"]) == "1234567890.12345678"


def run_job(client: Client, operation: str, content: str, **options: str) -> str:
    body = {"object": ACCOUNT, "operation": operation, **options}
    job = str(client.send("POST", "/jobs/ingest", body).json()["id"])
    assert client.put(job, content.encode()).status_code == 201
    client.close(job)
    assert client.wait(job)["state"] == "JobComplete"
    return job


def ids_by_key(client: Client) -> dict[str, str]:
    return {key: record["Id"] for key, record in client.records().items()}


def test_an_insert_creates_a_record_for_each_row(client: Client) -> None:
    job = run_job(client, "insert", f"{KEY},Name\na,One\nb,Two\n")
    assert {key: row["Name"] for key, row in client.records().items()} == {"a": "One", "b": "Two"}
    assert {row["sf__Created"] for row in client.results(job, "successfulResults")} == {"true"}
    info = client.get(f"/jobs/ingest/{job}").json()
    assert info["operation"] == "insert"
    assert "externalIdFieldName" not in info
    again = run_job(client, "insert", f"{KEY},Name\na,Three\n")
    assert client.results(again, "failedResults")[0]["sf__Error"].startswith("DUPLICATE_VALUE:")


def test_an_update_and_a_delete_identify_records_by_id(client: Client) -> None:
    run_job(client, "insert", f"{KEY},Name\na,One\nb,Two\n")
    ids = ids_by_key(client)
    job = run_job(client, "update", f"Id,Name\n{ids['a']},Changed\n001,Nothing\n")
    assert client.records()["a"]["Name"] == "Changed"
    assert client.results(job, "failedResults")[0]["sf__Error"].startswith("MALFORMED_ID:")
    job = run_job(client, "delete", f"Id\n{ids['a']}\n")
    assert client.results(job, "successfulResults")[0]["sf__Id"] == ids["a"]
    assert set(client.records()) == {"b"}
    job = run_job(client, "delete", f"Id\n{ids['a']}\n")
    failed = client.results(job, "failedResults")[0]
    assert failed["sf__Error"].startswith("ENTITY_IS_DELETED:")
    assert failed["sf__Id"] == ids["a"]


@pytest.mark.parametrize(("operation", "found"), [("delete", 1), ("hardDelete", 0)])
def test_only_a_hard_deletion_is_final(client: Client, operation: str, found: int) -> None:
    run_job(client, "insert", f"{KEY}\na\n")
    run_job(client, operation, f"Id\n{ids_by_key(client)['a']}\n")
    answer = client.get("/queryAll", q=f"SELECT COUNT() FROM {ACCOUNT}")  # noqa: S608
    assert client.records() == {}
    assert answer.json()["totalSize"] == found


def test_an_upsert_by_id_updates_or_creates(client: Client) -> None:
    run_job(client, "insert", f"{KEY},Name\na,One\n")
    rows = f"Id,{KEY},Name\n{ids_by_key(client)['a']},a,Changed\n,b,New\n"
    job = run_job(client, "upsert", rows, externalIdFieldName="Id")
    assert {key: row["Name"] for key, row in client.records().items()} == {
        "a": "Changed",
        "b": "New",
    }
    created = {row[KEY]: row["sf__Created"] for row in client.results(job, "successfulResults")}
    assert created == {"a": "false", "b": "true"}


def test_an_upsert_by_id_without_ids_creates_every_record(client: Client) -> None:
    job = run_job(client, "upsert", f"{KEY}\na\nb\n", externalIdFieldName="Id")
    assert {row["sf__Created"] for row in client.results(job, "successfulResults")} == {"true"}
    assert set(client.records()) == {"a", "b"}


@pytest.mark.parametrize("operation", ["insert", "update", "delete"])
def test_an_empty_upload(client: Client, operation: str) -> None:
    job = run_job(client, operation, "")
    assert client.get(f"/jobs/ingest/{job}").json()["numberRecordsProcessed"] == 0
    assert client.results(job, "failedResults") == []


def test_a_running_job_returns_the_number_of_processed_records(own_client: Client) -> None:
    own_client.fault(job={"polls_per_chunk": 3})
    job = own_client.start(f"{KEY},Name\n" + "".join(f"k{n},x\n" for n in range(500)))
    seen = []
    while (info := own_client.get(f"/jobs/ingest/{job}").json())["state"] != "JobComplete":
        seen.append((info["state"], info["numberRecordsProcessed"]))
    assert ("InProgress", 200) in seen
    assert info["numberRecordsProcessed"] == 500
