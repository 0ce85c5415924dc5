"""Describes are read even if they lack properties."""

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from m3sync_dagster.discovery.package_objects import Package
from m3sync_dagster.salesforce import ConnectedApp, SalesforceClient
from m3sync_dagster.salesforce.describe import FieldDescribeJson, parse_field, parse_object
from m3sync_dagster.sync.salesforce_schema import SalesforceField
from m3sync_dagster_tests.salesforce.conftest import Sandbox, Scripted


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"name": "Name"}, SalesforceField("Name", "string")),
        (
            {
                "name": "m3ter_Id__c",
                "type": "string",
                "length": 64,
                "externalId": True,
                "unique": True,
                "caseSensitive": True,
                "nillable": None,
                "picklistValues": None,
                "referenceTo": None,
            },
            SalesforceField(
                "m3ter_Id__c",
                "string",
                length=64,
                external_id=True,
                unique=True,
                case_sensitive=True,
            ),
        ),
        (
            {
                "name": "A__c",
                "type": "reference",
                "referenceTo": ["P__c"],
                "relationshipName": "X__r",
            },
            SalesforceField("A__c", "reference", refers_to=("P__c",), relationship="X__r"),
        ),
        (
            {"name": "ns__A__c", "type": "reference", "relationshipName": None},
            SalesforceField("ns__A__c", "reference", relationship="ns__A__r"),
        ),
        ({"name": "OddId", "type": "reference"}, SalesforceField("OddId", "reference")),
        (
            {
                "name": "P__c",
                "type": "picklist",
                "restrictedPicklist": True,
                "defaultedOnCreate": True,
                "createable": False,
                "updateable": False,
                "picklistValues": [
                    {"value": "a", "active": True},
                    {"value": "b", "active": False},
                    {"value": "c"},
                    {"label": "no value"},
                ],
            },
            SalesforceField(
                "P__c",
                "picklist",
                createable=False,
                updateable=False,
                picklist=("a", "c"),
                restricted=True,
                defaulted=True,
            ),
        ),
        (
            {"name": "N__c", "type": "double", "precision": 18, "scale": 2, "future": [1]},
            SalesforceField("N__c", "double", precision=18, scale=2),
        ),
    ],
)
def test_a_field_is_read(answer: FieldDescribeJson, expected: SalesforceField) -> None:
    assert parse_field(answer) == expected


def test_an_object_is_read_even_without_its_own_name() -> None:
    found = parse_object("Thing__c", {"fields": [{"name": "Name"}, {"label": "nameless"}]})
    assert (found.name, found.label, list(found.fields)) == ("Thing__c", "Thing__c", ["Name"])
    assert parse_object("Thing__c", {}).fields == {}


class Cache:
    """A describe cache in a dictionary."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[bytes, str]] = {}
        self.reads = 0

    def read(self, object_name: str) -> tuple[bytes, str] | None:
        self.reads += 1
        return self.held.get(object_name)

    def write(self, object_name: str, body: bytes, last_modified: str) -> None:
        self.held[object_name] = body, last_modified


def test_an_unchanged_object_is_not_sent_again(sandbox: Sandbox) -> None:
    cache = Cache()
    sizes: list[int] = []
    for _ in range(2):
        org = SalesforceClient(sandbox.credential(), describes=cache)
        assert (org.cached("m3ter_Account__c") is None) == (not sizes)
        found = org.describe("m3ter_Account__c")
        assert org.describe("m3ter_Account__c") is found
        assert org.cached("m3ter_Account__c") is found
        assert org.calls == 2
        sizes.append(len(found.fields))
        org.close()
    assert sizes[0] == sizes[1] > 20
    assert cache.reads == 2
    statuses = [c["status"] for c in sandbox.inside.calls.latest if "describe" in c["path"]]
    assert statuses[-2:] == [200, 304]


def test_a_changed_object_is_read_again_and_any_on_refresh(sandbox: Sandbox) -> None:
    cache = Cache()
    org = SalesforceClient(sandbox.credential(), describes=cache)
    org.describe("m3ter_Account__c")
    sandbox.inside.schema.touch()
    later = SalesforceClient(sandbox.credential(), describes=cache)
    later.describe("m3ter_Account__c")
    later.describe("m3ter_Account__c", refresh=True)
    statuses = [c["status"] for c in sandbox.inside.calls.latest if "describe" in c["path"]]
    assert statuses[-3:] == [200, 200, 200]
    org.close()
    later.close()


def test_the_cache_belongs_to_an_org_and_a_user(sandbox: Sandbox) -> None:
    same, other = sandbox.credential(), ConnectedApp(sandbox.url, "another-app", "s")
    assert same.identity == sandbox.credential("another secret").identity
    assert same.identity != other.identity


@pytest.mark.parametrize(
    ("records", "names"),
    [
        ([("Code", None), ("Hidden", None)], {"Code__c", "Hidden__c"}),
        ([("Code", None), ("Id", "pkg")], {"Code__c", "pkg__Id__c"}),
        # The visible field is missing, so the list is not complete.
        ([("Hidden", None)], None),
        ([], None),
    ],
)
def test_custom_fields_are_known_only_if_they_include_the_visible_ones(
    scripted: Scripted, records: list[tuple[str, str | None]], names: set[str] | None
) -> None:
    found = [{"DeveloperName": name, "NamespacePrefix": prefix} for name, prefix in records]

    def handler(request: Request, _body: bytes) -> Response:
        if "tooling" in request.url.path:
            assert "QualifiedApiName = 'Thing__c'" in request.query_params["q"]
            return JSONResponse({"records": found, "done": True})
        return JSONResponse({"name": "Thing__c", "fields": [{"name": "Id"}, {"name": "Code__c"}]})

    org, _ = scripted(handler)
    assert org.custom_fields("Thing__c") == names


@pytest.mark.parametrize("status", [400, 403, 404])
def test_custom_fields_are_unknown_without_setup_access(scripted: Scripted, status: int) -> None:
    def handler(request: Request, _body: bytes) -> Response:
        if "tooling" in request.url.path:
            body = [{"errorCode": "INVALID_TYPE", "message": "sObject type is not supported"}]
            return JSONResponse(body, status)
        return JSONResponse({"name": "Thing__c", "fields": []})

    org, _ = scripted(handler)
    assert org.custom_fields("Thing__c") is None
    assert org.packages() is None


def test_packages_are_read_page_by_page(scripted: Scripted) -> None:
    def handler(request: Request, _body: bytes) -> Response:
        first = "q" in request.query_params
        name = {"Name": "m3ter Connector", "NamespacePrefix": "m3x"} if first else None
        page: dict[str, object] = {"records": [{"SubscriberPackage": name}], "done": not first}
        if first:
            page["nextRecordsUrl"] = "/services/data/v67.0/tooling/query/01g-2000"
        return JSONResponse(page)

    org, script = scripted(handler)
    assert org.packages() == [Package("m3ter Connector", "m3x")]
    assert len(script.requests) == 2
