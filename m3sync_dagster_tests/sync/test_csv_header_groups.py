"""Rows are grouped by their empty lookups, and by whether a CSV file can express them."""

import pytest

from m3sync_dagster.sync.csv_header_groups import RowGroups
from m3sync_dagster.sync.row_types import Column, RecordHash, Row, StagedRow, Target, Value

TARGET = Target(
    "Thing__c",
    "Key__c",
    (
        Column("Account__c", "Account__r", "Key__c"),
        Column("Name"),
        Column("Parent__c", "Parent__r", "Key__c"),
    ),
)
HASH = RecordHash("id", b"fingerprint", b"digest")


def staged(*values: Value, self_lookup: int | None = 2) -> StagedRow:
    return RowGroups(TARGET, self_lookup).staged(HASH, Row("id", list(values)))


@pytest.mark.parametrize(
    ("values", "group_key", "parent", "sibling", "parents"),
    [
        ((None, "n", None), 0b000, "", None, ()),
        (("a", "n", None), 0b001, "a", None, ("a",)),
        ((None, "n", "p"), 0b010, "p", "p", ("p",)),
        (("a", "n", "p"), 0b011, "a", "p", ("a", "p")),
        (("a", "#N/A", "p"), 0b111, "a", "p", ("a", "p")),
        ((None, "#N/A", None), 0b100, "", None, ()),
        ((None, " #N/A", None), 0b000, "", None, ()),
    ],
)
def test_group_and_parents_of_a_row(
    values: tuple[Value, ...],
    group_key: int,
    parent: str,
    sibling: str | None,
    parents: tuple[str, ...],
) -> None:
    row = staged(*values)
    found = (row.group_key, row.parent, row.sibling, row.parents)
    assert found == (group_key, parent, sibling, parents)


@pytest.mark.parametrize("self_lookup", [None, 1])
def test_without_a_lookup_to_the_same_type_there_is_no_sibling(self_lookup: int | None) -> None:
    assert staged("a", "n", "p", self_lookup=self_lookup).sibling is None


@pytest.mark.parametrize(
    ("group_keys", "empty_lookups", "collections_only", "parent"),
    [
        ([0b000], {"Account__c", "Parent__c"}, False, None),
        ([0b001], {"Parent__c"}, False, 0),
        ([0b010], {"Account__c"}, False, 2),
        ([0b011], set(), False, 0),
        ([0b111], set(), True, 0),
        ([0b000, 0b001], set(), True, 0),
    ],
)
def test_properties_of_a_group(
    group_keys: list[int],
    empty_lookups: set[str],
    collections_only: bool,
    parent: int | None,
) -> None:
    rows = [Row("id", [None, "n", None])]
    group = RowGroups(TARGET, 2).group(group_keys, rows, 1)
    assert (group.rows, group.count) == (rows, 1)
    found = (group.empty_lookups, group.collections_only, group.parent)
    assert found == (frozenset(empty_lookups), collections_only, parent)


def test_rows_without_lookups_of_two_groups() -> None:
    group = RowGroups(Target("Thing__c", "Key__c", (Column("Name"),)), None).group([0, 1], [], 0)
    assert (group.collections_only, group.parent) == (True, None)
