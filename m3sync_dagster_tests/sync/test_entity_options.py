from dataclasses import replace
from decimal import Decimal

import pytest

from m3sync_dagster.entities import ENTITIES, FieldKind
from m3sync_dagster.sync.entity_options import EntityOptions, WhenGone, build_mapping
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster_tests.sync.conftest import mapping, row


def test_custom_fields_and_unknown_fields_go_where_the_yaml_says() -> None:
    options = EntityOptions(
        fields={"emailAddress": "Mail__c", "currency": None, "newerField": "Newer__c"},
        custom_field_mappings={"tier": "Tier__c", "seats": "Seats__c", "absent": "Absent__c"},
        constants={"lastSystemToUpdate__c": "m3ter", "Rate__c": 1.5, "Flag__c": True},
    )
    record = {
        "id": "a1",
        "emailAddress": "x@y.z",
        "currency": "USD",
        "newerField": [1],
        "customFields": {"tier": "gold", "seats": 12},
    }
    got = row(mapping(options=options), record)
    assert "Currency__c" not in got
    assert "Email_Address__c" not in got
    wanted = {
        "Mail__c": "x@y.z",
        "Newer__c": "[1]",
        "Tier__c": "gold",
        "Seats__c": 12,
        "Absent__c": None,
        "lastSystemToUpdate__c": "m3ter",
        "Rate__c": Decimal("1.5"),
        "Flag__c": True,
    }
    assert {name: got[name] for name in wanted} == wanted


def test_a_prefix_goes_before_our_names_and_no_others() -> None:
    built = mapping(
        "contract", EntityOptions(custom_field_mappings={"tier": "Tier__c"}), prefix="m3t__"
    )
    assert built.object_name == "m3t__m3ter_Contract__c"
    assert built.external_id_field == "m3t__m3ter_Id__c"
    assert {"Name", "Tier__c", "m3t__m3ter_Account__c"} <= set(built.columns)
    assert built.parent_external_ids["account"] == "m3t__m3ter_Id__c"


def test_a_standard_object_can_be_the_target() -> None:
    options = EntityOptions(
        object="Account", external_id_field="m3ter_Id__c", fields={"name": "Name"}
    )
    built = mapping(options=options)
    assert built.object_name == "Account"
    title = [f for f in built.fields if f.salesforce == "Name"]
    assert [(f.source, f.kind) for f in title] == [("name", FieldKind.TEXT)]


def test_lookups_follow_the_parents_external_id_field() -> None:
    options = {
        "account": EntityOptions(external_id_field="Ext__c"),
        "contract": EntityOptions(),
    }
    built = build_mapping(ENTITIES["contract"], options, "")
    assert built.parent_external_ids["account"] == "Ext__c"


@pytest.mark.parametrize(
    ("entity", "options", "where"),
    [
        (
            "account",
            EntityOptions(custom_field_mappings={"a": "X__c", "b": "X__c"}),
            "entities.account.custom_field_mappings.a",
        ),
        (
            "account",
            EntityOptions(custom_field_mappings={"tier": "Code__c"}),
            "entities.account.custom_field_mappings.tier",
        ),
        (
            "contract",
            EntityOptions(fields={"name": "Code__c"}),
            "entities.contract.fields.name",
        ),
        (
            "account",
            EntityOptions(fields={"name": "m3ter_Id__c"}),
            "entities.account.fields.name",
        ),
        (
            "balance",
            EntityOptions(constants={"Amount__c": 1}),
            "entities.balance.constants.Amount__c",
        ),
    ],
)
def test_a_field_mapped_twice_names_its_place(
    entity: str, options: EntityOptions, where: str
) -> None:
    with pytest.raises(ConfigurationError, match="is mapped twice") as caught:
        mapping(entity, options)
    assert ".".join(caught.value.where) == where


def test_commitments_have_no_custom_fields() -> None:
    with pytest.raises(ConfigurationError, match="no custom fields on a commitment"):
        mapping("commitment", EntityOptions(custom_field_mappings={"x": "X__c"}))


@pytest.mark.parametrize(
    ("options", "where"),
    [
        (EntityOptions(include_unsettled=True), "include_unsettled"),
        (EntityOptions(truncate=frozenset({"version"})), "truncate"),
        (EntityOptions(truncate=frozenset({"accountId"})), "truncate"),
        (EntityOptions(truncate=frozenset({"no such field"})), "truncate"),
        (EntityOptions(truncate=frozenset({"code"}), fields={"code": None}), "truncate"),
        (EntityOptions(mask=frozenset({"code"})), "mask"),
        (EntityOptions(mask=frozenset({"Code__c"}), fields={"code": None}), "mask"),
        (EntityOptions(mask=frozenset({"m3ter_Id__c"})), "mask"),
        (EntityOptions(mask=frozenset({""})), "mask"),
    ],
)
def test_an_option_that_can_do_nothing_is_refused(options: EntityOptions, where: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        mapping("contract", options)
    assert caught.value.where == ("entities", "contract", where)


@pytest.mark.parametrize(
    ("options", "where", "words"),
    [
        (
            EntityOptions(constants={"RecordType.DeveloperName": "Customer"}),
            "constants.RecordType.DeveloperName",
            "RecordTypeId",
        ),
        (EntityOptions(constants={"My Field": "x"}), "constants.My Field", "API name"),
        (EntityOptions(custom_field_mappings={"a": "B.C__c"}), "custom_field_mappings.a", "API"),
        (EntityOptions(fields={"code": "Code c"}), "fields.code", "API name"),
        (EntityOptions(object="my object"), "object", "API name"),
        (EntityOptions(external_id_field=""), "external_id_field", "API name"),
        (
            EntityOptions(when_gone=WhenGone.FLAG, gone_field="Gone.c"),
            "gone_field",
            "API name",
        ),
    ],
)
def test_what_is_no_api_name_is_refused(options: EntityOptions, where: str, words: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        mapping("contract", options)
    assert ".".join(caught.value.where) == f"entities.contract.{where}"
    assert words in str(caught.value)


@pytest.mark.parametrize(
    "options",
    [
        EntityOptions(constants={"CODE__c": "x"}),
        EntityOptions(fields={"name": "code__C"}),
        EntityOptions(custom_field_mappings={"a": "M3TER_ID__C"}),
    ],
)
def test_names_that_differ_in_case_alone_are_one_field(options: EntityOptions) -> None:
    with pytest.raises(ConfigurationError, match="is mapped twice"):
        mapping("contract", options)


def test_masked_fields_are_named_as_the_mapping_writes_them() -> None:
    options = EntityOptions(
        mask=frozenset({"EMAIL_address__c", "Tier__c", "Source__c"}),
        custom_field_mappings={"tier": "Tier__c"},
        constants={"Source__c": "m3ter"},
    )
    found = mapping("account", options)
    assert found.masked == {"Email_Address__c", "Tier__c", "Source__c"}
    # What is stored of a row does not change what is sent.
    plain = mapping("account", replace(options, mask=frozenset()))
    assert (found.seed, found.row_seed) == (plain.seed, plain.row_seed)
