"""Every object of a run is validated before the first row is written, with few describes."""

from dataclasses import dataclass, field, replace

import pytest

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync.account_link_types import AccountLink, LinkBy
from m3sync_dagster.sync.entity_options import EntityOptions, build_mapping
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.preflight_schema import Preflight
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject
from m3sync_dagster.sync.schema_findings import SchemaMismatchError
from m3sync_dagster_tests.sync.fitting_object import fitting

ENTITY_OPTIONS = {"account": EntityOptions(), "contract": EntityOptions()}
MAPPINGS = {name: build_mapping(ENTITIES[name], ENTITY_OPTIONS, "") for name in ENTITY_OPTIONS}
ACCOUNT, CONTRACT = (MAPPINGS[name].object_name for name in ("account", "contract"))


def without_code(described: SalesforceObject) -> SalesforceObject:
    fields = {name: one for name, one in described.fields.items() if name != "Code__c"}
    return replace(described, fields=fields)


@dataclass
class Org:
    """An org whose present, cached and freshly read describes may differ."""

    present: dict[str, SalesforceObject]
    describes: dict[str, SalesforceObject] = field(default_factory=dict)
    refreshed: dict[str, SalesforceObject] = field(default_factory=dict)
    custom: frozenset[str] | None = None
    calls: list[str] = field(default_factory=list)

    def describe(self, object_name: str, *, refresh: bool = False) -> SalesforceObject:
        self.calls.append(f"refresh {object_name}" if refresh else object_name)
        if object_name not in self.present:
            raise ConfigurationError(f"there is no object {object_name}", "Create it.")
        return (self.refreshed if refresh else {}).get(object_name, self.present[object_name])

    def cached(self, object_name: str) -> SalesforceObject | None:
        return self.describes.get(object_name)

    def custom_fields(self, object_name: str) -> frozenset[str] | None:
        self.calls.append(f"fields of {object_name}")
        return self.custom


GOOD = {mapping.object_name: fitting(mapping) for mapping in MAPPINGS.values()}
BAD = {name: without_code(described) for name, described in GOOD.items()}


@pytest.mark.parametrize(
    ("cached", "first", "second"),
    [
        ({}, [ACCOUNT, CONTRACT], [CONTRACT]),
        (GOOD, [ACCOUNT], [CONTRACT]),
        (BAD, [ACCOUNT, CONTRACT], [CONTRACT]),
        ({CONTRACT: GOOD[CONTRACT]}, [ACCOUNT], [CONTRACT]),
    ],
)
def test_describes_of_a_run(
    cached: dict[str, SalesforceObject], first: list[str], second: list[str]
) -> None:
    org = Org(GOOD, cached)
    preflight = Preflight(MAPPINGS, org)
    assert preflight.require("account") == []
    assert org.calls == first
    org.calls.clear()
    preflight.require("contract")
    assert org.calls == second


@pytest.mark.parametrize(
    ("present", "custom", "entities", "words"),
    [
        (GOOD | {CONTRACT: BAD[CONTRACT]}, None, ["contract"], "field-level security"),
        (GOOD | {CONTRACT: BAD[CONTRACT]}, frozenset[str](), ["contract"], "has no field Code__c"),
        (GOOD | {CONTRACT: BAD[CONTRACT]}, frozenset({"Code__c"}), ["contract"], "hides Code__c"),
        (BAD, None, ["account", "contract"], "does not fit the mapping in 2 ways"),
        ({ACCOUNT: GOOD[ACCOUNT]}, None, ["contract"], f"there is no object {CONTRACT}"),
    ],
)
def test_findings_of_any_entity_stop_the_run(
    present: dict[str, SalesforceObject],
    custom: frozenset[str] | None,
    entities: list[str],
    words: str,
) -> None:
    with pytest.raises(SchemaMismatchError) as caught:
        Preflight(MAPPINGS, Org(present, custom=custom)).require("account")
    assert [finding.entity for finding in caught.value.findings] == entities
    assert {finding.where for finding in caught.value.findings} == {
        ("entities", entity) for entity in entities
    }
    assert words in caught.value.cause


def test_a_correction_that_the_describe_does_not_show_yet_is_found() -> None:
    org = Org(BAD, refreshed=GOOD)
    assert Preflight(MAPPINGS, org).require("account") == []
    assert org.calls == [ACCOUNT, f"refresh {ACCOUNT}", CONTRACT, f"refresh {CONTRACT}"]


def test_a_failed_preflight_checks_every_entity_again() -> None:
    org = Org(GOOD | {CONTRACT: BAD[CONTRACT]})
    preflight = Preflight(MAPPINGS, org)
    with pytest.raises(SchemaMismatchError):
        preflight.require("account")
    org.present = GOOD
    org.calls.clear()
    preflight.require("account")
    assert org.calls == [ACCOUNT, CONTRACT]


def test_a_check_describes_every_object_and_returns_all_findings() -> None:
    org = Org(GOOD | {CONTRACT: BAD[CONTRACT]}, GOOD)
    found = Preflight(MAPPINGS, org).check_all()
    assert {name: len(findings) for name, findings in found.items()} == {
        "account": 0,
        "contract": 1,
    }
    calls = [ACCOUNT, CONTRACT, f"refresh {CONTRACT}", f"fields of {CONTRACT}"]
    assert org.calls == calls


def test_custom_fields_are_listed_only_if_one_is_missing() -> None:
    mapping = MAPPINGS["account"]
    names = [mapping.external_id_field, *mapping.columns]
    fields = {name: GOOD[ACCOUNT].fields[name] for name in names}
    described = replace(GOOD[ACCOUNT], fields=fields, updateable=False)
    org = Org({ACCOUNT: described})
    with pytest.raises(SchemaMismatchError):
        Preflight({"account": mapping}, org).require("account")
    assert org.calls == [ACCOUNT, f"refresh {ACCOUNT}"]


NUMBER = SalesforceField("AccountNumber", "string", length=40)
CRM = SalesforceObject("Account", "Account", {NUMBER.name: NUMBER})
HIDDEN = replace(CRM, fields={})


@pytest.mark.parametrize(
    ("cached", "required", "checked"),
    [
        ({}, ["Account"], ["Account"]),
        ({"Account": CRM}, [], ["Account"]),
        ({"Account": HIDDEN}, ["refresh Account"], ["Account"]),
    ],
)
def test_the_object_of_a_link_is_described_if_the_cached_describe_does_not_fit(
    cached: dict[str, SalesforceObject], required: list[str], checked: list[str]
) -> None:
    link = AccountLink("Crm__c", by=LinkBy.CODE, name=NUMBER.name)
    mapping = build_mapping(ENTITIES["account"], {"account": EntityOptions(link=link)}, "")
    lookup = SalesforceField("Crm__c", "reference", refers_to=("Account",))
    ours = replace(GOOD[ACCOUNT], fields=GOOD[ACCOUNT].fields | {"Crm__c": lookup})
    org = Org({ACCOUNT: ours, "Account": CRM}, cached)
    preflight = Preflight({"account": mapping}, org)
    assert preflight.require("account") == []
    assert org.calls == [ACCOUNT, *required]
    org.calls.clear()
    assert preflight.check_all() == {"account": []}
    assert org.calls == [ACCOUNT, *checked]

    org.present = {ACCOUNT: ours, "Account": HIDDEN}
    with pytest.raises(SchemaMismatchError, match="has no field AccountNumber"):
        Preflight({"account": mapping}, replace(org, describes={})).require("account")
