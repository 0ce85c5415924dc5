"""The destination contract, run against the sandbox and against the independent org."""

from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from m3sync_dagster.sandbox.salesforce import Credentials, create_app
from m3sync_dagster.sandbox.server import running
from m3sync_dagster_tests.conftest import PATIENCE
from m3sync_dagster_tests.independent_org.org import Org
from m3sync_dagster_tests.salesforce import destination_contract as contract
from m3sync_dagster_tests.salesforce import destination_contract_jobs as jobs_contract
from m3sync_dagster_tests.salesforce.destination_contract import Server, client

__all__ = ["client"]

OBJECTS = """\
m3ter_Account__c m3ter Account
  Name string(80) m3ter Account Name
  m3ter_Id__c key m3ter Id
  Code__c string(255) Code
m3ter_Balance__c m3ter Balance
  Name string(80) m3ter Balance Name
  m3ter_Id__c key m3ter Id
  Amount__c double(12,6) Amount
  m3ter_Account__c reference(m3ter_Account__c) m3ter Account
"""
NOT_SUPPORTED = {
    "test_a_wrong_secret_is_400_with_an_error_code": "every client id and secret is accepted",
    "test_the_supported_api_versions_are_listed": "any API version is accepted",
    "test_an_unchanged_describe_is_304": "a describe has no Last-Modified header",
    "test_a_repeated_external_id_rejects_its_rows": "rows of a call are written one by one",
    "test_an_unknown_field_is_an_error_of_the_call": "an unknown field is an error of the row",
    "test_a_value_that_cannot_be_parsed_is_an_error_of_the_call": "it is an error of the row",
    "test_a_deleted_record_cannot_be_deleted_again": "records cannot be deleted",
    "test_a_failed_job_lists_its_unprocessed_records": "a header row is not validated",
    "test_a_failed_job_keeps_what_it_has_written": "a job cannot be made to fail",
    "test_an_aborted_job_accepts_no_data": "the state of a job is not checked",
    "test_an_unknown_field_in_a_query_is_400": "queries are not validated",
    "test_a_query_is_read_in_pages_of_2000": "a query has one page; m3sync uses a query job then",
    "test_past_the_limit_a_request_is_403": "API calls are not counted",
}
"""The behaviors that the independent org does not have, each with what it does instead."""


@contextmanager
def sandbox() -> Iterator[Server]:
    fakes = Credentials()

    def fault(rule: dict[str, object]) -> None:
        assert http.post("/sandbox/faults", json=rule).status_code == 204

    with running(create_app()) as url, httpx.Client(base_url=url, timeout=PATIENCE) as http:
        yield Server(
            http,
            (fakes.client_id, fakes.client_secret),
            lambda rows: fault({"job": {"fail_after": rows, "message": "InternalError : failed"}}),
            lambda: fault({"budget": {"max": 1_000, "used": 1_000}}),
        )


@contextmanager
def independent_org() -> Iterator[Server]:
    org = Org()
    org.limit_info = True
    org.install(OBJECTS)
    with running(org.app()) as url, httpx.Client(base_url=url, timeout=PATIENCE) as http:
        yield Server(http, ("client-id", "client-secret"))


SERVERS = {"sandbox": sandbox, "independent_org": independent_org}


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    reason = NOT_SUPPORTED.get(request.function.__name__)
    if reason and request.param == "independent_org":
        request.applymarker(pytest.mark.xfail(reason=reason, strict=True))
    with SERVERS[request.param]() as found:
        yield found


class TestLogin(contract.Login):
    pass


class TestDescribe(contract.Describe):
    pass


class TestCollections(contract.Collections):
    pass


class TestCollectionsById(contract.CollectionsById):
    pass


class TestIngestJobs(jobs_contract.IngestJobs):
    pass


class TestQueries(jobs_contract.Queries):
    pass


class TestDailyLimits(contract.DailyLimits):
    pass


def test_every_unsupported_behavior_is_one_of_the_contract() -> None:
    suites = [*vars(contract).values(), *vars(jobs_contract).values()]
    tests = {name for suite in suites if isinstance(suite, type) for name in vars(suite)}
    assert NOT_SUPPORTED.keys() <= tests
