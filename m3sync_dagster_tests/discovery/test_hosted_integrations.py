"""Configurations of m3ter's hosted integrations, and the integrations made from them."""

import re
from typing import Any

import pytest

from m3sync_dagster.discovery.hosted_integrations import (
    HostedIntegration,
    ProjectNames,
    make_integrations,
)
from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync.converters import Undecodable

PROJECT = ProjectNames("m3ter_production", ["salesforce_production"], "2026-11-26-18:00")
SECRET = "00D5g000004xyz!AQ4AQFakeTokenValue"
VALID_NAME = re.compile(r"[a-z][a-z0-9_]*")


def hosted(**changes: object) -> dict[str, Any]:
    """A configuration with every field that m3ter describes, and all settings of its Console."""
    data: dict[str, object] = {
        "accountIds": ["a1", "a2"],
        "restrictedAccountIds": ["a3"],
        "integrationDisabledNotificationUsers": ["u1"],
        "namespace": "Custom Objects",
        "customFieldMappings": {"tier": "Tier__c"},
    }
    given = changes.pop("data", {})
    known: dict[str, Any] = {
        "id": "c1",
        "version": 3,
        "entityType": "Account",
        "entityId": None,
        "destination": "Salesforce",
        "destinationId": "d1",
        "configData": {**data, **given} if isinstance(given, dict) else given,
        "authorized": True,
        "enabled": True,
        "triggerType": "SCHEDULE",
        "integrationCredentialsId": "k1",
        "name": "Acme accounts",
        "dtCreated": "2026-01-01T00:00:00Z",
        "dtLastModified": "2026-01-02T00:00:00Z",
        "createdBy": "u1",
        "lastModifiedBy": "u1",
    }
    return known | changes


def made(*found: object, project: ProjectNames = PROJECT) -> list[HostedIntegration]:
    return make_integrations(found, project)


def one(**changes: object) -> HostedIntegration:
    (only,) = made(hosted(**changes))
    return only


def attributes(**changes: object) -> dict[str, Any]:
    found = one(**changes)
    assert found.attributes is not None, found.reason
    return dict(found.attributes)


def left_out(found: HostedIntegration) -> dict[str, str]:
    return {part.name: part.reason for part in found.left_out}


def test_every_setting_of_the_console_becomes_an_attribute() -> None:
    assert attributes() == {
        "name": "acme_accounts",
        "m3ter_credential": "m3ter_production",
        "salesforce_credential": "salesforce_production",
        "namespace": "custom_objects",
        "account_ids": ["a1", "a2"],
        "restricted_account_ids": ["a3"],
        "notify_users_if_disabled": ["u1"],
        "minute_of_hour": 0,
        "start": "2026-11-26-18:00",
        "entities": {"account": {"custom_field_mappings": {"tier": "Tier__c"}}},
    }


def test_every_other_field_is_left_out_with_a_reason() -> None:
    """So each field of the description is either an attribute or in this list."""
    found = one(entityId="e1")
    assert set(left_out(found)) == {
        "Salesforce credential",
        "enabled",
        "version, dtCreated, dtLastModified, createdBy, lastModifiedBy",
        "entityId",
        "destinationId",
        "integrationCredentialsId",
        "triggerType",
    }
    assert all(left_out(found).values())


@pytest.mark.parametrize("written", ["Account ids", "accountIds", "account_ids", "ACCOUNT-IDS"])
def test_a_key_is_recognized_by_its_label_in_the_console(written: str) -> None:
    (found,) = made(hosted() | {"configData": {written: ["a9"]}})
    assert found.attributes is not None
    assert found.attributes["account_ids"] == ["a9"]


@pytest.mark.parametrize(
    ("entity_type", "entity", "minute"),
    [
        ("Account", "account", 0),
        ("CONTRACT", "contract", 2),
        ("commitment", "commitment", 4),
        ("Prepayment", "commitment", 4),
        ("Balance", "balance", 6),
        ("Bill", "bill", 8),
    ],
)
def test_each_record_type_runs_after_its_parents(
    entity_type: str, entity: str, minute: int
) -> None:
    found = attributes(entityType=entity_type, data={"customFieldMappings": None})
    assert (found["entities"], found["minute_of_hour"]) == ({entity: {}}, minute)


def test_every_record_type_of_ours_can_be_imported() -> None:
    for entity in ENTITIES.values():
        assert one(entityType=entity.label).attributes is not None


@pytest.mark.parametrize(
    ("value", "namespace", "noted"),
    [
        ("Custom Objects", "custom_objects", False),
        ("CUSTOM_OBJECTS", "custom_objects", False),
        ("m3ter Connector", "m3ter_connector", False),
        ("m3ter Connector (Testing)", "m3ter_connector_testing", False),
        (None, "m3ter_connector", True),
        ("Something new", "m3ter_connector", True),
        ("", "m3ter_connector", True),
        (7, "m3ter_connector", True),
        ({"id": "custom_objects"}, "m3ter_connector", True),
    ],
)
def test_a_namespace(value: object, namespace: str, noted: bool) -> None:
    found = one(data={"namespace": value})
    assert found.attributes is not None
    assert found.attributes["namespace"] == namespace
    assert ("configData.namespace" in left_out(found)) is noted


@pytest.mark.parametrize("missing", [None, [], {}])
def test_without_settings_all_accounts_are_meant(missing: object) -> None:
    (found,) = made({"id": "c1", "entityType": "Account", "destination": "Salesforce"})
    assert found.attributes is not None
    assert found.attributes["account_ids"] == found.attributes["restricted_account_ids"] == []
    empty = attributes(data={"accountIds": missing or None, "restrictedAccountIds": None})
    assert empty["account_ids"] == []


UNREADABLE = [
    "a1",
    7,
    True,
    {"a1": True},
    [{"id": "a1"}],
    [["a1"]],
    [7],
    [None],
    [""],
    ["a1", "a b"],
    ["{{ env('M3TER_API_SECRET') }}"],
    ["a1\nentities: {}"],
    ["ä"],
    ["a" * 65],
    [Undecodable("half a surrogate pair")],
]


@pytest.mark.parametrize("key", ["accountIds", "restrictedAccountIds"])
@pytest.mark.parametrize("value", UNREADABLE, ids=repr)
def test_unreadable_account_ids_make_no_integration_for_all_accounts(
    key: str, value: object
) -> None:
    found = one(data={key: value})
    assert found.attributes is None
    assert f"configData.{key} is not one list of ids" in found.reason


@pytest.mark.parametrize("value", UNREADABLE, ids=repr)
def test_unreadable_users_are_left_out(value: object) -> None:
    found = one(data={"integrationDisabledNotificationUsers": value})
    assert found.attributes is not None
    assert found.attributes["notify_users_if_disabled"] == []
    assert "configData.integrationDisabledNotificationUsers" in left_out(found)


@pytest.mark.parametrize("data", ["text", 7, [], ["accountIds"], Undecodable("odd")], ids=repr)
def test_settings_that_are_no_object_make_no_integration(data: object) -> None:
    (found,) = made(hosted() | {"configData": data})
    assert found.attributes is None
    assert "configData is not a JSON object" in found.reason


def test_two_keys_with_one_label_make_no_integration() -> None:
    found = one(data={"account_ids": ["a9"]})
    assert found.attributes is None
    assert "configData.accountIds and configData.account_ids" in found.reason


@pytest.mark.parametrize("value", ["address.country == US", ["x"], 7, True])
def test_an_account_filter_makes_no_integration(value: object) -> None:
    found = one(data={"accountFilter": value})
    assert found.attributes is None
    assert "configData.accountFilter selects accounts by an expression" in found.reason
    assert one(data={"accountFilter": ""}).attributes is not None


def test_ids_are_listed_once_and_ten_thousand_of_them_are_kept() -> None:
    ids = [f"0c7f0000-0000-4000-8000-{number:012}" for number in range(10_000)]
    found = attributes(data={"accountIds": [*ids, *ids[:100], f" {ids[0]} "]})
    assert found["account_ids"] == ids


@pytest.mark.parametrize(
    ("value", "mappings", "noted"),
    [
        (None, {}, False),
        ({}, {}, False),
        ([], {}, False),
        (
            {"tier": "Tier__c", "größe 2": "Size__c"},
            {"tier": "Tier__c", "größe 2": "Size__c"},
            False,
        ),
        ([{"m3ter": "tier", "salesforce": "Tier__c"}], {"tier": "Tier__c"}, False),
        ([{"to": "Tier__c", "from": "tier"}], {"tier": "Tier__c"}, False),
        ({"{{ env('SECRET') }}": "Tier__c"}, {"{{ env('SECRET') }}": "Tier__c"}, False),
        ([{"a": "tier", "b": "Phone"}], {}, True),
        ([{"a": "Tier__c", "b": "Other__c"}], {}, True),
        ([{"a": "tier"}], {}, True),
        ([{"a": "tier", "b": "Tier__c", "c": "more"}], {}, True),
        (
            [{"a": "tier", "b": "Tier__c"}, {"a": "tier", "b": "Other__c"}],
            {"tier": "Tier__c"},
            True,
        ),
        ({"tier": None, "size": "Size__c"}, {"size": "Size__c"}, True),
        ({"tier": "not a name", "": "Size__c", "a\nb": "C__c", "x": 7}, {}, True),
        ({"tier": "T" * 81, "s" * 81: "Size__c"}, {}, True),
        ("tier=Tier__c", {}, True),
        (7, {}, True),
    ],
    ids=repr,
)
def test_custom_field_mappings(value: object, mappings: dict[str, str], noted: bool) -> None:
    found = one(data={"customFieldMappings": value})
    assert found.attributes is not None
    expected = {"custom_field_mappings": mappings} if mappings else {}
    assert found.attributes["entities"] == {"account": expected}
    assert ("configData.customFieldMappings" in left_out(found)) is noted


def test_mappings_that_a_file_may_not_have_are_left_out() -> None:
    mappings = {"tier": "Tier__c", "level": "tier__C", "code": "Code__c", "size": "Size__c"}
    found = one(data={"customFieldMappings": mappings})
    assert found.attributes is not None
    assert found.attributes["entities"] == {
        "account": {"custom_field_mappings": {"tier": "Tier__c", "size": "Size__c"}}
    }
    assert "tier has the same Salesforce field" in left_out(found)["custom field level"]
    assert "Code__c is mapped twice" in left_out(found)["custom field code"]


def test_a_record_type_without_custom_fields_has_no_mappings() -> None:
    found = one(entityType="Commitment")
    assert found.attributes is not None
    assert found.attributes["entities"] == {"commitment": {}}
    assert "no custom fields" in left_out(found)["custom field tier"]


@pytest.mark.parametrize(
    ("changes", "others", "known", "expected"),
    [
        ({}, [], ["sf"], "sf"),
        ({}, [], [], None),
        ({}, [], ["one", "two"], None),
        ({"authorized": False}, [], ["sf"], None),
        ({"authorized": None, "integrationCredentialsId": None}, [], ["sf"], "sf"),
        ({}, [hosted(id="c2")], ["sf"], "sf"),
        ({}, [hosted(id="c2", integrationCredentialsId="k2")], ["sf"], None),
        ({}, [hosted(id="c2", destinationId="d2")], ["sf"], None),
        ({}, [hosted(id="c2", destination="Xero", integrationCredentialsId="k2")], ["sf"], "sf"),
    ],
)
def test_the_salesforce_credential_is_the_only_one_it_can_be(
    changes: dict[str, object], others: list[object], known: list[str], expected: str | None
) -> None:
    project = ProjectNames("m3ter_production", known, PROJECT.start)
    found = made(hosted(**changes), *others, project=project)[0]
    assert found.attributes is not None
    assert found.attributes.get("salesforce_credential") == expected
    assert (expected or "m3sync connect") in left_out(found)["Salesforce credential"]


@pytest.mark.parametrize(
    ("enabled", "words"),
    [(True, "is enabled"), (False, "is disabled"), (None, "does not say"), ("yes", "does not say")],
)
def test_the_state_in_m3ter_is_said_and_not_copied(enabled: object, words: str) -> None:
    found = one(enabled=enabled)
    assert found.attributes is not None
    assert words in left_out(found)["enabled"]
    assert "m3sync enable acme_accounts" in left_out(found)["enabled"]
    assert "enabled" not in found.attributes


@pytest.mark.parametrize(
    ("configuration", "for_salesforce", "words"),
    [
        (hosted(destination="NetSuite"), False, "its destination is NetSuite"),
        (hosted(destination="NetSuite", data="odd", id=None), False, "its destination is NetSuite"),
        (hosted(destination=None), True, "for which destination"),
        (hosted(destination=7), True, "for which destination"),
        (hosted(entityType="Invoice"), True, "no record type Invoice"),
        (hosted(entityType=None), True, "no record type without a name"),
        (hosted(id=None), True, "no id"),
        (hosted(id="a\nb"), True, "no id"),
        ({}, True, "for which destination"),
        ([], True, "not a JSON object"),
        (None, True, "not a JSON object"),
        ("text", True, "not a JSON object"),
        (Undecodable("odd"), True, "not a JSON object"),
    ],
)
def test_what_no_integration_can_be_made_from_stops_no_other(
    configuration: object, for_salesforce: bool, words: str
) -> None:
    found = made(configuration, hosted(id="other"))
    (refused,) = [each for each in found if each.attributes is None]
    assert refused.for_salesforce is for_salesforce
    assert words in refused.reason
    assert [each.name for each in found if each.attributes] == ["acme_accounts"]


NAMES = [
    ("Acme accounts", "acme_accounts"),
    ("  Acme\n\taccounts  ", "acme_accounts"),
    ('Verträge "Süd" & Søn\'s', "vertrage_sud_s_n_s"),
    ("Straße", "strasse"),
    ("契約残高", "salesforce_account"),
    ("", "salesforce_account"),
    (None, "salesforce_account"),
    (7, "salesforce_account"),
    ("___", "salesforce_account"),
    ("2026 accounts", "account_2026_accounts"),
    ("../../etc/passwd", "etc_passwd"),
    ("{{ env('X') }}", "env_x"),
    ("a: b # c", "a_b_c"),
    ("Ⅷ ﬁeld", "viii_field"),
    ("x" * 5_000, "x" * 50),
    ("é\u202eabc\x00\x1b[31m", "e_abc_31m"),
    (Undecodable("odd"), "salesforce_account"),
]


@pytest.mark.parametrize(("name", "expected"), NAMES, ids=repr)
def test_a_name_is_made_valid(name: object, expected: str) -> None:
    found = one(name=name)
    assert found.name == expected
    assert VALID_NAME.fullmatch(expected)
    assert found.hosted.name.isprintable()


def test_equal_names_get_the_record_type_and_then_a_number() -> None:
    types = ["Account", "Contract", "Account", "Balance"]
    found = made(
        *(
            hosted(id=f"c{number}", entityType=kind, name="Production", dtCreated=f"2026-0{number}")
            for number, kind in enumerate(types, start=1)
        ),
        hosted(id="c9", name="Production account", dtCreated="2026-09"),
    )
    assert [each.name for each in found] == [
        "production_account",
        "production_contract",
        "production_account_2",
        "production_balance",
        "production_account_3",
    ]


def test_the_order_of_the_list_does_not_change_the_names() -> None:
    found = [
        hosted(id=f"c{number}", name="Same", dtCreated=f"2026-01-{number:02}")
        for number in (1, 2, 3)
    ]
    names = {each.hosted.id: each.name for each in made(*found)}
    assert names == {each.hosted.id: each.name for each in made(*reversed(found))}
    assert names["c1"] == "same_account"


def test_no_value_that_is_not_understood_is_kept() -> None:
    unknown = {
        "apiToken": SECRET,
        "oauth": {"refresh": SECRET},
        "list": [SECRET],
        "namespace": SECRET,
        "customFieldMappings": [{"key": SECRET}],
        "integrationDisabledNotificationUsers": SECRET,
    }
    found = one(data=unknown, credentials={"clientSecret": SECRET}, future=SECRET, entityId=SECRET)
    assert SECRET not in repr(found)
    assert {
        "configData.apiToken",
        "configData.oauth",
        "configData.list",
        "future",
        "credentials",
    } <= {part.name for part in found.left_out}
    refused = one(data={"accountIds": SECRET, "accountFilter": SECRET})
    assert refused.attributes is None
    assert SECRET not in repr(refused)


def test_names_that_are_not_understood_fit_on_one_line_and_are_counted() -> None:
    keys = {f"key\n{number}\u2028{'x' * 500}": number for number in range(10_000)}
    found = one(data=keys)
    names = [part.name for part in found.left_out]
    assert all(name.isprintable() and len(name) <= 80 for name in names)
    assert "9950 more" in names
    assert len(names) < 70


def test_a_configuration_that_two_pages_have_is_imported_once() -> None:
    found = made(hosted(), hosted(id="c2", name="Other"), hosted(version=4), None, None)
    assert [each.name for each in found if each.attributes] == ["acme_accounts", "other"]
    assert len(found) == 4


def test_many_configurations_and_mappings_are_read() -> None:
    mappings = {f"field {number}": f"Field_{number}__c" for number in range(1_000)}
    (one_of_many, *rest) = made(
        hosted(data={"customFieldMappings": mappings}, dtCreated=""),
        *(hosted(id=f"d{number}") for number in range(1_000)),
    )
    assert one_of_many.attributes is not None
    assert one_of_many.attributes["entities"] == {"account": {"custom_field_mappings": mappings}}
    assert len({each.name for each in rest}) == 1_000
