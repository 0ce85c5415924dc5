"""Rows of children wait with a parent that may only update a record, and has none."""

from dataclasses import replace
from uuid import uuid4

import psycopg
import pytest

from m3sync_dagster.entities import ENTITIES
from m3sync_dagster.state import (
    PostgresLedger,
    RejectFilter,
    list_rejects,
    read_sent_changes,
    retry_rejects,
)
from m3sync_dagster.sync.engine import EntitySync
from m3sync_dagster.sync.entity_options import EntityOptions, build_mapping
from m3sync_dagster.sync.mapping import FieldMapping
from m3sync_dagster.sync.match_and_overwrite import Match
from m3sync_dagster.sync.row_results import (
    NO_PARENT_RECORD,
    NO_RECORD,
    ErrorClass,
    Rejected,
    RowResult,
)
from m3sync_dagster.sync.row_types import RecordHash, Row, StagedRow
from m3sync_dagster.sync.salesforce_schema import SalesforceObject
from m3sync_dagster_tests.sync.conftest import Listed, Org, Record, account, mapping, prepared
from m3sync_dagster_tests.sync.fitting_object import fitting
from m3sync_dagster_tests.sync.test_match_and_overwrite import People, counts, run

UPDATE_ONLY = EntityOptions(match=Match.UPDATE_ONLY)
PATH = EntityOptions(fields={"accountId": "m3ter_Account__r.Key__c"})


def contracts(
    account_options: EntityOptions = UPDATE_ONLY, own: EntityOptions | None = None
) -> FieldMapping:
    options = {"account": account_options, "contract": own or EntityOptions()}
    return build_mapping(ENTITIES["contract"], options, "")


def contract(m3ter_id: str, account_id: str | None) -> Record:
    return {"id": m3ter_id, "name": f"Contract {m3ter_id}", "accountId": account_id}


class Contracts(Org):
    """An org with the contracts' object, in which every lookup finds its record."""

    def __init__(self, built: FieldMapping) -> None:
        super().__init__()
        self.built = built

    def _describe(self, object_name: str) -> SalesforceObject:
        return replace(fitting(contracts()), name=object_name)

    def _take(self, m3ter_id: str, values: dict[str, object]) -> RowResult:
        return super()._take(m3ter_id, {**values, "Parent_Account__c": None})


def refuse_account(connection: psycopg.Connection, m3ter_id: str, code: str = NO_RECORD) -> None:
    ledger = PostgresLedger(connection, "acme", "account", uuid4().hex)
    seen = RecordHash(m3ter_id, b"f", b"d")
    ledger.stage([StagedRow(seen, Row(m3ter_id, []), 0)])
    ledger.record([Rejected(m3ter_id, ErrorClass.DEPENDENCY, code, "no record")])


def send(connection: psycopg.Connection, org: Contracts, *records: Record) -> EntitySync:
    sync = prepared(connection, Listed(records), org, org.built)
    sync._ledger.keep_history(org.built.columns, ())  # type: ignore[attr-defined]
    for _ in sync.run():
        pass
    return sync


def test_a_row_is_not_sent_until_its_parent_has_a_record(connection: psycopg.Connection) -> None:
    org = Contracts(contracts())
    records = (contract("c", "a"), contract("d", "b"), contract("e", None))
    refuse_account(connection, "a")
    sync = send(connection, org, *records)
    assert counts(sync) == {"read": 3, "created": 2, "waiting": 1}
    assert org.sent == [["e", "d"]]
    (reject,) = list_rejects(connection, "acme", RejectFilter("contract"))
    assert (reject.m3ter_id, reject.code, reject.error_class) == (
        "c",
        NO_PARENT_RECORD,
        "dependency",
    )
    assert (reject.record_name, reject.fields) == ("Contract c", ["m3ter_Account__c"])
    assert "the m3ter_Account__c whose m3ter_Id__c is a: Salesforce has none" in reject.message
    assert read_sent_changes(connection, "acme", "contract", "c") == []

    calls = org.calls
    assert counts(send(connection, org, *records)) == {"read": 3, "unchanged": 2, "waiting": 1}
    assert org.calls == calls, "not even a describe"
    assert list_rejects(connection, "acme", RejectFilter("contract"))[0].attempts == 2

    connection.execute("DELETE FROM m3sync.rejected_record WHERE entity = 'account'")
    assert counts(send(connection, org, *records)) == {"read": 3, "created": 1, "unchanged": 2}
    assert list_rejects(connection, "acme") == []


@pytest.mark.parametrize(
    ("built", "code"),
    [
        (contracts(EntityOptions()), NO_RECORD),
        (contracts(own=PATH), NO_RECORD),
        (mapping("contract"), NO_RECORD),
        (contracts(), "INVALID_FIELD"),
    ],
    ids=["parent is upserted", "lookup with a path", "parent is not carried", "parent was refused"],
)
def test_a_row_is_sent_if_its_parent_may_be_there(
    connection: psycopg.Connection, built: FieldMapping, code: str
) -> None:
    refuse_account(connection, "a", code)
    sync = send(connection, Contracts(built), contract("c", "a"))
    assert counts(sync) == {"read": 1, "created": 1}


def test_an_account_pauses_with_its_parent_account(connection: psycopg.Connection) -> None:
    org = People()
    org.create("b", Name="by hand")
    records = (account("a"), account("b", parentAccountId="a"))
    for _ in range(3):
        assert counts(run(connection, org, UPDATE_ONLY, *records)) == {"read": 2, "waiting": 2}
    calls, sent = org.calls, len(org.sent)
    assert counts(run(connection, org, UPDATE_ONLY, *records)) == {"read": 2, "waiting": 2}
    assert (org.calls, len(org.sent)) == (calls, sent)
    assert codes(connection) == {"a": NO_RECORD, "b": NO_PARENT_RECORD}

    org.create("a", Name="by hand")
    retry_rejects(connection, "acme")
    assert counts(run(connection, org, UPDATE_ONLY, *records)) == {"read": 2, "updated": 2}
    assert org.held["b"]["Parent_Account__c"] == "a"


def codes(connection: psycopg.Connection) -> dict[str, str]:
    return {one.m3ter_id: one.code for one in list_rejects(connection, "acme")}
