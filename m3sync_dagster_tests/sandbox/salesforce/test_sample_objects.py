"""The objects of the sandbox org besides m3sync's own."""

from typing import Any

import httpx
import pytest

from m3sync_dagster.sandbox.demo_servers import serving
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.organization.store import CRM_ACCOUNT_IDS
from m3sync_dagster_tests.conftest import PATIENCE
from m3sync_dagster_tests.sandbox.salesforce.plain_client import Client


def test_account_and_a_package() -> None:
    with (
        serving(Organization.generate(1)) as sandbox,
        httpx.Client(base_url=sandbox.salesforce_url, timeout=PATIENCE) as http,
    ):
        client = Client(http)
        described = client.get("/sobjects/Account/describe").json()
        assert (described["custom"], described["keyPrefix"]) == (False, "001")
        fields = {field["name"]: field for field in described["fields"]}
        assert_properties(fields["Name"], nillable=False, defaultedOnCreate=False, length=255)
        assert_properties(fields["m3ter_Id__c"], externalId=True, unique=True, caseSensitive=True)
        assert_properties(fields["ParentId"], referenceTo=["Account"], relationshipName="Parent")
        assert client.error({}, "Account")["statusCode"] == "REQUIRED_FIELD_MISSING"
        package = client.get("/sobjects/m3sandbox__Balance__c/describe").json()
        assert (package["custom"], package["label"]) == (True, "m3 Balance")
        amount = next(f for f in package["fields"] if f["name"] == "m3sandbox__amount__c")
        assert_properties(amount, type="double", precision=18, scale=6)


@pytest.mark.parametrize("mapped", [True, False])
def test_an_org_has_the_accounts_and_the_lookup_of_external_mappings(mapped: bool) -> None:
    organization = Organization.generate(6)
    if mapped:
        organization.add_sample_external_mappings(CRM_ACCOUNT_IDS)
    with (
        serving(organization) as sandbox,
        httpx.Client(base_url=sandbox.salesforce_url, timeout=PATIENCE) as http,
    ):
        described = Client(http).get("/sobjects/m3ter_Account__c/describe").json()
        accounts = http.get("/sandbox/records/Account").json()
    lookups = {one["name"]: one for one in described["fields"] if one["type"] == "reference"}
    assert ("Salesforce_Account__c" in lookups) == mapped
    assert {one["Id"] for one in accounts} == (set(CRM_ACCOUNT_IDS) if mapped else set())
    if mapped:
        lookup = lookups["Salesforce_Account__c"]
        assert_properties(lookup, referenceTo=["Account"], createable=True, updateable=True)


def assert_properties(field: dict[str, Any], **expected: object) -> None:
    assert {name: field[name] for name in expected} == expected
