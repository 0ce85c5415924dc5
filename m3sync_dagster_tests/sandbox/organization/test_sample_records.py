import re
from collections import Counter
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from m3sync_dagster.entities import ENTITIES, EntityType, Field, FieldKind
from m3sync_dagster.sandbox.organization import COLLECTIONS, CRM_ACCOUNT_IDS, Organization
from m3sync_dagster.sandbox.salesforce import add_sample_accounts, add_sample_objects, create_app

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
SAMPLE = Organization.sample()


def records(entity: str, organization: Organization = SAMPLE) -> list[dict[str, Any]]:
    return [organization.get(entity, one) for one in organization.ids(entity)]


def values(entity: EntityType, field: Field) -> list[Any]:
    """The field's values that are not missing, null or empty."""
    found: list[Any] = records(entity.path)
    for part in field.source.split("."):
        found = [record.get(part) for record in found]
        found = [value for value in found if value not in (None, "", {}, [])]
    return found


def everything(record: object) -> list[object]:
    """All values in a record, at any depth."""
    if isinstance(record, dict):
        return [leaf for value in record.values() for leaf in everything(value)]
    if isinstance(record, list):
        return [leaf for value in record for leaf in everything(value)]
    return [record]


ALL_BUT_TITLES = [kind for kind in FieldKind if kind is not FieldKind.TITLE]


def fields(*kinds: FieldKind) -> list[tuple[EntityType, Field]]:
    return [
        (one, field) for one in ENTITIES.values() for field in one.fields if field.kind in kinds
    ]


def test_sizes() -> None:
    sizes = {entity: SAMPLE.count(entity) for entity in COLLECTIONS}
    assert sizes == {
        "users": 6,
        "accounts": 120,
        "contracts": 160,
        "commitments": 140,
        "balances": 180,
        "bills": 150,
        "lineitems": sum(len(bill["lineItems"]) for bill in records("bills")),
        "externalmappings": 63,
        "integrationconfigs": 5,
        "customfields": 1,
        "organizationconfig": 1,
    }


def test_the_same_seed_gives_the_same_bytes_and_another_seed_does_not() -> None:
    def raws(organization: Organization) -> list[bytes]:
        return [organization.raw(e, one) for e in COLLECTIONS for one in organization.ids(e)]

    assert raws(Organization.sample()) == raws(SAMPLE)
    assert raws(Organization.sample(seed=2)) != raws(SAMPLE)


@pytest.mark.parametrize("entity", COLLECTIONS)
def test_ids_are_unique_uuids(entity: str) -> None:
    ids = [record["id"] for record in records(entity)]
    assert len(set(ids)) == len(ids)
    assert all(UUID.fullmatch(one) for one in ids)


@pytest.mark.parametrize("entity", COLLECTIONS)
def test_records_are_in_the_order_of_their_creation(entity: str) -> None:
    created = [record["dtCreated"] for record in records(entity)]
    assert created == sorted(created)


@pytest.mark.parametrize(("entity", "field"), fields(*ALL_BUT_TITLES))
def test_every_field_is_used_and_fits_salesforce(entity: EntityType, field: Field) -> None:
    found = values(entity, field)
    assert found, "no record has a value"
    for value in found:
        match field.kind:
            case FieldKind.TEXT | FieldKind.LOOKUP:
                assert len(value) <= field.length
                assert value == value.strip()
            case FieldKind.LIST:
                assert len(";".join(value)) <= field.length
            case FieldKind.JSON:
                assert len(msgspec.json.encode(value)) <= field.length
            case FieldKind.NUMBER | FieldKind.INTEGER:
                # Salesforce stores more decimal places than the field's scale.
                assert abs(value) < 10 ** (field.precision - field.scale)


@pytest.mark.parametrize(("entity", "field"), fields(FieldKind.LOOKUP))
def test_every_reference_points_to_a_record(entity: EntityType, field: Field) -> None:
    assert field.refers_to is not None
    known = set(SAMPLE.ids(ENTITIES[field.refers_to].path))
    assert set(values(entity, field)) <= known


def test_a_record_and_its_contract_have_the_same_account() -> None:
    account_of = {contract["id"]: contract["accountId"] for contract in records("contracts")}
    children = records("commitments") + records("balances")
    linked = [child for child in children if child.get("contractId")]
    assert all(account_of[child["contractId"]] == child["accountId"] for child in linked)
    assert 0 < len(linked) < len(children)


def test_accounts_have_three_levels_with_parents_older_and_younger_than_children() -> None:
    ids = SAMPLE.ids("accounts")
    parent = {one["id"]: one["parentAccountId"] for one in records("accounts")}
    depths = Counter(depth(one, parent) for one in ids)
    assert max(depths) == 3
    born = {one: place for place, one in enumerate(ids)}
    older = {born[above] < born[one] for one, above in parent.items() if above}
    assert older == {True, False}


def depth(account: str | None, parent: dict[str, str | None]) -> int:
    return 0 if account is None else 1 + depth(parent[account], parent)


@pytest.mark.parametrize(
    "pattern",
    [
        r"^=",
        r"^\+",
        r"^#",
        r"^-",
        r"^@",
        r'"',
        r"'",
        r",",
        r"<.*>",
        r"&",
        r"[\u4e00-\u9fff]",
        r"[\u0600-\u06ff]",
        r"[\u0590-\u05ff]",
        r"[\U0001f300-\U0001faff]",
        r"\u200d",
        r"^.{200}$",
        r"^0\d+$",
        r"^null$",
    ],
)
def test_some_account_has_a_difficult_name(pattern: str) -> None:
    assert any(re.search(pattern, record["name"]) for record in records("accounts"))


@pytest.mark.parametrize("piece", ["\n", "\r\n", "\t", '"', ",", ";", "\\"])
def test_some_description_has_special_characters(piece: str) -> None:
    assert any(piece in (record.get("description") or "") for record in records("contracts"))


@pytest.mark.parametrize(
    "text", [b"1234567.12345678", b"0.00000001", b"9999999999.99", b"-250.5", b"0", b"1.5E+3"]
)
def test_some_balance_has_an_amount_with_this_exact_text(text: bytes) -> None:
    raws = [SAMPLE.raw("balances", one) for one in SAMPLE.ids("balances")]
    assert any(b'"amount":' + text + b"," in raw for raw in raws)


@pytest.mark.parametrize("entity", ["accounts", "contracts", "commitments", "balances"])
def test_some_values_are_missing_null_or_empty(entity: str) -> None:
    found = records(entity)
    names = {name for record in found for name in record}
    assert any(names - record.keys() for record in found)
    leaves = [leaf for record in found for leaf in everything(record)]
    assert None in leaves
    assert "" in leaves


def test_currencies_and_whole_amounts_in_yen() -> None:
    balances = records("balances")
    assert {"USD", "EUR", "GBP", "JPY"} <= {one.get("currency") for one in balances}
    yen = [one["amount"] for one in balances if one.get("currency") == "JPY" and one.get("amount")]
    assert all(isinstance(amount, int) for amount in yen)


def test_custom_fields_are_strings_integers_and_decimals_up_to_a_hundred() -> None:
    custom = [record["customFields"] or {} for record in records("accounts")]
    assert {type(value) for one in custom for value in one.values()} == {str, int, Decimal}
    assert max(map(len, custom)) == 100
    assert min(map(len, custom)) == 0


def test_some_accounts_are_mapped_to_accounts_that_the_sandbox_org_has() -> None:
    mappings = records("externalmappings")
    ids = {one["externalId"] for one in mappings if one["externalSystem"] == "Salesforce"}
    org = create_app().state.org
    add_sample_objects(org)
    add_sample_accounts(org)
    existing = {one["Id"] for one in org.records("Account")}
    assert existing == set(CRM_ACCOUNT_IDS)
    wrong = [one for one in ids if not {one, f"{one}AAA"} & existing]
    assert wrong == ["https://acme.my.salesforce.com/001"]
    targets: dict[str, set[str]] = {}
    for one in mappings:
        targets.setdefault(one["m3terId"], set()).add(one["externalId"][:15])
    assert sorted(map(len, targets.values())) == [1] * 61 + [2]
    assert targets.keys() < set(SAMPLE.ids("accounts"))
    required = {"id", "m3terEntity", "m3terId", "externalSystem", "externalTable", "externalId"}
    assert all(required <= one.keys() for one in mappings)
