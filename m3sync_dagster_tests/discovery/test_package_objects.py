"""Which package and which object is meant."""

from typing import Any

import pytest

from m3sync_dagster.discovery.mapping_proposal import propose
from m3sync_dagster.discovery.package_objects import KnownObject, Package, find_package
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject

OURS = "m3ter Connector"


@pytest.mark.parametrize(
    ("namespace", "packages", "objects", "expected"),
    [
        ("m3ter_connector", None, ["m3x__A__c"], "m3x"),
        ("m3ter_connector", [], ["m3x__A__c"], "m3x"),
        ("m3ter_connector", [("m3x", OURS)], ["m3x__A__c", "y__A__c"], "m3x"),
        ("m3ter_connector", [("a", OURS), ("b", f"{OURS} (Testing)")], ["a__A__c", "b__A__c"], "a"),
        ("m3ter_connector_testing", [("a", OURS), ("b", "M3 TEST")], ["a__A__c", "b__A__c"], "b"),
        ("m3ter_connector_testing", [("a", OURS)], ["a__A__c"], "a"),
        ("m3ter_connector", [("b", f"{OURS} (Testing)")], ["b__A__c"], None),
        ("m3ter_connector", None, ["a__A__c", "b__A__c"], None),
        ("m3ter_connector", [("a", OURS)], ["A__c", "a__A__mdt"], None),
    ],
)
def test_the_package(
    namespace: str, packages: list[Any] | None, objects: list[str], expected: str | None
) -> None:
    installed = None if packages is None else [Package(name, space) for space, name in packages]
    known = [KnownObject(name, "m3 Account") for name in objects]
    if expected is None:
        with pytest.raises(ConfigurationError):
            find_package(namespace, installed, known)
    else:
        assert find_package(namespace, installed, known).namespace == expected


LOOKUP = SalesforceField("ParentId", "reference", refers_to=("Account",))


@pytest.mark.parametrize(
    ("named", "objects", "found"),
    [
        ("Account", ["Account"], "Account"),
        ("account", ["Account"], "Account"),
        ("Acount", ["Account"], None),
        (None, ["m3ter_Account__c", "Account"], "m3ter_Account__c"),
        (None, ["p__Account__c", "Account"], None),
    ],
)
def test_an_object_of_no_package(named: str | None, objects: list[str], found: str | None) -> None:
    known = [KnownObject(name, name) for name in objects]
    own = {"account": EntityOptions(object=named)}

    def describe(name: str) -> SalesforceObject:
        spelled = next(one for one in objects if one.casefold() == name.casefold())
        return SalesforceObject(spelled, spelled, {LOOKUP.name: LOOKUP})

    proposed = propose(own, "", known, describe)["account"]
    assert proposed.object == found
    if named == "Account":
        assert proposed.fields == {"parentAccountId": "ParentId"}
    if named == "Acount":
        assert proposed.remarks == {"object": "this user sees no object Acount in the org"}
