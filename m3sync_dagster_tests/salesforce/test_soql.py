"""The text of SOQL queries: values are quoted, and a long list still fits into a URL."""

import pytest

from m3sync_dagster.salesforce.soql import custom_fields_query, records_query
from m3sync_dagster.sync.reconcile_types import Selection
from m3sync_dagster.sync.row_types import Column, Target

TARGET = Target(
    "Balance__c",
    "m3ter_Id__c",
    (Column("Name"), Column("Account__c", "Account__r", "m3ter_Id__c")),
)
FIELDS = "SELECT Id, m3ter_Id__c, Name, Account__r.m3ter_Id__c FROM Balance__c WHERE "
NAME, ACCOUNT = TARGET.columns


@pytest.mark.parametrize(
    ("text", "literal"),
    [
        ("5a4d", "'5a4d'"),
        ("o'neil", r"'o\'neil'"),
        ("back\\slash'", r"'back\\slash\''"),
        ("two\nlines\r", r"'two\nlines\r'"),
        ('a "b"\tc', r"'a \"b\"\tc'"),
        ("{0} {:literal}", "'{0} {:literal}'"),
    ],
)
def test_a_value_cannot_end_its_quotes(text: str, literal: str) -> None:
    only = Selection(Column("m3ter_Id__c"), [text])
    assert records_query(TARGET, only) == f"{FIELDS}(m3ter_Id__c IN ({literal}))"
    assert custom_fields_query(text).endswith(f" = {literal}")


@pytest.mark.parametrize(
    ("only", "conditions"),
    [
        (None, "m3ter_Id__c != null"),
        (Selection(Column("Id"), ["001", "002"]), "(Id IN ('001','002'))"),
        (Selection(NAME, ["a"]), "(Name IN ('a')) AND m3ter_Id__c != null"),
        (
            Selection(ACCOUNT, ["a"], or_empty=True),
            "(Account__r.m3ter_Id__c IN ('a') OR Account__c = null) AND m3ter_Id__c != null",
        ),
        (Selection(ACCOUNT, [], or_empty=True), "(Account__c = null) AND m3ter_Id__c != null"),
    ],
)
def test_which_records_are_read(only: Selection | None, conditions: str) -> None:
    assert records_query(TARGET, only) == FIELDS + conditions


def test_a_query_for_200_ids_fits_into_a_url() -> None:
    ids = [f"{n:08d}-1111-2222-3333-444444444444" for n in range(200)]
    assert len(records_query(TARGET, Selection(ACCOUNT, ids))) < 9_000
