"""What a sync sends together, what it sends again, and what it shows of that."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import psycopg
import pytest

from m3sync_dagster.state import PostgresLedger, list_rejects
from m3sync_dagster.sync import engine, record_matching
from m3sync_dagster.sync.account_expression import AccountExpression
from m3sync_dagster.sync.account_filter import AccountFilter
from m3sync_dagster.sync.account_link_types import AccountLink
from m3sync_dagster.sync.engine import EntitySync, Progress
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.errors import ConfigurationError
from m3sync_dagster.sync.interfaces import JobLog
from m3sync_dagster.sync.match_and_overwrite import Match
from m3sync_dagster.sync.matching_accounts import MatchingAccounts
from m3sync_dagster.sync.row_results import (
    REFUSED_LINK,
    Acknowledged,
    Count,
    ErrorClass,
    Rejected,
    RowResult,
)
from m3sync_dagster.sync.row_types import Group, Target
from m3sync_dagster.sync.salesforce_schema import SalesforceObject
from m3sync_dagster.sync.target_schema import TargetSchema
from m3sync_dagster_tests.sync.conftest import Listed, Org, Record, account, mapping, prepared
from m3sync_dagster_tests.sync.fitting_object import fitting
from m3sync_dagster_tests.sync.test_account_links import FIRST, LOOKUP, LinkOrg, external
from m3sync_dagster_tests.sync.test_account_links import sync as sync_links

DENIED = ErrorClass.PERMANENT, "FIELD_CUSTOM_VALIDATION_EXCEPTION"


class Groups(Org):
    """An org that notes of each group which rows it has and what is said of them."""

    def __init__(self) -> None:
        super().__init__()
        self.groups: list[Group] = []

    def upsert(self, target: Target, group: Group, jobs: JobLog) -> Iterator[list[RowResult]]:
        self.groups.append(replace(group, rows=()))
        yield from super().upsert(target, group, jobs)


def synced(
    connection: psycopg.Connection, org: Org, *records: Record, options: EntityOptions | None = None
) -> EntitySync:
    """A sync of these records, after its run."""
    made = prepared(connection, Listed(records), org, mapping(options=options))
    list(made.run())
    return made


def numbers(made: EntitySync) -> dict[Count, int]:
    """The counts that are not zero."""
    return dict(+made.counts)


def child(m3ter_id: str, parent: str) -> Record:
    return account(m3ter_id, parentAccountId=parent)


def test_pages_are_joined_and_split_into_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "BATCH", 2)
    pages = [[b"1"], [b"2", b"3", b"4", b"5"], []]
    assert list(engine.batched(pages)) == [[b"1", b"2"], [b"3", b"4"], [b"5"]]
    assert list(engine.batched([[], [b"1", b"2"]])) == [[b"1", b"2"]]
    assert list(engine.batched([])) == []


def test_the_progress_is_told_after_each_batch_and_each_answer(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BATCH", 2)
    records = [account(one) for one in "abc"]
    made = prepared(connection, Listed(records[:1], records[1:]), Org(), mapping())
    assert not made.sending
    assert list(made.run()) == [
        Progress(2, 0),
        Progress(3, 0),
        Progress(3, 1),
        Progress(3, 2),
        Progress(3, 3),
    ]
    assert made.sending
    again = prepared(connection, Listed(records), Org(), mapping())
    assert list(again.run()) == [Progress(2, 0), Progress(3, 0)]
    assert (again.sending, numbers(again)) == (False, {Count.UNCHANGED: 3})


def test_the_progress_counts_the_answers_to_an_earlier_job(connection: psycopg.Connection) -> None:
    ledger = PostgresLedger(connection, "acme", "account", "earlier run")
    org = Org()
    for job in ("750A", "750B"):
        ledger.record_job_requested("m3ter_Account__c", 2, job)
        ledger.record_job_created(job, "m3ter_Account__c", 2, job)
    org.left = {
        "750A": [Acknowledged(one, f"a01-{one}", created=True) for one in "xy"],
        "750B": [Acknowledged("z", "a01-z", created=True)],
    }
    made = prepared(connection, Listed([account("a")]), org, mapping())
    told = [Progress(0, 2), Progress(0, 3), Progress(1, 0), Progress(1, 4)]
    assert list(made.run()) == told


@pytest.mark.parametrize("most", [2, 9], ids=["each group apart", "all groups together"])
def test_children_follow_their_parents(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    monkeypatch.setattr(engine, "COLLECTIONS_UP_TO", most)
    org = Org()
    records = [child("c", "b"), child("b", "q"), child("a", "p"), account("p"), account("q")]
    synced(connection, org, *records)
    assert org.sent == [["p", "q"], ["a", "b"], ["c"]]


def test_rows_fill_whole_calls_while_others_wait_for_them(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "COLLECTION_ROWS", 2)
    org = Org()
    roots = [account(one) for one in ("p", "q", "r")]
    synced(connection, org, child("a", "p"), child("b", "p"), *roots)
    # The third root goes with the children of the first two.
    assert [sorted(rows) for rows in org.sent] == [["p", "q"], ["a", "b", "r"]]
    # Nothing waits for them, so that all are sent at once.
    org.sent.clear()
    synced(connection, org, *(account(one) for one in ("s", "t", "u")))
    assert org.sent == [["s", "t", "u"]]
    # Nor are many rows split, which a CSV file takes at once.
    org.sent.clear()
    monkeypatch.setattr(engine, "COLLECTIONS_UP_TO", 2)
    synced(connection, org, child("z", "x1"), *(account(f"x{n}") for n in range(3)))
    assert org.sent == [["x0", "x1", "x2"], ["z"]]
    # Too few for a whole call.
    org.sent.clear()
    synced(connection, org, child("w", "v"), account("v"))
    assert org.sent == [["v"], ["w"]]


@pytest.mark.parametrize(("most", "groups"), [(3, [3]), (2, [2, 1])])
def test_few_rows_of_all_groups_are_sent_together_and_many_apart(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch, most: int, groups: list[int]
) -> None:
    org = Groups()
    synced(connection, org, account("root"))
    monkeypatch.setattr(engine, "COLLECTIONS_UP_TO", most)
    org.groups.clear()
    synced(connection, org, account("p"), account("q"), child("a", "root"))
    assert [group.count for group in org.groups] == groups
    assert [group.collections_only for group in org.groups] == [len(groups) == 1] * len(groups)


def test_rows_of_two_groups_are_tried_again_together(connection: psycopg.Connection) -> None:
    org = Org()
    synced(connection, org, account("root"))
    org.busy = {"a": 2, "p": 1}
    org.tries.clear()
    org.sent.clear()
    made = synced(connection, org, account("p"), child("a", "root"), account("q"))
    assert [sorted(rows) for rows in org.sent] == [["a", "p", "q"], ["a", "p"], ["a"]]
    assert org.tries == [0, 1, 2]
    assert numbers(made) == {Count.CREATED: 3}


def test_records_in_a_circle_are_sent_last_and_all_together(connection: psycopg.Connection) -> None:
    org = Org()
    made = synced(connection, org, child("a", "b"), child("b", "a"), child("c", "p"), account("p"))
    assert [sorted(rows) for rows in org.sent] == [["p"], ["c"], ["a", "b"]]
    assert numbers(made) == {Count.CREATED: 2, Count.WAITING: 2}


def test_an_object_that_does_not_fit_is_refused_though_there_is_nothing_to_send(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = Org()
    described = org._describe("m3ter_Account__c")
    monkeypatch.setattr(org, "_describe", lambda _name: replace(described, fields={}))
    with pytest.raises(ConfigurationError):
        synced(connection, org)


def test_records_are_sent_again_by_their_ids(connection: psycopg.Connection) -> None:
    org = Org()
    records = [account(one) for one in "abc"]
    synced(connection, org, *records)
    org.sent.clear()
    left = PostgresLedger(connection, "acme", "account", "a run that failed")
    left.record_job_requested("m3ter_Account__c", 1, "digest")
    left.record_job_created("750A", "m3ter_Account__c", 1, "digest")
    org.left["750A"] = []
    made = prepared(connection, Listed(records), org, mapping())
    made.send_only(["b", "c", "deleted in m3ter"])
    assert org.sent == [["b", "c"]]
    assert numbers(made) == {Count.UPDATED: 2}
    assert left.unfinished_jobs() == []


def test_a_record_that_was_read_as_unchanged_and_is_sent_again_counts_once(
    connection: psycopg.Connection,
) -> None:
    org = Org()
    roots = [account(f"r{n}", name=f"Root {n}") for n in range(5)]
    synced(connection, org, *roots)
    org.held.clear()
    made = synced(connection, org, *roots, *(child(f"c{n}", f"r{n}") for n in range(5)))
    assert numbers(made) == {Count.CREATED: 10}
    assert made.replaced == 5
    assert made.replaced_names == ["Root 0 (r0)", "Root 1 (r1)", "Root 2 (r2)"]


def test_a_replaced_record_without_a_title_is_named_by_its_id(
    connection: psycopg.Connection,
) -> None:
    options = EntityOptions(fields={"title": None})
    org = Org()
    synced(connection, org, account("r"), options=options)
    org.held.clear()
    made = synced(connection, org, account("r"), child("c", "r"), options=options)
    assert made.replaced_names == ["r"]


class Orphans(Org):
    """An org with contracts whose account is not there."""

    def _describe(self, _object_name: str) -> SalesforceObject:
        return fitting(mapping("contract"))

    def upsert(self, _target: Target, group: Group, _jobs: JobLog) -> Iterator[list[RowResult]]:
        rows = list(group.rows)
        self.sent.append([row.m3ter_id for row in rows])
        yield [Rejected(row.m3ter_id, ErrorClass.DEPENDENCY, "INVALID_FIELD", "no") for row in rows]


def test_parents_of_another_type_are_sent_by_the_caller(connection: psycopg.Connection) -> None:
    synced(connection, Org(), account("a"))
    org, built = Orphans(), mapping("contract")
    asked: list[tuple[str, list[str]]] = []
    made = EntitySync(
        built,
        Listed([{"id": "k", "accountId": "a"}]),
        PostgresLedger(connection, "acme", "contract", "this run"),
        org,
        TargetSchema(built, org),
        send_parents=lambda entity, ids: asked.append((entity, list(ids))),
    )
    list(made.run())
    assert asked == [("account", ["a"])]
    assert (org.sent, numbers(made)) == ([["k"], ["k"]], {Count.WAITING: 1})


def test_only_the_first_rejected_rows_are_shown_and_all_are_recorded(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "SHOWN_REJECTS", 3)
    org = Org()
    records = [account(f"a{n}", name=f"Name {n}", code=f"code-{n}") for n in range(5)]
    org.refuse = {f"a{n}": DENIED for n in range(5)}
    made = synced(connection, org, *records)
    shown = [
        (one.m3ter_id, one.record and (one.record.name, one.record.code)) for one in made.rejected
    ]
    assert shown == [(f"a{n}", (f"Name {n}", f"code-{n}")) for n in range(3)]
    assert numbers(made) == {Count.REJECTED: 5}
    assert len(list_rejects(connection)) == 5


def test_rows_without_a_record_are_counted_apart(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(record_matching, "BATCH", 1)
    org = Org()
    update_only = EntityOptions(match=Match.UPDATE_ONLY)
    made = synced(connection, org, account("a"), account("b"), options=update_only)
    assert (made.without_record, numbers(made), org.sent) == (2, {Count.WAITING: 2}, [])


def test_links_are_counted_and_a_refused_one_is_explained(connection: psycopg.Connection) -> None:
    org = LinkOrg()
    org.refuse["a"] = ErrorClass.PERMANENT, "MALFORMED_ID"
    source = Listed([account("a"), account("b")])
    source.external = [external("a", FIRST)]
    made = sync_links(connection, source, org, AccountLink(LOOKUP))
    assert made.links.as_dict() == {"matched": 1, "none": 1, "ambiguous": 0, "malformed": 0}
    assert [(one.m3ter_id, REFUSED_LINK in one.message) for one in made.rejected] == [("a", True)]


class Asked(Listed):
    """An m3ter that notes about which accounts it was asked."""

    def matching_accounts(
        self, expression: AccountExpression, account_ids: Sequence[str] | None
    ) -> MatchingAccounts:
        self.asked.append(account_ids)
        return super().matching_accounts(expression, account_ids)

    def external_mappings(self, account_ids: Sequence[str] | None) -> Iterator[Sequence[bytes]]:
        self.asked.append(account_ids)
        return super().external_mappings(account_ids)


def test_m3ter_is_asked_about_the_accounts_in_scope_alone(connection: psycopg.Connection) -> None:
    both = [account("a"), account("b")]
    source = Asked(both, accounts=both)
    scope = AccountFilter(frozenset("ab"), frozenset("b"), AccountExpression("name != x"))
    built = mapping(options=EntityOptions(link=AccountLink(LOOKUP), scope=scope))
    made = prepared(connection, source, LinkOrg(), built)
    list(made.run())
    assert source.asked == [["a"]] * 3
    assert numbers(made) == {Count.CREATED: 1}
