"""Every object of a run is validated before the first row is written, with few describes."""

from dataclasses import dataclass, field, replace

import pytest

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync.entity_options import EntityOptions, build_mapping
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.preflight_schema import Preflight
from m3sync_dagster.sync.salesforce_schema import SalesforceObject
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

    def custom_fields(self, _object_name: str) -> frozenset[str] | None:
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
    assert org.calls == [ACCOUNT, CONTRACT, f"refresh {CONTRACT}"]
