from decimal import Decimal

import pytest

from m3sync_dagster.sandbox.json_types import Json
from m3sync_dagster_tests.sandbox.salesforce.plain_client import ACCOUNT, BALANCE, KEY, Client


def test_a_collection_returns_the_result_of_each_row_in_order(client: Client) -> None:
    first = client.upsert([{KEY: "b", "Name": "B"}])
    second = client.upsert([{KEY: "a", "Name": "A"}, {KEY: "b", "Name": "x" * 81}, {KEY: "b2"}])

    assert first[0]["created"] is True
    assert [row["success"] for row in second] == [True, False, True]
    error = {
        "statusCode": "STRING_TOO_LONG",
        "message": f"m3ter Account Name: data value too large: {'x' * 81} (max length=80)",
        "fields": ["Name"],
    }
    assert second[1] == {"success": False, "errors": [error]}
    again = client.upsert([{KEY: "b", "Name": "New"}])[0]
    assert again == {"id": first[0]["id"], "success": True, "errors": [], "created": False}
    assert client.records()["b"]["Name"] == "New"


def test_case_and_space_of_an_external_id(client: Client) -> None:
    client.upsert([{KEY: "abc"}, {KEY: "ABC"}, {KEY: " abc2 "}])

    assert set(client.records()) == {"abc", "ABC", "abc2"}


@pytest.mark.parametrize(
    ("target", "row", "code", "message", "fields"),
    [
        (BALANCE, {"Amount__c": 1234567890123}, "NUMBER_OUTSIDE_VALID_RANGE",
         "Amount: value outside of valid range on numeric field: 1.234567890123E12", ["Amount__c"]),
        (ACCOUNT, {"Bill_Epoch__c": "1600-01-01"}, "DATE_OUT_OF_RANGE",
         "Bill Epoch: invalid date: 1600-01-01", ["Bill_Epoch__c"]),
        (BALANCE, {"m3ter_Account__r": {KEY: "unknown"}}, "INVALID_FIELD",
         f"Foreign key external ID: unknown not found for field {KEY} in entity {ACCOUNT}", []),
        (BALANCE, {"m3ter_Account__c": "unknown"}, "MALFORMED_ID",
         "m3ter Account: id value of incorrect type: unknown", ["m3ter_Account__c"]),
        (BALANCE, {"OwnerId": "unknown"}, "MALFORMED_ID",
         "Owner ID: id value of incorrect type: unknown", ["OwnerId"]),
        (ACCOUNT, {KEY: None}, "MISSING_ARGUMENT", f"{KEY} not specified", []),
        (ACCOUNT, {KEY: "x" * 65}, "STRING_TOO_LONG",
         f"m3ter Id: data value too large: {'x' * 65} (max length=64)", [KEY]),
    ],
)  # fmt: skip
def test_an_invalid_row(  # noqa: PLR0917 - a table's columns
    client: Client, target: str, row: Json, code: str, message: str, fields: list[str]
) -> None:
    assert client.error(row, target) == {"statusCode": code, "message": message, "fields": fields}
    assert client.records(target) == {}


@pytest.mark.parametrize(
    ("sent", "stored"),
    [
        ("1234567890.12345678", "1234567890.12345678"),
        ("0.1", "0.1"),
        ("-0.00000001", "-0.00000001"),
        ("9999999999.12345678", "9999999999.12345678"),
        ("9999999999.123456785", "9999999999.123457"),
        ("1e3", "1000"),
        ("12.50", "12.5"),
        ("0.000", "0"),
    ],
)
def test_a_number_is_stored_exactly_up_to_18_digits(client: Client, sent: str, stored: str) -> None:
    row = f'{{"attributes":{{"type":"{BALANCE}"}},"{KEY}":"b","Amount__c":{sent}}}'
    content = f'{{"records":[{row}]}}'
    path = f"/services/data/v67.0/composite/sobjects/{BALANCE}/{KEY}"
    assert client.http.patch(path, content=content).json()[0]["success"]

    assert Decimal(client.records(BALANCE)["b"]["Amount__c"]) == Decimal(stored)


@pytest.mark.parametrize(
    ("field", "sent", "stored"),
    [
        ("Code__c", "  a b\t\n", "a b"),
        ("Code__c", "   ", None),
        ("Code__c", "\u00a0é😀\u2028", "\u00a0é😀\u2028"),
        ("Description__c", "line 1\nline 2", "line 1\nline 2"),
        ("Allow_Overdraft__c", None, False),
        ("Allow_Overdraft__c", "TRUE", True),
        ("Start_Date__c", "2026-01-02T03:04:05.678+02:00", "2026-01-02T01:04:05.000Z"),
        ("Start_Date__c", "2026-01-02T03:04:05+0000", "2026-01-02T03:04:05.000Z"),
    ],
)
def test_how_values_are_stored(client: Client, field: str, sent: Json, stored: Json) -> None:
    client.upsert([{KEY: "b", field: sent}], BALANCE)

    assert client.records(BALANCE)["b"][field] == stored


def test_null_clears_a_field_and_a_missing_field_is_unchanged(client: Client) -> None:
    client.upsert([{KEY: "a", "Code__c": "c", "Region__c": "r"}])
    client.upsert([{KEY: "a", "Code__c": None}])

    assert client.records()["a"]["Code__c"] is None
    assert client.records()["a"]["Region__c"] == "r"


def test_a_lookup_is_set_and_cleared_by_external_id(client: Client) -> None:
    parent = client.upsert([{KEY: "p"}])[0]["id"]
    client.upsert([{KEY: "c", "Parent_Account__r": {KEY: "p"}}])
    assert client.records()["c"]["Parent_Account__c"] == parent

    client.upsert([{KEY: "c", "Parent_Account__c": None}])
    assert client.records()["c"]["Parent_Account__c"] is None


def test_a_parent_in_the_same_request_is_not_found(client: Client) -> None:
    rows = client.upsert([{KEY: "p"}, {KEY: "c", "Parent_Account__r": {KEY: "p"}}])

    assert [row["success"] for row in rows] == [True, False]
    assert rows[1]["errors"][0]["message"].startswith("Foreign key external ID: p not found")


def test_all_rows_with_a_repeated_external_id_are_rejected(client: Client) -> None:
    rows = client.upsert([{KEY: "a"}, {KEY: "b"}, {KEY: "a"}])

    assert [row["success"] for row in rows] == [False, True, False]
    assert rows[0]["errors"][0] == {
        "statusCode": "DUPLICATE_VALUE",
        "message": "Duplicate external id specified: a",
        "fields": [KEY],
    }


def test_all_or_none_rolls_back_creates_and_updates(client: Client) -> None:
    client.upsert([{KEY: "old", "Code__c": "before"}])
    rows = [{KEY: "old", "Code__c": "after"}, {KEY: "new"}, {KEY: "bad", "Name": "x" * 81}]
    result = client.collection(rows, all_or_none=True).json()

    codes = [row["errors"][0]["statusCode"] for row in result]
    assert codes == ["ALL_OR_NONE_OPERATION_ROLLED_BACK"] * 2 + ["STRING_TOO_LONG"]
    assert [row["created"] for row in result] == [False, True, True]
    assert {key: row["Code__c"] for key, row in client.records().items()} == {"old": "before"}


@pytest.mark.parametrize(
    ("rows", "status", "code"),
    [
        ([{KEY: "a", "Nmae": "x"}], 400, "INVALID_FIELD"),
        ([{KEY: "a", "Unknown__r": {KEY: "x"}}], 400, "INVALID_FIELD"),
        ([{KEY: "a", "Id": "x"}], 400, "INVALID_FIELD"),
        ([{KEY: str(n)} for n in range(201)], 400, "EXCEEDED_ID_LIMIT"),
        ([], 400, "INVALID_INPUT"),
        ([{KEY: "a", "attributes": {"type": BALANCE}}], 400, "INVALID_INPUT"),
    ],
)
def test_an_invalid_request(client: Client, rows: list[Json], status: int, code: str) -> None:
    answer = client.collection(rows)

    assert (answer.status_code, answer.json()[0]["errorCode"]) == (status, code)
    assert client.records() == {}


@pytest.mark.parametrize(
    ("target", "field", "value", "kind", "token"),
    [
        (BALANCE, "Amount__c", "abc", "double", "VALUE_STRING"),
        (BALANCE, "Amount__c", "", "double", "VALUE_STRING"),
        (BALANCE, "Amount__c", True, "double", "VALUE_TRUE"),
        (BALANCE, "Start_Date__c", "2026-01-01", "datetime", "VALUE_STRING"),
        (BALANCE, "Start_Date__c", "2026-13-01T00:00:00Z", "datetime", "VALUE_STRING"),
        (ACCOUNT, "Bill_Epoch__c", "2026-01-01Z", "date", "VALUE_STRING"),
        (BALANCE, "Allow_Overdraft__c", "perhaps", "boolean", "VALUE_STRING"),
        (ACCOUNT, "Name", 5, "string", "VALUE_NUMBER_INT"),
        (ACCOUNT, "Name", ["x"], "string", "START_ARRAY"),
    ],
)
def test_a_value_of_another_type_refuses_the_whole_request(  # noqa: PLR0917 - a table's columns
    client: Client, target: str, field: str, value: Json, kind: str, token: str
) -> None:
    collection = client.collection([{KEY: "good"}, {KEY: "bad", field: value}], target)
    single = client.send("POST", f"/sobjects/{target}", {field: value})

    for answer in (collection, single):
        error = answer.json()[0]
        assert (answer.status_code, error["errorCode"]) == (400, "JSON_PARSER_ERROR")
        assert error["message"].startswith(f"Cannot deserialize instance of {kind} from {token} ")
    assert client.records(target) == {}


def test_an_unknown_field_is_named(client: Client) -> None:
    answer = client.collection([{KEY: "a", "Nmae": "x"}])

    assert answer.json()[0]["message"] == f"No such column 'Nmae' on sobject of type {ACCOUNT}"


def test_an_auto_number_counts_and_cannot_be_written(client: Client) -> None:
    target = "m3ter_Commitment__c"
    client.upsert([{KEY: "a"}, {KEY: "b"}], target)

    assert [row["Name"] for row in client.records(target).values()] == ["M3C-000001", "M3C-000002"]
    assert client.error({"Name": "x"}, target)["statusCode"] == "INVALID_FIELD_FOR_INSERT_UPDATE"


def test_a_missing_name_becomes_the_id(client: Client) -> None:
    created = client.upsert([{KEY: "a"}])[0]["id"]

    assert client.records()["a"]["Name"] == created


def test_a_single_record_by_external_id(client: Client) -> None:
    path = f"/sobjects/{ACCOUNT}/{KEY}/a%2Fb%20c"
    created = client.send("PATCH", path, {"Name": "A"})
    updated = client.send("PATCH", path, {"Code__c": "c"})

    assert (created.status_code, created.json()["created"]) == (201, True)
    assert (updated.status_code, updated.json()["created"]) == (200, False)
    read = client.get(path).json()
    assert (read["Name"], read["Code__c"], read[KEY]) == ("A", "c", "a/b c")
    assert client.send("DELETE", path).status_code == 204
    assert client.get(path).status_code == 404


@pytest.mark.parametrize("field", ["Code__c", "Nothing__c"])
def test_a_field_that_is_not_an_external_id(client: Client, field: str) -> None:
    answer = client.send("PATCH", f"/sobjects/{ACCOUNT}/{field}/x", {})

    assert answer.status_code == 404
    assert answer.json() == [
        {"errorCode": "NOT_FOUND", "message": "The requested resource does not exist"}
    ]


def test_an_admin_edits_by_id(client: Client) -> None:
    created = client.send("POST", f"/sobjects/{ACCOUNT}", {"Name": "By hand", KEY: "h"})
    path = f"/sobjects/{ACCOUNT}/{created.json()['id']}"

    assert created.status_code == 201
    assert client.send("PATCH", path, {"Name": "Changed"}).status_code == 204
    assert client.get(path).json()["Name"] == "Changed"
    chosen = client.get(path, fields=f"Name,{KEY}").json()
    assert chosen.keys() == {"attributes", "Name", KEY}
    assert client.get(path, fields="Nmae").json()[0]["errorCode"] == "INVALID_FIELD"
    refused = client.send("PATCH", path, {"Name": "x" * 81})
    assert (refused.status_code, refused.json()[0]["errorCode"]) == (400, "STRING_TOO_LONG")
    twice = client.send("POST", f"/sobjects/{ACCOUNT}", {KEY: "h"})
    assert twice.json()[0]["errorCode"] == "DUPLICATE_VALUE"
    assert client.send("DELETE", path).status_code == 204
    deleted = client.send("PATCH", path, {})
    assert (deleted.status_code, deleted.json()[0]["errorCode"]) == (404, "ENTITY_IS_DELETED")
    assert client.get(f"/sobjects/{ACCOUNT}/a00000000000zzzAAA").status_code == 404


def test_deleting_a_parent_clears_lookups(client: Client) -> None:
    parent = client.upsert([{KEY: "p"}])[0]["id"]
    client.upsert([{KEY: "b", "m3ter_Account__r": {KEY: "p"}}], BALANCE)
    client.send("DELETE", f"/sobjects/{ACCOUNT}/{parent}")

    assert client.records(BALANCE)["b"]["m3ter_Account__c"] is None


def test_an_upsert_after_a_delete_creates_a_new_record(client: Client) -> None:
    first = client.upsert([{KEY: "a"}])[0]["id"]
    client.send("DELETE", f"/sobjects/{ACCOUNT}/{first}")
    second = client.upsert([{KEY: "a"}])[0]

    assert second["created"] is True
    assert second["id"] != first
