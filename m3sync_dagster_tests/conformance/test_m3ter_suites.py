import json

import httpx
from m3ter_suites import for_organization
from reduce_description import DESCRIPTION, reduced, served, without_texts

from m3sync_dagster.sandbox.m3ter import Credentials, create_app
from m3sync_dagster.sandbox.organization import Organization
from m3sync_dagster.sandbox.server import running

STORED = json.loads(DESCRIPTION.read_text())


def test_the_stored_description_is_reduced() -> None:
    assert reduced(STORED) == STORED
    assert len(STORED["paths"]) == len(list(served()))


def test_texts_are_removed_but_not_fields_of_the_same_name() -> None:
    schema = {"description": "A text.", "properties": {"description": {"type": "string"}}}
    assert without_texts(schema) == {"properties": {"description": {"type": "string"}}}
    response = {"description": "A text.", "content": {}, "x-own": 1}
    assert without_texts(response) == {"description": "", "content": {}}


def test_the_sandbox_serves_each_path_of_the_description() -> None:
    organization, credentials = Organization.sample(), Credentials()
    app = create_app(organization, credentials, requests_per_second=None, lenient=True)
    with running(app) as url, httpx.Client(base_url=url) as client:
        for path, methods in STORED["paths"].items():
            filled = path.format(orgId=credentials.organization_id, id="x", balanceId="x")
            if "get" in methods:
                assert client.get(filled).status_code == 200, path


def test_the_organization_is_fixed_and_responses_may_have_null_fields() -> None:
    description = for_organization(json.loads(DESCRIPTION.read_text()), "O")
    accounts = description["paths"]["/organizations/O/accounts"]["get"]
    assert "orgId" not in {one["name"] for one in accounts["parameters"]}
    schemas = description["components"]["schemas"]
    assert schemas["BillResponse"]["properties"]["dtApproved"]["nullable"] is True
    assert schemas["AccountRequest"] == STORED["components"]["schemas"]["AccountRequest"]
