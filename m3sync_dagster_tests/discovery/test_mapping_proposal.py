"""Which object and which field is proposed, where several are called alike or none is."""

from typing import Any

import pytest

from m3sync_dagster.discovery.mapping_proposal import EntityProposal, propose
from m3sync_dagster.discovery.package_objects import KnownObject
from m3sync_dagster.entities import ENTITIES, EntityType, Field, FieldKind
from m3sync_dagster.sync.entity_options import EntityOptions, WhenGone
from m3sync_dagster.sync.salesforce_schema import SalesforceField, SalesforceObject

ID: dict[str, Any] = {"type": "string", "external_id": True, "unique": True}


def described(**fields: dict[str, Any] | str) -> SalesforceObject:
    """An object; a field is its properties, or its label where it is a text."""
    found = {
        name: SalesforceField(
            name, **({"type": "string", "label": said} if isinstance(said, str) else said)
        )
        for name, said in fields.items()
    }
    return SalesforceObject("p__Account__c", "m3 Account", found)


def proposal(own: EntityOptions | None = None, /, **fields: dict[str, Any] | str) -> EntityProposal:
    objects = [KnownObject("p__Account__c", "m3 Account")]
    said = {"account": own or EntityOptions()}
    return propose(said, "P", objects, lambda _: described(**fields))["account"]


@pytest.mark.parametrize(
    ("name", "label", "source"),
    [
        ("p__Code__c", "", "code"),
        ("p__CODE__c", "", "code"),
        ("p__accountCode__c", "", "code"),
        ("p__X__c", "m3ter Account Code", "code"),
        ("p__X__c", "Code (unique)", "code"),
        ("p__X__c", "Email", "emailAddress"),
        ("p__X__c", "City / Town", "address.locality"),
        ("p__X__c", "Statement definition", "statementDefinitionId"),
        ("p__Created_By_Id__c", "", "createdBy"),
    ],
)
def test_a_field_is_known_by_either_of_its_names(name: str, label: str, source: str) -> None:
    found = proposal(**{name: {"type": "string", "label": label}})
    assert found.fields == {source: name}
    assert found.unused == {}


@pytest.mark.parametrize("label", ["Decode", "Code of conduct", "Postal", "コード", "", "m3"])
def test_what_only_resembles_it_is_not_taken(label: str) -> None:
    found = proposal(p__X__c=label)
    assert found.fields == {}
    assert found.unused == {"p__X__c": label}


def test_the_most_reliable_match_is_taken_and_two_equal_ones_are_reported() -> None:
    found = proposal(p__X__c="Code", p__Code__c="Old code", p__Y__c="Currency", p__Z__c="Currency")
    assert found.fields == {"code": "p__Code__c"}
    assert found.remarks["currency"] == "several fields match: p__Y__c, p__Z__c"


def test_one_field_that_matches_two_sources_is_reported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    twins = [Field(name, f"Our_{name}__c", aliases=("Connections",)) for name in ("one", "two")]
    entity = EntityType("account", "Account", "", "id", "ids", "m3ter_Account__c", True, (*twins,))
    monkeypatch.setitem(ENTITIES, "account", entity)
    found = proposal(p__X__c="Connections")
    assert found.fields == {}
    reason = "several fields match: p__X__c"
    assert (found.remarks["one"], found.remarks["two"]) == (reason, reason)


def test_a_title_is_cut_and_so_goes_to_name_alone() -> None:
    assert proposal(p__Title__c="Name", Name="Name").fields == {"title": "Name"} | {
        "name": "p__Title__c"
    }
    found = proposal(p__Name__c="Name", Name={"type": "string", "createable": False})
    assert found.fields == {"name": "p__Name__c"}
    assert found.remarks["title"] == "Name matches, but this user may not write it"


def test_a_lookup_is_matched_with_a_lookup_before_a_text() -> None:
    lookup: dict[str, Any] = {"type": "reference", "refers_to": ("p__Account__c",)}
    text = {"p__parentAccountId__c": "Parent account id"}
    assert proposal(**text).fields == {"parentAccountId": "p__parentAccountId__c"}
    found = proposal(**text, p__X__c={**lookup, "label": "Parent"})
    assert found.fields == {"parentAccountId": "p__X__c"}
    found = proposal(p__Parent__c={**lookup, "refers_to": ("Account",)})
    assert found.fields == {}
    assert found.remarks["parentAccountId"] == (
        "p__Parent__c matches, but it points to Account, and not to p__Account__c, where "
        "account records are expected"
    )


@pytest.mark.parametrize(
    ("keys", "target", "remark"),
    [
        ({"p__m3ter_Id__c": ID}, "p__Account__r.p__m3ter_Id__c", "its account must be synced"),
        ({}, None, "is the external ID is not clear: none is unique"),
        ({"p__A__c": ID, "p__B__c": ID}, None, "is not clear: p__A__c, p__B__c"),
    ],
)
def test_a_parent_that_is_not_synced_is_found_by_a_path(
    keys: dict[str, Any], target: str | None, remark: str | None
) -> None:
    lookup = {"refers_to": ("p__Account__c",), "relationship": "p__Account__r"}
    balance = described(p__Id__c=ID, p__Account__c={"type": "reference", **lookup})
    held = {"p__Account__c": described(**keys), "p__Balance__c": balance}
    objects = [KnownObject("p__Account__c", ""), KnownObject("p__Balance__c", "")]
    found = propose({"balance": EntityOptions()}, "p", objects, held.__getitem__)["balance"]
    assert found.fields.get("accountId") == target
    assert (remark or "") in found.remarks.get("accountId", "")


@pytest.mark.parametrize(
    ("fields", "chosen", "remark"),
    [
        ({"p__m3ter_Id__c": "?", "p__m3_Id__c": ID}, "p__m3ter_Id__c", None),
        ({"p__m3Id__c": "?", "p__Account_Id__c": ID}, "p__Account_Id__c", None),
        ({"p__X__c": {**ID, "label": "m3ter Account ID"}, "p__Y__c": ID}, "p__X__c", None),
        ({"p__X__c": ID}, "p__X__c", "the only unique External ID"),
        ({"p__X__c": ID, "p__Y__c": ID}, None, "several fields could be it: p__X__c, p__Y__c"),
        ({"p__m3Id__c": {**ID, "length": 18}}, None, "no field is a unique External ID"),
        ({"p__m3Id__c": {**ID, "updateable": False}}, None, "no field is a unique External ID"),
    ],
)
def test_the_external_id(fields: dict[str, Any], chosen: str | None, remark: str | None) -> None:
    found = proposal(**fields)
    assert found.external_id_field == chosen
    assert found.remarks.get("external_id_field") == remark


def test_a_field_that_the_yaml_uses_is_not_proposed() -> None:
    own = EntityOptions(
        fields={"name": "p__Code__c", "currency": None},
        custom_field_mappings={"tier": "p__Region__c"},
        constants={"p__Locality__c": "here"},
        when_gone=WhenGone.FLAG,
        gone_field="p__Version__c",
    )
    number: dict[str, Any] = {"type": "double"}
    taken = dict.fromkeys(("p__Code__c", "p__Region__c", "p__Locality__c", "p__Currency__c"), "?")
    found = proposal(own, **taken, p__Version__c=number)
    assert found.fields == {}
    assert found.remarks["code"] == "p__Code__c matches, but it is used for name"
    assert found.remarks["address.region"].endswith("but it is used for customFields.tier")
    assert found.remarks["address.locality"].endswith("but it is used for a constant")
    assert found.remarks["version"].endswith("but it is used for the mark of deleted records")
    assert found.unused == {"p__Currency__c": "?"}


def test_a_field_of_salesforces_own_is_no_candidate() -> None:
    stamp: dict[str, Any] = {"type": "datetime", "label": "Created Date", "createable": False}
    assert proposal(CreatedDate=stamp).remarks["dtCreated"] == ("no field of p__Account__c matches")


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ({"p__m3ter_Account__c": "?", "p__Account__c": "m3 Account"}, "p__m3ter_Account__c"),
        ({"p__Client__c": "m3 Account", "p__Setting__c": "m3 Account Settings"}, "p__Client__c"),
        ({"p__Account__c": "?", "Account": "Account", "q__m3Account__c": "?"}, "p__Account__c"),
        ({"p__Account__mdt": "m3 Account", "p__m3Account__e": "m3 Account"}, None),
        ({"p__A__c": "m3 Account", "p__B__c": "m3ter Account"}, None),
    ],
)
def test_the_object(objects: dict[str, str], expected: str | None) -> None:
    known = [KnownObject(name, label) for name, label in objects.items()]
    found = propose({"account": EntityOptions()}, "p", known, lambda _: described())
    assert (found["account"].object is None) == (expected is None)
    assert (expected is None) == ("object" in found["account"].remarks)


def test_a_type_that_cannot_hold_the_kind_is_reported() -> None:
    found = proposal(p__Bill_Epoch__c={"type": "boolean"})
    assert FieldKind.DATE in {field.kind for field in ENTITIES["account"].fields}
    assert found.remarks["billEpoch"] == (
        "p__Bill_Epoch__c matches, but it is of type boolean, and billEpoch is a date"
    )
