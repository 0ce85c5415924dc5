"""Reading records back: SOQL pages for few rows, a query job for many."""

from decimal import Decimal
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from m3sync_dagster.salesforce import SalesforceClient
from m3sync_dagster.salesforce import read_records as readback
from m3sync_dagster.sync.canonical_values import canonical
from m3sync_dagster.sync.errors import DeadlineError, RemoteError, SyncError
from m3sync_dagster.sync.reconcile_types import ReadRow, Selection
from m3sync_dagster.sync.row_results import Acknowledged, Rejected
from m3sync_dagster.sync.row_types import Column, Row, Target
from m3sync_dagster_tests.salesforce.conftest import (
    ACCOUNTS,
    BALANCES,
    Jobs,
    created,
    group,
    outcome,
)

VALUES = Target(
    "m3ter_Balance__c",
    "m3ter_Id__c",
    (
        Column("Name"),
        Column("Amount__c"),
        Column("Allow_Overdraft__c"),
        Column("Start_Date__c"),
        Column("Description__c"),
        Column("m3ter_Account__c", "m3ter_Account__r", "m3ter_Id__c"),
    ),
)
KINDS = ("string", "double", "boolean", "datetime", "textarea", "string")


def read(
    org: SalesforceClient, target: Target, only: Selection | None = None
) -> dict[str, ReadRow]:
    rows = [row for batch in org.read_back(target, only) for row in batch]
    found = {str(row.m3ter_id): row for row in rows}
    assert len(found) == len(rows)
    return found


ODD_IDS = ("a/b", "ends.inc", "q?x=1&y#z", "o'neil", "50%", "é漢😀", '"quoted"', "=1+1", "a,b")


@pytest.mark.parametrize("large", [False, True], ids=["collections", "ingest"])
def test_an_external_id_may_have_any_character(org: SalesforceClient, large: bool) -> None:
    rows = [Row(key, [f"Account {key}", None]) for key in ODD_IDS]
    results = outcome(org.upsert(ACCOUNTS, group(rows, large=large), Jobs()))
    assert created(results) == set(ODD_IDS)
    only = Selection(Column("m3ter_Id__c"), list(ODD_IDS))
    held = read(org, ACCOUNTS, only)
    assert {key: row.values[0] for key, row in held.items()} == {
        key: f"Account {key}" for key in ODD_IDS
    }


def fill(org: SalesforceClient, count: int) -> None:
    rows = [Row(f"a{n:05d}", [f"Account {n}", None]) for n in range(count)]
    results = outcome(org.upsert(ACCOUNTS, group(rows, large=True), Jobs()))
    assert all(isinstance(result, Acknowledged) for result in results.values())


@pytest.mark.parametrize(
    ("count", "calls"),
    [
        (0, ["GET /query"]),
        (2_000, ["GET /query"]),
        (2_001, ["GET /query", "POST /jobs/query", "GET /jobs/query/{id}", "GET results"]),
    ],
)
def test_few_rows_are_a_page_and_more_are_a_query_job(
    org: SalesforceClient, count: int, calls: list[str]
) -> None:
    if count:
        fill(org, count)
    before = org.calls
    held = read(org, ACCOUNTS)
    assert len(held) == count
    if count:
        assert held["a00007"].values[0] == "Account 7"
        assert len({row.salesforce_id for row in held.values()}) == count
    polls = 3
    assert len(calls) <= org.calls - before - (not count) <= len(calls) + polls


def test_a_query_job_is_read_page_by_page(
    org: SalesforceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(org, 2_500)
    monkeypatch.setattr(readback, "PAGE", 999)
    batches = [len(batch) for batch in org.read_back(ACCOUNTS, None)]
    assert batches == [999, 999, 502]


@pytest.mark.parametrize("small", [2_000, 1], ids=["soql", "job"])
def test_both_ways_give_the_same_values(
    org: SalesforceClient, small: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(readback, "SMALL", small)
    outcome(org.upsert(ACCOUNTS, group([Row("a1", ["Account", None])]), Jobs()))
    rows: dict[str, list[Any]] = {
        "b1": ["Balance", Decimal(912260031), True, "2026-01-31T10:20:30.987Z", 'a,"b"\nc', "a1"],
        "b2": [" Balance ", None, None, None, None, None],
        "b3": ["漢字", Decimal("1234567.12345678"), False, "2026-01-31T10:20:30Z", "#", "a1"],
    }
    sent = [Row(key, values) for key, values in rows.items()]
    for row in sent:
        outcome(org.upsert(VALUES, group([row]), Jobs()))
    held = read(org, VALUES)
    assert {key: forms(row.values) for key, row in held.items()} == {
        key: forms(values) for key, values in rows.items()
    }


def forms(values: Any) -> list[object]:  # noqa: ANN401 - values of any kind
    return [canonical(value, kind) for value, kind in zip(values, KINDS, strict=True)]


def test_records_without_an_external_id_are_not_read(org: SalesforceClient) -> None:
    org.transport.call("POST", "/sobjects/m3ter_Account__c", json={"Name": "by hand"})
    fill(org, 2)
    assert set(read(org, ACCOUNTS)) == {"a00000", "a00001"}


def test_only_the_selected_records_are_read(org: SalesforceClient) -> None:
    awkward = "it's \\ \n"
    fill(org, 3)
    outcome(org.upsert(ACCOUNTS, group([Row(awkward.strip(), ["Account", None])]), Jobs()))
    rows = [Row("b1", ["One", None, "a00000"]), Row("b2", ["Two", None, "a00001"])]
    outcome(org.upsert(BALANCES, group(rows), Jobs()))
    assert set(read(org, BALANCES, Selection(BALANCES.columns[2], ["a00001"]))) == {"b2"}
    assert set(
        read(org, ACCOUNTS, Selection(Column("m3ter_Id__c"), [awkward.strip(), "a00002"]))
    ) == {
        awkward.strip(),
        "a00002",
    }


def test_a_selection_by_id_includes_records_without_an_external_id(org: SalesforceClient) -> None:
    fill(org, 2)
    org.transport.call("POST", "/sobjects/m3ter_Account__c", json={"Name": "by hand"})
    soql = "SELECT Id, m3ter_Id__c FROM m3ter_Account__c"
    ids = {
        record["m3ter_Id__c"]: record["Id"]
        for record in org.transport.client().query_all_iter(soql)
    }
    wanted = Selection(Column("Id"), [ids[None], ids["a00001"]])
    found = {row.m3ter_id for batch in org.read_back(ACCOUNTS, wanted) for row in batch}
    assert found == {None, "a00001"}


def test_a_selection_may_include_records_without_an_account(org: SalesforceClient) -> None:
    fill(org, 2)
    parents = ("a00000", "a00001", None)
    rows = [Row(f"b{n}", ["One", None, parent]) for n, parent in enumerate(parents)]
    for row in rows:
        outcome(org.upsert(BALANCES, group([row]), Jobs()))
    wanted = Selection(BALANCES.columns[2], ["a00001"], or_empty=True)
    assert set(read(org, BALANCES, wanted)) == {"b1", "b2"}


Scripted = Any


def test_a_repeated_locator_is_an_error(scripted: Scripted) -> None:
    page = Response('"Id","m3ter_Id__c","Name","Code__c"\n', headers={"Sforce-Locator": "A"})
    org, script = scripted(answers(page))
    with pytest.raises(RemoteError, match="has no locator of the next page"):
        read(org, ACCOUNTS)
    assert sum(request.endswith("/results") for request in script.requests) == 2


def test_a_result_page_with_missing_rows_is_an_error(scripted: Scripted) -> None:
    headers = {"Sforce-Locator": "null", "Sforce-NumberOfRecords": "2"}
    page = Response('"Id","m3ter_Id__c","Name","Code__c"\n"001","a","A",""\n', headers=headers)
    org, _ = scripted(answers(page))
    with pytest.raises(RemoteError, match="has 1 rows instead of 2"):
        read(org, ACCOUNTS)


def test_a_query_job_that_an_admin_aborts_is_reported(scripted: Scripted) -> None:
    org, _ = scripted(answers(Response(""), "Aborted"))
    with pytest.raises(RemoteError, match=r"The query job 750x.* was aborted"):
        read(org, ACCOUNTS)


def answers(result: Response, state: str = "JobComplete") -> Any:  # noqa: ANN401
    def handler(request: Request, body: bytes) -> Response:
        path = request.url.path
        if "/jobs/query" not in path:
            return JSONResponse({"totalSize": 3_000, "done": False, "records": []})
        if path.endswith("/results"):
            return result
        return JSONResponse({"id": "750x", "state": state, "errorMessage": "TooBig : no"})

    return handler


def test_a_result_page_without_a_locator_is_an_error(
    scripted: Scripted,
) -> None:
    org, _ = scripted(answers(Response('"Id","m3ter_Id__c","Name","Code__c"\n')))
    with pytest.raises(RemoteError, match="has no locator of the next page"):
        read(org, ACCOUNTS)


def test_a_failed_query_job_is_reported(scripted: Scripted) -> None:
    org, _ = scripted(answers(Response(""), "Failed"))
    with pytest.raises(SyncError, match="query job 750x of m3ter_Account__c: TooBig: no"):
        read(org, ACCOUNTS)


def test_a_query_job_that_does_not_end_is_aborted(scripted: Scripted) -> None:
    org, script = scripted(answers(Response(""), "InProgress"))
    with pytest.raises(DeadlineError, match="750x"):
        read(org, ACCOUNTS)
    assert script.requests[-1] == "PATCH /services/data/v67.0/jobs/query/750x"


def test_a_query_job_that_cannot_be_aborted_is_named_in_the_log(
    scripted: Scripted, caplog: pytest.LogCaptureFixture
) -> None:
    running = answers(Response(""), "InProgress")

    def refuse(request: Request, body: bytes) -> Response:
        wrong = [{"errorCode": "API_ERROR", "message": "not now"}]
        return JSONResponse(wrong, 400) if request.method == "PATCH" else running(request, body)

    org, _ = scripted(refuse)
    with pytest.raises(DeadlineError, match="750x"):
        read(org, ACCOUNTS)
    assert "The query job 750x was not aborted: " in caplog.text
    assert "not now" in caplog.text


def test_deleting_by_id(org: SalesforceClient) -> None:
    fill(org, 401)
    ids = {row.m3ter_id: row.salesforce_id for row in read(org, ACCOUNTS).values()}
    before = org.calls
    done = [list(org.delete(list(ids.values())[:400])), list(org.delete([ids["a00000"], "zzz"]))]
    # Two calls of 200. A record that was already deleted counts as deleted, an invalid Id does not.
    assert [[len(results) for results in batches] for batches in done] == [[200, 200], [2]]
    assert org.calls - before == 3
    again, wrong = done[1][0]
    assert isinstance(again, Acknowledged)
    assert not isinstance(wrong, Acknowledged)
    assert len(read(org, ACCOUNTS)) == 1


def test_an_update_by_id_creates_no_record(org: SalesforceClient) -> None:
    fill(org, 201)
    ids = {row.m3ter_id: row.salesforce_id for row in read(org, ACCOUNTS).values()}
    list(org.delete([ids["a00001"]]))
    before = org.calls
    changes = {salesforce_id: {"Code__c": "new"} for salesforce_id in ids.values()}
    results = [r for batch in org.update("m3ter_Account__c", changes) for r in batch]
    assert org.calls - before == 2
    (refused,) = [r for r in results if isinstance(r, Rejected)]
    assert (refused.m3ter_id, refused.code) == (ids["a00001"], "ENTITY_IS_DELETED")
    held = read(org, ACCOUNTS)
    assert len(held) == 200
    assert {row.values[1] for row in held.values()} == {"new"}
