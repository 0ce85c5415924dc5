"""The engine on a real ledger, between a source and a destination that are lists in memory."""

import psycopg
import pytest

from m3sync_dagster.state import PostgresLedger, list_rejects
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.errors import DeadlineError, RemoteError
from m3sync_dagster.sync.row_results import (
    Acknowledged,
    ErrorClass,
    Rejected,
)
from m3sync_dagster_tests.sync.conftest import Listed, Org, Record, Sync, account


def test_first_run_creates_second_sends_nothing_third_sends_what_changed(sync: Sync) -> None:
    org = Org()
    records = [account(f"a{n}") for n in range(5)]
    assert sync(Listed(records[:3], [], records[3:]), org) == {"read": 5, "created": 5}
    calls = org.calls
    assert sync(Listed(records), org) == {"read": 5, "unchanged": 5}
    assert org.calls == calls
    records[2] = account("a2", currency="EUR")
    assert sync(Listed(records), org) == {"read": 5, "updated": 1, "unchanged": 4}
    assert org.sent[-1] == ["a2"]
    assert org.held["a2"]["Currency__c"] == "EUR"


def test_a_value_that_becomes_null_is_cleared(sync: Sync) -> None:
    org = Org()
    sync(Listed([account("a", currency="EUR", code="c")]), org)
    assert sync(Listed([account("a", currency=None)]), org) == {"read": 1, "updated": 1}
    assert (org.held["a"]["Currency__c"], org.held["a"]["Code__c"]) == (None, None)


def test_json_with_the_same_values_in_another_form_is_not_sent(sync: Sync) -> None:
    org = Org()
    sync(Listed([b'{"id":"a","name":"n","version":1}']), org)
    again = Listed([b'{"version": 1, "name": "n", "id": "a", "unmapped": true}'])
    assert sync(again, org) == {"read": 1, "unchanged": 1}


def test_a_changed_mapping_sends_every_row_again(sync: Sync) -> None:
    org = Org()
    records = [account("a"), account("b")]
    sync(Listed(records), org)
    fewer = EntityOptions(fields={"code": None})
    assert sync(Listed(records), org, fewer) == {"read": 2, "updated": 2}


def test_full_sends_every_row_again(sync: Sync) -> None:
    org = Org()
    records = [account("a"), account("b")]
    sync(Listed(records), org)
    assert sync(Listed(records), org, full=True) == {"read": 2, "updated": 2}


def test_parents_are_sent_first_in_any_order_of_the_list(sync: Sync) -> None:
    org = Org()
    chain = [account(f"a{n}", parentAccountId=f"a{n + 1}") for n in range(4)]
    records = [*chain, account("a4")]
    assert sync(Listed(records), org) == {"read": 5, "created": 5}
    assert org.sent == [["a4"], ["a3"], ["a2"], ["a1"], ["a0"]]


def test_changed_rows_of_all_groups_are_sent_together_parents_first(sync: Sync) -> None:
    org = Org()
    records = [account("child", parentAccountId="root"), account("root"), account("other")]
    sync(Listed(records), org)
    org.sent.clear()
    for record in records:
        record["currency"] = "EUR"
    assert sync(Listed(records), org) == {"read": 3, "updated": 3}
    assert [sorted(sent) for sent in org.sent] == [["other", "root"], ["child"]]


def test_a_row_waits_until_its_parent_exists(sync: Sync, connection: psycopg.Connection) -> None:
    org = Org()
    orphan = account("child", parentAccountId="parent")
    assert sync(Listed([orphan]), org) == {"read": 1, "waiting": 1}
    assert list_rejects(connection)[0].error_class == "dependency"
    both = Listed([orphan, account("parent")])
    assert sync(both, org) == {"read": 2, "created": 2}
    assert list_rejects(connection) == []


def test_a_cycle_of_parents_waits_and_the_run_ends(sync: Sync) -> None:
    circle = [account("a", parentAccountId="b"), account("b", parentAccountId="a")]
    assert sync(Listed(circle), Org()) == {"read": 2, "waiting": 2}


def test_a_row_without_a_result_is_sent_again_before_its_children(sync: Sync) -> None:
    org = Org()
    org.busy = {"b": 2, "d": 1}
    records = [account("c", parentAccountId="b"), account("b"), account("a")]
    records.append(account("d", parentAccountId="c"))
    assert sync(Listed(records), org) == {"read": 4, "created": 4}
    assert org.sent == [["a", "b"], ["b"], ["b"], ["c"], ["d"], ["d"]]
    assert org.tries == [0, 1, 2, 0, 0, 1]


def test_a_rejected_row_stops_no_other_and_is_accepted_after_its_correction(
    sync: Sync, connection: psycopg.Connection
) -> None:
    org = Org()
    org.refuse["b"] = (ErrorClass.PERMANENT, "FIELD_CUSTOM_VALIDATION_EXCEPTION")
    records = [account("a"), account("b"), account("c")]
    assert sync(Listed(records), org) == {"read": 3, "created": 2, "rejected": 1}
    assert sync(Listed(records), org) == {"read": 3, "unchanged": 2, "rejected": 1}
    assert list_rejects(connection)[0].attempts == 2
    org.refuse.clear()
    assert sync(Listed(records), org) == {"read": 3, "unchanged": 2, "created": 1}
    assert list_rejects(connection) == []


def test_invalid_records_are_recorded_and_not_sent(
    sync: Sync, connection: psycopg.Connection
) -> None:
    org = Org()
    bad: list[Record | bytes] = [account("b", billEpoch="soon"), b'{"no": "id"}', b"broken"]
    assert sync(Listed([account("a"), *bad]), org) == {"read": 4, "created": 1, "invalid": 3}
    assert org.sent == [["a"]]
    assert {reject.error_class for reject in list_rejects(connection)} == {"invalid"}
    assert sync(Listed([account("a"), account("b")]), org)["created"] == 1
    assert list_rejects(connection) == []


def test_a_record_that_is_listed_twice_is_sent_once(sync: Sync) -> None:
    org = Org()
    doubled = Listed([account("a"), account("b")], [account("b"), account("c")])
    assert sync(doubled, org) == {"read": 3, "created": 3}


def test_only_accounts_in_scope_are_read(sync: Sync) -> None:
    org = Org()
    source = Listed([account("a"), account("b"), account("c")])
    scope = AccountFilter(frozenset({"a", "b"}), frozenset({"b"}))
    assert sync(source, org, EntityOptions(scope=scope)) == {"read": 1, "created": 1}
    assert source.asked == [["a"]]
    assert set(org.held) == {"a"}


def test_a_scope_that_shrinks_sends_nothing_and_counts_only_what_is_in(sync: Sync) -> None:
    org = Org()
    records = Listed([account("a"), account("b")])
    sync(records, org)
    scope = AccountFilter(restricted=frozenset({"b"}))
    assert sync(records, org, EntityOptions(scope=scope)) == {"read": 1, "unchanged": 1}


def test_the_run_after_a_failed_one_sends_the_rest(sync: Sync) -> None:
    org = Org()
    org.dies_after = 2
    records = [account(f"a{n}") for n in range(5)]
    with pytest.raises(RemoteError):
        sync(Listed(records), org)
    org.dies_after = None
    assert sync(Listed(records), org) == {"read": 5, "unchanged": 2, "created": 3}


@pytest.fixture
def ledger(connection: psycopg.Connection) -> PostgresLedger:
    """What an earlier run of the integration wrote with."""
    return PostgresLedger(connection, "acme", "account", "earlier run")


def killed_at_its_job(sync: Sync, ledger: PostgresLedger, records: Listed) -> Org:
    """An org that holds what a run has sent by a job, and died before it knew."""
    org = Org()
    org.dies_after = 0
    with pytest.raises(RemoteError):
        sync(records, org)
    org.dies_after = None
    ledger.record_job_created("750A", "m3ter_Account__c", 3, "digest")
    return org


def test_a_job_that_was_left_is_picked_up_before_anything_is_read_or_sent(
    sync: Sync, ledger: PostgresLedger
) -> None:
    records = Listed([account("a"), account("b"), account("c")])
    org = killed_at_its_job(sync, ledger, records)
    taken = [Acknowledged(key, f"a01-{key}", created=True) for key in "ab"]
    locked = Rejected("c", ErrorClass.TRANSIENT, "UNABLE_TO_LOCK_ROW", "busy")
    org.left["750A"] = [*taken, locked, Acknowledged("unrelated", "a01", created=True)]
    del org.sent[:]
    assert sync(records, org) == {"read": 3, "unchanged": 2, "created": 1}
    assert org.sent == [["c"]]
    assert ledger.unfinished_jobs() == []


@pytest.mark.parametrize(("listed", "rejected"), [("a", []), ("ab", ["b"])])
def test_a_reject_of_such_a_job_is_listed_only_with_a_record_that_m3ter_lists(
    sync: Sync,
    ledger: PostgresLedger,
    connection: psycopg.Connection,
    listed: str,
    rejected: list[str],
) -> None:
    org = killed_at_its_job(sync, ledger, Listed([account("a"), account("b")]))
    taken = Acknowledged("a", "a01-a", created=True)
    org.left["750A"] = [taken, Rejected("b", ErrorClass.PERMANENT, "DUPLICATE_VALUE", "no")]
    org.refuse["b"] = ErrorClass.PERMANENT, "DUPLICATE_VALUE"
    sync(Listed([account(key) for key in listed]), org)
    assert [reject.m3ter_id for reject in list_rejects(connection)] == rejected


def test_what_changed_since_the_job_was_sent_is_sent_after_it(
    sync: Sync, ledger: PostgresLedger
) -> None:
    org = killed_at_its_job(sync, ledger, Listed([account("a"), account("b")]))
    org.left["750A"] = [Acknowledged(key, f"a01-{key}", created=True) for key in "ab"]
    org.held = {"a": {}, "b": {}}
    del org.sent[:]
    changed = Listed([account("a", code="new"), account("b")])
    assert sync(changed, org) == {"read": 2, "unchanged": 1, "updated": 1}
    assert org.held["a"]["Code__c"] == "new"
    assert org.sent == [["a"]]


def test_a_mapping_that_changed_since_sends_every_row_again(
    sync: Sync, ledger: PostgresLedger
) -> None:
    records = Listed([account("a"), account("b")])
    org = killed_at_its_job(sync, ledger, records)
    org.left["750A"] = [Acknowledged(key, f"a01-{key}", created=True) for key in "ab"]
    org.held = {"a": {}, "b": {}}
    fewer = EntityOptions(fields={"code": None})
    assert sync(records, org, fewer) == {"read": 2, "updated": 2}


def test_a_job_that_does_not_end_is_left_for_the_next_run(
    sync: Sync, ledger: PostgresLedger
) -> None:
    records = Listed([account("a"), account("b")])
    org = killed_at_its_job(sync, ledger, records)
    org.left["750A"] = DeadlineError("The job is InProgress", "Wait.")
    del org.sent[:]
    for _ in range(2):
        with pytest.raises(DeadlineError):
            sync(records, org)
    assert [job.job_id for job in ledger.unfinished_jobs()] == ["750A"]
    assert org.sent == []
    org.left["750A"] = [Acknowledged(key, f"a01-{key}", created=True) for key in "ab"]
    assert sync(records, org) == {"read": 2, "unchanged": 2}
    assert org.sent == []


def test_a_requested_job_without_an_id_is_searched_in_salesforce(
    sync: Sync, ledger: PostgresLedger
) -> None:
    ledger.record_job_requested("m3ter_Account__c", 1, "digest")
    org = Org()
    org.left["m3ter_Account__c"] = []
    assert sync(Listed([account("a")]), org) == {"read": 1, "created": 1}
    assert ledger.unfinished_jobs() == []
