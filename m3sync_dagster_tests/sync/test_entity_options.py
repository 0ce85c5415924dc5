from dataclasses import replace
from decimal import Decimal

import pytest

from m3sync_dagster.entities import ENTITIES, FieldKind
from m3sync_dagster.sync.account_link_types import AccountLink, LinkBy
from m3sync_dagster.sync.entity_options import EntityOptions, WhenGone, build_mapping
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.match_and_overwrite import Match, Overwrite
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
    assert isinstance(got["Rate__c"], Decimal)


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


def test_texts_that_can_be_cut() -> None:
    texts = frozenset({"title", "name", "creditApplicationOrder", "customFields.tier"})
    options = EntityOptions(truncate=texts, custom_field_mappings={"tier": "Tier__c"})
    assert mapping(options=options).truncated == texts


def test_every_name_of_the_yaml_has_its_path() -> None:
    options = EntityOptions(
        object="Object__c",
        external_id_field="Key__c",
        fields={"code": "Other_Code__c", "currency": None},
        custom_field_mappings={"tier": "Tier__c"},
        constants={"Source__c": "m3ter"},
        when_gone=WhenGone.FLAG,
        gone_field="Gone__c",
        link=AccountLink("CRM__c"),
    )
    built = mapping(options=options)
    assert {target: ".".join(path) for target, path in built.written.items()} == {
        "Other_Code__c": "entities.account.fields.code",
        "Tier__c": "entities.account.custom_field_mappings.tier",
        "Source__c": "entities.account.constants.Source__c",
        "Gone__c": "entities.account.gone_field",
        "CRM__c": "entities.account.link.field",
        "Key__c": "entities.account.external_id_field",
    }
    assert mapping().written == {}
    # A record that m3ter lists is not deleted.
    assert built.constants == {"Source__c": "m3ter", "Gone__c": None}
    (link,) = (f for f in built.fields if f.kind is FieldKind.LINK)
    assert (link.source, link.salesforce, built.link) == (
        "external mapping",
        "CRM__c",
        options.link,
    )


def test_what_other_entities_say_about_the_parents_of_this_one() -> None:
    options = {
        "balance": EntityOptions(fields={"contractId": "Contract__r.Key__c"}),
        "account": EntityOptions(object="Account", match=Match.UPDATE_ONLY),
        "contract": EntityOptions(object="Contract", match=Match.UPDATE_ONLY),
        "bill": EntityOptions(external_id_field="Bill_Key__c"),
    }
    built = build_mapping(ENTITIES["balance"], options, "x__")
    assert built.parent_external_ids == {
        "account": "x__m3ter_Id__c",
        "contract": "Key__c",
        "commitment": "x__m3ter_Id__c",
        "balance": "x__m3ter_Id__c",
        "bill": "Bill_Key__c",
        "bill_line_item": "x__m3ter_Id__c",
    }
    # The path may point to another object than the contracts of this integration.
    assert built.parent_objects == {
        "account": "Account",
        "commitment": "x__m3ter_Commitment__c",
        "balance": "x__m3ter_Balance__c",
        "bill": "x__m3ter_Bill__c",
        "bill_line_item": "x__m3ter_Bill_Line_Item__c",
    }
    assert built.update_only_parents == {"account"}
    assert "Contract__c" in built.columns


def test_match_and_overwrite_are_taken_from_the_options() -> None:
    options = EntityOptions(
        match=Match.UPDATE_ONLY,
        when_gone=WhenGone.FLAG,
        gone_field="Gone__c",
        overwrite={"Code__c": Overwrite.IF_EMPTY},
    )
    built = mapping(options=options)
    assert (built.update_only, built.if_empty) == (True, frozenset({"Code__c"}))
    plain = mapping(options=EntityOptions(when_gone=WhenGone.DELETE))
    assert (plain.update_only, plain.if_empty) == (False, frozenset())


def test_the_default_fields_stay_in_their_order() -> None:
    options = EntityOptions(
        fields={"name": "Name", "newer": "Newer__c", "newest": None, "code": "Other__c"},
        custom_field_mappings={"tier": "Tier__c"},
    )
    contract = ENTITIES["contract"]
    wanted = {f.source: f.salesforce for f in contract.fields if f.source != "title"} | {
        "name": "Name",
        "code": "Other__c",
        "newer": "Newer__c",
        "customFields.tier": "Tier__c",
    }
    built = mapping("contract", options)
    assert [(f.source, f.salesforce) for f in built.fields] == list(wanted.items())
    kinds = {f.source: f.kind for f in built.fields}
    assert (kinds["code"], kinds["newer"], kinds["customFields.tier"]) == (
        FieldKind.TEXT,
        FieldKind.ANY,
        FieldKind.ANY,
    )


def test_a_title_that_the_yaml_maps_is_kept_and_another_field_cannot_have_its_place() -> None:
    titled = EntityOptions(fields={"title": "Title__c", "name": "Name"})
    assert {"Title__c", "Name"} <= set(mapping(options=titled).columns)
    with pytest.raises(ConfigurationError, match="is mapped twice"):
        mapping(options=EntityOptions(fields={"title": "Name", "name": "Name"}))


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


def test_a_custom_field_of_m3ter_may_have_any_name() -> None:
    link = AccountLink("CRM__c", by=LinkBy.CUSTOM_FIELD, name="my CRM id")
    assert mapping(options=EntityOptions(link=link)).link == link


UNSETTLED = EntityOptions(include_unsettled=True)


@pytest.mark.parametrize(
    ("entity", "options", "waits"),
    [
        ("account", {}, False),
        ("bill", {}, True),
        ("bill", {"bill": UNSETTLED}, False),
        ("bill_line_item", {}, True),
        ("bill_line_item", {"bill": EntityOptions()}, True),
        ("bill_line_item", {"bill": UNSETTLED}, False),
    ],
)
def test_bills_say_whether_they_and_their_line_items_are_synced_before_they_are_settled(
    entity: str, options: dict[str, EntityOptions], *, waits: bool
) -> None:
    built = build_mapping(ENTITIES[entity], {entity: EntityOptions()} | options, "")
    assert built.final_when == (ENTITIES["bill"].final_when if waits else ())
