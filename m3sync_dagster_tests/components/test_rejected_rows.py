"""Runs in which Salesforce rejects a row: the event and its remedy."""

import dagster as dg
import pytest

from m3sync_dagster.salesforce import look_up_code
from m3sync_dagster.state import connect, list_events, list_rejects, postgres_url
from m3sync_dagster.sync.row_results import ErrorClass
from m3sync_dagster_tests.conftest import Sandbox, sync
from m3sync_dagster_tests.salesforce.test_error_codes import CODES, NEXT, STATUS, TABLE, message

SLOW = {ErrorClass.TRANSIENT, ErrorClass.COLLATERAL}
"""Classes whose rows are sent again after some seconds, and then count as rejected."""


@pytest.mark.parametrize("kind", [*(kind for kind in CODES if kind not in SLOW), "dependency"])
def test_the_event_of_each_class_of_row(environment: Sandbox, kind: ErrorClass) -> None:
    then = NEXT[kind]
    code = next(code for code, of in TABLE if of is ErrorClass(kind))
    # A row that no other points to, so that none waits for it.
    organization = environment.organization
    ids = organization.ids("accounts")
    parents = {organization.get("accounts", key).get("parentAccountId") for key in ids}
    bad = next(key for key in ids if key not in parents)
    rows = {"external_ids": [bad], "code": code, "message": message(code, ErrorClass(kind))}
    fault = {"rows": rows, "times": None}
    environment.salesforce.post("/sandbox/faults", json=fault).raise_for_status()
    with dg.DagsterInstance.ephemeral() as instance:
        result = sync(instance, "account")
    assert result.success is not then.row_stops
    with connect(postgres_url()) as connection:
        (event,) = list_events(connection)
        (reject,) = list_rejects(connection)
    assert event.name == (STATUS[then.stops][1] if then.row_stops else then.event)
    assert event.remedy
    assert (reject.m3ter_id, reject.error_class, reject.code) == (bad, kind, code)
    assert look_up_code(reject.code, reject.message).remedy
    assert len(environment.records("m3ter_Account__c")) == len(ids) - 1
