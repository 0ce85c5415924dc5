"""The engine on a real ledger, between a source and a destination that are lists in memory."""

from collections.abc import Iterator

import psycopg
import pytest

from m3sync_dagster.entities import FieldKind
from m3sync_dagster.state import PostgresLedger, list_rejects, retry_rejects
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.converters import CONVERTERS
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.errors import ConfigurationError, DeadlineError, RemoteError
from m3sync_dagster.sync.row_results import (
    Acknowledged,
    Count,
    Counts,
    ErrorClass,
    Rejected,
    RowResult,
    Value,
)
from m3sync_dagster_tests.sync.conftest import Listed, Org, Record, Sync, account, mapping, prepared


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


def let_time_pass(connection: psycopg.Connection, hours: float) -> None:
    """Makes all pauses begin so much earlier."""
    connection.execute(
        "UPDATE m3sync.rejected_record SET retry_at = retry_at - make_interval(secs => %s)",
        [hours * 3_600],
    )


def test_a_permanently_rejected_row_is_sent_again_twice_and_then_after_longer_pauses(
    sync: Sync, connection: psycopg.Connection
) -> None:
    org = Org()
    org.refuse["b"] = (ErrorClass.PERMANENT, "FIELD_CUSTOM_VALIDATION_EXCEPTION")
    records = [account("a"), account("b")]
    sent_at = []
    for hour in range(100):
        del org.sent[:]
        assert sync(Listed(records), org)["rejected"] == 1
        if ["b"] in org.sent or ["a", "b"] in [sorted(rows) for rows in org.sent]:
            sent_at.append(hour)
        (reject,) = list_rejects(connection)
        assert reject.attempts == len(sent_at)
        let_time_pass(connection, 1)
    assert sent_at == [0, 1, 2, 4, 8, 16, 32, 56, 80]


def test_a_paused_row_is_sent_at_once_when_its_content_or_mapping_changes(
    sync: Sync, connection: psycopg.Connection
) -> None:
    org = Org()
    org.refuse["b"] = (ErrorClass.PERMANENT, "DUPLICATE_VALUE")
    for _ in range(4):
        sync(Listed([account("b")]), org)
    assert len(org.sent) == 3
    sync(Listed([account("b", code="new")]), org)
    assert len(org.sent) == 4
    assert list_rejects(connection)[0].attempts == 1
    for _ in range(3):
        sync(Listed([account("b", code="new")]), org)
    assert len(org.sent) == 6
    sync(Listed([account("b", code="new")]), org, EntityOptions(fields={"currency": None}))
    assert len(org.sent) == 7


def test_a_paused_row_is_sent_at_once_on_request(
    sync: Sync, connection: psycopg.Connection
) -> None:
    org = Org()
    org.refuse["b"] = (ErrorClass.PERMANENT, "DUPLICATE_VALUE")
    records = Listed([account("b")])
    for _ in range(4):
        sync(records, org)
    assert retry_rejects(connection, "another") == 0
    assert sync(records, org) == {"read": 1, "rejected": 1}
    assert len(org.sent) == 3
    assert retry_rejects(connection, "acme") == 1
    org.refuse.clear()
    assert sync(records, org) == {"read": 1, "created": 1}
    assert list_rejects(connection) == []


def test_a_paused_row_is_sent_by_a_full_run(sync: Sync) -> None:
    org = Org()
    org.refuse["b"] = (ErrorClass.PERMANENT, "DUPLICATE_VALUE")
    for _ in range(4):
        sync(Listed([account("b")]), org)
    sync(Listed([account("b")]), org, full=True)
    assert len(org.sent) == 4


@pytest.mark.parametrize(
    "kind", [ErrorClass.TRANSIENT, ErrorClass.COLLATERAL, ErrorClass.CONFIGURATION]
)
def test_a_row_with_a_temporary_rejection_is_sent_by_every_run(
    sync: Sync, kind: ErrorClass
) -> None:
    org = Org()
    org.refuse["b"] = (kind, "WHATEVER")
    for runs in range(1, 9):
        sync(Listed([account("b")]), org)
        assert len(org.sent) == runs


def test_a_paused_reject_is_deleted_with_its_record(
    sync: Sync, connection: psycopg.Connection
) -> None:
    org = Org()
    org.refuse["b"] = (ErrorClass.PERMANENT, "DUPLICATE_VALUE")
    for _ in range(4):
        sync(Listed([account("b")]), org)
    assert sync(Listed([account("a")]), org) == {"read": 1, "created": 1}
    assert list_rejects(connection) == []


def test_many_records_pass_in_batches(sync: Sync) -> None:
    org = Org()
    pages = [[account(f"a{page}-{n}") for n in range(100)] for page in range(25)]
    assert sync(Listed(*pages), org) == {"read": 2_500, "created": 2_500}
    assert sync(Listed(*pages), org) == {"read": 2_500, "unchanged": 2_500}


def test_counts_add_up() -> None:
    counts = Counts(created=1, waiting=2, unchanged=3)
    assert (counts.read, counts.failed) == (6, 2)


def test_another_org_gets_every_record_and_so_does_the_first_one_again(sync: Sync) -> None:
    records = Listed([account("a"), account("b")])
    first, second = Org(), Org()
    second.organization_id = "00D000000000002"
    for org in (first, second):
        assert sync(records, org) == {"read": 2, "created": 2}
    records.pages = ([account("a", code="new"), account("b")],)
    assert sync(records, first) == {"read": 2, "updated": 2}
    assert first.held["a"]["Code__c"] == "new"
    assert sync(records, second) == {"read": 2, "updated": 2}


def test_another_m3ter_organization_is_compared_again(sync: Sync) -> None:
    records, org = Listed([account("a")]), Org()
    sync(records, org)
    other = Listed([account("a")])
    other.organization_id = "another"
    assert sync(other, org) == {"read": 1, "updated": 1}


def test_another_object_gets_every_record(sync: Sync) -> None:
    records, org = Listed([account("a")]), Org()
    sync(records, org)
    org.held.clear()
    assert sync(records, org, EntityOptions(object="Other__c")) == {"read": 1, "created": 1}


def test_another_external_id_field_is_written_into_the_known_records_first(
    sync: Sync, connection: psycopg.Connection
) -> None:
    records, org = Listed([account("a"), account("b")]), Org()
    sync(records, org)
    other = EntityOptions(external_id_field="Other_Id__c")
    assert sync(records, org, other) == {"read": 2, "updated": 2}
    assert org.updated == [{org.ids["a"]: {"Other_Id__c": "a"}, org.ids["b"]: {"Other_Id__c": "b"}}]
    org.updated.clear()
    assert sync(records, org, other) == {"read": 2, "unchanged": 2}
    assert org.updated == []


def test_a_record_that_cannot_get_the_new_external_id_stops_the_run(
    sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    records, org = Listed([account("a")]), Org()
    sync(records, org)
    monkeypatch.setattr(
        org,
        "update",
        lambda _object, changes: [
            [Rejected(key, ErrorClass.PERMANENT, "DUPLICATE_VALUE", "no") for key in changes]
        ],
    )
    sent = len(org.sent)
    other = EntityOptions(external_id_field="Other_Id__c")
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"Other_Id__c now.*a \(a01.*DUPLICATE_VALUE"):
            sync(records, org, other)
    assert len(org.sent) == sent
    assert sync(records, org) == {"read": 1, "unchanged": 1}


def test_a_known_record_that_was_deleted_is_created_under_the_new_external_id(sync: Sync) -> None:
    records, org = Listed([account("a"), account("b")]), Org()
    sync(records, org)
    org.no_such = {org.ids["a"]}
    del org.held["a"]
    other = EntityOptions(external_id_field="Other_Id__c")
    assert sync(records, org, other) == {"read": 2, "created": 1, "updated": 1}


def test_a_failed_full_run_is_completed_by_the_next_run(sync: Sync) -> None:
    org = Org()
    records = [account(f"a{n}") for n in range(5)]
    sync(Listed(records), org)
    org.held = {"a0": {}, "a1": {}}
    org.dies_after = 3
    with pytest.raises(RemoteError):
        sync(Listed(records), org, full=True)
    org.dies_after = None
    counts = sync(Listed(records), org)
    assert set(org.held) == {f"a{n}" for n in range(5)}
    assert all(org.held.values())
    assert counts.get("created", 0) + counts.get("updated", 0) + counts["unchanged"] == 5


def test_a_row_that_a_full_run_could_not_send_is_sent_by_the_next(
    sync: Sync, connection: psycopg.Connection
) -> None:
    org, records = Org(), Listed([account("a"), account("b")])
    sync(records, org)
    org.refuse["b"] = (ErrorClass.TRANSIENT, "UNABLE_TO_LOCK_ROW")
    assert sync(records, org, full=True) == {"read": 2, "updated": 1, "rejected": 1}
    assert [reject.m3ter_id for reject in list_rejects(connection)] == ["b"]
    org.refuse.clear()
    assert sync(records, org) == {"read": 2, "unchanged": 1, "updated": 1}


def test_a_former_value_is_sent_after_a_result_was_lost(sync: Sync) -> None:
    org = Org()
    sync(Listed([account("a", code="old")]), org)

    def lose_the_answer(*_: object) -> Iterator[list[RowResult]]:
        org.held["a"] = {"Code__c": "between"}
        raise RemoteError("the connection broke off", "Try again.")
        yield

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(org, "upsert", lose_the_answer)
        with pytest.raises(RemoteError):
            sync(Listed([account("a", code="between")]), org)
    assert sync(Listed([account("a", code="old")]), org) == {"read": 1, "updated": 1}
    assert org.held["a"]["Code__c"] == "old"


def test_a_mapping_that_changes_and_returns_sends_what_it_touched(sync: Sync) -> None:
    org, records = Org(), Listed([account("a", code="c"), account("b", code="c")])
    sync(records, org)
    org.dies_after = 2
    with pytest.raises(RemoteError):
        sync(records, org, EntityOptions(fields={"code": None}))
    org.dies_after = None
    assert sync(records, org) == {"read": 2, "updated": 2}


def test_a_parent_deleted_in_salesforce_is_sent_again_before_its_child(
    sync: Sync, connection: psycopg.Connection
) -> None:
    org = Org()
    records = [account("root", name="Root"), account("old", parentAccountId="root")]
    sync(Listed(records), org)
    del org.held["root"]
    org.sent.clear()
    records.append(account("new", parentAccountId="root"))
    entity_sync = prepared(connection, Listed(records), org, mapping())
    for _ in entity_sync.run():
        pass
    assert org.sent[0] == ["new"]
    assert ["root"] in org.sent[1:]
    assert org.sent[-1] == ["new"]
    assert (entity_sync.replaced, entity_sync.replaced_names) == (1, ["Root (root)"])
    assert entity_sync.counts == {Count.CREATED: 2, Count.UNCHANGED: 1}
    # The other child's lookup was emptied when its parent was deleted.
    org.sent.clear()
    assert sync(Listed(records), org) == {"read": 3, "unchanged": 2, "updated": 1}
    assert org.sent == [["old"]]


def test_a_child_waits_for_a_parent_that_m3ter_no_longer_has(sync: Sync) -> None:
    org = Org()
    sync(Listed([account("root")]), org)
    del org.held["root"]
    child = Listed([account("child", parentAccountId="root")])
    assert sync(child, org) == {"read": 1, "waiting": 1}


def test_a_text_that_was_cut_is_sent_whole_once_its_field_is_longer(sync: Sync) -> None:
    org = Org()
    org.lengths["name"] = 5

    def names() -> list[object]:
        return [org.held[key]["Account_Name__c"] for key in ("a", "b")]

    options = EntityOptions(truncate=frozenset({"name"}))
    records = Listed([account("a", name="A long name"), account("b", name="B")])
    sync(records, org, options)
    assert names() == ["A lon", "B"]
    assert sync(records, org, options) == {"read": 2, "unchanged": 2}
    org.lengths["name"] = 50
    assert sync(records, org, options) == {"read": 2, "unchanged": 1, "updated": 1}
    assert names() == ["A long name", "B"]
    calls = org.calls
    assert sync(records, org, options) == {"read": 2, "unchanged": 2}
    assert org.calls == calls


def test_a_corrected_converter_sends_the_rows_that_come_out_different(
    sync: Sync, monkeypatch: pytest.MonkeyPatch
) -> None:
    org, records = Org(), Listed([account("a", code="x"), account("b", currency="EUR")])
    sync(records, org)
    monkeypatch.setitem(CONVERTERS, FieldKind.TEXT, _in_capitals)
    assert sync(records, org) == {"read": 2, "unchanged": 2}
    monkeypatch.setattr("m3sync_dagster.sync.mapping.CODE_DIGEST", 1)
    assert sync(records, org)["updated"] == 2
    assert org.held["a"]["Code__c"] == "X"


def _in_capitals(value: object) -> Value:
    return str(value).upper()


def test_a_deleted_parent_that_is_rejected_is_counted_once(
    sync: Sync, connection: psycopg.Connection
) -> None:
    org = Org()
    records = Listed([account("root"), account("child", parentAccountId="root")])
    sync(records, org)
    del org.held["root"]
    org.refuse["root"] = (ErrorClass.PERMANENT, "FIELD_CUSTOM_VALIDATION_EXCEPTION")
    assert sync(records, org, full=True) == {"read": 2, "rejected": 1, "waiting": 1}
    assert {r.m3ter_id for r in list_rejects(connection)} == {"root", "child"}
