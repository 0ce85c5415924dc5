"""The Organization record is read with one call."""

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from m3sync_dagster.salesforce import ConnectedApp, SalesforceClient
from m3sync_dagster.sandbox.server import running
from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster.sync.salesforce_schema import Organization, OrgIdentity
from m3sync_dagster_tests.independent_org.org import Org
from m3sync_dagster_tests.salesforce.conftest import Sandbox, Scripted


def test_the_organization_is_that_of_the_login(org: SalesforceClient, sandbox: Sandbox) -> None:
    found = org.organization()
    assert found == Organization(org.identity().organization_id, "m3sync sandbox", True, "SBX1")
    assert found.id == sandbox.inside.identity.organization_id[:15]
    assert org.calls == 2


@pytest.mark.parametrize("names_itself", [True, False])
def test_the_org_id_with_and_without_an_identity_url(names_itself: bool) -> None:
    independent = Org()
    independent.names_itself = names_itself
    with running(independent.app()) as url:
        org = SalesforceClient(ConnectedApp(url, "id", "secret"))
        found, identity = org.organization(), org.identity()
        org.close()
    assert found == Organization("00D5e00000Terse", "Terse", False, "EU45")
    expected = OrgIdentity("00D5e00000Terse", "0055e00000Terse")
    host = OrgIdentity(f"host:{url.removeprefix('http://')}", None)
    assert identity == (expected if names_itself else host)


def test_an_org_that_hides_its_organization_is_an_error(scripted: Scripted) -> None:
    def answer(_request: Request, _body: bytes) -> Response:
        return JSONResponse({"totalSize": 0, "done": True, "records": []})

    org, _ = scripted(answer)
    with pytest.raises(RemoteError, match="Organization record is hidden"):
        org.organization()
