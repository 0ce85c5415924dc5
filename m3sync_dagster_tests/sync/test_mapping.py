import json

import pytest
import xxhash

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.account_link_types import AccountLink, LinkBy
from m3sync_dagster.sync.account_links import with_links_of
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.mapped_records import INVALID_RECORD, INVALID_VALUE, Mapped, Unmapped
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.record_scope import with_scope_of
from m3sync_dagster.sync.row_results import ErrorClass, RefusedRecord, Rejected
from m3sync_dagster_tests.sync.conftest import Listed, Org, mapping, row


def settled(entity: str) -> dict[str, object]:
    """What makes a record one that is carried."""
    found = ENTITIES[entity]
    return {found.account_field: "b1"} if found.scoped_by else dict(found.final_when[:1])


def scoped(entity: str) -> FieldMapping:
    """The mapping of an entity; where parents decide, there is one, b1."""
    return with_scope_of(mapping(entity), Listed([{"id": "b1", "status": "APPROVED"}]), None)


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
    got = row(scoped(entity), {"id": "x1", **only})
    assert got.pop("Name", "x1") == "x1"
    assert set(got.values()) - set(only.values()) == {None}


@pytest.mark.parametrize("entity", ENTITIES)
def test_null_is_equal_to_missing(entity: str) -> None:
    sources = {f.source.split(".")[0]: None for f in ENTITIES[entity].fields}
    only = {"id": "x1", **settled(entity)}
    assert row(scoped(entity), only) == row(scoped(entity), {**sources, **only})


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
def test_the_title_is_the_first_field_with_a_text(record: dict[str, object], title: str) -> None:
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


@pytest.mark.parametrize("account", [["a"], {"a": 1}, 7, True])
def test_what_is_no_account_id_belongs_to_no_account(account: object) -> None:
    raw = json.dumps({"id": "r", "accountId": account}).encode()
    assert isinstance(mapping("contract").map(raw), Unmapped)
    options = EntityOptions(scope=AccountFilter(allowed=frozenset({"a"})))
    assert mapping("contract", options).map(raw) is None


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
def test_a_bill_is_final_once_it_is_approved_or_locked(
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


def test_a_rejected_row_shows_no_value_of_a_masked_field() -> None:
    record = {"id": "a1", "name": "Acme", "code": "ACME", "emailAddress": "hush"}
    names = ["Email_Address__c", "code__C"]
    plain = mapping()
    masked = mapping(options=EntityOptions(mask=frozenset({"Name", "Code__c", "Email_Address__c"})))
    values = list(row(plain, record).values())
    shown = plain.refused_record(values, names)
    assert (shown.name, shown.code) == ("Acme", "ACME")
    assert shown.refused == {"Email_Address__c": "hush", "code__C": "ACME"}
    assert masked.refused_record(values, names) == RefusedRecord()


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


def test_a_line_item_without_a_bill_names_also_its_other_reasons() -> None:
    unmapped = scoped("bill_line_item").map(b'{"id":"i1","quantity":"many"}')
    assert isinstance(unmapped, Unmapped)
    assert unmapped.rejected.message == (
        "quantity: 'many' is not a number; billId: it names no bill, which is needed"
    )


@pytest.mark.parametrize(
    ("record", "mask", "name"),
    [
        ({"id": "a1", "name": "Acme"}, set(), "Acme (a1)"),
        ({"id": "a1", "name": "Acme"}, {"Account_Name__c"}, "a1"),
        ({"id": "a1"}, set(), "a1"),
        ({"id": "a1", "name": 5}, set(), "a1"),
        ({"name": "Acme"}, set(), "an account without a usable id"),
    ],
)
def test_an_account_is_called_by_its_name_and_its_id(
    record: dict[str, object], mask: set[str], name: str
) -> None:
    built = mapping(options=EntityOptions(mask=frozenset(mask)))
    assert built.name_of(json.dumps(record).encode()) == name


@pytest.mark.parametrize(
    ("entity", "record", "owners"),
    [
        ("account", {"id": "a", "parentAccountId": "p"}, ("a", "p")),
        ("account", {"id": "a"}, ("a", None)),
        ("contract", {"id": "c", "accountId": "a", "parentAccountId": "p"}, ("a", None)),
        ("bill_line_item", {"id": "i", "billId": "b"}, ("b", None)),
        ("contract", {"accountId": "a"}, None),
    ],
)
def test_what_decides_whether_a_record_is_in_scope(
    entity: str, record: dict[str, object], owners: object
) -> None:
    assert mapping(entity).owners_of(json.dumps(record).encode()) == owners


@pytest.mark.parametrize(
    ("record", "scope"),
    [
        ({"id": "in"}, b""),
        ({"id": "out"}, None),
        ({"id": "in", "parentAccountId": "in"}, b""),
        ({"id": "in", "parentAccountId": "out"}, b"without parent"),
        ({"id": "in", "parentAccountId": 5}, b""),
        # It is reported as invalid.
        ({"parentAccountId": "out"}, b""),
    ],
)
def test_what_a_row_depends_on_besides_its_record(
    record: dict[str, object], scope: bytes | None
) -> None:
    built = mapping(options=EntityOptions(scope=AccountFilter(restricted=frozenset({"out"}))))
    assert built.scope_of(json.dumps(record).encode()) == scope


def test_a_mapping_that_was_not_prepared_refuses_to_guess() -> None:
    linked = mapping(options=EntityOptions(link=AccountLink("CRM__c")))
    with pytest.raises(ValueError, match="linked to was not read"):
        linked.map(b'{"id":"a1"}')
    with pytest.raises(ValueError, match="parents are in scope was not read"):
        mapping("bill_line_item").map(b'{"id":"i1","billId":"b1"}')


def test_links_are_looked_up_for_all_records_together() -> None:
    link = AccountLink("CRM__c", by=LinkBy.CODE, name="AccountNumber")
    org = Org()
    org.crm = {"c1": ["001000000000001AAA"], "c2": ["001000000000002AAA", "001000000000003AAA"]}
    built = with_links_of(mapping(options=EntityOptions(link=link)), Listed(), org, None)
    records: list[dict[str, object]] = [{"id": f"a{n}", "code": f"c{n}"} for n in range(1, 4)]
    built.prepare_links([json.dumps(one).encode() for one in records])
    assert org.looked_for == [["c1", "c2", "c3"]]
    assert [row(built, one)["CRM__c"] for one in records] == ["001000000000001AAA", None, None]


def test_without_a_link_there_is_nothing_to_look_up() -> None:
    mapping().prepare_links([b'{"id":"a1"}'])
    assert mapping().links is None


def test_a_refused_value_is_shown_with_the_name_that_salesforce_gave_its_field() -> None:
    built = mapping("contract")
    values = list(row(built, {"id": "c1", "code": "C", "version": 2}).values())
    assert built.refused_record(values, ["VERSION__c", "No_Such__c", "Code__c", "End_Date__c"]) == (
        RefusedRecord("C", "C", {"VERSION__c": "2", "Code__c": "C", "End_Date__c": None})
    )


def test_an_entity_without_a_title_or_code_shows_neither() -> None:
    built = mapping("contract", EntityOptions(fields={"title": None, "code": None}))
    values = list(row(built, {"id": "c1", "code": "C", "name": "N"}).values())
    assert built.refused_record(values, []) == RefusedRecord()
