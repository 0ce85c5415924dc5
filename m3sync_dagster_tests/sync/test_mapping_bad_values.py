"""Values and records that cannot be used, and what is reported of them."""

import json

import pytest
import xxhash

from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.mapped_records import INVALID_RECORD, INVALID_VALUE, Unmapped
from m3sync_dagster.sync.row_results import ErrorClass, RefusedRecord, Rejected
from m3sync_dagster_tests.sync.conftest import mapping, row


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"{", "not valid JSON"),
        (b'{"id": "\xff"}', "id: "),
        (b'{"id": "\\ud800"}', "id: "),
        (b'{"id": "a", "id": "a"}', "id: the record has 'id' twice"),
        (b'{"id": "a", "name": "\\q"}', "not valid JSON"),
        (b"[]", "is not a record"),
        (b"{}", "'None' is not the id"),
        (b'{"id": 7}', "'7' is not the id"),
        (b'{"id": "  "}', "is not the id"),
        (b'{"id": "a\\u0000b"}', "is not the id"),
        (b'{"id": " a"}', "is not the id"),
        (b'{"id": "a\\n"}', "is not the id"),
        (b'{"id": "%s"}' % (b"a" * 256), "longer than an id"),
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
    assert refused.message.isprintable()
    assert unmapped == mapping().map(raw)


BAD_VALUES = [
    b'"\\ud83d"',
    b'"\xff"',
    b'"Caf\xe9 \x00"',
    b'"a\\u0000b"',
    b"1e99999999999999999999",
    b"1e5000",
    b"9" * 5000,
    b"NaN",
    b"[" * 100_000 + b"]" * 100_000,
    b'"x","%s":"x"',
]


@pytest.mark.parametrize("value", BAD_VALUES, ids=lambda value: repr(value[:20]))
@pytest.mark.parametrize(
    ("entity", "field"),
    [
        ("account", "name"),
        ("account", "code"),
        ("account", "parentAccountId"),
        ("account", "creditApplicationOrder"),
        ("account", "billEpoch"),
        ("account", "dtCreated"),
        ("contract", "accountId"),
        ("balance", "name"),
    ],
)
def test_a_value_that_cannot_be_used_is_an_invalid_record_that_names_the_field(
    entity: str, field: str, value: bytes
) -> None:
    value = value.replace(b"%s", field.encode())
    unmapped = mapping(entity).map(b'{"id":"a1","%s":%s}' % (field.encode(), value))
    assert isinstance(unmapped, Unmapped)
    refused = unmapped.rejected
    assert (refused.m3ter_id, refused.code) == ("a1", INVALID_VALUE)
    assert refused.error_class is ErrorClass.INVALID
    assert f"{field}: " in refused.message
    assert refused.message.isprintable()


def test_a_title_is_not_made_of_another_field_because_the_first_cannot_be_read() -> None:
    built = mapping(options=EntityOptions(fields={"name": None}))
    unmapped = built.map(b'{"id":"a1","code":"c","name":"\\ud83d"}')
    assert isinstance(unmapped, Unmapped)
    assert unmapped.rejected.message.startswith("title: name: ")


@pytest.mark.parametrize("field", ["status", "locked"])
def test_a_bill_whose_state_cannot_be_read_is_invalid_and_not_passed_over(field: str) -> None:
    unmapped = mapping("bill").map(b'{"id":"b1","accountId":"a1","%s":"\xff"}' % field.encode())
    assert isinstance(unmapped, Unmapped)
    assert unmapped.final


@pytest.mark.parametrize("kind", ["custom", "json", "address"])
@pytest.mark.parametrize("value", [b'"\\ud83d"', b"1e99999999999999999999", b'1,"line":1'])
def test_so_is_one_inside_a_custom_field_an_object_or_an_array(kind: str, value: bytes) -> None:
    built, record, named = {
        "custom": (
            mapping(options=EntityOptions(custom_field_mappings={"tier": "Tier__c"})),
            b'"customFields":{"tier":{"line":%s}}',
            "customFields.tier: ",
        ),
        "json": (mapping("contract"), b'"usageFilters":[{"line":%s}]', "usageFilters: "),
        "address": (
            mapping(options=EntityOptions(fields={"address.line": "Line__c"})),
            b'"address":{"line":%s,"country":"GB"}',
            "address.line: ",
        ),
    }[kind]
    unmapped = built.map(b'{"id":"a1",%s}' % (record % value))
    assert isinstance(unmapped, Unmapped), unmapped
    assert unmapped.rejected.message.startswith(named)
    assert unmapped.rejected.message.isprintable()


@pytest.mark.parametrize("value", BAD_VALUES, ids=lambda value: repr(value[:20]))
def test_in_a_field_that_is_not_mapped_it_has_no_effect(value: bytes) -> None:
    value = value.replace(b"%s", b"unmapped")
    got = row(mapping(), b'{"id":"a1","name":"Acme","unmapped":%s}' % value)
    assert (got["Account_Name__c"], got["Name"]) == ("Acme", "Acme")


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


@pytest.mark.parametrize(
    ("mask", "shown"),
    [
        (set(), ("Acme", "ACME")),
        ({"Account_Name__c"}, (None, "ACME")),
        ({"Name"}, (None, "ACME")),
        ({"Code__c"}, ("Acme", None)),
        ({"Currency__c"}, ("Acme", "ACME")),
    ],
)
def test_an_invalid_record_shows_no_name_that_a_masked_field_has(
    mask: set[str], shown: tuple[str | None, str | None]
) -> None:
    raw = json.dumps({"id": "a1", "name": "Acme", "code": "ACME", "daysBeforeBillDue": "soon"})
    unmapped = mapping(options=EntityOptions(mask=frozenset(mask))).map(raw.encode())
    assert isinstance(unmapped, Unmapped)
    assert unmapped.rejected.record == RefusedRecord(*shown)


def test_an_invalid_record_has_the_reason_of_each_field_and_is_not_final_if_it_is_open() -> None:
    raw = b'{"id":"b1","accountId":"","status":"PENDING","billDate":"soon","locked":"no"}'
    unmapped = mapping("bill").map(raw)
    assert unmapped == Unmapped(
        Rejected(
            "b1",
            ErrorClass.INVALID,
            INVALID_VALUE,
            "locked: 'no' is neither true nor false; "
            "billDate: 'soon' is not a date of the form 2026-01-31",
        ),
        final=False,
    )


def test_a_record_that_is_no_record_is_identified_by_its_text() -> None:
    name = f"unknown-{xxhash.xxh3_64_hexdigest(b'[]')}"
    reason = "'[]' is not a record"
    assert mapping().map(b"[]") == Unmapped(
        Rejected(name, ErrorClass.INVALID, INVALID_RECORD, reason)
    )
