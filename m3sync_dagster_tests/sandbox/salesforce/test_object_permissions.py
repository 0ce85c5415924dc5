"""The integration user may do what the org's permission sets allow, and nothing else."""

from collections.abc import Iterator
from xml.etree import ElementTree as ET

import httpx
import pytest

from m3sync_dagster.sandbox.salesforce import create_app
from m3sync_dagster.sandbox.salesforce.dx_source import NAMESPACE
from m3sync_dagster.sandbox.salesforce.object_permissions import grant, withdraw
from m3sync_dagster.sandbox.salesforce.schema import ObjectDef
from m3sync_dagster.sandbox.server import running
from m3sync_dagster_tests.conftest import PATIENCE
from m3sync_dagster_tests.sandbox.salesforce.plain_client import ACCOUNT, KEY, Client
from m3sync_dagster_tests.sandbox.salesforce.test_ingest_endpoints import ids_by_key, run_job

REFUSED = {
    "Create": (
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "entity type cannot be inserted: m3ter Account",
    ),
    "Edit": ("INSUFFICIENT_ACCESS_OR_READONLY", "insufficient access rights on object id"),
}
REFUSED["Delete"] = REFUSED["Edit"]
FLAGS = {"Create": "createable", "Edit": "updateable", "Delete": "deletable"}
Limited = tuple[Client, ObjectDef]


@pytest.fixture
def limited() -> Iterator[Limited]:
    """A client of an org with one record, whose user may then only read the object."""
    app = create_app()
    with running(app) as url, httpx.Client(base_url=url, timeout=PATIENCE) as http:
        client = Client(http)
        client.upsert([{KEY: "old"}])
        account = app.state.org.schema.existing(ACCOUNT)
        withdraw(account)
        grant(account, permissions("Read"))
        yield client, account


def permissions(*rights: str) -> ET.Element:
    made = ET.Element("objectPermissions")
    for right in ("Read", "Create", "Edit", "Delete"):
        ET.SubElement(made, f"{NAMESPACE}allow{right}").text = str(right in rights).lower()
    return made


@pytest.mark.parametrize(("right", "flag"), FLAGS.items())
def test_what_the_describe_says_is_what_happens(limited: Limited, right: str, flag: str) -> None:
    client, account = limited
    describe = f"/sobjects/{ACCOUNT}/describe"
    assert client.get(describe).json()[flag] is False
    assert attempt(client, right) == REFUSED[right]
    grant(account, permissions("Read", right))
    assert client.get(describe).json()[flag] is True
    assert attempt(client, right) is None


def attempt(client: Client, right: str) -> tuple[str, str] | None:
    """The code and the message with which the org refuses; ``None`` if it does not."""
    if right == "Delete":
        answer = client.send("DELETE", f"/sobjects/{ACCOUNT}/{ids_by_key(client)['old']}")
        error = answer.json()[0] if answer.status_code == 403 else None
        return error and (error["errorCode"], error["message"])
    (result,) = client.upsert([{KEY: "new" if right == "Create" else "old", "Name": right}])
    errors = [(one["statusCode"], one["message"]) for one in result["errors"]]
    return errors[0] if errors else None


def test_a_new_grant_takes_nothing_away(limited: Limited) -> None:
    _, account = limited
    grant(account, permissions("Read", "Edit"))
    grant(account, permissions())
    assert (account.visible, account.updateable, account.createable) == (True, True, False)


def test_a_deletion_is_refused_by_every_api(limited: Limited) -> None:
    client, _ = limited
    code, message = REFUSED["Delete"]
    salesforce_id = ids_by_key(client)["old"]
    (several,) = client.send("DELETE", f"/composite/sobjects?ids={salesforce_id}").json()
    assert several["errors"][0]["statusCode"] == code
    by_key = client.send("DELETE", f"/sobjects/{ACCOUNT}/{KEY}/old")
    assert (by_key.status_code, by_key.json()[0]["errorCode"]) == (403, code)
    job = run_job(client, "delete", f"Id\n{salesforce_id}\n")
    (failed,) = client.results(job, "failedResults")
    assert failed["sf__Error"] == f"{code}:{message}:--"
    assert client.records().keys() == {"old"}
