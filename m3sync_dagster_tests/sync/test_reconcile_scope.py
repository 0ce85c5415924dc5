"""Which records a verification reads, and whether the integration's scope includes them."""

from collections.abc import Iterator, Sequence

import pytest

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.entity_options import EntityOptions, build_mapping
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.reconcile import Reconciler
from m3sync_dagster.sync.reconcile_types import DiffCounts, Selection
from m3sync_dagster.sync.row_types import QUERY_IDS, Column
from m3sync_dagster_tests.sync.conftest import Listed, Record, account, mapping
from m3sync_dagster_tests.sync.readable_org import Read, SalesforceRow
from m3sync_dagster_tests.sync.test_account_links import BY_MAPPING
from m3sync_dagster_tests.sync.test_reconcile import Sides, read

IN_EUROPE = AccountFilter(expression=AccountExpression('currency == "EUR"'))
ALLOWED = AccountFilter(allowed=frozenset({"a"}))
RESTRICTED = AccountFilter(restricted=frozenset({"b"}))


def scoped(entity: str, scope: AccountFilter, **fields: None) -> FieldMapping:
    options = {one: EntityOptions(scope=scope) for one in ("account", "bill", entity)}
    return build_mapping(
        ENTITIES[entity], options | {entity: EntityOptions(scope=scope, fields=fields)}, ""
    )


@pytest.mark.parametrize(
    ("built", "in_scope"),
    [
        (scoped("account", AccountFilter()), [True, True, True, True]),
        (scoped("account", ALLOWED), [True, False, False, False]),
        (scoped("account", RESTRICTED), [True, False, True, True]),
        (scoped("account", IN_EUROPE), [True, None, None, None]),
        (scoped("contract", AccountFilter()), [True, True, True, True]),
        (scoped("contract", ALLOWED), [True, False, False, None]),
        (scoped("contract", RESTRICTED), [True, False, True, None]),
        (scoped("contract", IN_EUROPE), [True, None, None, None]),
        (scoped("contract", ALLOWED, accountId=None), [None, None, None, None]),
        (scoped("bill_line_item", RESTRICTED), [True, False, None, None]),
    ],
)
def test_whether_a_record_in_salesforce_is_in_scope(
    built: FieldMapping, in_scope: list[bool | None]
) -> None:
    """The records a, b, c and d belong to the account or parent a, to b, to c, and to none."""
    place = built.owner
    owner = "none" if place is None else built.columns[place]
    owners = {"a": "a", "b": "b", "c": "c", "d": None}
    rows = {f"s{one}": SalesforceRow(one, {owner: account}) for one, account in owners.items()}
    bills: list[Record] = [{"id": one, "accountId": one} for one in "ab"]
    source = Listed(bills, accounts=[{"id": one, "currency": one} for one in ("x", "b")])
    source.accounts = [{"id": "a", "currency": "EUR"}, {"id": "b", "currency": "USD"}]
    sides = Sides()
    found = Reconciler(built, source, org := Read(built, **rows), sides)
    found._selection = lambda: None  # type: ignore[method-assign] # reads all records
    list(found.run())
    assert [one.in_scope for one in sides.salesforce] == in_scope
    assert org.selections == [None]


FEW, MANY = (
    AccountFilter(allowed=frozenset(f"a{n:03}" for n in range(count)))
    for count in (QUERY_IDS, QUERY_IDS + 1)
)
NONE = AccountFilter(frozenset("a"), frozenset("a"))


@pytest.mark.parametrize(
    ("built", "column", "filterable"),
    [
        (scoped("account", AccountFilter()), None, True),
        (scoped("account", ALLOWED), "m3ter_Id__c", True),
        (scoped("account", FEW), "m3ter_Id__c", False),
        (scoped("account", MANY), None, True),
        (scoped("account", NONE), None, True),
        (scoped("contract", FEW), "m3ter_Account__c", True),
        (scoped("contract", FEW), "m3ter_Account__c", None),
        (scoped("contract", FEW), None, False),
        (scoped("contract", FEW, accountId=None), None, True),
        (scoped("bill_line_item", FEW), None, True),
    ],
)
def test_what_is_read_from_salesforce(
    built: FieldMapping, column: str | None, filterable: bool | None
) -> None:
    org, sides = Read(built), Sides()
    org.filterable = filterable
    sides.missing = ["a", "b"]
    read(built, Listed(), org, sides)
    if column is None:
        assert org.selections == [None]
        return
    only, *moved = org.selections
    assert only
    assert (only.column.field, only.ids) == (column, sorted(built.scope.allowed))
    of_children = column != "m3ter_Id__c"
    assert only.or_empty is of_children
    each = [Selection(Column("m3ter_Id__c"), [one]) for one in sides.missing]
    assert moved == (each if of_children else [])


def test_records_that_were_moved_to_another_account_are_found() -> None:
    built, sides = scoped("contract", ALLOWED), Sides()
    org = Read(built, s=SalesforceRow("c", {"m3ter_Account__c": "moved"}))
    sides.missing = ["c"]
    read(built, Listed([{"id": "c", "accountId": "a"}]), org, sides)
    (found,) = sides.salesforce
    assert (found.m3ter_id, found.in_scope, found.external_id_changed) == ("c", False, False)


def test_a_second_list_decides_about_what_the_first_one_lacks() -> None:
    built, org = scoped("contract", RESTRICTED), Read(scoped("contract", RESTRICTED))
    skipped: list[Record | bytes] = [
        {"id": "moved", "accountId": "b"},
        {"id": "skipped", "accountId": "a"},
        {"id": "known", "accountId": "a"},
        b"{}",
    ]
    sides = Sides(DiffCounts(extra=3), DiffCounts(equal=1))
    sides.extra = {"moved": "s1", "skipped": "s2", "deleted": "s3"}
    source = OnSecondLook(skipped)
    found, progress = read(built, source, org, sides)
    assert (found.counts, progress[-1]) == (DiffCounts(equal=1), (0, 4))
    assert [one.m3ter_id for one in sides.m3ter] == ["skipped"]
    assert sides.removed == ["s1"]


class OnSecondLook(Listed):
    """A list that is empty the first time it is read."""

    def records(self, *args: object) -> Iterator[Sequence[bytes]]:
        pages = list(super().records(*args))  # type: ignore[arg-type] # passed through
        return iter(pages if len(self.asked) > 1 else [])


class Asked(Listed):
    """An m3ter that notes whose external mappings were asked for."""

    def external_mappings(self, account_ids: Sequence[str] | None) -> Iterator[Sequence[bytes]]:
        self.asked.append(account_ids)
        return super().external_mappings(account_ids)


@pytest.mark.parametrize(
    "built",
    [
        scoped("bill_line_item", ALLOWED),
        mapping(options=EntityOptions(scope=ALLOWED, link=BY_MAPPING)),
    ],
    ids=["parents", "links"],
)
def test_m3ter_is_asked_about_the_accounts_in_scope_alone(built: FieldMapping) -> None:
    source = Asked([account("a", billId="a")])
    read(built, source, Read(built), Sides())
    assert source.asked == [["a"], ["a"]]
