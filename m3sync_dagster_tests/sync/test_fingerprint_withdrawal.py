"""When a row is sent again although its record has not changed."""

from collections.abc import Iterator

import psycopg
import pytest

from m3sync_dagster.entities import FieldKind
from m3sync_dagster.state import list_rejects
from m3sync_dagster.sync.converters import CONVERTERS
from m3sync_dagster.sync.entity_options import EntityOptions
from m3sync_dagster.sync.errors import ConfigurationError, RemoteError
from m3sync_dagster.sync.row_results import Count, ErrorClass, Rejected, RowResult
from m3sync_dagster.sync.row_types import Value
from m3sync_dagster_tests.sync.conftest import Listed, Org, Sync, account, mapping, prepared


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
