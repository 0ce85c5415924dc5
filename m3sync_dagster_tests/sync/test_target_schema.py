"""Rows are validated with the cached describe until the object must be described again."""

from dataclasses import replace

import pytest

from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject
from m3sync_dagster.sync.target_schema import TargetSchema
from m3sync_dagster_tests.sync.conftest import Org, mapping

MAPPING = mapping()


def described_org() -> Org:
    org = Org()
    org.describe(MAPPING.object_name)
    return org


def test_without_a_cached_describe_the_object_is_described_once() -> None:
    org = Org()
    schema = TargetSchema(MAPPING, org)
    assert (org.calls, schema.current) == (0, False)
    assert schema.target.object == MAPPING.object_name
    schema.validator()
    schema.require_current()
    assert (org.calls, schema.current) == (1, True)


def test_a_cached_describe_is_used_until_the_current_one_is_required() -> None:
    org = described_org()
    schema = TargetSchema(MAPPING, org)
    schema.validator()
    assert (org.calls, schema.current) == (1, False)
    schema.require_current()
    schema.require_current()
    assert (org.calls, schema.current) == (2, True)


def test_a_cached_describe_that_does_not_fit_is_ignored() -> None:
    org = Org()
    org.described = SalesforceObject(MAPPING.object_name, "Account", {})
    assert TargetSchema(MAPPING, org).validator()
    assert org.calls == 1


def test_preflight_is_called_before_the_describe_and_can_stop_it() -> None:
    org = Org()

    def stop() -> None:
        raise ConfigurationError("a cause", "A remedy.")

    schema = TargetSchema(MAPPING, org, stop)
    with pytest.raises(ConfigurationError):
        schema.require_current()
    assert (org.calls, schema.current) == (0, False)


@pytest.mark.parametrize(
    ("name", "changes", "is_changed"),
    [
        ("Code__c", {"length": 9}, True),
        ("Code__c", {"nillable": False, "defaulted": False}, True),
        ("Unmapped__c", {"length": 9}, False),
    ],
)
def test_the_seed_of_digests_follows_the_mapped_fields(
    name: str,
    changes: dict[str, int | bool],
    is_changed: bool,
) -> None:
    org = described_org()
    before = TargetSchema(MAPPING, org).digest_seed
    assert TargetSchema(MAPPING, org).digest_seed == before
    assert org.described
    field = org.described.fields.get(name, SalesforceField(name, "string"))
    fields = org.described.fields | {name: replace(field, **changes)}  # type: ignore[arg-type] # by name
    org.described = replace(org.described, fields=fields)
    assert (TargetSchema(MAPPING, org).digest_seed != before) is is_changed
