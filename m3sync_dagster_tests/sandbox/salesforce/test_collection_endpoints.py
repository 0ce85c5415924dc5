"""sObject Collections: create, update, retrieve and delete many records in one request."""

import httpx
import pytest

from m3sync_dagster.sandbox.json_types import Json
from m3sync_dagster_tests.sandbox.salesforce.plain_client import ACCOUNT, BALANCE, KEY, Client

PATH = "/composite/sobjects"
LONG = "x" * 81


def record(target: str = ACCOUNT, **fields: Json) -> Json:
    return {"attributes": {"type": target}, **fields}


def created(client: Client, *records: Json) -> list[str]:
    answer = client.send("POST", PATH, {"records": list(records)})
    assert answer.status_code == 200, answer.text
    return [one["id"] for one in answer.json()]


def codes(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [one["errors"][0]["statusCode"] if one["errors"] else "" for one in answer.json()]


def test_records_of_several_objects_are_created(client: Client) -> None:
    parent = created(client, record(Name="A", **{KEY: "a"}))[0]
    child = record(BALANCE, **{KEY: "b", "m3ter_Account__r": {KEY: "a"}})
    answer = client.send("POST", PATH, {"records": [child, record(Name=LONG), record(Name="C")]})

    assert [set(one) for one in answer.json()] == [
        {"id", "success", "errors"},
        {"success", "errors"},
        {"id", "success", "errors"},
    ]
    assert codes(answer) == ["", "STRING_TOO_LONG", ""]
    assert client.records(BALANCE)["b"]["m3ter_Account__c"] == parent


@pytest.mark.parametrize("all_or_none", [False, True])
def test_updates_by_id(client: Client, *, all_or_none: bool) -> None:
    first, second = created(client, record(Name="A"), record(BALANCE))
    rows = [
        record(id=first, Name="New"),
        record(BALANCE, Id=second, Amount__c=5),
        record(id=first, Name=LONG),
    ]
    answer = client.send("PATCH", PATH, {"allOrNone": all_or_none, "records": rows})

    undone = "ALL_OR_NONE_OPERATION_ROLLED_BACK" if all_or_none else ""
    assert codes(answer) == [undone, undone, "STRING_TOO_LONG"]
    account = client.get(f"/sobjects/{ACCOUNT}/{first}").json()
    balance = client.get(f"/sobjects/{BALANCE}/{second}").json()
    assert (account["Name"], balance["Amount__c"]) == (("A", None) if all_or_none else ("New", 5.0))


def test_a_create_that_is_rolled_back_leaves_no_record(client: Client) -> None:
    rows = [record(Name="A"), record(BALANCE), record(Name=LONG)]
    answer = client.send("POST", PATH, {"allOrNone": True, "records": rows})

    assert codes(answer)[:2] == ["ALL_OR_NONE_OPERATION_ROLLED_BACK"] * 2
    for target in (ACCOUNT, BALANCE):
        counted = client.get("/queryAll", q=f"SELECT COUNT() FROM {target}")  # noqa: S608
        assert counted.json()["totalSize"] == 0


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_records_are_retrieved_in_the_order_of_the_ids(client: Client, method: str) -> None:
    first, second = created(client, record(Name="A"), record(Name="B"))
    ids, fields = [second, "a00000000000zzzAAA", first], ["Name", "Id"]
    path = f"{PATH}/{ACCOUNT}"
    if method == "GET":
        answer = client.get(path, ids=",".join(ids), fields=",".join(fields))
    else:
        answer = client.send("POST", path, {"ids": ids, "fields": fields})

    found = answer.json()
    assert found[1] is None
    assert [(one["Id"], one["Name"]) for one in (found[0], found[2])] == [
        (second, "B"),
        (first, "A"),
    ]
    assert found[0].keys() == {"attributes", "Name", "Id"}


def test_records_are_deleted(client: Client) -> None:
    first, second = created(client, record(Name="A"), record(BALANCE))
    wrong = client.http.delete(
        f"/services/data/v67.0{PATH}", params={"ids": f"{first},001x", "allOrNone": "true"}
    )
    assert codes(wrong) == ["ALL_OR_NONE_OPERATION_ROLLED_BACK", "MALFORMED_ID"]
    right = client.http.delete(f"/services/data/v67.0{PATH}", params={"ids": f"{first},{second}"})
    assert [one["success"] for one in right.json()] == [True, True]
    assert codes(client.send("PATCH", PATH, {"records": [record(id=first)]})) == [
        "ENTITY_IS_DELETED"
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "code"),
    [
        ("POST", PATH, {"records": []}, "INVALID_INPUT"),
        ("POST", PATH, {"records": [{"Name": "A"}]}, "INVALID_INPUT"),
        ("POST", PATH, {"records": [record("Nothing__c")]}, "NOT_FOUND"),
        ("POST", PATH, {"records": [record(Name="A"), record(Nmae="A")]}, "INVALID_FIELD"),
        ("POST", PATH, {"records": [record()] * 201}, "EXCEEDED_ID_LIMIT"),
        ("PATCH", PATH, {"records": [record()] * 201}, "EXCEEDED_ID_LIMIT"),
        ("POST", f"{PATH}/{ACCOUNT}", {"ids": ["x"]}, "MISSING_ARGUMENT"),
        ("POST", f"{PATH}/{ACCOUNT}", {"ids": [], "fields": ["Id"]}, "INVALID_INPUT"),
        ("POST", f"{PATH}/{ACCOUNT}", {"ids": ["x"], "fields": ["Nmae"]}, "INVALID_FIELD"),
        ("POST", f"{PATH}/{ACCOUNT}", {"ids": ["x"] * 2001, "fields": ["Id"]}, "EXCEEDED_ID_LIMIT"),
    ],
)
def test_a_refused_request_saves_nothing(
    client: Client, method: str, path: str, body: Json, code: str
) -> None:
    answer = client.send(method, path, body)

    assert answer.status_code in {400, 404}
    assert answer.json()[0]["errorCode"] == code
    assert client.query(f"SELECT COUNT() FROM {ACCOUNT}")["totalSize"] == 0  # noqa: S608
