import json

import pytest

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.account_link_types import AccountLink, LinkBy
from m3sync_dagster.sync.account_links import with_links_of
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.mapped_records import Mapped, Unmapped
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.record_scope import with_scope_of
from m3sync_dagster.sync.row_results import RefusedRecord
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


@pytest.mark.parametrize(("owner", "final"), [("approved", True), ("pending", False), (None, True)])
def test_a_line_item_is_final_if_its_bill_is(owner: str | None, *, final: bool) -> None:
    bills = Listed([{"id": one, "status": one.upper()} for one in ("approved", "pending")])
    built = with_scope_of(mapping("bill_line_item"), bills, None)
    found = built.map(json.dumps({"id": "i1", "billId": owner}).encode())
    assert found
    assert isinstance(found, Mapped) is (owner is not None)
    assert found.final is final


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
