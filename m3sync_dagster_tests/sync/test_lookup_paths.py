"""Lookups that name their parent's external ID field."""

import pytest

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync.entity_options import EntityOptions, build_mapping
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.lookup_paths import split_paths

BALANCE = ENTITIES["balance"]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("p__Account__r.p__Key__c", "p__Account__c"),
        ("Account.Key__c", "AccountId"),
    ],
)
def test_a_path_is_split_into_the_lookup_and_its_parents_key(path: str, field: str) -> None:
    key = path.split(".")[1]
    fields = {"code": "Code__c", "accountId": path, "name": None}
    assert split_paths(BALANCE, fields) == (fields | {"accountId": field}, {"account": key})


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("code", "Account__r.Code__c"),
        ("accountId", "Account__r."),
        ("accountId", ".Key__c"),
        ("accountId", "Account__r.Parent__r.Key__c"),
        ("nobody_knows", "Account__r.Key__c"),
    ],
)
def test_a_path_elsewhere_is_refused(source: str, path: str) -> None:
    with pytest.raises(
        ConfigurationError, match=f"balance field {source} cannot be mapped to"
    ) as caught:
        split_paths(BALANCE, {source: path})
    assert caught.value.where == ("entities", "balance", "fields", source)


def test_a_path_needs_no_other_option_of_the_parent() -> None:
    options = {"balance": EntityOptions(fields={"accountId": "p__Account__r.p__Key__c"})}
    built = build_mapping(BALANCE, options, "q__")
    assert "p__Account__c" in built.columns
    assert built.parent_external_ids["account"] == "p__Key__c"
    assert "account" not in built.parent_objects
    assert built.parent_external_ids["contract"] == "q__m3ter_Id__c"
