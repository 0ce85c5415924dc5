"""The options of ``m3sync sandbox``."""

from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from m3sync_dagster.cli import app
from m3sync_dagster.cli.sandbox import access_of, serving
from m3sync_dagster.sandbox.demo_servers import Access

DATA = "/services/data/v67.0"
OBJECT = """<?xml version="1.0"?>
<CustomObject xmlns="http://soap.sforce.com/2006/04/metadata"><label>Order</label></CustomObject>
"""


def project(folder: Path, content: str = OBJECT) -> Path:
    """A Salesforce DX project with one object."""
    path = folder / "force-app/objects/Order__c/Order__c.object-meta.xml"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    return folder


def test_both_servers_accept_the_given_credentials_only() -> None:
    access = access_of("key:one", "app:other", "", None)
    with serving(access=access) as running:
        m3ter, salesforce = (
            f"{running.m3ter_url}/oauth/token",
            f"{running.salesforce_url}/services/oauth2/token",
        )
        grant = {"grant_type": "client_credentials"}
        given = [
            httpx.post(m3ter, data=grant, auth=("key", secret)) for secret in ("one", "two")
        ] + [
            httpx.post(salesforce, data=grant | {"client_id": "app", "client_secret": secret})
            for secret in ("other", "another")
        ]
    assert [answer.status_code for answer in given] == [200, 401, 200, 400]
    assert running.environment["SALESFORCE_CLIENT_ID"] == "app"


@pytest.mark.parametrize(("token", "status"), [("made-up", 200), ("", 401)])
def test_a_token_is_accepted_without_a_login(token: str, status: int) -> None:
    with serving(access=access_of("", "", token, None)) as running:
        url = f"{running.salesforce_url}{DATA}/limits"
        answer = httpx.get(url, headers={"Authorization": "Bearer made-up"})
    assert answer.status_code == status


def test_the_org_has_the_objects_of_the_schema(tmp_path: Path) -> None:
    with serving(access=access_of("", "", "made-up", project(tmp_path))) as running:
        url = f"{running.salesforce_url}{DATA}/sobjects"
        answer = httpx.get(url, headers={"Authorization": "Bearer made-up"}).json()
    names = {one["name"] for one in answer["sobjects"]}
    assert {"Order__c", "Account"} <= names
    assert "m3ter_Account__c" not in names


@pytest.mark.parametrize(("lenient", "status"), [(True, 200), (False, 401)])
def test_a_lenient_sandbox_accepts_made_up_ids_and_tokens(lenient: bool, status: int) -> None:
    with serving(access=Access(lenient=lenient)) as running:
        url = f"{running.m3ter_url}/organizations/My Org ID/accounts/id"
        answer = httpx.get(url, headers={"Authorization": "Bearer made-up"})
    assert answer.status_code == status


def test_a_sandbox_without_a_limit_refuses_no_request() -> None:
    access = Access(requests_per_second=None)
    with serving(access=access) as running, httpx.Client() as client:
        answers = [client.get(f"{running.m3ter_url}/elsewhere") for _ in range(60)]
    assert {answer.status_code for answer in answers} == {401}


@pytest.mark.parametrize("option", ["--m3ter-credentials", "--salesforce-credentials"])
@pytest.mark.parametrize("value", ["no-colon", ":secret", "id:"])
def test_credentials_need_two_parts(option: str, value: str) -> None:
    done = CliRunner().invoke(app, ["sandbox", option, value])
    assert done.exit_code == 2
    assert f"the value of {option} is not an id and a secret" in done.stderr
    assert "Write both, with a colon between them." in done.stderr


@pytest.mark.parametrize("content", ["", "<CustomObject"])
def test_a_schema_that_cannot_be_read(tmp_path: Path, content: str) -> None:
    if content:
        project(tmp_path, content)
    done = CliRunner().invoke(app, ["sandbox", "--schema", str(tmp_path)])
    assert done.exit_code == 2
    assert "the sandbox cannot read the objects in" in done.stderr
    assert "Give the folder of a Salesforce DX project" in " ".join(done.stderr.split())
