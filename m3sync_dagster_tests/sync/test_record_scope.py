"""What m3ter is asked for to know which records are in scope, and in which order."""

import json
from collections.abc import Iterator, Sequence

import pytest

from m3sync_dagster.entities import EntityType
from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.matching_accounts import MatchingAccounts
from m3sync_dagster.sync.record_scope import records_of, with_scope_of, with_scope_of_record
from m3sync_dagster_tests.sync.conftest import Record, mapping

USD = AccountExpression("currency == USD")
RECORDS: dict[str, list[Record]] = {
    "account": [{"id": "usd", "currency": "USD"}, {"id": "eur", "currency": "EUR"}],
    "contract": [{"id": "c-usd", "accountId": "usd"}, {"id": "c-eur", "accountId": "eur"}],
    "bill": [
        {"id": "b-usd", "accountId": "usd", "status": "APPROVED"},
        {"id": "b-eur", "accountId": "eur", "status": "APPROVED"},
        {"id": "b-open", "accountId": "usd", "status": "PENDING"},
        {"id": "b-none"},
    ],
    "bill_line_item": [
        {"id": "i-usd", "billId": "b-usd"},
        {"id": "i-eur", "billId": "b-eur"},
        {"id": "i-open", "billId": "b-open"},
        {"id": "i-none", "billId": "b-none"},
        {"id": "i-gone", "billId": "b-gone"},
        {"id": "i-odd", "billId": 5},
    ],
}


class AskedM3ter:
    """An m3ter with these records, which notes what it is asked for."""

    organization_id = "m3ter-org"

    def __init__(self) -> None:
        self.asked: list[tuple[object, ...]] = []

    def records(
        self, entity: EntityType, account_ids: Sequence[str] | None
    ) -> Iterator[Sequence[bytes]]:
        self.asked.append((entity.name, account_ids))
        return iter([raws(entity.name)])

    def external_mappings(self, account_ids: Sequence[str] | None) -> Iterator[Sequence[bytes]]:
        raise AssertionError(account_ids)

    def fetch(self, entity: EntityType, m3ter_id: str, parent: str | None = None) -> bytes | None:
        self.asked.append((entity.name, m3ter_id, parent))
        found = [one for one in RECORDS[entity.name] if one["id"] == m3ter_id]
        return json.dumps(found[0]).encode() if found else None

    def matching_accounts(
        self, expression: AccountExpression, account_ids: Sequence[str] | None
    ) -> MatchingAccounts:
        self.asked.append((expression.text, account_ids))
        return MatchingAccounts(expression, lambda: [raws("account")])


def raws(entity: str) -> list[bytes]:
    return [json.dumps(one).encode() for one in RECORDS[entity]]


def built(entity: str, *, by_expression: bool) -> FieldMapping:
    scope = AccountFilter(
        allowed=frozenset({"usd", "eur"}), expression=USD if by_expression else None
    )
    return mapping(entity, EntityOptions(scope=scope))


def in_scope(found: FieldMapping, entity: str) -> list[object]:
    """The records in scope; of a record that is not final, its id in a list."""
    decoded = [found.map(raw) for raw in raws(entity)]
    return [
        one["id"] if fate.final else [one["id"]]
        for one, fate in zip(RECORDS[entity], decoded, strict=True)
        if fate
    ]


@pytest.mark.parametrize(
    ("entity", "by_expression", "admitted", "asked"),
    [
        ("contract", False, ["c-usd", "c-eur"], []),
        ("contract", True, ["c-usd"], [("currency == USD", ["usd"])]),
        (
            "bill_line_item",
            False,
            ["i-usd", "i-eur", ["i-open"]],
            [("bill", ["usd"])],
        ),
        (
            "bill_line_item",
            True,
            ["i-usd", ["i-open"]],
            [("currency == USD", ["usd"]), ("bill", ["usd"])],
        ),
    ],
)
def test_accounts_and_parents_are_read_as_far_as_they_decide(
    entity: str, *, by_expression: bool, admitted: list[object], asked: list[tuple[object, ...]]
) -> None:
    source = AskedM3ter()
    found = with_scope_of(built(entity, by_expression=by_expression), source, ["usd"])
    assert in_scope(found, entity) == admitted
    assert source.asked == asked


@pytest.mark.parametrize(
    ("entity", "m3ter_id", "fate", "asked"),
    [
        ("account", "usd", "final", [("currency == USD", ["usd"])]),
        ("contract", "c-eur", None, [("currency == USD", ["eur"])]),
        (
            "bill_line_item",
            "i-usd",
            "final",
            [("bill", "b-usd", None), ("currency == USD", ["usd"])],
        ),
        (
            "bill_line_item",
            "i-open",
            "open",
            [("bill", "b-open", None), ("currency == USD", ["usd"])],
        ),
        ("bill_line_item", "i-eur", None, [("bill", "b-eur", None), ("currency == USD", ["eur"])]),
        ("bill_line_item", "i-none", None, [("bill", "b-none", None), ("currency == USD", [])]),
        ("bill_line_item", "i-gone", None, [("bill", "b-gone", None), ("currency == USD", [])]),
        ("bill_line_item", "i-odd", None, [("currency == USD", [])]),
    ],
)
def test_for_one_record_only_what_decides_on_it_is_read(
    entity: str, m3ter_id: str, fate: str | None, asked: list[tuple[object, ...]]
) -> None:
    source = AskedM3ter()
    (record,) = (one for one in RECORDS[entity] if one["id"] == m3ter_id)
    raw = json.dumps(record).encode()
    found = with_scope_of_record(built(entity, by_expression=True), source, raw)
    mapped = found.map(raw)
    assert (mapped and ("final" if mapped.final else "open")) == fate
    assert source.asked == asked


def test_an_account_and_its_parent_account_decide_on_it() -> None:
    source = AskedM3ter()
    raw = b'{"id":"usd","parentAccountId":"eur"}'
    found = with_scope_of_record(built("account", by_expression=True), source, raw)
    assert source.asked == [("currency == USD", ["usd", "eur"])]
    assert found.scope_of(raw) == b"without parent"


def test_a_record_that_cannot_be_read_asks_for_no_account() -> None:
    source = AskedM3ter()
    with_scope_of_record(built("account", by_expression=True), source, b"not JSON")
    assert source.asked == [("currency == USD", [])]


@pytest.mark.parametrize(
    ("entity", "asked"),
    [
        ("contract", [("contract", ["eur", "usd"])]),
        ("bill_line_item", [("bill", ["usd"]), ("bill_line_item", ["eur", "usd"])]),
    ],
)
def test_the_parents_are_read_before_their_children(
    entity: str, asked: list[tuple[object, ...]]
) -> None:
    source = AskedM3ter()
    found = with_scope_of(built(entity, by_expression=False), source, ["usd"])
    assert list(records_of(found, source)) == [raws(entity)]
    assert source.asked == asked
