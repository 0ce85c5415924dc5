"""The accounts that satisfy an expression, and what a sync makes of them."""

import json
import tracemalloc
from collections.abc import Iterator

import psycopg
import pytest

from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.errors import RemoteError
from m3sync_dagster.sync.matching_accounts import MatchingAccounts
from m3sync_dagster.sync.reconcile_types import DiffCounts
from m3sync_dagster.sync.record_scope import with_scope_of
from m3sync_dagster_tests.sync.conftest import Listed, Org, Record, Sync, account, mapping
from m3sync_dagster_tests.sync.readable_org import SalesforceRow
from m3sync_dagster_tests.sync.test_reconcile_tables import compared, reconciler, synced

GOLD = AccountExpression("customFields.tier == gold")
FILTERED = EntityOptions(scope=AccountFilter(expression=GOLD))


def tier(m3ter_id: str, name: str, **fields: object) -> Record:
    return account(m3ter_id, customFields={"tier": name}, **fields)


def run(sync: Sync, org: Org, *records: Record, options: EntityOptions = FILTERED) -> object:
    return sync(Listed(records), org, options)


def test_accounts_are_read_at_the_first_look_up_and_once() -> None:
    read = []

    def pages() -> Iterator[list[bytes]]:
        read.append(True)
        yield [b"not JSON", b'"text"', b'{"customFields": {"tier": "gold"}}']
        for number in range(3):
            yield [json.dumps(tier(f"{name}{number}", name)).encode() for name in ("gold", "tin")]

    found = MatchingAccounts(GOLD, pages)
    assert not read
    names = ["gold0", "gold2", "tin0", "gold3", ""]
    assert [found.matches(one) for one in names] == [True, True, False, False, False]
    assert [found.excludes(one) for one in names] == [False, False, True, False, False]
    assert len(read) == 1


def test_a_list_that_breaks_off_is_no_list() -> None:
    def pages() -> Iterator[list[bytes]]:
        yield [json.dumps(tier("a", "gold")).encode()]
        raise RemoteError("the line is dead", "Try again.")

    found = MatchingAccounts(GOLD, pages)
    for _ in range(2):
        with pytest.raises(RemoteError):
            found.matches("a")


def test_an_account_takes_few_bytes() -> None:
    ids = [f"0a1b2c3d-0000-4000-8000-{number:012}" for number in range(20_000)]
    pages = [[json.dumps(tier(one, "gold")).encode() for one in ids]]
    found = MatchingAccounts(GOLD, lambda: pages)
    tracemalloc.start()
    try:
        assert found.matches(ids[0])
        held, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 20 * len(ids)
    assert all(map(found.matches, ids))


def test_a_mapping_without_the_accounts_refuses_to_decide() -> None:
    with pytest.raises(ValueError, match="was not read"):
        mapping(options=FILTERED).map(json.dumps(tier("a", "gold")).encode())


@pytest.mark.parametrize(
    ("entity", "record", "in_scope"),
    [
        ("account", {"id": "gold"}, True),
        ("account", {"id": "tin"}, False),
        ("contract", {"id": "c", "accountId": "gold"}, True),
        ("contract", {"id": "c", "accountId": "tin"}, False),
        ("contract", {"id": "c", "accountId": "unknown"}, False),
        ("contract", {"id": "c"}, False),
        ("contract", {"id": "c", "accountId": 1}, False),
        ("contract", {"id": "c", "accountId": "restricted"}, False),
        ("contract", {"id": "c", "accountId": "not-allowed"}, False),
    ],
)
def test_lists_and_expression_both_have_to_admit(
    entity: str, record: Record, *, in_scope: bool
) -> None:
    accounts = [tier(one, "gold") for one in ("gold", "restricted", "not-allowed")]
    scope = AccountFilter(
        frozenset({"gold", "tin", "unknown", "restricted"}), frozenset({"restricted"}), GOLD
    )
    source = Listed(accounts=[*accounts, tier("tin", "tin")])
    built = with_scope_of(mapping(entity, EntityOptions(scope=scope)), source, None)
    raw = json.dumps(record).encode()
    assert (built.map(raw) is not None) is in_scope
    assert (built.scope_of(raw) is not None) is in_scope


def test_a_record_that_cannot_be_read_is_reported(sync: Sync) -> None:
    source = Listed([b"not JSON", b'{"id": ""}'])
    assert sync(source, Org(), FILTERED) == {"read": 2, "invalid": 2}


def test_a_parent_out_of_scope_leaves_the_lookup_empty(sync: Sync) -> None:
    org = Org()
    child, parent = tier("child", "gold", parentAccountId="parent"), tier("parent", "tin")
    assert run(sync, org, child, parent) == {"read": 1, "created": 1}
    assert org.held["child"]["Parent_Account__c"] is None
    assert run(sync, org, child, parent) == {"read": 1, "unchanged": 1}
    # The child's own JSON text stays as it is.
    gold = tier("parent", "gold")
    assert run(sync, org, child, gold) == {"read": 2, "created": 1, "updated": 1}
    assert org.held["child"]["Parent_Account__c"] == "parent"
    assert run(sync, org, child, gold) == {"read": 2, "unchanged": 2}
    assert run(sync, org, child, parent) == {"read": 1, "updated": 1}
    assert org.held["child"]["Parent_Account__c"] is None


def test_a_parent_that_the_list_lacks_is_not_out_of_scope(sync: Sync) -> None:
    """A list that changes while it is read can lack a record, and the next run would differ."""
    org = Org()
    child, parent = tier("child", "gold", parentAccountId="parent"), tier("parent", "gold")
    run(sync, org, child, parent)
    assert sync(Listed([child, parent], accounts=[child]), org, FILTERED) == {
        "read": 1,
        "unchanged": 1,
    }
    assert org.held["child"]["Parent_Account__c"] == "parent"


def test_what_moves_out_of_scope_is_left_as_it_is(sync: Sync) -> None:
    org = Org()
    run(sync, org, tier("a", "gold"), tier("b", "gold"))
    assert run(sync, org, tier("a", "tin", code="new"), tier("b", "gold")) == {
        "read": 1,
        "unchanged": 1,
    }
    assert org.held["a"]["Code__c"] is None
    assert run(sync, org, tier("a", "gold", code="new"), tier("b", "gold")) == {
        "read": 2,
        "updated": 1,
        "unchanged": 1,
    }


def test_another_expression_sends_nothing_for_what_stays_in_scope(sync: Sync) -> None:
    org = Org()
    records = [tier("a", "gold", code="1"), tier("b", "tin", code="1")]
    everything = EntityOptions()
    run(sync, org, *records, options=everything)
    assert run(sync, org, *records) == {"read": 1, "unchanged": 1}
    other = EntityOptions(scope=AccountFilter(expression=AccountExpression("code == 1")))
    assert run(sync, org, *records, options=other) == {"read": 2, "unchanged": 2}
    assert run(sync, org, *records, options=everything) == {"read": 2, "unchanged": 2}
    assert len(org.sent) == 1


def test_a_verification_does_not_take_what_moved_out_of_scope_for_deleted(
    connection: psycopg.Connection,
) -> None:
    records, org = synced(connection, mapping(), "a", "b", "c")
    org.rows["never synced"] = SalesforceRow("x", {"Account_Name__c": "x"})
    expression = AccountExpression("name != 'Account a'")
    built = mapping(options=EntityOptions(scope=AccountFilter(expression=expression)))
    del records["c"]
    found, _ = reconciler(connection, built, records, org)
    # m3ter has a, which is out of scope, and no longer c. Whose x was is not known.
    assert found.counts == DiffCounts(equal=1, extra=1, gone=1)
    states = {one: compared(built, records, org, one).state for one in "abc"}
    assert states == {"a": "out_of_scope", "b": "equal", "c": "extra"}
