"""Each sandbox org has its own Ids, returns them, and can be refreshed."""

import httpx
import pytest

from m3sync_dagster.sandbox.json_types import Json
from m3sync_dagster.sandbox.salesforce import Credentials, OrgAndUser, create_app
from m3sync_dagster.sandbox.server import running
from m3sync_dagster_tests.sandbox.salesforce.plain_client import ACCOUNT, KEY, Client


def user_info(client: Client) -> Json:
    answer = client.http.get("/services/oauth2/userinfo")
    assert answer.status_code == 200, answer.text
    return answer.json()


def organization(client: Client) -> Json:
    soql = "SELECT Id, Name, IsSandbox, InstanceName, NamespacePrefix FROM Organization LIMIT 1"
    return client.query(soql)["records"][0]


def test_two_sandboxes_have_different_organization_and_user_ids() -> None:
    one, other = create_app().state.org.identity, create_app().state.org.identity
    assert one.organization_id != other.organization_id
    assert one.user_id != other.user_id
    assert (one.organization_id[:3], one.user_id[:3]) == ("00D", "005")
    assert (len(one.organization_id), len(one.user_id)) == (18, 18)


def test_the_identity_can_be_given() -> None:
    named = OrgAndUser("00D000000000001EAA", "005000000000001AAA", name="Acme", is_sandbox=False)
    with running(create_app(identity=named)) as url, httpx.Client(base_url=url) as http:
        client = Client(http)
        found = organization(client)
        assert user_info(client)["user_id"] == "005000000000001AAA"
    assert (found["Id"], found["Name"], found["IsSandbox"]) == (
        named.organization_id,
        "Acme",
        False,
    )


def test_user_info_and_setup_objects_agree(own_client: Client) -> None:
    info, row = user_info(own_client), organization(own_client)
    condition = f"Id = '{info['user_id']}'"
    users = own_client.query(f"SELECT Username, IsActive FROM User WHERE {condition}")["records"]  # noqa: S608
    assert info["organization_id"] == row["Id"]
    assert users[0]["Username"] == info["preferred_username"]
    assert own_client.query("SELECT count() FROM Organization")["totalSize"] == 1
    refused = own_client.get("/query", q="SELECT Nothing FROM Organization")
    assert refused.json()[0]["errorCode"] == "INVALID_FIELD"


def test_user_info_needs_a_valid_session(own_client: Client) -> None:
    own_client.http.headers["Authorization"] = "Bearer invalid"
    assert own_client.http.get("/services/oauth2/userinfo").status_code == 403


def test_a_token_is_introspected(own_client: Client) -> None:
    credentials = (Credentials().client_id, Credentials().client_secret)
    token = own_client.http.headers["Authorization"].removeprefix("Bearer ")

    def introspect(token: str, secret: str = credentials[1]) -> httpx.Response:
        form = {"token": token, "client_id": credentials[0], "client_secret": secret}
        return own_client.http.post("/services/oauth2/introspect", data=form)

    assert introspect(token).json()["active"] is True
    assert introspect("unknown").json() == {"active": False}
    assert introspect(token, "wrong").status_code == 401


def test_the_identity_url(own_client: Client) -> None:
    address = own_client.get("").json()["identity"]
    identity, info = own_client.http.get(address).json(), user_info(own_client)
    assert identity["id"] == address
    assert (identity["user_id"], identity["organization_id"]) == (
        info["user_id"],
        info["organization_id"],
    )
    assert identity["urls"]["rest"].endswith("/services/data/v{version}/")
    assert own_client.http.get(f"{address}x").status_code == 404
    own_client.http.headers["Authorization"] = "Bearer invalid"
    assert own_client.http.get(address).status_code == 403


def test_the_user_and_the_organization_are_records(own_client: Client) -> None:
    info = user_info(own_client)
    user = own_client.get(f"/sobjects/User/{info['user_id']}").json()
    org = own_client.get(f"/sobjects/Organization/{info['organization_id']}").json()
    assert user["Username"] == info["preferred_username"]
    assert org["Id"] == info["organization_id"]
    assert own_client.get("/sobjects/User/005000000000001AAA").status_code == 404


def test_a_refreshed_sandbox_has_a_new_organization_id(own_client: Client) -> None:
    own_client.upsert([{KEY: "a1", "Name": "A"}])
    job = own_client.start(f"{KEY},Name\na2,B\n")
    before = user_info(own_client)
    assert own_client.http.post("/sandbox/setup", json={"refresh": True}).status_code == 204
    assert own_client.http.get("/services/oauth2/userinfo").status_code == 403
    own_client.login()
    after = user_info(own_client)
    assert after["organization_id"] != before["organization_id"]
    assert after["user_id"] == before["user_id"]
    assert own_client.records() == {}
    assert own_client.get(f"/jobs/ingest/{job}").status_code == 404


@pytest.mark.parametrize("kind", ["ingest", "query"])
def test_an_admin_aborts_a_job(own_client: Client, kind: str) -> None:
    if kind == "ingest":
        job = own_client.new_job()
    else:
        body = {"operation": "query", "query": f"SELECT Id FROM {ACCOUNT}"}  # noqa: S608
        job = own_client.send("POST", "/jobs/query", body).json()["id"]
    assert own_client.http.post("/sandbox/setup", json={"abort": [job]}).status_code == 204
    assert own_client.get(f"/jobs/{kind}/{job}").json()["state"] == "Aborted"
    again = own_client.http.post("/sandbox/setup", json={"abort": ["750unknown"]})
    assert again.status_code == 404


def test_a_job_has_its_user_and_operation(own_client: Client) -> None:
    own_client.new_job()
    listed = own_client.get("/jobs/ingest").json()["records"][0]
    assert listed["createdById"] == user_info(own_client)["user_id"]
    assert (listed["operation"], listed["contentType"]) == ("upsert", "CSV")
