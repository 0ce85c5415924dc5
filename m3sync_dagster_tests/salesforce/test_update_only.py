"""Rows that only update, and values that are kept: how each is sent to the sandbox."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from m3sync_dagster.salesforce import SalesforceClient
from m3sync_dagster.salesforce.bulk_job_poller import JobInfo
from m3sync_dagster.salesforce.lost_ingest_jobs import UPDATE
from m3sync_dagster.sync.reconcile_types import ReadRow
from m3sync_dagster.sync.row_results import Acknowledged, Rejected
from m3sync_dagster.sync.row_types import Row, UnfinishedJob
from m3sync_dagster_tests.salesforce.conftest import (
    ACCOUNTS,
    BALANCES,
    Jobs,
    Sandbox,
    accounts,
    outcome,
    send_all,
)

UPDATES = replace(ACCOUNTS, update_only=True)
BOTH_WAYS = pytest.mark.parametrize("large", [False, True], ids=["collections", "ingest job"])


def ids_of(org: SalesforceClient, *keys: str) -> dict[str, str]:
    results = outcome(send_all(org, ACCOUNTS, accounts(*keys), Jobs()))
    return {key: one.salesforce_id for key, one in results.items() if isinstance(one, Acknowledged)}


@BOTH_WAYS
def test_an_update_changes_records_and_creates_none(
    sandbox: Sandbox, org: SalesforceClient, *, large: bool
) -> None:
    ids = ids_of(org, "a", "b")
    table = sandbox.inside.table(ACCOUNTS.object)
    sandbox.inside.delete(table, table.number_of(ids["b"]) or 0)
    rows = [Row(key, [f"New {key}", None], salesforce_id=ids[key]) for key in ids]
    found = outcome(send_all(org, UPDATES, rows, Jobs(), large=large))
    assert found["a"] == Acknowledged("a", ids["a"], created=False)
    assert isinstance(found["b"], Rejected)
    assert found["b"].code == "ENTITY_IS_DELETED"
    held = sandbox.records(ACCOUNTS)
    assert held.keys() == {"a"}
    assert (held["a"]["Name"], held["a"]["Code__c"]) == ("New a", None)


@BOTH_WAYS
@pytest.mark.parametrize("update_only", [False, True], ids=["upsert", "update"])
def test_a_kept_value_is_not_written(
    sandbox: Sandbox, org: SalesforceClient, *, large: bool, update_only: bool
) -> None:
    ids = ids_of(org, "a", "b")
    rows = [
        Row("a", ["New a", "new"], salesforce_id=ids["a"], kept=frozenset({1})),
        Row("b", ["New b", "new"], salesforce_id=ids["b"]),
    ]
    if not update_only:
        rows = [replace(row, salesforce_id=None) for row in rows]
    target = UPDATES if update_only else ACCOUNTS
    outcome(send_all(org, target, rows, Jobs(), large=large))
    held = sandbox.records(ACCOUNTS)
    assert (held["a"]["Name"], held["a"]["Code__c"]) == ("New a", "code-a")
    assert (held["b"]["Name"], held["b"]["Code__c"]) == ("New b", "new")


def test_records_are_read_by_id_2000_at_a_time(org: SalesforceClient) -> None:
    ids = ids_of(org, *(f"k{number}" for number in range(2_001)))
    before = org.calls
    given = [*ids.values(), f"{ids['k0'][:-6]}zzzzzz"]
    rows = [row for batch in org.retrieve(ACCOUNTS, given) for row in batch]
    assert org.calls == before + 2
    assert {row.m3ter_id: row.salesforce_id for row in rows} == ids
    assert ReadRow("k7", ids["k7"], ["Account k7", "code-k7"]) in rows


def test_the_results_of_an_update_are_read_by_the_next_run(org: SalesforceClient) -> None:
    jobs = Jobs()
    ids = ids_of(org, "a")
    rows = [Row("a", ["New a", "new"], salesforce_id=ids["a"])]
    outcome(send_all(org, UPDATES, rows, jobs, large=True))
    job_id = jobs.events[0][1]
    assert org.transport.fetch("GET", f"/jobs/ingest/{job_id}", JobInfo).operation == UPDATE
    left = UnfinishedJob(job_id, ACCOUNTS.object, datetime.now(UTC), ACCOUNTS.external_id_field)
    found = outcome(org.resume(left, jobs))
    assert found == {"a": Acknowledged("a", ids["a"], created=False)}
    unknown = replace(left, external_id_field=None)
    assert outcome(org.resume(unknown, jobs)) == {}
    assert jobs.states[-1] == "JobComplete"


def test_an_update_keeps_lookups_and_numbers(sandbox: Sandbox, org: SalesforceClient) -> None:
    ids_of(org, "p")
    rows = [Row("x", ["Balance", 1, "p"])]
    found = outcome(send_all(org, BALANCES, rows, Jobs()))
    (made,) = found.values()
    assert isinstance(made, Acknowledged)
    again = [Row("x", ["Other", 2, None], salesforce_id=made.salesforce_id)]
    outcome(send_all(org, replace(BALANCES, update_only=True), again, Jobs()))
    (held,) = sandbox.records(BALANCES).values()
    assert (held["Name"], held["Amount__c"], held["m3ter_Account__c"]) == ("Other", 2, None)
