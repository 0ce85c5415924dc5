import json

import pytest

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.mapping import INVALID_RECORD, INVALID_VALUE, Mapped, Unmapped
from m3sync_dagster.sync.results import ErrorClass
from m3sync_dagster_tests.sync.conftest import mapping, row


def settled(entity: str) -> dict[str, object]:
    """What makes a record one that is carried."""
    return dict(ENTITIES[entity].settled[:1])


def test_an_account_goes_to_our_fields() -> None:
    got = row(
        mapping(),
        {
            "id": "a1",
            "version": 3,
            "name": "Acme\r\nLtd",
            "code": "acme",
            "parentAccountId": "a0",
            "address": {"addressLine1": "1 High St", "country": "GB", "unknownPart": 1},
            "creditApplicationOrder": ["PREPAYMENT", "BALANCE"],
            "dtCreated": "2026-01-02T03:04:05.678Z",
            "billEpoch": "2026-01-31",
            "somethingNew": {"m3ter": "added"},
        },
    )
    assert {name: value for name, value in got.items() if value is not None} == {
        "Name": "Acme Ltd",
        "Account_Name__c": "Acme\nLtd",
        "Code__c": "acme",
        "Parent_Account__c": "a0",
        "Address_Line_1__c": "1 High St",
        "Country__c": "GB",
        "Credit_Application_Order__c": "PREPAYMENT;BALANCE",
        "Bill_Epoch__c": "2026-01-31",
        "Version__c": 3,
        "Created_In_m3ter__c": "2026-01-02T03:04:05.678Z",
    }


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_record_with_nothing_but_an_id_clears_everything(entity: str) -> None:
    only = settled(entity)
    got = row(mapping(entity), {"id": "x1", **only})
    assert got.pop("Name", "x1") == "x1"
    assert set(got.values()) - set(only.values()) == {None}


@pytest.mark.parametrize("entity", ENTITIES)
def test_null_is_as_good_as_missing(entity: str) -> None:
    sources = {f.source.split(".")[0]: None for f in ENTITIES[entity].fields}
    only = {"id": "x1", **settled(entity)}
    assert row(mapping(entity), only) == row(mapping(entity), {**sources, **only})


@pytest.mark.parametrize(
    ("record", "title"),
    [
        ({"name": "N", "code": "C"}, "N"),
        ({"name": "", "code": "C"}, "C"),
        ({"name": " \n ", "code": None}, "x1"),
        ({"name": "long " * 40}, ("long " * 16).strip()),
        ({"name": "🧾" * 60}, "🧾" * 40),
        ({"name": 5}, "x1"),
    ],
)
def test_the_title_is_the_first_that_says_something(record: dict[str, object], title: str) -> None:
    built = mapping(options=EntityOptions(fields={"name": None}))
    assert row(built, {"id": "x1", **record})["Name"] == title


def test_money_keeps_every_digit() -> None:
    raw = b'{"id":"b1","amount":1234567890.12345678,"rolloverAmount":-0.10}'
    got = row(mapping("balance"), raw)
    assert (str(got["Amount__c"]), str(got["Rollover_Amount__c"])) == (
        "1234567890.12345678",
        "-0.10",
    )


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "not valid JSON"),
        (b'{"id": "\xff"}', "not valid JSON"),
        (b'{"id": "a", "name": "\\ud800"}', "not valid JSON"),
        (b"[]", "is not a record"),
        (b"{}", "'None' is not the id"),
        (b'{"id": 7}', "'7' is not the id"),
        (b'{"id": "  "}', "is not the id"),
        (b'{"id": "a\\u0000b"}', "is not the id"),
        (b'{"id": " a"}', "is not the id"),
        (b'{"id": "a\\n"}', "is not the id"),
        (b'{"id": "a", "x": 1e99999999999999999999}', "too large or too small"),
    ],
)
def test_a_record_without_an_id_is_invalid_and_has_a_name_all_the_same(
    raw: bytes, reason: str
) -> None:
    unmapped = mapping().map(raw)
    assert isinstance(unmapped, Unmapped)
    refused = unmapped.rejected
    assert refused.code == INVALID_RECORD
    assert refused.m3ter_id.startswith("unknown-")
    assert reason in refused.message
    assert unmapped == mapping().map(raw)


def test_every_bad_field_is_named_at_once() -> None:
    unmapped = mapping().map(
        b'{"id": "a1", "billEpoch": "soon", "address": "1 High St", "version": 1.5}'
    )
    assert isinstance(unmapped, Unmapped)
    refused = unmapped.rejected
    assert (refused.m3ter_id, refused.code) == ("a1", INVALID_VALUE)
    assert refused.error_class is ErrorClass.INVALID
    for field in ("billEpoch", "address is '1 High St'", "version"):
        assert field in refused.message


CHANGES = [
    EntityOptions(custom_field_mappings={"tier": "Tier__c"}),
    EntityOptions(fields={"name": "Other__c"}),
    EntityOptions(fields={"name": None}),
    EntityOptions(constants={"X__c": 1}),
    EntityOptions(constants={"X__c": "1"}),
    EntityOptions(object="Account"),
    EntityOptions(external_id_field="Ext__c"),
    EntityOptions(scope=AccountFilter(allowed=frozenset({"a"}))),
    EntityOptions(scope=AccountFilter(restricted=frozenset({"a"}))),
]


def test_any_change_of_the_mapping_changes_the_digest_of_every_json_text() -> None:
    seeds = {mapping(options=options).seed for options in [EntityOptions(), *CHANGES]}
    assert len(seeds) == len(CHANGES) + 1
    assert mapping().seed == mapping().seed


def test_scope_is_by_account_and_restricted_wins() -> None:
    options = EntityOptions(scope=AccountFilter(frozenset({"a", "b"}), frozenset({"b"})))
    for entity, field in (("account", "id"), ("contract", "accountId"), ("balance", "accountId")):
        built = mapping(entity, options)
        carried = [
            built.map(json.dumps({"id": "r", field: account}).encode()) is not None
            for account in ("a", "b", "c", None)
            if field != "id" or account
        ]
        assert carried == [True, False, False, False][: len(carried)]


def test_a_parent_that_is_left_out_is_not_pointed_to() -> None:
    options = EntityOptions(scope=AccountFilter(restricted=frozenset({"out"})))
    built = mapping(options=options)
    assert row(built, {"id": "a", "parentAccountId": "out"})["Parent_Account__c"] is None
    assert row(built, {"id": "a", "parentAccountId": "in"})["Parent_Account__c"] == "in"


@pytest.mark.parametrize(
    ("record", "carried"),
    [
        ({"status": "APPROVED"}, True),
        ({"status": "APPROVED", "locked": False}, True),
        ({"status": "PENDING", "locked": True}, True),
        ({"status": "PENDING", "locked": False}, False),
        ({"status": "PENDING", "locked": "true"}, False),
        ({"status": "A status of the future"}, False),
        ({"status": None}, False),
        ({}, False),
    ],
)
def test_a_bill_is_carried_once_it_is_approved_or_locked(
    record: dict[str, object], carried: bool
) -> None:
    raw = json.dumps({"id": "b1", "accountId": "a1", **record}).encode()
    mapped = mapping("bill").map(raw)
    assert (isinstance(mapped, Mapped) and mapped.final) is carried
    wrong = json.dumps({"id": "b1", "accountId": "a1", "billDate": "no day", **record}).encode()
    unmapped = mapping("bill").map(wrong)
    assert isinstance(unmapped, Unmapped)
    assert unmapped.final is carried
    everything = mapping("bill", EntityOptions(include_unsettled=True)).map(raw)
    assert everything
    assert everything.final
