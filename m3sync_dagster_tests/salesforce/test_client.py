"""Upserts by sObject Collections and by ingest jobs, with the sandbox."""

import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from math import ceil
from typing import Any

import pytest

from m3sync_dagster.salesforce import SalesforceClient
from m3sync_dagster.salesforce import read_records as query
from m3sync_dagster.sync.errors import (
    ConfigurationError,
    RateLimitError,
)
from m3sync_dagster.sync.interfaces import Destination
from m3sync_dagster.sync.row_results import ErrorClass, Rejected
from m3sync_dagster.sync.row_types import Column, Row, Target
from m3sync_dagster_tests.salesforce.conftest import (
    ACCOUNTS,
    BALANCES,
    SECRET,
    Jobs,
    Sandbox,
    Time,
    accounts,
    created,
    group,
    outcome,
    rejected,
    send_all,
    updated,
)

both_ways = pytest.mark.parametrize("large", [False, True], ids=["collections", "ingest"])
EMPTY = frozenset({"m3ter_Account__c"})


@both_ways
def test_the_first_upsert_creates_and_the_second_updates(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, large: bool
) -> None:
    first = outcome(org.upsert(ACCOUNTS, group(accounts("a1", "a2"), large=large), jobs))
    again = [Row("a2", ["Renamed", "code-a2"]), *accounts("a3")]
    second = outcome(org.upsert(ACCOUNTS, group(again, large=large), jobs))
    assert created(first) == {"a1", "a2"}
    assert (created(second), updated(second)) == ({"a3"}, {"a2"})
    held = sandbox.records(ACCOUNTS)
    assert {key: record["Name"] for key, record in held.items()} == {
        "a1": "Account a1",
        "a2": "Renamed",
        "a3": "Account a3",
    }
    assert jobs.states == (["created", "JobComplete"] * 2 if large else [])


@both_ways
def test_lookups_are_set_and_cleared_and_nulls_empty_a_field(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, large: bool
) -> None:
    list(org.upsert(ACCOUNTS, group(accounts("a1")), jobs))
    full = [Row("b1", ["Balance", Decimal("12.50"), "a1"])]
    list(org.upsert(BALANCES, group(full, large=large, parent=2), jobs))
    before = sandbox.records(BALANCES)["b1"]
    assert before["m3ter_Account__c"] == sandbox.records(ACCOUNTS)["a1"]["Id"]
    assert before["Amount__c"] == Decimal("12.50")
    bare = [Row("b1", ["Balance", None, None])]
    results = outcome(org.upsert(BALANCES, group(bare, large=large, empty_lookups=EMPTY), jobs))
    assert updated(results) == {"b1"}
    after = sandbox.records(BALANCES)["b1"]
    assert (after["m3ter_Account__c"], after["Amount__c"]) == (None, None)


@both_ways
def test_each_bad_row_is_rejected_with_its_cause(
    org: SalesforceClient, jobs: Jobs, large: bool
) -> None:
    list(org.upsert(ACCOUNTS, group(accounts("a1")), jobs))
    rows = [
        Row("good", ["fine", Decimal(1), "a1"]),
        Row("long", ["x" * 81, Decimal(1), "a1"]),
        Row("huge", ["fine", Decimal("1E+30"), "a1"]),
        Row("orphan", ["fine", Decimal(1), "nobody"]),
    ]
    results = outcome(org.upsert(BALANCES, group(rows, large=large, parent=2), jobs))
    assert created(results) == {"good"}
    assert rejected(results) == {
        "long": "STRING_TOO_LONG",
        "huge": "NUMBER_OUTSIDE_VALID_RANGE",
        "orphan": "INVALID_FIELD",
    }
    orphan = results["orphan"]
    assert isinstance(orphan, Rejected)
    assert orphan.error_class is ErrorClass.DEPENDENCY
    assert "nobody" in orphan.message
    long = results["long"]
    assert isinstance(long, Rejected)
    assert long.fields == ("Name",)


@both_ways
@pytest.mark.parametrize(
    "text",
    [
        'say "hi", ok',
        "two\nlines",
        "zażółć gęślą jaźń 雪 🧾",
        "line\u2028separator\u0085next",
        "'; DROP TABLE x; --",
        "=1+1",
        "null",
        "a,b;c\td|e",
        "#n/a",
    ],
)
def test_any_text_arrives_unchanged(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, large: bool, text: str
) -> None:
    target = Target("m3ter_Balance__c", "m3ter_Id__c", (Column("Description__c"),))
    results = outcome(org.upsert(target, group([Row("b1", [text])], large=large), jobs))
    assert created(results) == {"b1"}
    assert sandbox.records(target)["b1"]["Description__c"] == text


@both_ways
@pytest.mark.parametrize("text", ["0.00000001", "-1234567890.12345678", "9.9", "100", "1E+2", "0"])
def test_any_amount_arrives_with_all_its_digits(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, large: bool, text: str
) -> None:
    rows = [Row("b1", ["Balance", Decimal(text), None])]
    list(org.upsert(BALANCES, group(rows, large=large, empty_lookups=EMPTY), jobs))
    assert sandbox.records(BALANCES)["b1"]["Amount__c"] == Decimal(text)


def test_a_text_that_csv_cannot_express_is_sent_by_collections(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    rows = [Row("a1", ["#N/A", "#N/A"])]
    batches = org.upsert(ACCOUNTS, group(rows, large=True, collections_only=True), jobs)
    assert created(outcome(batches)) == {"a1"}
    assert sandbox.records(ACCOUNTS)["a1"]["Name"] == "#N/A"
    assert jobs.events == []


def test_of_rows_with_one_external_id_the_last_is_sent(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    rows = [*accounts("a1", "a2"), Row("a1", ["Later", None])]
    assert created(outcome(org.upsert(ACCOUNTS, group(rows), jobs))) == {"a1", "a2"}
    assert sandbox.records(ACCOUNTS)["a1"]["Name"] == "Later"


@pytest.mark.parametrize("count", [1, 200, 201, 1_000, 2_000])
def test_a_call_has_200_rows(org: SalesforceClient, jobs: Jobs, count: int) -> None:
    rows = accounts(*(f"a{i}" for i in range(count)))
    assert len(created(outcome(org.upsert(ACCOUNTS, group(rows), jobs)))) == count
    assert org.calls == 1 + ceil(count / 200)


def test_no_rows_need_no_call(org: SalesforceClient, jobs: Jobs) -> None:
    destination: Destination = org
    assert list(destination.upsert(ACCOUNTS, group([]), jobs)) == []
    assert org.calls == 0


def test_5000_rows_are_sent_by_one_job(org: SalesforceClient, sandbox: Sandbox, jobs: Jobs) -> None:
    rows = accounts(*(f"a{i}" for i in range(5_000)))
    assert len(created(outcome(org.upsert(ACCOUNTS, group(rows), jobs)))) == 5_000
    assert len(sandbox.records(ACCOUNTS)) == 5_000
    assert [event[-1] for event in jobs.events] == ["5000", "JobComplete"]


def test_a_large_upload_is_split_into_jobs_at_the_same_time(sandbox: Sandbox, jobs: Jobs) -> None:
    org = SalesforceClient(sandbox.credential(), most_bytes=20_000)
    rows = accounts(*(f"a{i}" for i in range(3_000)))
    assert len(created(outcome(org.upsert(ACCOUNTS, group(rows), jobs)))) == 3_000
    org.close()
    opened = [event for event in jobs.events if event[0] == "created"]
    assert len(opened) == 5
    assert sum(int(event[3]) for event in opened) == 3_000
    assert jobs.states == (
        ["created"] * 4 + ["JobComplete", "created"] + ["JobComplete"] * 4
    )  # fmt: skip


def test_jobs_whose_rows_may_share_a_parent_run_one_after_the_other(
    sandbox: Sandbox, jobs: Jobs
) -> None:
    org = SalesforceClient(sandbox.credential(), most_bytes=40_000)
    list(org.upsert(ACCOUNTS, group(accounts("a1")), jobs))
    rows = [Row(f"b{i}", [f"Balance {i}", "1", "a1"]) for i in range(3_000)]
    results = outcome(org.upsert(BALANCES, group(rows, parent=2), jobs))
    org.close()
    assert len(created(results)) == 3_000
    assert jobs.states == ["created", "JobComplete"] * 2


_CLIENT = """
import resource, sys
from m3sync_dagster.salesforce import ConnectedApp, SalesforceClient
from m3sync_dagster.sync.row_types import Row
from m3sync_dagster.sync.row_types import Column, Group, Target

class Jobs:
    def record_job_requested(self, *job): pass
    def record_job_created(self, *job): pass
    def record_job_finished(self, *job): pass

org = SalesforceClient(ConnectedApp(sys.argv[1], "the-app", sys.argv[2]))
target = Target("m3ter_Balance__c", "m3ter_Id__c", (Column("Description__c"),))
list(org.upsert(target, Group([Row("b", ["x"])], 3_000), Jobs()))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
rows = (Row(f"b{number}", ["x" * 20_000]) for number in range(3_000))
results = sum(len(batch) for batch in org.upsert(target, Group(rows, 3_000), Jobs()))
print(results, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def test_memory_does_not_grow_with_the_upload(sandbox: Sandbox) -> None:
    """The client runs in its own process; it sends 60 MB, and reads 60 MB of results."""
    command = [sys.executable, "-c", _CLIENT, sandbox.url, SECRET]
    shown = subprocess.run(command, check=True, capture_output=True, text=True)
    results, grown = map(int, shown.stdout.split())
    assert results == 3_000
    assert grown < 12_000, "KiB"


@both_ways
def test_locked_rows_are_sent_again(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, time: Time, large: bool
) -> None:
    lock = {"external_ids": ["a3", "a7"], "code": "UNABLE_TO_LOCK_ROW", "message": "busy"}
    sandbox.inside.faults.add({"rows": lock, "times": 2})
    rows = accounts(*(f"a{i}" for i in range(10)))
    results = outcome(send_all(org, ACCOUNTS, rows, jobs, large=large))
    assert len(created(results)) == 10
    assert sum(1 for nap in time.naps if nap >= 0.5) >= 2


@both_ways
def test_rows_that_stay_locked_are_rejected_as_transient(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, large: bool
) -> None:
    lock = {"external_ids": ["a3"], "code": "UNABLE_TO_LOCK_ROW", "message": "busy"}
    sandbox.inside.faults.add({"rows": lock, "times": None})
    rows = accounts("a1", "a3")
    results = outcome(send_all(org, ACCOUNTS, rows, jobs, large=large))
    assert results["a3"] == Rejected("a3", ErrorClass.TRANSIENT, "UNABLE_TO_LOCK_ROW", "busy")
    assert created(results) == {"a1"}


def test_locked_rows_are_sent_again_in_smaller_calls(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    rows = accounts(*(f"a{i}" for i in range(150)))
    keys = [row.m3ter_id for row in rows]
    lock = {"external_ids": keys, "code": "UNABLE_TO_LOCK_ROW", "message": "busy"}
    sandbox.inside.faults.add({"rows": lock})
    assert len(created(outcome(send_all(org, ACCOUNTS, rows, jobs)))) == 150
    assert org.calls == 1 + 1 + 3


def test_a_job_that_fails_half_way_is_finished_by_another(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    sandbox.inside.faults.add({"job": {"fail_after": 400}})
    rows = accounts(*(f"a{i}" for i in range(3_000)))
    results = outcome(send_all(org, ACCOUNTS, rows, jobs))
    assert len(created(results)) == 3_000
    assert jobs.states == ["created", "Failed", "created", "JobComplete"]


def test_a_job_that_always_fails_leaves_its_rows_unprocessed(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    sandbox.inside.faults.add({"job": {"fail_after": 200}, "times": None})
    rows = accounts(*(f"a{i}" for i in range(3_000)))
    results = outcome(send_all(org, ACCOUNTS, rows, jobs))
    assert len(created(results)) == 800
    assert set(rejected(results).values()) == {"UNPROCESSED"}
    left = next(result for result in results.values() if isinstance(result, Rejected))
    assert left.error_class is ErrorClass.TRANSIENT
    assert "InternalError" in left.message


@both_ways
def test_a_session_that_expires_during_an_upsert_is_renewed_once(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, large: bool
) -> None:
    list(org.upsert(ACCOUNTS, group(accounts("a0"), large=large), jobs))
    path = "/batches" if large else "/composite"
    sandbox.inside.faults.add({"path": path, "revoke": True})
    sandbox.inside.calls.counts.clear()
    rows = accounts(*(f"a{i}" for i in range(900)))
    assert len(outcome(org.upsert(ACCOUNTS, group(rows, large=large), jobs))) == 900
    assert sandbox.inside.calls.counts["POST /services/oauth2/token"] == 1


@both_ways
@pytest.mark.parametrize(
    "fault",
    [{"status": 503}, {"status": 502}, {"drop": "before"}, {"drop": "after"}],
    ids=["503", "502", "dropped", "lost"],
)
def test_every_request_of_an_upsert_is_retried_after_a_temporary_error(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, large: bool, fault: dict[str, Any]
) -> None:
    steps = ["/jobs/ingest$", "/batches", "Results", "unprocessed", "/ingest/750[^/]*$"]
    for step in steps if large else ["/composite"]:
        for method in ("POST", "PUT", "PATCH", "GET"):
            sandbox.inside.faults.add({"path": step, "method": method, **fault})
    results = outcome(org.upsert(ACCOUNTS, group(accounts("a1", "a2"), large=large), jobs))
    assert created(results) | updated(results) == {"a1", "a2"}
    assert len(sandbox.records(ACCOUNTS)) == 2


def test_an_object_is_described_once(org: SalesforceClient) -> None:
    found = org.describe("m3ter_Balance__c")
    assert org.describe("m3ter_Balance__c") is found
    assert org.calls == 2
    external_id = found.fields["m3ter_Id__c"]
    assert external_id.external_id
    assert external_id.unique
    assert external_id.case_sensitive
    lookup = found.fields["m3ter_Account__c"]
    assert lookup.relationship == "m3ter_Account__r"
    assert lookup.refers_to == ("m3ter_Account__c",)
    amount = found.fields["Amount__c"]
    assert (amount.type, amount.precision) == ("double", 18)
    assert amount.scale > 2


def test_an_unknown_object_is_a_configuration_error(org: SalesforceClient) -> None:
    with pytest.raises(ConfigurationError, match="Nothing__c") as caught:
        org.describe("Nothing__c")
    assert "permission set" in caught.value.remedy
    assert "deploy" in caught.value.remedy


@both_ways
@pytest.mark.parametrize(
    "target",
    [
        replace(ACCOUNTS, columns=(Column("Name"), Column("Nothing__c"))),
        replace(ACCOUNTS, object="Nothing__c"),
        replace(ACCOUNTS, external_id_field="Code__c"),
    ],
    ids=["field", "object", "external id"],
)
def test_a_target_that_does_not_fit_the_org_is_a_configuration_error(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, large: bool, target: Target
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        list(org.upsert(target, group(accounts("a1"), large=large), jobs))
    assert caught.value.remedy
    assert sandbox.records(ACCOUNTS) == {}


def test_a_query_is_read_page_by_page_with_exact_numbers(
    org: SalesforceClient, jobs: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "SMALL", 3_000)
    rows = [Row(f"b{i}", ["Balance", Decimal("0.1"), None]) for i in range(2_500)]
    list(org.upsert(BALANCES, group(rows, empty_lookups=EMPTY), jobs))
    batches = list(org.read_back(BALANCES, None))
    assert [len(batch) for batch in batches] == [2_000, 500]
    assert {row.m3ter_id for batch in batches for row in batch} == {row.m3ter_id for row in rows}
    assert {row.values[1] for batch in batches for row in batch} == {Decimal("0.1")}


def test_a_wrong_query_is_a_configuration_error(org: SalesforceClient) -> None:
    target = Target("m3ter_Balance__c", "m3ter_Id__c", (Column("Nothing__c"),))
    with pytest.raises(ConfigurationError, match="Nothing__c"):
        list(org.read_back(target, None))


@both_ways
def test_nothing_is_written_past_the_share_of_the_quota(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs, large: bool
) -> None:
    sandbox.inside.usage.max, sandbox.inside.usage.used = 1_000, 850
    org.describe("m3ter_Account__c")
    with pytest.raises(RateLimitError, match="851 of its 1000"):
        list(org.upsert(ACCOUNTS, group(accounts("a1"), large=large), jobs))
    assert sandbox.records(ACCOUNTS) == {}


def test_a_used_up_daily_limit_is_a_rate_limit_error(
    org: SalesforceClient, sandbox: Sandbox, jobs: Jobs
) -> None:
    sandbox.inside.usage.used = sandbox.inside.usage.max
    with pytest.raises(RateLimitError, match="TotalRequests"):
        list(org.upsert(ACCOUNTS, group(accounts("a1")), jobs))
