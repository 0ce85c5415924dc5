"""``match: update_only`` and ``overwrite: if_empty``, from the options to Salesforce's records."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from m3sync_dagster.state import (
    PostgresLedger,
    PostgresReconciliation,
    list_rejects,
    read_sent_changes,
    retry_rejects,
)
from m3sync_dagster.sync import record_matching
from m3sync_dagster.sync.engine import EntitySync
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.interfaces import JobLog
from m3sync_dagster.sync.match_and_overwrite import Match, Overwrite
from m3sync_dagster.sync.plan import EntityPlan, Sample
from m3sync_dagster.sync.reconcile import Reconciler
from m3sync_dagster.sync.record_comparison import RecordComparison
from m3sync_dagster.sync.row_results import NO_RECORD, ErrorClass, Rejected, RowResult
from m3sync_dagster.sync.row_types import Group, Target
from m3sync_dagster_tests.sync.conftest import Listed, Org, Record, account, mapping, prepared

UPDATE_ONLY = EntityOptions(match=Match.UPDATE_ONLY)
IF_EMPTY = {"Code__c": Overwrite.IF_EMPTY}
KEEPING = EntityOptions(overwrite=IF_EMPTY)
BOTH = replace(KEEPING, match=Match.UPDATE_ONLY)


class People(Org):
    """An org whose records people create and edit too; an update never creates one."""

    def create(self, m3ter_id: str, **values: object) -> None:
        self.made += 1
        self.ids[m3ter_id] = f"001{self.made:012}"
        self.held[m3ter_id] = values

    def remove(self, m3ter_id: str) -> None:
        del self.held[m3ter_id], self.ids[m3ter_id]

    def upsert(self, target: Target, group: Group, _jobs: JobLog) -> Iterator[list[RowResult]]:
        rows = list(group.rows)
        assert len(rows) == group.count
        self.sent.append([row.m3ter_id for row in rows])
        names = [column.field for column in target.columns]
        for row in rows:
            if self.busy.get(row.m3ter_id, 0) > group.tries:
                continue
            if target.update_only and self.ids.get(row.m3ter_id) != row.salesforce_id:
                yield [Rejected(row.m3ter_id, ErrorClass.PERMANENT, "ENTITY_IS_DELETED", "no")]
                continue
            sent = {
                n: v
                for i, (n, v) in enumerate(zip(names, row.values, strict=True))
                if i not in row.kept
            }
            before = self.held.get(row.m3ter_id, {})
            yield [self._take(row.m3ter_id, {"Parent_Account__c": None} | before | sent)]


@pytest.fixture(params=[2_000, 0], ids=["few rows", "many rows"])
def _few(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(record_matching, "FEW", request.param)


def run(
    connection: psycopg.Connection, org: Org, options: EntityOptions, *records: Record
) -> EntitySync:
    built = mapping(options=options)
    sync = prepared(connection, Listed(records), org, built)
    sync._ledger.keep_history(built.columns, built.masked)  # type: ignore[attr-defined]
    for _ in sync.run():
        pass
    return sync


def counts(sync: EntitySync) -> dict[str, int]:
    return {name: count for name, count in sync.counts.as_dict().items() if count}


@pytest.mark.usefixtures("_few")
def test_an_update_creates_no_record(connection: psycopg.Connection) -> None:
    org = People()
    org.create("a", Name="by hand")
    sync = run(connection, org, UPDATE_ONLY, account("a"), account("b"))
    assert counts(sync) == {"read": 2, "updated": 1, "waiting": 1}
    assert sync.without_record == 1
    assert org.held.keys() == {"a"}
    assert org.held["a"]["Name"] == "Account a"
    (reject,) = list_rejects(connection, "acme")
    assert (reject.m3ter_id, reject.code, reject.error_class) == ("b", NO_RECORD, "dependency")
    assert reject.record_name == "Account b"
    assert "m3ter_Account__c whose m3ter_Id__c is b" in reject.message
    assert read_sent_changes(connection, "acme", "account", "b") == []


@pytest.mark.usefixtures("_few")
def test_a_waiting_row_is_sent_once_its_record_is_there(connection: psycopg.Connection) -> None:
    org = People()
    run(connection, org, UPDATE_ONLY, account("a"))
    org.create("a", Name="by hand")
    assert counts(run(connection, org, UPDATE_ONLY, account("a"))) == {"read": 1, "updated": 1}
    assert list_rejects(connection, "acme") == []


def test_a_waiting_row_pauses_without_a_call(connection: psycopg.Connection) -> None:
    org = People()
    for _ in range(3):
        run(connection, org, UPDATE_ONLY, account("a"))
    calls = org.calls
    assert counts(run(connection, org, UPDATE_ONLY, account("a"))) == {"read": 1, "waiting": 1}
    assert org.calls == calls
    for attempts, hours in ((3, 2), (9, 4)):
        connection.execute("UPDATE m3sync.rejected_record SET attempts = %s", (attempts - 1,))
        retry_rejects(connection, "acme")
        run(connection, org, UPDATE_ONLY, account("a"))
        found = connection.execute(
            "SELECT round(extract(epoch FROM retry_at - last_seen) / 600) "
            "FROM m3sync.rejected_record"
        ).fetchone()
        assert found == (hours * 6 - 1,)


def test_an_upsert_ends_the_pause_of_a_missing_record(connection: psycopg.Connection) -> None:
    org = People()
    for _ in range(3):
        run(connection, org, UPDATE_ONLY, account("a"))
    sync = run(connection, org, EntityOptions(), account("a"))
    assert counts(sync) == {"read": 1, "created": 1}


def test_a_record_that_was_created_anew_is_found_by_its_external_id(
    connection: psycopg.Connection,
) -> None:
    org = People()
    org.create("a")
    run(connection, org, UPDATE_ONLY, account("a"))
    org.remove("a")
    org.create("a", Name="another")
    sync = run(connection, org, UPDATE_ONLY, account("a", code="new"))
    assert counts(sync) == {"read": 1, "updated": 1}
    assert org.held["a"]["Code__c"] == "new"


def test_a_record_whose_external_id_was_removed_is_not_written(
    connection: psycopg.Connection,
) -> None:
    org = People()
    org.create("a")
    run(connection, org, UPDATE_ONLY, account("a"))
    org.remove("a")
    sync = run(connection, org, UPDATE_ONLY, account("a", code="new"))
    assert counts(sync) == {"read": 1, "waiting": 1}
    assert org.sent[-1] == ["a"]
    assert len(org.sent) == 1


def test_a_row_that_met_a_lock_is_matched_again(
    connection: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    org = People()
    org.create("a")
    org.create("b", Code__c=None)
    org.busy = {"b": 1}
    send, codes = org.upsert, []

    def send_while_somebody_edits(*given: Any) -> Iterator[list[RowResult]]:  # noqa: ANN401 - as sent
        yield from send(*given)
        codes.append(org.held["b"]["Code__c"])
        org.held["b"]["Code__c"] = "theirs"

    monkeypatch.setattr(org, "upsert", send_while_somebody_edits)
    sync = run(connection, org, BOTH, account("a", code="A"), account("b", code="B"))
    assert counts(sync) == {"read": 2, "updated": 2}
    assert org.sent == [["a", "b"], ["b"]]
    assert org.held["b"]["Name"] == "Account b"
    assert codes == [None, "theirs"]


def test_1000_changed_rows_are_looked_up_in_one_call(connection: psycopg.Connection) -> None:
    org = People()
    ids = [f"k{number:04d}" for number in range(1_000)]
    for one in ids:
        org.create(one)
    run(connection, org, UPDATE_ONLY, *map(account, ids))
    calls = org.calls
    run(connection, org, UPDATE_ONLY, *(account(one, code="new") for one in ids))
    assert org.calls - calls == 2  # describe, and the look-up; sending is not counted here


@pytest.mark.usefixtures("_few")
@pytest.mark.parametrize("options", [KEEPING, BOTH], ids=["upsert", "update only"])
def test_a_value_that_salesforce_has_is_kept(
    connection: psycopg.Connection, options: EntityOptions
) -> None:
    org = People()
    org.create("a", Code__c="theirs")
    org.create("b", Code__c=None)
    org.create("c", Code__c="theirs")
    records = (account("a", code="ours"), account("b", code="ours"), account("c"))
    assert counts(run(connection, org, options, *records)) == {"read": 3, "updated": 3}
    assert [org.held[one]["Code__c"] for one in "abc"] == ["theirs", "ours", "theirs"]
    assert org.held["a"]["Name"] == "Account a"
    assert counts(run(connection, org, options, *records)) == {"read": 3, "unchanged": 3}


def test_a_new_record_gets_all_values(connection: psycopg.Connection) -> None:
    org = People()
    assert counts(run(connection, org, KEEPING, account("a", code="ours"))) == {
        "read": 1,
        "created": 1,
    }
    assert org.held["a"]["Code__c"] == "ours"


def test_a_kept_value_is_not_in_the_history(connection: psycopg.Connection) -> None:
    org = People()
    org.create("a", Code__c="theirs")
    run(connection, org, KEEPING, account("a", code="ours"))
    run(connection, org, KEEPING, account("a", code="other", currency="USD"))
    newest, first = read_sent_changes(connection, "acme", "account", "a")
    assert first.changes is not None
    assert "Name" in first.changes
    assert "Code__c" not in first.changes
    assert newest.changes == {"Currency__c": {"before": None, "after": "USD"}}


def test_overwriting_always_again_sends_the_values(connection: psycopg.Connection) -> None:
    org = People()
    org.create("a", Code__c="theirs")
    run(connection, org, KEEPING, account("a", code="ours"))
    assert counts(run(connection, org, EntityOptions(), account("a", code="ours"))) == {
        "read": 1,
        "updated": 1,
    }
    assert org.held["a"]["Code__c"] == "ours"


def verify(connection: psycopg.Connection, org: Org, *records: Record) -> Reconciler:
    comparison = PostgresReconciliation(connection, "acme", "account")
    found = Reconciler(mapping(options=KEEPING), Listed(records), org, comparison)
    for _ in found.run():
        pass
    return found


def test_verify_compares_only_what_is_empty_in_salesforce(connection: psycopg.Connection) -> None:
    org, records = People(), (account("a", code="ours"), account("b"), account("c", code="ours"))
    for one in "abc":
        org.create(one)
    run(connection, org, KEEPING, *records)
    org.held["a"]["Code__c"] = "theirs"
    org.held["b"]["Code__c"] = "theirs"
    found = verify(connection, org, *records)
    assert (found.counts.equal, found.counts.changed) == (3, 0)
    org.held["c"]["Code__c"] = None
    found = verify(connection, org, *records)
    assert (found.counts.equal, found.counts.drifted) == (2, 1)
    (example,) = found.examples
    assert (example.m3ter_id, example.fields) == ("c", {"Code__c": ("ours", None)})
    org.held["a"]["Name"] = "edited"
    found = verify(connection, org, *records)
    fields = {example.m3ter_id: example.fields for example in found.examples}
    assert fields["a"] == {"Name": ("Account a", "edited")}


@pytest.mark.parametrize(("held", "differs"), [("theirs", False), (None, True)])
def test_a_record_shows_a_kept_value_as_no_difference(
    connection: psycopg.Connection, held: str | None, *, differs: bool
) -> None:
    org, records = People(), Listed([account("a", code="ours")])
    org.create("a", Name="Account a", Code__c=held)
    comparison = RecordComparison(mapping(options=KEEPING), records, org, lambda: None)
    (field,) = (one for one in comparison.compare("a").fields if one.field == "Code__c")
    assert (field.m3ter, field.salesforce, field.differs) == ("ours", held, differs)


def plan(
    connection: psycopg.Connection, org: Org, options: EntityOptions, *records: Record
) -> EntityPlan:
    ledger = PostgresLedger(connection, "acme", "account", "plan")
    made = EntityPlan(mapping(options=options), Listed(records), ledger, org)
    for _ in made.run():
        pass
    return made


def test_a_plan_shows_what_is_kept_and_what_waits(connection: psycopg.Connection) -> None:
    org = People()
    org.create("a", Name="by hand", Account_Name__c="Account a", Code__c="theirs")
    made = plan(connection, org, BOTH, account("a", code="ours"), account("b"))
    assert {action: n for action, n in made.counts.items() if n} == {"update": 1, "waiting": 1}
    assert made.sample == [
        Sample(
            "a",
            "update",
            {"Name": ("by hand", "Account a")},
            org.ids["a"],
            {"Code__c": ("theirs", "ours")},
        )
    ]
    assert org.sent == []
