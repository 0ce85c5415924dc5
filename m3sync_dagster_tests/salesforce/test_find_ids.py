"""Records are found by the values of a field in few queries."""

import pytest
from starlette.responses import JSONResponse

from m3sync_dagster.salesforce import SalesforceClient
from m3sync_dagster.salesforce.find_ids import MOST_BYTES, _chunks
from m3sync_dagster.sync.errors import SyncError
from m3sync_dagster.sync.row_results import Acknowledged
from m3sync_dagster.sync.row_types import Row
from m3sync_dagster_tests.salesforce.conftest import ACCOUNTS, Jobs, Scripted, group, outcome

CODES = ["plain", 'O\'Neil \\ "co"', "Über/7", "100 %", "line\nfeed", "Case"]


def fill(org: SalesforceClient, *codes: str) -> dict[str, str]:
    """Create an account with each code, and return the Ids by number."""
    rows = [Row(str(number), ["Account", code]) for number, code in enumerate(codes)]
    results = outcome(org.upsert(ACCOUNTS, group(rows), Jobs()))
    return {key: one.salesforce_id for key, one in results.items() if isinstance(one, Acknowledged)}


def test_records_are_found_by_the_exact_text_of_any_value(org: SalesforceClient) -> None:
    made = fill(org, *CODES, "case", "plain")
    calls = org.calls
    found = org.find_ids("m3ter_Account__c", "Code__c", [*CODES, "missing", "PLAIN"])
    assert org.calls == calls + 1
    expected = {code: [made[str(number)]] for number, code in enumerate(CODES)}
    assert {code: list(ids) for code, ids in found.items()} == expected | {
        "plain": [made["0"], made["7"]]
    }


def test_a_thousand_codes_take_two_queries(org: SalesforceClient) -> None:
    made = fill(org, "C-00999")
    calls = org.calls
    found = org.find_ids("m3ter_Account__c", "Code__c", [f"C-{n:05}" for n in range(1_000)])
    assert {code: list(ids) for code, ids in found.items()} == {"C-00999": [made["0"]]}
    assert org.calls - calls == 2


def test_a_second_page_of_records_is_read(scripted: Scripted) -> None:
    found = [{"Id": f"a0100000000000{n}", "Code__c": "same"} for n in range(2)]
    more = "/services/data/v67.0/query/01g-2000"
    first = {"totalSize": 2, "done": False, "nextRecordsUrl": more, "records": found[:1]}
    last = {"totalSize": 2, "done": True, "records": found[1:]}
    org, script = scripted(
        lambda request, _body: JSONResponse(last if request.url.path == more else first)
    )
    ids = org.find_ids("m3ter_Account__c", "Code__c", ["same"])
    assert [one[:15] for one in ids["same"]] == [one["Id"] for one in found]
    assert len(script.requests) == 2


def test_no_value_no_query(org: SalesforceClient) -> None:
    assert org.find_ids("m3ter_Account__c", "Code__c", []) == {}
    assert org.calls == 0


def test_an_unknown_field_is_an_error(org: SalesforceClient) -> None:
    with pytest.raises(SyncError, match="INVALID_FIELD"):
        org.find_ids("m3ter_Account__c", "No_Such__c", ["a"])


@pytest.mark.parametrize("value", ["a" * 40, "ü" * 40, "'" * 40, "漢" * 255, "\n" * 40])
def test_no_query_is_longer_than_a_url_may_be(value: str) -> None:
    values = [f"{value}{number}" for number in range(2_000)]
    chunks = list(_chunks(values))
    assert [one for chunk in chunks for one in chunk] == values
    assert all(len("".join(chunk).encode()) <= MOST_BYTES for chunk in chunks)
